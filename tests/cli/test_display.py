"""What is shown of a run: texts in lines, and lines for pipes."""

from __future__ import annotations

import asyncio
import io

import pytest

from rich.console import Console

from dify_workflow_async import WorkflowClient
from dify_workflow_async.cli._display import LiveTree, PlainLines, Silent, Texts
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


class Screen(io.StringIO):
    """A terminal, on which drawing can be made to fail once."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.has_failed = asyncio.Event()

    def isatty(self) -> bool:
        """Say that it is one."""
        return True

    def write(self, text: str) -> int:
        """Keep what is written, unless it fails."""
        if self.fails:
            self.fails = False
            self.has_failed.set()
            msg = "no room"
            raise OSError(msg)
        return super().write(text)


def tree_on(screen: Screen, client: WorkflowClient, width: int) -> LiveTree:
    console = Console(file=screen, _environ={"TERM": "xterm"}, width=width, height=9)
    return LiveTree(console, client.stream({}))


async def test_drawing_that_fails():
    """It is told at the end, and the terminal has its cursor again."""
    screen = Screen()

    async def watch(tree: LiveTree) -> None:
        async with tree:
            screen.fails = True
            await screen.has_failed.wait()

    async with WorkflowClient("app-x", "http://127.0.0.1:9", "u") as client:
        with pytest.raises(OSError, match="no room"):
            await watch(tree_on(screen, client, 40))
    assert screen.getvalue().count("\x1b[?25l") == 1
    assert screen.getvalue().count("\x1b[?25h") == 1


async def test_a_terminal_without_a_width():
    """Where COLUMNS is 0 little can be seen, and nothing fails."""
    async with WorkflowClient("app-x", "http://127.0.0.1:9", "u") as client:
        tree = tree_on(Screen(), client, 0)
        tree.take(TextChunk(text="a line that is being written"))
        tree.draw()
        assert tree._texts.rest == "a line that is being written"
