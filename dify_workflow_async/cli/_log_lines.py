"""Runs of the log as lines: for people, as CSV and as JSON, each as soon as it is known."""

from __future__ import annotations

import csv
import io

from collections.abc import Callable
from datetime import UTC

import click

from rich.text import Text

from ..models import LogEntry, LogRun
from ._show import STYLES, console, json_text, on_terminal, seconds, shown
from ._text import for_stdout, safe


Tell = Callable[[LogEntry], None]


def json_lines() -> Tell:
    """Print each as the server told it."""
    return lambda entry: click.echo(json_text(entry.raw))


def csv_lines() -> Tell:
    """Print rows as RFC 4180 has them; values are what they are.

    As in the tables of batches, a text that a spreadsheet would take for a formula is
    not changed: programs get what the server told. A terminal gets what steers it not.
    """

    def row(cells: list[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        text = for_stdout(line.getvalue())
        click.echo(text.encode("utf-8", "backslashreplace"), nl=False)

    row(list(cells_of(LogEntry())))
    return lambda entry: row(list(cells_of(entry).values()))


def cells_of(entry: LogEntry) -> dict[str, str]:
    """A run as texts, by the names of their columns."""
    run = entry.workflow_run or LogRun()
    begun, ended = run.created_at or entry.created_at, run.finished_at
    return {
        "created_at": begun.isoformat() if begun else "",
        "finished_at": ended.isoformat() if ended else "",
        "run": run.id or "",
        "status": run.status or "",
        "seconds": shown(run.elapsed_time),
        "tokens": shown(run.total_tokens),
        "steps": shown(run.total_steps),
        "exceptions": shown(run.exceptions_count),
        "user": _who(entry),
        "from": entry.created_from or "",
        "triggered_from": run.triggered_from or "",
        "workflow_version": run.version or "",
        "error": run.error or "",
    }


def _who(entry: LogEntry) -> str:
    """The end user who started it, or else the member of the workspace."""
    if user := entry.created_by_end_user:
        return user.session_id or user.id or ""
    account = entry.created_by_account
    return (account.email or account.name or "") if account else ""


_LINE = "{:<19}  {:<36}  {:>8}  {:<17}  {:>7}  {}"


def plain_lines() -> Tell:
    """Print lines that stand under one another; a terminal gets what fits its width.

    Widths do not depend on what comes, so that nothing has to be waited for.
    """
    out = console()
    fits = on_terminal(out)

    def put(line: str, style: str) -> None:
        if fits:
            out.print(Text(line, style=style), no_wrap=True, overflow="ellipsis")
        else:
            click.echo(line)

    def tell(entry: LogEntry) -> None:
        run = entry.workflow_run or LogRun()
        begun = run.created_at or entry.created_at
        line = _LINE.format(
            f"{begun.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if begun else "",
            run.id or "",
            seconds(run.elapsed_time),
            run.status or "",
            shown(run.total_tokens),
            "  ".join(filter(None, (_who(entry), run.error))),
        )
        put(_safe(line), STYLES.get(run.status or "", ""))

    put(
        _LINE.format("began (UTC)", "run", "seconds", "status", "tokens", "user"),
        "bold",
    )
    return tell


def _safe(line: str) -> str:
    """The line, with its columns, and nothing that steers a terminal."""
    return safe(line.replace("\n", " ")).rstrip()
