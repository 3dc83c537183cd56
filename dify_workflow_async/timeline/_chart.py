"""The chart of a run: bars over time, and tokens beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import altair as alt
import attrs

from ..views import NodeState
from ._bars import Bar
from ._kinds import KINDS, MARKS, kind_of, mark_of
from ._words import one_line, paid, span, spent


if TYPE_CHECKING:
    from ._timeline import Timeline

Row = dict[str, Any]
Layer = Any  # what Altair's encode() gives: it says so itself

# Pixels. A run of any number of rows gives a picture that a screen can show.
_WIDTH, _TOKENS_WIDTH, _LABELS_WIDTH = 640, 120, 190
_STEP, _HIGHEST = 22, 1400
_INDENT, _TEXT = 14, 11

_TOLD = alt.ExprRef("datum.told")


@attrs.frozen
class _Rows:
    """How high the rows are.

    Attributes:
        count: how many there are.
        step: pixels from one to the next.
    """

    count: int
    step: float

    @classmethod
    def of(cls, bars: Sequence[Bar]) -> _Rows:
        count = max((bar.lane for bar in bars), default=0) + 1
        return cls(count, min(_STEP, _HIGHEST / count))

    @property
    def height(self) -> float:
        return max(_STEP, self.count * self.step)

    def axis(self, field: str) -> alt.Y:
        """The vertical place; rows go down from 0."""
        scale = alt.Scale(domain=[0, self.count], reverse=True, nice=False)
        return alt.Y(f"{field}:Q", axis=None, scale=scale)


def chart_of(timeline: Timeline) -> alt.HConcatChart:
    """The chart of a run."""
    bars = timeline.bars
    rows = _Rows.of(bars)
    lanes = list(_lanes(bars, rows))
    parts: list[Any] = [_over_time(timeline, bars, lanes, rows)]
    if any(lane["tokens"] for lane in lanes):
        parts.append(_tokens(lanes, rows))
    return alt.hconcat(
        *parts,
        title=_title(timeline, bars),
        spacing=12,
        background="white",
        padding=12,
        config={
            "view": {"stroke": None},
            "legend": {"orient": "bottom", "columns": 9, "labelFontSize": _TEXT},
            "axis": {"gridColor": "#E8E8E8", "domainColor": "#888888"},
        },
    )


def _title(timeline: Timeline, bars: Sequence[Bar]) -> alt.TitleParams:
    usage = timeline.usage
    number = f"{len(bars):,} execution{'s' * (len(bars) != 1)}"
    words = [span(timeline.seconds), number, spent(usage.total_tokens, usage.prices)]
    run = f"run {timeline.workflow_run_id}" if timeline.workflow_run_id else ""
    status = f"Workflow run: {timeline.status or 'nothing came yet'}"
    return alt.TitleParams(
        text=one_line(status, 100),
        subtitle=[" · ".join(filter(None, words)), one_line(run, 100)],
        anchor="start",
        fontSize=15,
        subtitleFontSize=_TEXT + 1,
        subtitleColor="#555555",
        offset=14,
    )


# -- over time -------------------------------------------------------------------------


def _over_time(
    timeline: Timeline, bars: Sequence[Bar], lanes: list[Row], rows: _Rows
) -> alt.LayerChart:
    total = max([timeline.seconds, *(bar.end for bar in bars)]) or 1.0
    shown = [_shown(bar, total) for bar in bars]
    time = alt.X(
        "start:Q",
        title="seconds since the run began",
        scale=alt.Scale(domain=[0, total], nice=False),
        axis=alt.Axis(tickCount=8, orient="bottom"),
    )
    layers: list[Any] = [
        _around(bars, time, rows),
        _bars(shown, time, rows),
        _marks(shown, time, rows),
        _labels(lanes, rows),
        _text(lanes, "spent", rows).encode(x=alt.value(_WIDTH + 6)),
    ]
    if not bars:
        nothing = [{"middle": 0.5, "text": "no node has begun"}]
        layers.append(_text(nothing, "text", rows).encode(x=alt.value(6)))
    return alt.LayerChart(layer=layers, width=_WIDTH, height=rows.height)


def _labels(lanes: list[Row], rows: _Rows) -> Layer:
    indent = "datum.indent"
    style: dict[str, Any] = {
        "color": "black",
        "dx": alt.ExprRef(indent),
        "limit": alt.ExprRef(f"{_LABELS_WIDTH - 8} - {indent}"),
    }
    return _text(lanes, "label", rows, **style).encode(x=alt.value(-_LABELS_WIDTH))


def _around(bars: Sequence[Bar], time: alt.X, rows: _Rows) -> Layer:
    """What lies in an iteration or loop, as a shade behind it."""
    lowest: dict[str, int] = {}
    for bar in reversed(bars):  # what is inside comes below
        low = lowest[bar.state.id] = max(lowest.get(bar.state.id, 0), bar.lane)
        if bar.parent is not None:
            lowest[bar.parent] = max(lowest.get(bar.parent, 0), low)
    shades = [
        {
            "start": bar.start,
            "end": bar.end,
            "top": bar.lane,
            "bottom": lowest[bar.state.id] + 1,
        }
        for bar in bars
        if bar.is_block
    ]
    return (
        alt.Chart(_data(shades))
        .mark_rect(color="#000000", opacity=0.06)
        .encode(x=time, x2="end:Q", y=rows.axis("top"), y2="bottom:Q")
    )


def _bars(shown: list[Row], time: alt.X, rows: _Rows) -> Layer:
    found = {row["kind"] for row in shown}
    kinds = [kind for kind in KINDS if kind in found]
    colour = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=kinds, range=[KINDS[kind] for kind in kinds]),
        legend=alt.Legend(symbolType="square") if kinds else None,
    )
    return (
        alt.Chart(_data(shown))
        .mark_rect(
            stroke="white", strokeWidth=0.5 if rows.step > 6 else 0, tooltip=_TOLD
        )
        .encode(
            x=time,
            x2="until:Q",
            y=rows.axis("top"),
            y2="bottom:Q",
            color=colour,
        )
    )


def _marks(shown: list[Row], time: alt.X, rows: _Rows) -> Layer:
    """Shapes at the ends of what did not go well."""
    odd = [row | {"start": row["until"]} for row in shown if row["mark"]]
    found = {row["mark"] for row in odd}
    marks = [mark for mark in MARKS if mark in found]
    shape = alt.Shape(
        "mark:N",
        title=None,
        scale=alt.Scale(domain=marks, range=[MARKS[mark] for mark in marks]),
        legend=alt.Legend(symbolFillColor="black") if marks else None,
    )
    size = min(70.0, (0.6 * rows.step) ** 2)
    return (
        alt.Chart(_data(odd))
        .mark_point(
            color="black",
            filled=True,
            opacity=1,
            size=size,
            stroke="white",
            strokeWidth=0.5,
            tooltip=_TOLD,
        )
        .encode(
            x=time,
            y=rows.axis("middle"),
            shape=shape,
        )
    )


def _shown(bar: Bar, total: float) -> Row:
    thin = 0.3 if bar.is_block else 0.12
    least = total / 400  # nothing is too short to be seen
    until = min(max(bar.end, bar.start + least), total)
    return {
        "start": min(bar.start, until - least),
        "until": until,
        "top": bar.lane + thin,
        "middle": bar.lane + 0.5,
        "bottom": bar.lane + 1 - thin,
        "kind": kind_of(bar.state.node_type),
        "mark": mark_of(bar.state.status),
        "told": {name: text for name, text in _told(bar) if text},
    }


def _told(bar: Bar) -> Iterator[tuple[str, str]]:
    """What is told of a bar that one points at; empty where there is nothing to tell."""
    state = bar.state
    yield "title", _title_of(state)
    yield "type", one_line(state.node_type or "", 100)
    yield "status", one_line(state.status, 100)
    yield "began", f"after {span(bar.start)}"
    yield "took", span(bar.seconds)
    if state.round is not None:
        yield "round", str(state.round)
    if state.rounds is not None:
        yield "rounds", str(state.rounds)
    if state.attempts > 1:
        yield "tries", str(state.attempts)
    if state.total_tokens is not None:
        yield "tokens", f"{state.total_tokens:,}"
    if state.total_price is not None:
        yield "price", paid(state.total_price, state.currency)
    yield "error", one_line(state.error or "")


def _title_of(state: NodeState) -> str:
    return one_line(state.title or state.node_id or state.id, 100)


# -- rows ------------------------------------------------------------------------------


def _lanes(bars: Sequence[Bar], rows: _Rows) -> Iterator[Row]:
    """What is written beside the first row of each node, where there is room for it."""
    free = 0.0  # from here on, in pixels
    for _, each in groupby(bars, key=lambda bar: (bar.depth, bar.state.node_id)):
        found = list(each)
        first = found[0]
        tokens = sum(bar.state.total_tokens or 0 for bar in found)
        row: Row = {
            "start": 0,
            "top": first.lane + 0.12,
            "middle": first.lane + 0.5,
            "bottom": first.lane + 0.88,
            "tokens": tokens,
            "indent": _INDENT * first.depth,
        }
        if first.lane * rows.step >= free:
            free = first.lane * rows.step + _TEXT + 1
            row["label"] = _title_of(first.state)
            row["spent"] = _spent([bar.seconds for bar in found])
            row["number"] = f"{tokens:,}" if tokens else ""
        yield row


def _spent(seconds: Sequence[float]) -> str:
    times = f", {len(seconds):,} times" if len(seconds) > 1 else ""
    return span(sum(seconds)) + times


def _text(lanes: Iterable[Row], field: str, rows: _Rows, **style: Any) -> Layer:
    written = [lane for lane in lanes if lane.get(field)]
    look: dict[str, Any] = {"color": "#555555", "align": "left", "limit": 110}
    return (
        alt.Chart(_data(written))
        .mark_text(baseline="middle", fontSize=_TEXT, **(look | style))
        .encode(y=rows.axis("middle"), text=f"{field}:N")
    )


# -- tokens ----------------------------------------------------------------------------


def _tokens(lanes: list[Row], rows: _Rows) -> alt.LayerChart:
    spending = [lane for lane in lanes if lane["tokens"]]
    most = max(lane["tokens"] for lane in spending)
    amount = alt.X(
        "start:Q",
        title="tokens",
        scale=alt.Scale(domain=[0, most], nice=False),
        axis=alt.Axis(tickCount=3, format="~s"),
    )
    bars = (
        alt.Chart(_data(spending))
        .mark_rect(color=KINDS["model"])
        .encode(x=amount, x2="tokens:Q", y=rows.axis("top"), y2="bottom:Q")
    )
    numbers = _text(spending, "number", rows).encode(x=alt.value(_TOKENS_WIDTH + 6))
    return alt.LayerChart(
        layer=[bars, numbers], width=_TOKENS_WIDTH, height=rows.height
    )


def _data(values: list[Row]) -> Row:
    # Not InlineData, which compares each value with the schema, again for each copy.
    return {"values": values}
