"""``dify-workflow logs``: the runs of an app."""

from __future__ import annotations

import asyncio
import re

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import attrs
import click

from .. import WorkflowClient
from ..errors import ServerError, TransportError
from ..models import LogEntry
from ._connection import Connection, connected
from ._exit import STATUSES, carry_out
from ._follow_logs import Follower
from ._log_lines import Tell, csv_lines, json_lines, plain_lines
from ._signals import on_interrupt
from ._text import printable


_PAGE = 100
"""Entries of a page, the most that servers give."""

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def _moment(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> datetime | None:
    """A time: ISO 8601, or so long ago, such as ``90m``, ``2h`` or ``7d``.

    One without a zone is in that of this machine.
    """
    if value is None:
        return None
    try:
        if ago := _AGO.fullmatch(value):
            span = timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
            return datetime.now(UTC) - span
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):
        msg = f"{value!r} is neither a time such as 2026-01-31T12:00 nor 90m, 2h or 7d"
        raise click.BadParameter(msg, ctx, parameter) from None


@attrs.frozen(kw_only=True)
class Filters:
    """What the log is asked for; see ``WorkflowClient.logs()``."""

    keyword: str | None
    status: str | None
    after: datetime | None
    before: datetime | None
    user: str | None
    account: str | None


@click.command(epilog=STATUSES)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many runs to show, the newest; before those that come with --follow.",
)
@click.option("--all", "everything", is_flag=True, help="Show all that there are.")
@click.option(
    "--keyword",
    help="In inputs, outputs or the end user, by its first 30 characters; or a run id.",
)
@click.option(
    "--status",
    type=click.Choice(["succeeded", "failed", "stopped"]),
    help="Runs that ended so.",
)
@click.option(
    "--after",
    callback=_moment,
    metavar="TIME",
    help="Runs that began then or later: ISO 8601, or 90m, 2h, 7d for so long ago.",
)
@click.option(
    "--before", callback=_moment, metavar="TIME", help="Runs that began then or before."
)
@click.option(
    "--of-user", metavar="USER", help="Runs of this end user (servers from 1.5)."
)
@click.option(
    "--of-account", metavar="EMAIL", help="Runs of this member (servers from 1.5)."
)
@click.option(
    "-f",
    "--follow",
    is_flag=True,
    help="Go on with runs as they end, the newest last, until Ctrl-C.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.2),
    default=2.0,
    show_default=True,
    help="Seconds between two looks at the log, with --follow.",
)
@click.option("--csv", "as_csv", is_flag=True, help="As CSV with a header.")
@click.option(
    "--json", "as_json", is_flag=True, help="As the server told them, one a line."
)
@connected
def logs(
    *,
    limit: int,
    everything: bool,
    follow: bool,
    interval: float,
    as_csv: bool,
    as_json: bool,
    connection: Connection,
    of_user: str | None,
    of_account: str | None,
    **filters: Any,
) -> None:
    """List the app's runs, the newest first, or follow them as they end."""
    if as_csv and as_json:
        msg = "--csv and --json exclude each other"
        raise click.UsageError(msg)
    if follow and filters["before"]:
        msg = "--follow waits for what comes, and --before is over"
        raise click.UsageError(msg)
    asked = Filters(user=of_user, account=of_account, **filters)
    begin = csv_lines if as_csv else json_lines if as_json else plain_lines
    count = None if everything else limit
    if follow:
        carry_out(_follow(asked, count, interval, begin, connection))
    carry_out(_list(asked, count, begin, connection))


async def _list(
    asked: Filters,
    count: int | None,
    begin: Callable[[], Tell],
    connection: Connection,
) -> None:
    tell = begin()
    async with connection.client() as client:
        async for entry in _newest(client, asked, count):
            tell(entry)


async def _newest(
    client: WorkflowClient, asked: Filters, count: int | None
) -> AsyncIterator[LogEntry]:
    page = min(count or _PAGE, _PAGE)
    async for entry in client.logs(limit=page, **attrs.asdict(asked)):
        yield entry
        if count is not None:
            count -= 1
            if not count:
                return


async def _follow(
    asked: Filters,
    count: int | None,
    interval: float,
    begin: Callable[[], Tell],
    connection: Connection,
) -> None:
    """Tell of runs as they end, until an interrupt or a termination: a clean end."""
    tell = begin()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - asyncio.run() made it
    with on_interrupt(task.cancel):
        try:
            async with connection.client() as client:
                filters = attrs.asdict(asked)
                after = filters.pop("after")
                read = partial(client.logs, limit=_PAGE, **filters)
                follower = Follower(read, after)
                for entry in await follower.begin(count):
                    tell(entry)
                away = False
                while True:
                    await asyncio.sleep(interval)
                    away = not await _look(follower, tell, quiet=away)
        except asyncio.CancelledError:
            return


async def _look(follower: Follower, tell: Tell, *, quiet: bool) -> bool:
    """Tell what is new; False if the server is away, which is told unless *quiet*."""
    try:
        for entry in await follower.look():
            tell(entry)
    except (TransportError, ServerError) as error:
        if not quiet:
            click.echo(f"{printable(str(error))}; trying again", err=True)
        return False
    return True
