"""What is shown of a run: texts in lines, and lines for pipes."""

from __future__ import annotations

import io

import pytest

from rich.console import Console

from dify_workflow_async.cli._display import PlainLines, Silent, Texts
from dify_workflow_async.cli._text import printable, safe
from dify_workflow_async.events import (
    HumanInputRequired,
    IterationStarted,
    NodeStarted,
    TextChunk,
    TextReplace,
    TtsMessage,
    UnknownEvent,
    WorkflowStarted,
)


def test_lines_of_a_text():
    """Whole lines are given out once, and the rest at the end."""
    texts = Texts()
    texts.add("a\nb")
    assert (texts.take(), texts.rest) == (["a"], "b")
    texts.add("c\r\n\nd")
    assert (texts.take(), texts.take(), texts.rest) == (["bc", ""], [], "d")
    assert texts.end() == ["d"]
    assert (texts.end(), texts.rest) == ([], "")


@pytest.mark.parametrize(
    ("new", "lines"),
    [
        ("one\ntwo and more", ["one", "two and more"]),
        ("other", ["one", "two", "(the text is another:)", "other"]),
    ],
    ids=["goes on", "is another"],
)
def test_a_text_that_is_replaced(new, lines):
    """What is shown already stays, and what is new follows (servers before 0.8)."""
    texts = Texts()
    texts.add("one\ntwo")
    texts.replace(new)
    assert texts.end() == lines
    texts.replace(f"{new}!")
    assert texts.end() == ["!"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a�[31mb"),
        ("a\x9bb\x07", "a�b�"),
        ("a\r\nb\rc", "a\nbc"),
        ("a\tb", "a   b"),
        ("a\u202eb\u2066", "a�b�"),
        ("\ud800", "�"),
        ("10\u00a0000 €", "10\u00a0000 €"),
        ("👩\u200d💻 \u0645\u200c\u062f\u3000", "👩\u200d💻 \u0645\u200c\u062f\u3000"),
    ],
    ids=ascii,
)
def test_texts_of_others(text, shown):
    """Nothing in them steers a terminal, and no letter is lost."""
    assert safe(text) == shown


def test_a_text_as_one_line():
    """Blanks become one, and a long text is cut."""
    assert printable("a\n\n b\x1b") == "a b�"
    assert printable("x" * 20, 10) == "xxxxxxx..."


def test_plain_lines():
    """Each event but texts and speech is a line, with its time."""
    out = io.StringIO()
    times = iter([100.0, 101.0, 102.25, 103.0, 104.0])
    lines = PlainLines(Console(file=out, width=20), lambda: next(times))
    for event in (
        WorkflowStarted(workflow_run_id="a-long-id-that-is-not-wrapped"),
        NodeStarted(title="Model"),
        IterationStarted(title="Each"),
        TextChunk(text="x"),
        TextReplace(text="x"),
        TtsMessage(audio="AAAA"),
        HumanInputRequired(node_title="Approve"),
        UnknownEvent(),
    ):
        lines.take(event)

    assert out.getvalue() == (
        "    1.0 s  run a-long-id-that-is-not-wrapped\n"
        "    2.2 s  Model began\n"
        "    3.0 s  Each began\n"
        "    4.0 s  Approve asks a person\n"
    )


async def test_silence():
    """Nothing is shown, and what has to be said is said."""
    out = io.StringIO()
    async with Silent(Console(file=out)) as silent:
        silent.take(NodeStarted(title="Model"))
        silent.say("so")
    assert out.getvalue() == "so\n"
