"""``dify-workflow attach`` and ``wait``: a run that was started before."""

from __future__ import annotations

from contextlib import nullcontext

import click

from ..errors import NotFound, RunNotFound
from ._connection import Connection, connected
from ._exit import STATUSES, carry_out
from ._following import Following, Telling, followed, telling
from ._show import console, on_terminal
from ._text import printable


@click.command(epilog=STATUSES)
@click.argument("run_id")
@click.option(
    "--continue-on-pause",
    is_flag=True,
    help="Go on when the run waits for a person; somebody else answers.",
)
@followed
@connected
def attach(
    run_id: str,
    *,
    continue_on_pause: bool,
    following: Following,
    connection: Connection,
) -> None:
    """Follow the run RUN_ID from now on, as `run` does, and print its result.

    Which nodes ran before is told; texts of that time are gone. Servers from 1.14; for
    older ones there is `wait`. Needs the user for whom the run was started.

    Ctrl-C leaves the run alone, unless --on-cancel says otherwise.
    """
    carry_out(_attach(run_id, following, connection, continue_on_pause))


async def _attach(
    run_id: str, following: Following, connection: Connection, goes_on: bool
) -> int:
    following.check()
    async with connection.client() as client:
        stream = client.attach(
            run_id,
            include_state_snapshot=True,
            continue_on_pause=goes_on,
            timeout=following.timeout,
            on_cancel=following.on_cancel,
        )
        try:
            return await following.through(client, stream, stops=False)
        except NotFound as error:
            if isinstance(error, RunNotFound):
                raise
            error.reword(
                "this server cannot attach to runs, which those from 1.14 can: "
                f"`dify-workflow wait {run_id}` works with all"
            )
            raise


@click.command(epilog=STATUSES)
@click.argument("run_id")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    help="Seconds to wait at most; else for ever.",
)
@telling
@connected
def wait(
    run_id: str, *, timeout: float | None, telling: Telling, connection: Connection
) -> None:
    """Wait until the run RUN_ID has ended, or waits for a person; print its result.

    Works with servers of any version, and for runs of any user of the app.
    """
    carry_out(_wait(run_id, timeout, telling, connection))


async def _wait(
    run_id: str, timeout: float | None, telling: Telling, connection: Connection
) -> int:
    async with connection.client() as client:
        shown = console(err=True)
        is_shown = on_terminal(shown) and not telling.quiet
        told = f"waiting for run {printable(run_id)}"
        with shown.status(told) if is_shown else nullcontext():
            result = await client.wait(run_id, timeout=timeout, check=False)
        return await telling.tell(client, result)
