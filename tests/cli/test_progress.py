"""Where a batch stands, as words."""

from __future__ import annotations

import io

from decimal import Decimal

import attrs
import pytest

from rich.console import Console

from dify_workflow_async.batch import Progress, State, Summary
from dify_workflow_async.cli._progress import (
    LiveLine,
    PlainLines,
    display,
    line,
    summarize,
)
from dify_workflow_async.cli._text import printable, span, spent


NOTHING = Progress(
    total=None,
    read=0,
    done=0,
    succeeded=0,
    failed=0,
    unknown=0,
    paused=0,
    skipped=0,
    running=0,
    rate=0.0,
    tokens=0,
    price={},
    seconds=0.0,
    seconds_left=None,
)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "0 rows"),
        ({"total": 3}, "0/3 rows"),
        (
            {
                "total": 2000,
                "done": 1212,
                "succeeded": 1200,
                "failed": 9,
                "unknown": 2,
                "paused": 1,
                "skipped": 100,
                "running": 50,
                "rate": 12.44,
                "tokens": 84_210,
                "price": {"USD": Decimal("1.234"), "": Decimal("0.00005")},
                "seconds_left": 75.0,
            },
            (
                "1,312/2,000 rows · 100 from the journal · 1,200 succeeded · 9 failed · "
                "2 unknown · 1 paused · 50 running · 12.4/s · "
                "84,210 tokens, 1.23 USD, 0.000050 · 1 min 15 s left"
            ),
        ),
    ],
    ids=["nothing", "total", "all"],
)
def test_line(changes, text):
    """All that there is, and nothing that there is not."""
    assert line(attrs.evolve(NOTHING, **changes)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.6, "1 min 00 s"),
        (3_599, "59 min 59 s"),
        (7_260, "2 h 01 min"),
    ],
)
def test_span(seconds, text):
    """Times as people say them."""
    assert span(seconds) == text


def test_spent_nothing():
    """No tokens and no price are no words."""
    assert spent(0, {}) == ""


def test_summary():
    """How the rows ended, in the order of their states, and what they took."""
    summary = Summary(
        rows=2,
        states={},
        skipped=1,
        attempts=2,
        tokens=7,
        price={"USD": Decimal(2)},
        percentiles={50: 0.5, 100: 90},
        seconds=12.0,
    )
    states = {State.FAILED: 1, State.SUCCEEDED: 2, State.PAUSED: 0}

    assert list(summarize(summary, states)) == [
        "3 rows: 2 succeeded, 1 failed (1 from the journal)",
        "7 tokens, 2.00 USD",
        "12 s in all",
        "of the rows 50 % within 0.5 s, 100 % within 1 min 30 s",
    ]


def test_summary_of_nothing():
    """A batch of no rows has no numbers to tell."""
    summary = Summary(
        rows=0,
        states={},
        skipped=0,
        attempts=0,
        tokens=0,
        price={},
        percentiles={},
        seconds=0.0,
    )

    assert list(summarize(summary, {})) == ["0 rows", "0.0 s in all"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("\x1b[31mred\x07", "�[31mred�"),
        ("x" * 400, "x" * 297 + "..."),
    ],
)
def test_printable(text, shown):
    """What others wrote steers no terminal."""
    assert printable(text) == shown


def test_plain_lines():
    """A line every few seconds, and none twice."""
    out = io.StringIO()
    shown = PlainLines(Console(file=out, width=40), every=5)

    for seconds in (0, 4.9, 5.2, 6, 10.1, 10.3):
        shown.show(attrs.evolve(NOTHING, seconds=seconds, done=int(seconds)))
    shown.say("[bold]a text of others, longer than the terminal is wide[/]")
    shown.close()

    assert out.getvalue().splitlines() == [
        "5 rows",
        "10 rows",
        "[bold]a text of others, longer than the terminal is wide[/]",
    ]


@pytest.mark.parametrize(
    ("is_tty", "env", "quiet", "kind", "every"),
    [
        (True, {"TERM": "xterm"}, False, LiveLine, None),
        (True, {"TERM": "dumb"}, False, PlainLines, 5),
        (False, {"TERM": "xterm"}, False, PlainLines, 5),
        (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, False, PlainLines, 5),
        (True, {"TERM": "xterm"}, True, PlainLines, float("inf")),
    ],
    ids=["terminal", "dumb", "pipe", "forced", "quiet"],
)
def test_display(is_tty, env, quiet, kind, every):
    """What is shown fits where it is shown."""
    file = io.StringIO()
    file.isatty = lambda: is_tty
    shown = display(Console(file=file, _environ=env), quiet=quiet)
    shown.close()

    assert type(shown) is kind
    assert getattr(shown, "_every", None) == every


def test_a_line_that_is_too_long():
    """It is cut at the width of the terminal: two lines could not be removed."""
    out = io.StringIO()
    console = Console(
        file=out, width=20, force_terminal=True, _environ={"TERM": "xterm"}
    )
    shown = LiveLine(console)
    shown.show(attrs.evolve(NOTHING, total=1000, running=10, rate=3.0, tokens=10**6))
    shown.close()

    assert "0/1,000 rows" in out.getvalue()
    assert "…" in out.getvalue()
    assert "tokens" not in out.getvalue()
