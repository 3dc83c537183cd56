"""Who is killed in mid-batch, a worker or the program: all processes are real."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from dify_workflow_async.batch import State
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.distributed import run_distributed
from dify_workflow_async.errors import RunStateUnknown


ROWS = 2_000
FEWER = 600  # for programs, which need seconds for each of their beginnings
AT_ONCE = 50
PROGRAM = Path(__file__).with_name("_killed.py")


async def in_mid_batch(server, dice, rows):
    """Wait for a moment at which many rows have ended, and many have not begun."""
    moment = dice.randrange(rows // 5, rows * 3 // 5)
    while server.starts.total() < moment:  # noqa: ASYNC110 - of other processes
        await asyncio.sleep(0.001)
    await asyncio.sleep(dice.uniform(0, 0.05))


def keys_of(rows):
    """The keys of so many rows."""
    return {f"row {i}" for i in range(rows)}


async def records_of(journal, rows):
    """What the journal has: each row once."""
    async with Journal.open(journal, create=False) as opened:
        records = [record async for record in opened.records()]
    assert len(records) == rows
    assert {record.key for record in records} == keys_of(rows)
    return records


def check_ends(records, server, unknown):
    """Every row has one result; only rows that were unknown may have had two starts."""
    assert {record.state for record in records} == {State.SUCCEEDED}
    assert len({record.ref.workflow_run_id for record in records}) == len(records)
    assert server.starts.keys() == keys_of(len(records))
    for marker, starts in server.starts.items():
        assert starts == 1 or (starts == 2 and marker in unknown)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_worker_that_is_killed(server, client, dask, where):
    """Every row has one end, none was run twice, and only what it began is unknown."""
    dice = random.Random(20_261)
    options = {"key": "marker", "journal": where, "concurrency": AT_ONCE}
    pids = await dask.run(os.getpid)
    victim = dice.choice([pids[address] for address in sorted(pids)])

    async def kill():
        await in_mid_batch(server, dice, ROWS)
        os.kill(victim, signal.SIGKILL)

    killing = asyncio.create_task(kill())
    async with run_distributed(
        ({"marker": f"row {i}"} for i in range(ROWS)),
        client=client,
        cluster=dask,
        total=ROWS,
        **options,
    ) as batch:
        items = [item async for item in batch]
    await killing

    assert len(items) == ROWS
    assert {item.key for item in items} == keys_of(ROWS)
    states = Counter(item.state for item in items)
    assert states.keys() <= {State.SUCCEEDED, State.UNKNOWN}
    assert states[State.UNKNOWN] <= AT_ONCE // 2  # the share of the one that was killed
    unknown = {item.key for item in items if item.state is State.UNKNOWN}
    errors = {type(item.error) for item in items if item.key in unknown}
    assert errors <= {RunStateUnknown}, errors
    assert max(server.starts.values()) == 1

    async with run_distributed(
        ({"marker": f"row {i}"} for i in range(ROWS)),
        client=client,
        cluster=dask,
        rerun_unknown=True,
        **options,
    ) as batch:
        assert {item.key async for item in batch} == unknown
        assert batch.summary.skipped == ROWS - len(unknown)

    check_ends(await records_of(where, ROWS), server, unknown)


@asynccontextmanager
async def running(*arguments):
    """The program, which has ended when this is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, *map(str, arguments)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def go_on_until_killed(server, *how):
    """Run the program, kill it in mid-batch, and wait for the end of its workers.

    Returns:
        how many there were.
    """
    async with running(*how) as process:
        await in_mid_batch(server, random.Random(20_262), FEWER)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert process.returncode is None
        process.kill()
    _, left = await asyncio.to_thread(psutil.wait_procs, workers, timeout=30)
    assert not left
    assert server.starts.total() < FEWER
    return len(workers)


async def go_on_to_the_end(server, *how):
    """Run the program again.

    Returns:
        the records of all rows.
    """
    async with running(*how) as process:
        assert await process.wait() == 0
    return await records_of(how[0], FEWER)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_program_that_is_killed(server, client, where):
    """Its workers end with it; run again, it goes on, and nothing is run twice."""
    how = where, FEWER, server.base_url
    assert await go_on_until_killed(server, *how)

    records = await go_on_to_the_end(server, *how)
    assert {r.state for r in records} <= {State.SUCCEEDED, State.UNKNOWN}
    unknown = {r.key for r in records if r.state is State.UNKNOWN}
    assert len(unknown) <= AT_ONCE
    assert max(server.starts.values()) == 1

    # A journal is any batch's that is for the same: those rows need no workers.
    rows = ({"marker": f"row {i}"} for i in range(FEWER))
    async with (
        client() as here,
        here.batch(rows, key="marker", journal=where, rerun_unknown=True) as batch,
    ):
        assert {item.key async for item in batch} == unknown
    check_ends(await records_of(where, FEWER), server, unknown)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_program_that_is_killed_beside_its_cluster(server, where, cluster):
    """The workers end what they run; run again, perhaps before that, it goes on."""
    how = where, FEWER, server.base_url, cluster.scheduler_address
    assert not await go_on_until_killed(server, *how)

    check_ends(await go_on_to_the_end(server, *how), server, set())
