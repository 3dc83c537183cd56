"""Where the batch of a journal stands."""

from __future__ import annotations

import json

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click

from ..batch import Record, State, Totals
from ._progress import counted
from ._text import printable, span, spent


async def show_status(journal: str, state: State | None, *, as_json: bool) -> None:
    """Tell of a journal, and of its rows that are in *state*.

    Raises:
        DifyError: there is none, or it cannot be read.
    """
    from ..batch.journal import Journal

    async with Journal.open(journal, create=False) as opened:
        binding, totals = await opened.binding(), await opened.totals()
        if not as_json:
            for text in _lines(binding, totals):
                click.echo(text)
            if state is not None:
                async for record in opened.records([state]):
                    click.echo(_line(record))
            return
        told = _object(binding, totals)
        if state is not None:
            told["listed"] = [_row(x) async for x in opened.records([state])]
        click.echo(json.dumps(told, indent=2))


def _lines(binding: Mapping[str, str], totals: Totals) -> Iterator[str]:
    yield counted(totals.counts)
    if cost := spent(totals.tokens, totals.prices):
        yield cost
    begun, ended = totals.started_at, totals.finished_at
    if begun is not None:
        yield f"begun {_moment(begun)}"
    if begun is not None and ended is not None:
        seconds = (ended - begun).total_seconds()
        yield f"last row ended {_moment(ended)}, {span(max(0, seconds))} later"
    for name, value in binding.items():
        if value:
            yield f"{name.replace('_', ' ')}: {printable(value)}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _line(record: Record) -> str:
    run = record.ref.workflow_run_id if record.ref else "no run"
    return printable(f"{record.key}  {run}  {record.error or ''}".rstrip(), 1_000)


def _row(record: Record) -> dict[str, Any]:
    return {
        "key": record.key,
        "state": record.state.value,
        "run": record.ref.workflow_run_id if record.ref else None,
        "error": record.error,
        "attempts": record.attempts,
    }


def _object(binding: Mapping[str, str], totals: Totals) -> dict[str, Any]:
    begun, ended = totals.started_at, totals.finished_at
    return {
        "rows": sum(totals.counts.values()),
        "states": {each.value: number for each, number in totals.counts.items()},
        "tokens": totals.tokens,
        "prices": {name: str(price) for name, price in totals.prices.items()},
        "started_at": begun.isoformat() if begun else None,
        "finished_at": ended.isoformat() if ended else None,
        "binding": dict(binding),
    }
