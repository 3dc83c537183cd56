"""The chart of a batch: ends, durations and tokens over time, and what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import altair as alt

from ..batch import State
from ._batch import ENDS, OTHER_CAUSES, PERCENTS
from ._words import span, spent


if TYPE_CHECKING:
    from ._batch import BatchTimeline

Row = dict[str, Any]

_WIDTH, _HEIGHT, _LOW, _STEP = 760, 170, 110, 22
_CAUSES = 10
_TEXT = 11

# Of the palette of Okabe and Ito, which all eyes can tell apart.
_COLOURS = {
    State.SUCCEEDED: "#0072B2",
    State.PAUSED: "#CC79A7",
    State.STOPPED: "#7F7F7F",
    State.REFUSED: "#F0E442",
    State.UNKNOWN: "#E69F00",
    State.FAILED: "#D55E00",
}
_LINES = ("#56B4E9", "#0072B2", "#000000")


def chart_of(batch: BatchTimeline) -> alt.VConcatChart:
    """The chart of a batch."""
    parts: list[Any] = [_ends(batch)]
    parts += [
        _percentiles(batch, what)
        for what in ("seconds", "tokens")
        if any(getattr(each, what).get(100) for each in batch.slices)
    ]
    if batch.causes:
        parts.append(_causes(batch))
    return alt.vconcat(
        *parts,
        title=_title(batch),
        spacing=22,
        background="white",
        padding=12,
        resolve={"scale": {"color": "independent"}},
        config={
            "view": {"stroke": None},
            "legend": {"orient": "right", "labelFontSize": _TEXT, "title": None},
            "axis": {"gridColor": "#E8E8E8", "domainColor": "#888888"},
            "axisY": {"minExtent": 40, "maxExtent": 40},  # one left edge for all
            "title": {"anchor": "start", "frame": "group", "fontSize": _TEXT + 1},
        },
    )


def _title(batch: BatchTimeline) -> alt.TitleParams:
    totals = batch.totals
    counts = totals.counts
    each = [f"{counts[state]:,} {state.value}" for state in State if counts.get(state)]
    rows = sum(counts.values())
    words = [spent(totals.tokens, totals.prices)]
    if totals.started_at is not None:
        words.insert(0, f"begun {totals.started_at:%Y-%m-%d %H:%M:%S} UTC")
    return alt.TitleParams(
        text=f"Batch: {rows:,} row{'s' * (rows != 1)}",
        subtitle=[", ".join(each), " · ".join(filter(None, words))],
        anchor="start",
        fontSize=15,
        subtitleFontSize=_TEXT + 1,
        subtitleColor="#555555",
        offset=14,
    )


def _time(batch: BatchTimeline, field: str, *, title: bool = True) -> alt.X:
    end = max(1, len(batch.slices)) * batch.width
    return alt.X(
        f"{field}:Q",
        title="seconds since the batch began" if title else None,
        scale=alt.Scale(domain=[0, end], nice=False),
        axis=alt.Axis(tickCount=8),
    )


# -- ends ------------------------------------------------------------------------------


def _ends(batch: BatchTimeline) -> Any:
    rows = list(_stacked(batch))
    found = [
        state for state in ENDS if any(row["state"] == state.value for row in rows)
    ]
    colour = alt.Color(
        "state:N",
        scale=alt.Scale(
            domain=[state.value for state in found],
            range=[_COLOURS[state] for state in found],
        ),
        legend=alt.Legend() if found else None,
    )
    title = (
        f"Rows that ended in each {span(batch.width)}" if rows else "No row has ended"
    )
    chart = alt.Chart(
        alt.InlineData(values=rows), title=title, width=_WIDTH, height=_HEIGHT
    )
    return chart.mark_rect(tooltip=alt.ExprRef("datum.told")).encode(
        x=_time(batch, "start"),
        x2="end:Q",
        y=alt.Y("low:Q", title="rows", axis=alt.Axis(tickMinStep=1, tickCount=4)),
        y2="high:Q",
        color=colour,
    )


def _stacked(batch: BatchTimeline) -> Iterator[Row]:
    for each in batch.slices:
        low = 0
        for state in ENDS:
            if number := each.ended.get(state, 0):
                told = {
                    "rows": f"{number:,} {state.value}",
                    "ended": f"{span(each.start)} to {span(each.start + batch.width)}",
                }
                yield {
                    "start": each.start,
                    # Some white between the slices, but not so that one disappears.
                    "end": each.start + 0.9 * batch.width,
                    "low": low,
                    "high": low + number,
                    "state": state.value,
                    "told": told,
                }
                low += number


# -- percentiles -----------------------------------------------------------------------


def _percentiles(batch: BatchTimeline, what: str) -> Any:
    overall: Mapping[int, float] = getattr(batch, what)
    rows = [
        {
            "at": each.start + batch.width / 2,
            "value": getattr(each, what)[percent],
            "percentile": f"p{percent}",
            "told": {
                f"p{percent}": _amount(what, getattr(each, what)[percent]),
                "ended": f"{span(each.start)} to {span(each.start + batch.width)}",
            },
        }
        for each in batch.slices
        for percent in PERCENTS
        if getattr(each, what)
    ]
    names = [f"p{percent}" for percent in PERCENTS]
    words = [f"p{percent} {_amount(what, overall[percent])}" for percent in PERCENTS]
    words.append(f"most {_amount(what, overall[100])}")
    chart = alt.Chart(
        alt.InlineData(values=rows),
        title=f"{what.capitalize()} of a run: {', '.join(words)}",
        width=_WIDTH,
        height=_LOW,
    )
    return chart.mark_line(
        point={"size": 18, "tooltip": {"expr": "datum.told"}}, strokeWidth=1.5
    ).encode(
        x=_time(batch, "at", title=False),
        y=alt.Y("value:Q", title=what, axis=alt.Axis(tickCount=4, format="~s")),
        color=alt.Color(
            "percentile:N", scale=alt.Scale(domain=names, range=list(_LINES))
        ),
    )


def _amount(what: str, value: float) -> str:
    return span(value) if what == "seconds" else f"{value:,.0f}"


# -- causes ----------------------------------------------------------------------------


def _causes(batch: BatchTimeline) -> alt.LayerChart:
    named = {
        name: number for name, number in batch.causes.items() if name != OTHER_CAUSES
    }
    shown = list(named.items())[:_CAUSES]
    if rest := sum(batch.causes.values()) - sum(number for _, number in shown):
        shown.append((OTHER_CAUSES, rest))
    rows = [
        {"number": number, "words": f"{number:,}   {cause}", "place": place}
        for place, (cause, number) in enumerate(shown)
    ]
    place = alt.Y("place:O", axis=None)
    most = max(number for _, number in shown)
    amount = alt.X("number:Q", title="rows", scale=alt.Scale(domain=[0, most]))
    data = alt.InlineData(values=rows)
    bars = alt.Chart(data).mark_bar(color="#D55E00", opacity=0.35)
    words = alt.Chart(data).mark_text(align="left", fontSize=_TEXT, limit=_WIDTH - 12)
    return alt.LayerChart(
        layer=[
            bars.encode(x=amount, y=place),
            words.encode(x=alt.value(6), y=place, text="words:N"),
        ],
        title="What did not succeed",
        width=_WIDTH,
        height=len(rows) * _STEP,
    )
