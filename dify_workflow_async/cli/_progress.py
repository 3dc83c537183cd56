"""Where a batch stands, in the terminal: numbers as words, and how they are shown."""

from __future__ import annotations

import math

from collections.abc import Iterator, Mapping
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..batch import Progress, State, Summary
from ._show import on_terminal
from ._text import span, spent


STYLES = {
    "succeeded": "green",
    "failed": "red",
    "unknown": "yellow",
    "stopped": "yellow",
}


# -- words ---------------------------------------------------------------------------


def line(progress: Progress) -> str:
    """Where a batch stands, on one line; what is nothing is left out."""
    return " · ".join(text for text, _ in parts(progress))


def parts(progress: Progress) -> Iterator[tuple[str, str]]:
    """The parts of that line, each with its style."""
    done = progress.done + progress.skipped
    total = f"/{progress.total:,}" if progress.total is not None else ""
    yield f"{done:,}{total} rows", "bold"
    for number, word in (
        (progress.skipped, "from the journal"),
        (progress.succeeded, "succeeded"),
        (progress.failed, "failed"),
        (progress.unknown, "unknown"),
        (progress.paused, "paused"),
        (progress.running, "running"),
    ):
        if number:
            yield f"{number:,} {word}", STYLES.get(word, "")
    if progress.rate:
        yield f"{progress.rate:,.1f}/s", ""
    if cost := spent(progress.tokens, progress.price):
        yield cost, ""
    if progress.seconds_left:
        yield f"{span(progress.seconds_left)} left", ""


def counted(states: Mapping[State, int]) -> str:
    """How many rows stand where: ``3 rows: 2 succeeded, 1 failed``."""
    total = sum(states.values())
    found = [(states[state], state) for state in State if states.get(state)]
    each = ", ".join(f"{number:,} {state.value}" for number, state in found)
    return f"{total:,} row{'s' * (total != 1)}" + (f": {each}" if each else "")


def summarize(summary: Summary, states: Mapping[State, int]) -> Iterator[str]:
    """What a batch was, in lines.

    Args:
        summary: of what was done now.
        states: of all rows, also those that the journal had.
    """
    had = f" ({summary.skipped:,} from the journal)" if summary.skipped else ""
    yield counted(states) + had
    if cost := spent(summary.tokens, summary.price):
        yield cost
    yield f"{span(summary.seconds)} in all"
    if summary.percentiles:
        within = ", ".join(
            f"{percent} % within {span(seconds)}"
            for percent, seconds in summary.percentiles.items()
        )
        yield f"of the rows {within}"


# -- how they are shown --------------------------------------------------------------


class Display(Protocol):
    """Shows the progress of a batch while it runs."""

    def show(self, progress: Progress) -> None:
        """Show where it stands; called every half second, and at the end."""
        ...

    def say(self, text: str) -> None:
        """Say something that stays."""
        ...

    def close(self) -> None:
        """Show no more."""
        ...


class LiveLine:
    """One line that changes, at the bottom of a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, progress: Progress) -> None:
        """Change the line."""
        text = Text(" · ").join(Text(*part) for part in parts(progress))
        text.no_wrap, text.overflow = True, "ellipsis"
        self._live.update(text, refresh=True)

    def say(self, text: str) -> None:
        """Print above the line."""
        self._console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Remove the line."""
        self._live.stop()


class PlainLines:
    """A line every few seconds, for files, pipes and logs."""

    def __init__(self, console: Console, every: float = 5.0) -> None:
        self._console = console
        self._every = every
        self._next = every

    def show(self, progress: Progress) -> None:
        """Print a line if it is time for one."""
        if progress.seconds >= self._next:
            self._next = progress.seconds + self._every
            self.say(line(progress))

    def say(self, text: str) -> None:
        """Print it."""
        self._console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Nothing to remove."""


def display(console: Console, *, quiet: bool) -> Display:
    """What fits where *console* writes to."""
    if quiet:
        return PlainLines(console, every=math.inf)
    if on_terminal(console):
        return LiveLine(console)
    return PlainLines(console)
