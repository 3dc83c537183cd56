"""A worker that is killed in mid-batch: real processes, a real server and database."""

from __future__ import annotations

import os
import signal

from collections import Counter

import pytest

from dify_workflow_async.batch import State
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.distributed import run_distributed
from dify_workflow_async.errors import RunStateUnknown


ROWS = 300


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_worker_that_is_killed(server, client, dask, where):
    """Every row has one end, none was run twice, and only what it began is unknown."""
    rows = ({"marker": f"row {i}"} for i in range(ROWS))
    options = {"key": "marker", "journal": where, "concurrency": 20}
    pids = await dask.run(os.getpid)
    items = []

    async with run_distributed(
        rows, client=client, cluster=dask, total=ROWS, **options
    ) as batch:
        async for item in batch:
            items.append(item)
            if len(items) == ROWS // 5:
                os.kill(next(iter(pids.values())), signal.SIGKILL)

    keys = {f"row {i}" for i in range(ROWS)}
    assert len(items) == ROWS
    assert {item.key for item in items} == keys
    states = Counter(item.state for item in items)
    assert states.keys() <= {State.SUCCEEDED, State.UNKNOWN}
    assert states[State.UNKNOWN] <= 10  # the share of the one that was killed
    unknown = {item.key for item in items if item.state is State.UNKNOWN}
    errors = {type(item.error) for item in items if item.key in unknown}
    assert errors <= {RunStateUnknown}, errors
    assert max(server.starts.values()) == 1

    rows = ({"marker": f"row {i}"} for i in range(ROWS))
    async with run_distributed(
        rows, client=client, cluster=dask, rerun_unknown=True, **options
    ) as batch:
        assert {item.key async for item in batch} == unknown
        assert batch.summary.skipped == ROWS - len(unknown)

    async with Journal.open(where, create=False) as journal:
        records = [record async for record in journal.records()]
    assert {record.key for record in records} == keys
    assert len(records) == ROWS
    assert {record.state for record in records} == {State.SUCCEEDED}
    for marker, starts in server.starts.items():
        assert starts == 1 or (starts == 2 and marker in unknown)
