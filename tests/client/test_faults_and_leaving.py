"""What becomes of a call that is left in the midst of a fault, as `faults_table` has it."""

from __future__ import annotations

import asyncio
import logging

from collections.abc import Callable
from typing import Any

import pytest

from dify_workflow_async import RetryPolicy, Timeouts, WorkflowClient
from dify_workflow_async.errors import ClientClosed
from dify_workflow_async.local import Node, Scenario, Sleep

from ._faults_and_leaving import ROWS, STOP, Left


TIMEOUTS = Timeouts(idle=30, stall=30, recovery=30, request=30, stop=5)
FOREVER = Scenario(steps=[Node(type="start"), Node(type="llm"), Sleep(seconds=3600)])
CASES = [
    pytest.param(row, version, id=f"{name}-{version}")
    for name, row in ROWS.items()
    for version in row.versions
]


async def run(client: WorkflowClient, row: Left, disturb: Callable[[], None]) -> None:
    disturb()
    await client.run({"marker": "m"}, on_cancel=row.on_cancel)


async def stop(client: WorkflowClient, row: Left, disturb: Callable[[], None]) -> None:
    async with client.stream({"marker": "m"}) as stream:
        await stream.begun()
        disturb()
        await stream.stop()


VERBS = {"run": run, "stop": stop}


@pytest.mark.parametrize(("row", "version"), CASES)
async def test_what_becomes_of_it(row, version, serve, connect, until, caplog):
    """The caller is free at once, the run has the fate of the table, nothing is left."""
    caplog.set_level(logging.WARNING, "dify_workflow_async")
    served = await serve(
        behaviour=FOREVER, version=version, close_delay=0, ping_interval=None
    )
    client = connect(served, timeouts=TIMEOUTS, retry=RetryPolicy(base=0.01))

    def disturb() -> None:
        for order in row.orders:
            served.server.fail_next(order.fault, path=order.path, times=order.times)

    def disturbed() -> bool:
        return row.orders[-1].fault in [x.fault for x in served.server.injected]

    async with asyncio.timeout(4):  # less than any time limit, and than Retry-After
        task = asyncio.create_task(VERBS[row.verb](client, row, disturb))
        await until(disturbed)
        for _ in range(50):  # what the fault does arrives
            await asyncio.sleep(0)
        assert not task.done()
        if row.how == "cancel":
            task.cancel()
        else:
            closing = asyncio.create_task(client.aclose())
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        await (closing if row.how == "close" else client.aclose())
    check(row, outcome, served)
    assert [x.message for x in caplog.records] == []


def check(row: Left, outcome: Any, served: Any) -> None:
    """Hold what became of it against the table."""
    error = {"cancel": asyncio.CancelledError, "close": ClientClosed}[row.how]
    assert type(outcome) is error
    sent = [x for x in served.server.requests if x.path.endswith(STOP[1:])]
    assert len(sent) == row.stops
    assert {x.json["user"] for x in sent} <= {"u1"}
    if row.fate == "never began":
        assert served.server.starts == {}
        assert len(served.starts) == 1  # and was refused
    else:
        assert served.server.starts == {"m": 1}
        assert served.runs[0].status == row.fate
