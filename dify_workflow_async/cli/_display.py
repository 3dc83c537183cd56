"""What a person sees of a run while it goes on: a tree that lives, or plain lines."""

from __future__ import annotations

import asyncio
import time

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, Self

import attrs

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from .. import RunStream
from ..events import (
    Event,
    HumanInputRequired,
    IterationStarted,
    LoopStarted,
    NodeStarted,
    Ping,
    ReasoningChunk,
    TextChunk,
    TextReplace,
    TtsMessage,
    TtsMessageEnd,
)
from ..views import NodeState
from ._lines import describe
from ._show import on_terminal
from ._text import printable, safe
from ._tree import ASCII, UNICODE, Tree


EVERY = 0.1
"""Seconds between two drawings, at least."""
SHARE = 10
"""Drawing takes at most one part in so many of the time, however long the tree."""
ROWS_LEFT = 200
"""Of the tree that stays in the terminal when the run has ended."""


class Display(Protocol):
    """Shows a run; an async context manager around the reading of its stream.

    Attributes:
        shows_text: the text of the run is shown as it comes.
    """

    shows_text: bool

    async def __aenter__(self) -> Self:
        """Begin to show."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Show the end, and no more."""
        ...

    def take(self, event: Event) -> None:
        """Take in what happened."""
        ...

    def say(self, text: str) -> None:
        """Say something that stays."""
        ...


def display(console: Console, run: RunStream, *, quiet: bool) -> Display:
    """What fits where *console* writes to; *run* is not yet read."""
    if quiet:
        return Silent(console)
    return LiveTree(console, run) if on_terminal(console) else PlainLines(console)


class Silent:
    """Shows nothing, and says what has to be said."""

    shows_text = False

    def __init__(self, console: Console) -> None:
        self._console = console

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def take(self, event: Event) -> None:
        """Nothing is shown."""

    def say(self, text: str) -> None:
        """Print it."""
        self._console.print(Text(text), soft_wrap=True)


_NO_LINES = (Ping, ReasoningChunk, TextChunk, TextReplace, TtsMessage, TtsMessageEnd)


class PlainLines(Silent):
    """A line for each event but texts, for files, pipes and logs."""

    def __init__(
        self, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(console)
        self._clock = clock
        self._began = clock()

    def take(self, event: Event) -> None:
        """Print a line."""
        if isinstance(event, _NO_LINES):
            return
        told = printable(describe(event))
        if isinstance(event, NodeStarted | IterationStarted | LoopStarted):
            told += " began"
        if isinstance(event, HumanInputRequired):
            told = f"{printable(event.node_title or '')} asks a person"
        if told:
            self.say(f"{self._clock() - self._began:7.1f} s  {told}")


class Texts:
    """The text of a run, of which whole lines are given out."""

    def __init__(self) -> None:
        self._all: list[str] = []
        self.rest = ""
        self.lines: list[str] = []

    def add(self, text: str) -> None:
        """Take in what follows."""
        self._all.append(text)
        *whole, self.rest = (self.rest + safe(text)).split("\n")
        self.lines += whole

    def replace(self, text: str) -> None:
        """Take in what all of it is to be (servers before 0.8)."""
        before = "".join(self._all)
        if not text.startswith(before):
            self.lines += [self.rest, "(the text is another:)"]
            self.rest, before, self._all = "", "", []
        self.add(text[len(before) :])

    def take(self) -> list[str]:
        """The lines that are whole, each of them once."""
        lines, self.lines = self.lines, []
        return lines

    def end(self) -> list[str]:
        """What is left, at the end."""
        rest, self.rest = self.rest, ""
        return self.take() + ([rest] if rest else [])


class LiveTree:
    """The tree of executions, at the bottom of a terminal, below the text.

    The text's lines are printed above when they are whole, so that the terminal keeps
    them to scroll back to; of the line that is being written, and of the tree, as much
    is shown as there is room for.
    """

    shows_text = True

    def __init__(
        self,
        console: Console,
        run: RunStream,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._run = run
        self._nodes = run.nodes
        self._clock = clock
        self._began = clock()
        self._since: dict[str, float] = {}
        self._named = False
        self._texts = Texts()
        signs = UNICODE if console.encoding.startswith("utf") else ASCII
        self._tree = Tree(signs=signs, seconds=self._seconds)
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False
        )
        self._ticker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._live.start()
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._ticker is not None:
                self._ticker.cancel()
                with suppress(asyncio.CancelledError):
                    await self._ticker  # which raises what went wrong with drawing
        finally:
            self._live.stop()
        self._print(self._texts.end())
        signs = self._tree.signs  # nothing turns any more
        self._tree = attrs.evolve(
            self._tree, signs=attrs.evolve(signs, spinner=signs.other)
        )
        self._console.print(Group(*self._rows(ROWS_LEFT)))

    def take(self, event: Event) -> None:
        """Keep the text, and tell the run's id; the nodes are kept by the run."""
        if not self._named and (run_id := event.workflow_run_id):
            self._named = True
            self.say(f"run {printable(run_id)}")
        if isinstance(event, TextChunk):
            self._texts.add(event.text)
        elif isinstance(event, TextReplace):
            self._texts.replace(event.text)

    def say(self, text: str) -> None:
        """Print above the tree."""
        self._print(self._texts.take())
        self._console.print(Text(text), soft_wrap=True)

    # -- drawing ---------------------------------------------------------------------

    async def _tick(self) -> None:
        """Draw, again and again."""
        while True:
            began = time.perf_counter()
            self.draw()
            cost = time.perf_counter() - began
            await asyncio.sleep(max(EVERY, SHARE * cost))

    def draw(self) -> None:
        """Draw what there is now."""
        self._tree = attrs.evolve(self._tree, frame=self._tree.frame + 1)
        self._print(self._texts.take())
        height = self._console.height
        text = self._last_rows(self._texts.rest, max(1, height // 3))
        # One row is left to the cursor, and one to the head.
        rows = self._rows(max(1, height - len(text) - 2))
        self._live.update(Group(*text, *rows), refresh=True)

    def _rows(self, room: int) -> list[Text]:
        seconds = self._clock() - self._began
        head = self._tree.head(self._run.status, seconds, self._nodes.usage)
        return [head, *self._tree.rows(self._nodes.values(), room)]

    def _last_rows(self, text: str, number: int) -> list[Text]:
        """The end of the line that is being written."""
        if not text:
            return []
        width = max(1, self._console.width)  # COLUMNS may say 0
        rows = Text(text[-number * width :]).wrap(self._console, width)
        return list(rows[-number:])

    def _print(self, lines: list[str]) -> None:
        if lines:
            self._console.print(Text("\n".join(lines)))

    def _seconds(self, state: NodeState) -> float:
        """For how long it has been running, by the clock of this machine."""
        now = self._clock()
        return now - self._since.setdefault(state.id, now)
