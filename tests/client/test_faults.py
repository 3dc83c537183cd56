"""What the user sees of each fault, as `faults_table` has it."""

from __future__ import annotations

import asyncio
import logging
import traceback

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from dify_workflow_async import Limits, RetryPolicy, Timeouts, WorkflowClient
from dify_workflow_async.errors import DifyError, UnexpectedAnswer
from dify_workflow_async.local import Node, Scenario, Sleep
from dify_workflow_async.local.faults import Drop, Redirect

from . import _fault_row as phases
from ._fault_row import Row
from .faults_table import PAGE, ROWS, page_with_table


TIMEOUTS = Timeouts(
    first_byte=1.0, idle=0.2, stall=0.3, recovery=0.8, request=1.0, stop=1.0
)
LIMITS = Limits(
    max_event_bytes=1 << 20, max_body_bytes=1 << 20, max_error_bytes=1 << 16
)
RETRY = RetryPolicy(attempts=3, base=0.001)

QUICK = Scenario(
    steps=[
        Node(type="start"),
        Node(type="llm", text=["forty-", "two"], tokens=7),
        Node(type="end", outputs={"answer": "{llm.text}"}),
    ]
)
SLOW = Scenario(steps=[QUICK.steps[0], Sleep(seconds=0.25), *QUICK.steps[1:]])

Verb = Callable[[WorkflowClient, Any, Callable[[], None]], Awaitable[Any]]


async def run(client: WorkflowClient, served: Any, disturb: Callable[[], None]) -> Any:
    disturb()
    return await client.run({"marker": "m"})


async def block(client, served, disturb) -> Any:
    disturb()
    return await client.run_blocking({"marker": "m"})


async def read(client, served, disturb) -> Any:
    result = await client.run({"marker": "m"})
    disturb()
    return await client.get_run(result.workflow_run_id)


async def stop(client, served, disturb) -> Any:
    served.app.behaviour = Scenario(steps=[Node(type="llm", delay=3600)])
    async with client.stream({"marker": "m"}) as stream:
        await stream.begun()
        disturb()
        try:
            await stream.stop()
        except DifyError:
            served.server.heal()  # so that leaving may stop it
            raise
        return await stream.result()


VERBS: dict[str, tuple[Verb, str]] = {
    phases.STREAMED: (run, "*/run"),
    phases.MIDST: (run, "*/run"),
    phases.HEALING: (run, "*/run"),
    phases.BLOCKING: (block, "*/run"),
    phases.READING: (read, "*/workflows/run/*"),
    phases.STOPPING: (stop, "*/stop"),
}
CASES = [
    pytest.param(row, version, id=f"{name}-{version}")
    for name, row in ROWS.items()
    for version in row.versions
]


@pytest.fixture
def disturbed(serve, connect):
    """Give a function that does what a row says: the outcome and the server."""

    async def do(row: Row, version: str) -> tuple[Any, Any]:
        behaviour = SLOW if row.slow else QUICK
        served = await serve(
            behaviour=behaviour, version=version, close_delay=0, ping_interval=0.05
        )
        timeouts = attrs.evolve(TIMEOUTS, total=row.total)
        client = connect(served, timeouts=timeouts, limits=LIMITS, retry=RETRY)
        verb, path = VERBS[row.phase]

        def disturb() -> None:
            served.server.fail_next(row.fault, path=path, times=row.times)
            for order in row.also:
                served.server.fail_next(order.fault, path=order.path, times=order.times)

        try:
            outcome = await verb(client, served, disturb)
        except DifyError as error:
            outcome = error
        return outcome, served

    return do


@pytest.mark.parametrize(("row", "version"), CASES)
async def test_what_the_user_sees(row, version, disturbed, caplog, key):
    """The result or the error of the table, and no run started twice."""
    caplog.set_level(logging.DEBUG)
    async with asyncio.timeout(10):
        outcome, served = await disturbed(row, version)
    if row.error is None:
        check_result(row, version, outcome)
    else:
        check_error(row, outcome, served)
    path = VERBS[row.phase][1]
    sent = Counter(x.fault for x in served.server.injected)[row.fault]
    posts = sum(is_of(request, path) for request in served.server.requests)
    assert sent == (row.posts if row.times is None else row.times)
    if row.phase != phases.READING:
        assert posts == row.posts
    assert served.server.starts == ({"m": row.starts} if row.starts else {})
    shown = [caplog.text, repr(outcome), str(outcome)]
    if isinstance(outcome, Exception):
        shown += traceback.format_exception(outcome)
    assert not any(key in text for text in shown)


def is_of(request: Any, path: str) -> bool:
    """True for requests that the phase is about."""
    return request.path.endswith(path.removeprefix("*"))


def check_result(row: Row, version: str, result: Any) -> None:
    assert not isinstance(result, Exception), traceback.format_exception(result)
    if row.phase == phases.STOPPING:
        assert result.status == "stopped"
        return
    assert result.outputs == {"answer": "forty-two"}
    if row.phase == phases.READING:
        return
    assert result.is_success
    how = result.recovered and result.recovered.how
    assert how == row.recovered.get(version)
    assert result.text_complete is (how is None)


def check_error(row: Row, error: Any, served: Any) -> None:
    assert error.__class__ is row.error
    assert error.safe_to_repeat is row.safe
    assert error.status == row.status
    assert error.request
    if row.cause is not None:
        assert isinstance(error.__cause__, row.cause)
    run_id = served.runs[-1].id if row.knows_run else None
    if row.phase != phases.STOPPING:
        assert error.run_id == run_id


async def test_redirects_do_not_carry_the_key_away(serve, wild, connect):
    """A redirect leads the client nowhere, least of all with its key."""

    async def other(peer) -> None:
        await peer.answer(200, {})

    served, elsewhere = await serve(), await wild(other)
    for status in (301, 302, 303, 307, 308):
        fault = Redirect(to=f"{elsewhere.base_url}/workflows/run", status=status)
        served.server.fail_next(fault)
        with pytest.raises(UnexpectedAnswer):
            await connect(served).run()
    assert elsewhere.requests == []


async def test_a_handler_hears_nothing_twice(serve, connect):
    """After a re-attach the events go on where they had ended."""
    served = await serve(behaviour=SLOW, close_delay=0, ping_interval=0.05)
    served.server.fail_next(Drop(after_events=2), path="*/run")
    async with connect(served, timeouts=TIMEOUTS).stream({"marker": "m"}) as stream:
        names = [
            (event.event_name, getattr(event, "id", None)) async for event in stream
        ]
    known = [x for x in names if x[0].startswith(("node_", "workflow_"))]
    assert len(known) == len(set(known))
    assert names[0][0] == "workflow_started"
    assert names[-1][0] == "workflow_finished"


def test_the_page_has_the_table():
    """``docs/explanation/reliability.md`` is up to date.

    ``python -m tests.client.faults_table`` writes it anew.
    """
    text = PAGE.read_text("utf-8")
    assert text == page_with_table(text)


def test_every_row_can_be_told():
    """A recovered result names its servers; each promise is shown."""
    for name, row in ROWS.items():
        assert row.seen, name
        assert set(row.recovered) <= {*row.versions}
    assert {row.promise for row in ROWS.values()} == set(range(1, 8))
