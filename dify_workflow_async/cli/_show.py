"""What commands print: tables, facts and JSON, for people and for programs.

On a terminal tables are fitted to its width; elsewhere each row is one whole line, for
``grep`` and ``cut``. Nothing that a server wrote steers a terminal.
"""

from __future__ import annotations

import io
import json
import re
import sys

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ._text import for_stdout, printable, safe


WHOLE = 10**9
"""As a width: nothing is cut."""

STYLES = {
    "succeeded": "green",
    "partial-succeeded": "yellow",
    "failed": "red",
    "stopped": "yellow",
    "paused": "cyan",
}
"""Statuses of runs in colour."""

_UNSAFE = re.compile(r"[^\n -~]")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `carry_out`, whose exit status tells of it."""
        raise BrokenPipeError


def console(*, err: bool = False) -> Console:
    """Standard output, or standard error, as rich writes to it."""
    stream = sys.stderr if err else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # an old terminal is no failure
    return _Console(stderr=err, highlight=False)


def on_terminal(out: Console) -> bool:
    """True if a person looks at it, and its width is to be kept to.

    Rich takes the word of FORCE_COLOR and TTY_COMPATIBLE, also for pipes.
    """
    return out.is_terminal and out.file.isatty() and not out.is_dumb_terminal


def show_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print *rows*, whose texts may be anybody's."""
    out = console()
    lines = [[printable(cell, WHOLE) for cell in row] for row in rows]
    if on_terminal(out):
        table = Table(box=None, pad_edge=False)
        for header in headers:
            table.add_column(header, overflow="fold")
        for row in lines:
            table.add_row(*map(_styled, row))
        out.print(table)
        return
    for line in aligned([list(headers), *lines]):
        click.echo(line)


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values; values may have several lines, which are kept."""
    out = console()
    pairs = [(printable(name), safe(value)) for name, value in facts]
    if on_terminal(out):
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(Text(name), _styled(value))
        out.print(table)
        return
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        indented = value.replace("\n", "\n" + " " * (width + 2))
        click.echo(f"{name:<{width}}  {indented}".rstrip())


def _styled(text: str) -> Text:
    return Text(text, style=STYLES.get(text, ""))


def aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """The rows as lines, whose columns stand under one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(f"{cell:<{width}}" for cell, width in cells).rstrip()


def put(text: str, *, nl: bool = True) -> None:
    """Write a text of others: whole, with nothing that steers it on a terminal."""
    # Without a colour click would take what looks like one out of what pipes get.
    click.echo(for_stdout(text), nl=nl, color=True)


def show_json(value: Any) -> None:
    """Print one JSON value, over several lines."""
    click.echo(json_text(value, indent=2))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON, with all characters but those that steer terminals as they are."""
    return escaped(json.dumps(value, ensure_ascii=False, indent=indent))


def escaped(text: str) -> str:
    """A text of JSON, with escapes for the characters that steer terminals."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]


# -- values as texts -------------------------------------------------------------------


def shown(value: object) -> str:
    """Any JSON value as a text: texts as they are, nothing for nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text(value)


def moment(at: datetime | None) -> str:
    """A time, in UTC, as everywhere on the command line."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""


def seconds(time: float | None) -> str:
    """A time span to two digits, for columns."""
    return "" if time is None else f"{time:.2f}"
