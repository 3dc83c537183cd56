"""Findings, as they are shown."""

from __future__ import annotations

import sys

from collections.abc import Iterable

import attrs
import click

from rich.table import Table
from rich.text import Text

from .._show import console, on_terminal, show_json
from .._text import safe
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
    has_signs = _has_signs()
    mark = finding.mark.value if has_signs else _PLAIN[finding.mark]
    head = f"{mark} {finding.check:<{_WIDTH}}  "
    told, remedy = safe(finding.told), safe(finding.remedy)
    remedy = f"→ {remedy}" if remedy and has_signs else remedy
    if not on_terminal(out):
        click.echo(head + told)
        if remedy:
            click.echo(" " * len(head) + remedy)
        return
    table = Table.grid()
    table.add_column(no_wrap=True, style=_STYLES[finding.mark])
    table.add_column(overflow="fold")
    table.add_row(head, Text(told))
    if remedy:
        table.add_row("", Text(remedy, style="bold"))
    out.print(table)


def _has_signs() -> bool:
    """True if what is written to can show them."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "".join(["→", *(each.value for each in Mark)]).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def show_all(findings: Iterable[Finding]) -> None:
    """Print them as one JSON value, for programs."""
    names = {Mark.FINE: "fine", Mark.DOUBT: "doubt", Mark.WRONG: "wrong"}
    show_json(
        [
            attrs.asdict(each) | {"mark": names.get(each.mark, "unknown")}
            for each in findings
        ]
    )
