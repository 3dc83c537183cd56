"""Pictures: what is in them, and how they become files."""

from __future__ import annotations

import json
import struct
import subprocess
import sys

from decimal import Decimal
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from dify_workflow_async import errors
from dify_workflow_async.timeline import Timeline, check_path
from dify_workflow_async.timeline._kinds import (
    _OF_TYPES,
    KINDS,
    MARKS,
    kind_of,
    mark_of,
)
from dify_workflow_async.timeline._words import one_line, paid, span, spent

from ._told import Told, everything, parallel_rounds


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script> & 'quotes' \" \\ ]]> $spec ${spec}",
    "half \ud800 nul \x00 bell \x07 line\u2028break\nend",
)
SVG = "{http://www.w3.org/2000/svg}"


def one():
    """A run of one node."""
    return Told().node("Answer", 0.01, 2.3, tokens=1532, price="0.003").done(2.4)


def flat(number):
    """A run of so many nodes that each have a row."""
    run = Told()
    for each in range(number):
        run.node(f"n{each}", each * 0.1, 0.1, type="code")
    return run.done(number * 0.1)


def bars_in(svg):
    """The labels of the rectangles: bars, shades, and the tokens of rows."""
    return [
        x.get("aria-label")
        for x in ET.fromstring(svg).iter()
        if x.get("aria-roledescription") == "rect mark"
    ]


def texts_in(svg):
    """What is written in it, line by line."""
    return [
        x.text
        for x in ET.fromstring(svg).iter()
        if x.tag in {f"{SVG}text", f"{SVG}tspan"}
    ]


def size_of(svg):
    root = ET.fromstring(svg)
    return float(root.get("width")), float(root.get("height"))


# -- what is in them -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "bars", "words"),
    [
        (Told(), 0, {"no node has begun", "Workflow run: running"}),
        (
            one(),
            1 + 1,
            {"Answer", "2.3 s", "1,532", "model", "Workflow run: succeeded"},
        ),
        (
            Told().node("a", 0, 1).node("b", 1, 9, ends=False).node("c", 4, 1),
            3,
            {"a", "b", "c", "running"},
        ),
        (
            everything(),
            11 + 1 + 2,
            {
                *("Each", "3.2 s, 2 times", "1,600", "210", "failed", "Classify"),
                *("failed, dealt with", "knowledge", "http request", "iteration, loop"),
                "12.3 s · 11 executions · 1,810 tokens · 0.014 USD",
            },
        ),
    ],
    ids=["none", "one", "running", "everything"],
)
def test_what_is_drawn(run, bars, words):
    """There is a bar for each execution, and what its row is called and took."""
    svg = Timeline.of(run.events).svg()
    assert len(bars_in(svg)) == bars
    assert words <= set(texts_in(svg))


def test_nothing_at_all():
    """A timeline that heard nothing can be drawn."""
    assert "Workflow run: nothing came yet" in texts_in(Timeline().svg())


@pytest.mark.parametrize(
    ("run", "bars"),
    [(parallel_rounds(100), 501), (flat(500), 500)],
    ids=["rounds", "rows"],
)
def test_five_hundred_executions(run, bars):
    """The picture is no higher than one can look at, and names do not overlap."""
    timeline = Timeline.of(run.events)
    assert len(timeline.bars) == bars
    chart = timeline.chart().to_dict()
    data = list(chart["datasets"].values())
    assert bars in map(len, data)
    height = chart["hconcat"][0]["height"]
    assert 100 < height <= 1400
    named = [row["middle"] for rows in data for row in rows if row.get("label")]
    step = height / (1 + max(bar.lane for bar in timeline.bars))
    assert len(named) > 5
    gaps = [(low - high) * step for high, low in pairwise(named)]
    assert all(gap > 11 or gap < 0 for gap in gaps)


def test_a_bar_that_one_points_at():
    """It tells what its execution was; nothing is told that nobody knows."""
    chart = Timeline.of(everything().events).chart().to_dict()
    told = [
        row["told"]
        for rows in chart["datasets"].values()
        for row in rows
        if "told" in row
    ]
    assert all(row.pop("began").startswith("after ") for row in told)
    assert {
        "title": "Fetch",
        "type": "http-request",
        "status": "succeeded",
        "took": "3.2 s",
        "tries": "3",
    } in told
    assert {
        "title": "Write",
        "type": "llm",
        "status": "succeeded",
        "took": "1.6 s",
        "round": "0",
        "tokens": "800",
        "price": "0.002 USD",
    } in told
    assert any(row.get("rounds") == "2" for row in told)
    assert any(row.get("error") == "by zero" for row in told)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"other"}))
def test_each_kind_has_a_type(kind):
    """No colour is there for nothing, and no two kinds have the same."""
    assert kind in {kind_of(name) for name in _OF_TYPES}
    assert list(KINDS.values()).count(KINDS[kind]) == 1


@pytest.mark.parametrize(
    ("status", "mark"),
    [
        ("succeeded", None),
        ("partial-succeeded", None),
        ("failed", "failed"),
        ("exception", "failed, dealt with"),
        ("stopped", "stopped"),
        ("tomorrow", "other"),
    ],
)
def test_what_did_not_go_well_is_marked(status, mark):
    """A status that nobody knows is not taken for a success."""
    assert mark_of(status) == mark
    assert mark is None or mark in MARKS
    assert kind_of("tomorrow") == kind_of(None) == "other"


