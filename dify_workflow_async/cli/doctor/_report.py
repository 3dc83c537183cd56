"""Findings, as they are shown."""

from __future__ import annotations

import sys

from collections.abc import Iterable

import attrs
import click

from rich.padding import Padding
from rich.text import Text

from .._show import console, lines, on_terminal, show_json
from ._finding import Finding, Mark


_STYLES = {
    Mark.FINE: "green",
    Mark.DOUBT: "yellow",
    Mark.WRONG: "red",
    Mark.UNKNOWN: "dim",
}

_PLAIN = {Mark.FINE: "ok", Mark.DOUBT: "!", Mark.WRONG: "x", Mark.UNKNOWN: "?"}
"""For terminals and files that have no such signs."""

_WIDTH = 10
"""Of the names of checks."""


def show(finding: Finding) -> None:
    """Print a finding: its mark, what was looked at, the cause, and the remedy."""
    out = console()
    mark = _mark(finding.mark)
    head = f"{mark} {finding.check:<{_WIDTH}}  "
    text = lines(finding.told)
    remedy = f"→ {finding.remedy}" if mark != _PLAIN[finding.mark] else finding.remedy
    if not on_terminal(out):
        click.echo(head + text)
        if finding.remedy:
            click.echo(" " * len(head) + lines(remedy))
        return
    line = Text(head, style=_STYLES[finding.mark], end="")
    out.print(line, Text(text), sep="")
    if finding.remedy:
        out.print(Padding(Text(lines(remedy), style="bold"), (0, 0, 0, len(head))))


def _mark(mark: Mark) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "".join(["→", *(each.value for each in Mark)]).encode(encoding)
    except UnicodeEncodeError:
        return _PLAIN[mark]
    return mark.value


def show_all(findings: Iterable[Finding]) -> None:
    """Print them as one JSON value, for programs."""
    names = {Mark.FINE: "fine", Mark.DOUBT: "doubt", Mark.WRONG: "wrong"}
    show_json(
        [
            attrs.asdict(each) | {"mark": names.get(each.mark, "unknown")}
            for each in findings
        ]
    )
