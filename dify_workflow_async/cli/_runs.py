"""``dify-workflow get`` and ``stop``: one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import click

from .. import WorkflowClient
from ..errors import BadRequest, CannotStop, NotFound, RunNotFound
from ..models import RunDetail, RunRef, RunResult
from ._connection import Connection, connected
from ._exit import STATUSES, carry_out
from ._show import moment, seconds, show_facts, show_json, shown
from ._text import safe


@click.command(epilog=STATUSES)
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="As the server told it.")
@connected
def get(run_id: str, *, as_json: bool, connection: Connection) -> None:
    """Show the run RUN_ID: how it stands, what it was given, what it produced."""
    carry_out(_get(run_id, connection, as_json=as_json))


async def _get(run_id: str, connection: Connection, *, as_json: bool) -> None:
    async with connection.client() as client:
        detail = await client.get_run(run_id)
    if as_json:
        show_json(detail.raw)
    else:
        show_facts(_facts(detail))


def _facts(detail: RunDetail) -> Iterator[tuple[str, str]]:
    """What there is to tell, and nothing that there is not."""
    told = [
        ("run", detail.id or ""),
        ("status", detail.status or ""),
        ("error", detail.error or ""),
        ("workflow", detail.workflow_id or ""),
        ("created", moment(detail.created_at)),
        ("finished", moment(detail.finished_at)),
        ("seconds", seconds(detail.elapsed_time)),
        ("steps", shown(detail.total_steps)),
        ("tokens", shown(detail.total_tokens)),
    ]
    yield from ((name, value) for name, value in told if value)
    for name, value in (detail.inputs or {}).items():
        yield f"input {name}", shown(value)
    for name, value in detail.outputs.items():
        yield f"output {name}", shown(value)


@click.command(epilog=STATUSES)
@click.argument("id_", metavar="ID")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds to wait for a task id, and for the run's end, if ID is a run's.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@connected
def stop(id_: str, *, timeout: float, as_json: bool, connection: Connection) -> None:
    """Stop a run, by its task id or by its run id.

    Servers know runs that they are to stop by their task id, which `run` and `attach`
    tell. If ID is a run's, its task id is learnt from its next event (servers from
    1.14), and its end is waited for. Servers say success for any task id, also of
    other users and apps: give none but your own.
    """
    carry_out(_stop(id_, timeout, connection, as_json=as_json))


@attrs.frozen(kw_only=True)
class _Stopped:
    """What became of it.

    Attributes:
        status: of the run; None if only its task was named, since servers do not tell.
    """

    task_id: str | None
    run_id: str | None = None
    status: str | None = None
    was_over: bool = False

    def __str__(self) -> str:
        if self.was_over:
            return f"nothing to stop: run {self.run_id} has ended {self.status}"
        if self.status is None:
            return f"asked the server to stop task {self.task_id}"
        return f"run {self.run_id} has ended {self.status}"


async def _stop(
    id_: str, timeout: float, connection: Connection, *, as_json: bool
) -> None:
    async with connection.client() as client:
        detail = await _run_of(client, id_)
        if detail is None:
            await client.stop(id_)
            done = _Stopped(task_id=id_)
        elif detail.is_terminal:
            done = _Stopped(
                task_id=None, run_id=id_, status=detail.status, was_over=True
            )
        else:
            done = await _stop_run(client, id_, detail, timeout, connection.user)
    if as_json:
        show_json(attrs.asdict(done))
    else:
        click.echo(safe(str(done)))


async def _run_of(client: WorkflowClient, id_: str) -> RunDetail | None:
    """The run of this id; None if the app has none, so that it is a task's.

    People take one for the other, and servers say success for any.
    """
    try:
        return await client.get_run(id_)
    except (NotFound, BadRequest):
        return None


async def _stop_run(
    client: WorkflowClient,
    run_id: str,
    detail: RunDetail,
    timeout: float,
    user: str | None,
) -> _Stopped:
    if detail.status == "paused":
        msg = (
            "the run waits for a person, and servers stop no such run: answer its form"
        )
        raise CannotStop(msg, run_id=run_id)
    # Only the user who started a run may attach to it; the run itself tells who.
    ref = RunRef(workflow_run_id=run_id, user=user or _user_of(detail) or "")
    result: RunResult[Any]
    try:
        async with client.attach(ref, timeout=timeout) as stream:
            await stream.stop()
            result = await stream.result()
    except CannotStop as error:
        msg = f"no event told the run's task id within {timeout:g} s: give a longer "
        msg += "--timeout, or the task id"
        raise CannotStop(msg, run_id=run_id) from error
    except NotFound as error:
        why = (
            "it was started for another end user: name it with --user"
            if isinstance(error, RunNotFound)
            else "servers before 1.14 stop runs by their task id alone"
        )
        msg = f"the task id of the run cannot be learnt, since {why}"
        raise CannotStop(msg, run_id=run_id) from error
    return _Stopped(task_id=result.task_id, run_id=run_id, status=result.status)


def _user_of(detail: RunDetail) -> str | None:
    user = (detail.inputs or {}).get("sys.user_id")
    return user if isinstance(user, str) else None