@pytest.mark.parametrize("title", HOSTILE, ids=["tag", "comment", "controls"])
def test_titles_are_texts(title):
    """What a node is called ends neither a script, nor a document, nor the process."""
    run = Told().node(title, 0, 1, error=title, status="failed").done(1)
    timeline = Timeline.of(run.events)
    page, svg = timeline.html(), timeline.svg()

    assert page.count("</script>") == 2
    assert "<!--" not in page.partition('<div id="picture">')[2]
    spec = page.partition('vegaEmbed("#picture", ')[2].partition(", {\n")[0]
    assert json.loads(spec) == timeline.chart().to_dict()
    assert any(text.startswith(one_line(title)[:12]) for text in texts_in(svg) if text)


def test_a_page_loads_nothing():
    """There is no address in it to load from, and the browser would refuse it."""
    page = Timeline.of(one().events).html()
    head, _, body = page.partition("<script>")
    assert "default-src 'none'" in head
    assert "src=" not in head.replace("default-src", "").replace("-src ", "")
    for sign in ("<link", "<img", "<script src", "@import"):
        assert sign not in head + body.partition('<div id="picture">')[2]


# -- files -----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["html", "svg", "png", "PNG"])
def test_a_file(tmp_path, ending):
    """The ending says what is written; what was there before is replaced."""
    path = tmp_path / f"run.{ending}"
    path.write_text("old")
    assert Timeline.of(one().events).save(str(path)) == path
    data = path.read_bytes()
    begins = {"html": b"<!DOCTYPE html>", "svg": b"<svg", "png": b"\x89PNG"}
    assert data.startswith(begins[ending.lower()])
    assert list(tmp_path.iterdir()) == [path]


def test_the_size_of_a_png():
    """It has so many pixels for each of the SVG's."""
    timeline = Timeline.of(one().events)
    wide, high = size_of(timeline.svg())
    small = struct.unpack(">II", timeline.png(scale=1)[16:24])
    large = struct.unpack(">II", timeline.png()[16:24])
    assert small == pytest.approx((wide, high), abs=1)
    assert large == pytest.approx((2 * wide, 2 * high), abs=2)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("run.pdf", r"\.html, \.svg, \.png, not \.pdf"),
        ("run", "without ending"),
        ("missing/run.svg", "no folder"),
        ("folder.svg", "is a folder"),
    ],
)
def test_a_place_where_no_picture_can_be(tmp_path, name, reason):
    """It is refused before anything is drawn, and before a run, if one asks."""
    (tmp_path / "folder.svg").mkdir()
    for refuse in (check_path, Timeline().save):
        with pytest.raises(errors.ConfigurationError, match=reason):
            refuse(tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == ["folder.svg"]


def test_a_file_that_cannot_be_written(tmp_path):
    """The system's own error comes out, and no half file stays."""
    path = tmp_path / f"{'x' * 300}.svg"
    with pytest.raises(OSError, match="name too long"):
        Timeline.of(one().events).save(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_without_the_extra(monkeypatch, tmp_path, missing):
    """What is told can be had; whoever wants it drawn is told what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    timeline = Timeline.of(one().events)
    assert len(timeline.bars) == 1
    path = tmp_path / "x.svg"
    for draw in (
        *(timeline.chart, timeline.html, timeline.svg, timeline.png),
        *(lambda: timeline.save(path), lambda: check_path(path)),
    ):
        with pytest.raises(errors.ConfigurationError) as caught:
            draw()
        assert str(caught.value) == (
            f"pictures need {missing}: pip install 'dify-workflow-async[timeline]'"
        )


def test_importing_is_light():
    """The room comes with no library for drawing, and the package without the room."""
    script = (
        "import sys, dify_workflow_async as d; a = set(sys.modules);"
        "import dify_workflow_async.timeline; b = set(sys.modules);"
        "print('dify_workflow_async.timeline' in a,"
        " *sorted({'altair', 'vl_convert', 'sqlalchemy'} & b))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


# -- words -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.0004, "< 0.001 s"),
        (0.0123, "0.012 s"),
        (0.5, "0.5 s"),
        (2.345, "2.35 s"),
        (12.34, "12.3 s"),
        (99.99, "100 s"),
        (123.4, "123 s"),
        (86400, "86,400 s"),
    ],
)
def test_seconds_in_words(seconds, words):
    """Three digits count, and milliseconds are enough."""
    assert span(seconds) == words


def test_prices_in_words():
    """Fractions of a cent are told, and nothing is told of nothing."""
    assert paid(Decimal("0.0000125"), "USD") == "0.000012 USD"
    assert paid(Decimal(3), None) == "3.00"
    assert paid(Decimal("1234.5"), "RMB") == "1,234.50 RMB"
    prices = {"USD": Decimal("0.25"), "RMB": Decimal(0)}
    assert spent(1000, prices) == "1,000 tokens · 0.25 USD"
    assert spent(0, {}) == spent(None, {}) == ""


def test_texts_in_one_line():
    """What is long is cut, and what cannot be drawn is replaced."""
    assert one_line(" a\n\tb  c ") == "a b c"
    assert one_line("a\x00b\ud800c") == "a\ufffdb\ufffdc"
    assert one_line("x" * 400) == "x" * 299 + "…"
    assert one_line("日本 — ünï 🎉") == "日本 — ünï 🎉"
