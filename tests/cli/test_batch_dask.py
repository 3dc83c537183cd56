"""``dify-workflow batch --dask``: a command whose rows are run by other processes."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from dify_workflow_async.batch import State
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.batch.tables import read_table
from dify_workflow_async.local import App, LocalServer, Scenario, Sleep

from ._batches import ANSWER, END, INPUTS, STRICT, Process, environment, run, table


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_rows_run_by_workers(tmp_path):
    """Each is run once, and the table is the same as without them."""
    table(tmp_path / "in.csv", 25, query="query")
    out = tmp_path / "out.csv"
    command = ["batch", tmp_path / "in.csv", "-o", out, "--key", "marker"]
    dask = ["--journal", tmp_path / "runs.db", "--dask", "local", "--workers", "2"]

    async with LocalServer([App(ANSWER)]) as server:
        code, _, errors = await run(server, *command, *dask, cwd=tmp_path)
        assert code == 0, errors
        assert len(list(read_table(out))) == 25
        again, _, errors = await run(server, *command, *dask, cwd=tmp_path)

        assert again == 0, errors
        assert sorted(server.starts.values()) == [1] * 25


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_interrupt_of_command_and_workers(tmp_path):
    """A terminal interrupts all of its processes; what runs ends, and no more starts."""
    table(tmp_path / "in.csv", 200, query="query")
    slow = App(
        Scenario(steps=[*ANSWER.steps[:1], Sleep(seconds=1), END], inputs=INPUTS)
    )
    command = [*STRICT, "batch", "in.csv", "-o", "out.csv", "--key", "marker"]
    dask = ["--journal", "runs.db", "--dask", "local"]
    async with LocalServer([slow]) as server:
        process = await asyncio.create_subprocess_exec(
            *command,
            *dask,
            cwd=tmp_path,
            env=environment(server),
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        async with asyncio.timeout(90):
            while server.starts.total() < 15:  # noqa: ASYNC110 - of other processes
                await asyncio.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = await process.communicate()

        assert process.returncode == 3, errors.decode()
        async with Journal.open(tmp_path / "runs.db") as journal:
            counts = await journal.counts()
        assert counts[State.SUCCEEDED] == server.starts.total() < 200
        assert counts.keys() == {State.SUCCEEDED, State.PENDING}


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_command_that_is_killed(tmp_path):
    """Run again, with workers or without, it goes on; its table has each row once."""
    table(tmp_path / "in.csv", 300, query="query")
    steps = [*ANSWER.steps[:1], Sleep(seconds=0.05), END]
    command = ["batch", "in.csv", "-o", "out.csv", "--key", "marker"]
    journal = ["--journal", "runs.db"]
    async with LocalServer([App(Scenario(steps=steps, inputs=INPUTS))]) as server:
        started = Process.start(
            server, *command, *journal, "--dask", "local", cwd=tmp_path
        )
        async with started as process:
            async with asyncio.timeout(90):
                while server.starts.total() < 100:  # noqa: ASYNC110 - of other processes
                    await asyncio.sleep(0.01)
            process.send(signal.SIGKILL)
            await process.end()
        assert not (tmp_path / "out.csv").exists()

        code, _, errors = await run(server, *command, *journal, cwd=tmp_path)

        starts = dict(server.starts)
    rows = [row.cells for row in read_table(tmp_path / "out.csv")]
    # The kill may fall between a row's claim and its request: nobody can know that it
    # was not run, so it is told as unknown, and not run.
    known = {row["marker"] for row in rows if row["run.state"] == "succeeded"}
    assert set(starts.values()) == {1}
    assert known <= set(starts)
    assert len(known) >= 250
    assert [row["marker"] for row in rows] == [f"m{i}" for i in range(300)]
    states = {row["run.state"] for row in rows}
    assert states <= {"succeeded", "unknown"}, errors
    assert code == len(states - {"succeeded"})


async def test_workers_without_a_journal(tmp_path):
    """They could not share anything: nothing is run."""
    table(tmp_path / "in.csv", 1, query="query")
    async with LocalServer([App(ANSWER)]) as server:
        code, _, errors = await run(
            *(server, "batch", "in.csv", "-o", "out.csv", "--dask", "local"),
            cwd=tmp_path,
        )

    assert code == 2
    assert "--dask needs --journal" in errors
