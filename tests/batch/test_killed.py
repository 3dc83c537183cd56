"""A batch that is killed again and again: real processes, a real server and database."""

from __future__ import annotations

import asyncio
import random
import sys

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dify_workflow_async.batch import Record, State
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.local import App, LocalServer, Node, Scenario, Sleep


ROWS = 2_000
KILLS = 10
PROGRAM = Path(__file__).with_name("_killed.py")


@asynccontextmanager
async def running(
    journal: str, server: LocalServer, *how: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The batch, in a process of its own, which has ended when this is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, journal, str(ROWS), server.base_url, *how
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def records(journal: str) -> list[Record]:
    """All that the journal has."""
    async with Journal.open(journal, create=False) as opened:
        return [record async for record in opened.records()]


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a database with nothing in it, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "runs.db")
    return str(request.getfixturevalue("postgresql").new_database())


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_batch_that_is_killed_ten_times(where: str) -> None:
    """Every row has one result and was started once; an unknown one perhaps once more."""
    dice = random.Random(20_260)
    nodes = [
        Node(type="start"),
        Sleep(seconds=0.02),
        Node(type="end", outputs={"done": True}),
    ]
    app = App(Scenario(steps=nodes), key="app-batch")
    async with LocalServer([app]) as server:
        # Each is killed when the server has seen so many starts, and a little later.
        # The last one comes well before the end, however late a busy machine sees it.
        for seen in sorted(dice.sample(range(ROWS * 3 // 4), KILLS)):
            async with running(where, server) as process:
                while server.starts.total() < seen and process.returncode is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                await asyncio.sleep(dice.uniform(0, 0.05))
                assert process.returncode is None, "it ended before it was killed"
                process.kill()

        async with running(where, server) as process:
            assert await process.wait() == 0
        found = await records(where)
        assert len(found) == ROWS
        states = Counter(record.state for record in found)
        assert states.keys() <= {State.SUCCEEDED, State.UNKNOWN}
        unknown = {r.key for r in found if r.state is State.UNKNOWN}
        assert len(unknown) < KILLS * 50
        assert max(server.starts.values()) == 1

        async with running(where, server, "rerun") as process:
            assert await process.wait() == 0
        found = await records(where)
        assert {record.key for record in found} == {f"row {i}" for i in range(ROWS)}
        assert len(found) == ROWS
        assert {record.state for record in found} == {State.SUCCEEDED}
        assert len({r.ref.workflow_run_id for r in found if r.ref}) == ROWS
        assert server.starts.keys() == {record.key for record in found}
        for marker, starts in server.starts.items():
            assert starts == 1 or (starts == 2 and marker in unknown)
