"""Batches over workers, which here live in the process of the tests."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys

from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distributed import Client, LocalCluster

from dify_workflow_async import WorkflowClient
from dify_workflow_async.batch import Batch, BatchItem, Row, State
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.distributed import _shard, _workers, run_distributed
from dify_workflow_async.distributed._shard import Shard, _Taker, run_shard
from dify_workflow_async.errors import (
    ClusterUnavailable,
    ConfigurationError,
    InvalidInputs,
    JournalMismatch,
    JournalUnavailable,
    RunFailed,
    TooManyFailures,
    UsageError,
)
from dify_workflow_async.local import App, LocalServer, Node, Scenario

from .conftest import KEY, app


@pytest.fixture
async def near():
    """Give a cluster of two workers that needs no processes."""
    cluster = LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        asynchronous=True,
    )
    async with cluster, Client(cluster, asynchronous=True) as dask:
        yield dask


@pytest.fixture
def start(near, client, tmp_path):
    """Give a function that begins a batch there."""

    def start_(rows: Any, **options: Any) -> Any:
        given = {"client": client, "cluster": near, "journal": tmp_path / "runs.db"}
        return run_distributed(rows, **(given | options))

    return start_


def rows_of(count: int) -> list[dict[str, str]]:
    """So many rows."""
    return [{"marker": f"row {i}"} for i in range(count)]


async def drain(batch: Any, items: list[BatchItem]) -> None:
    """Run a batch to its end, and keep its items also when it raises."""
    async with batch as entered:
        async for item in entered:
            items.append(item)  # noqa: PERF401 - what came before an exception, too


async def test_each_row_ends_once(start, server):
    """Items have results, and the journal is one that any batch can go on with."""
    async with start(rows_of(40), concurrency=8, ordered=True, total=40) as batch:
        assert "workers=2" in repr(batch)
        items = [item async for item in batch]
        assert batch.progress.done == 40

    assert [item.index for item in items] == list(range(40))
    assert {item.state for item in items} == {State.SUCCEEDED}
    assert items[3].result.outputs == {"done": True}
    assert items[3].record.ref.workflow_run_id == items[3].result.workflow_run_id
    assert sorted(server.starts.values()) == [1] * 40
    async with start(rows_of(41), replay=True) as batch:
        items = [item async for item in batch]
        assert batch.summary.skipped == 40
    assert len(items) == 41
    assert sorted(server.starts.values()) == [1] * 41


async def test_rows_that_come_from_somewhere(start, server):
    """An async source is not read ahead; what it raises ends the batch at last."""

    async def source():
        for row in rows_of(3):
            yield row
        raise OSError("the source ran dry")

    items = []
    with pytest.raises(OSError, match="ran dry"):
        await drain(start(source(), rate="1000/s"), items)

    assert len(items) == 3
    assert server.starts.total() == 3


async def test_rows_that_cannot_be_run(start, server):
    """They are refused here, and the others are run."""
    rows = [{"marker": object()}, "no row", {"marker": "a"}]

    async with start(rows) as batch:
        items = {item.index: item async for item in batch}

    assert [items[i].state for i in range(3)] == ["refused", "refused", "succeeded"]
    assert isinstance(items[0].error, InvalidInputs)
    assert server.starts.total() == 1


async def test_runs_that_fail(start, near, monkeypatch):
    """They are told with their results, and end the batch when there are too many."""
    monkeypatch.setenv("DIFY_API_KEY", KEY)
    steps = [Node(type="start"), Node(type="code", status="failed", error="boom")]
    async with LocalServer([App(Scenario(steps=steps), key=KEY)]) as server:
        client = partial(WorkflowClient, base_url=server.base_url, user="u")
        items = []
        options = {"client": client, "max_failures": 3, "concurrency": 2}
        with pytest.raises(TooManyFailures):
            await drain(start(rows_of(200), **options), items)
        assert server.starts.total() < 200

    failed = [item for item in items if item.state is State.FAILED]
    assert len(failed) >= 3
    assert isinstance(failed[0].error, RunFailed)
    assert "boom" in failed[0].result.error


async def test_stop(start, server):
    """What runs ends, and what nobody has begun stays for the next time."""
    items = []
    async with start(rows_of(150), concurrency=4) as batch:
        async for item in batch:
            items.append(item)
            if len(items) == 5:
                batch.stop()

    assert {item.state for item in items} == {State.SUCCEEDED}
    assert len(items) == server.starts.total() < 150


async def test_batch_that_is_left(start, tmp_path, monkeypatch):
    """Its runs are stopped on the server, by who follows them."""
    monkeypatch.setenv("DIFY_API_KEY", KEY)
    async with LocalServer([app(seconds=60)]) as server:
        client = partial(WorkflowClient, base_url=server.base_url, user="u")
        async with start(rows_of(4), client=client, concurrency=4):
            async with asyncio.timeout(30):
                while server.starts.total() < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        assert {run.status for run in server.runs} == {"stopped"}
    async with Journal.open(tmp_path / "runs.db") as journal:
        assert State.STARTED not in await journal.counts()


async def test_worker_that_cannot_begin(start, monkeypatch):
    """What it raises ends the batch; nothing is run."""
    monkeypatch.delenv("DIFY_API_KEY")

    items = []
    with pytest.raises(ConfigurationError, match="DIFY_API_KEY"):
        await drain(start(rows_of(3)), items)

    assert {item.state for item in items} <= {State.UNKNOWN}


async def test_journal_of_another_user(start, monkeypatch, tmp_path):
    """It is refused before anything is read from it, or put into it."""
    monkeypatch.setenv("DIFY_API_KEY", KEY)
    steps = [Node(type="start"), Node(type="code", status="failed", error="boom")]
    async with LocalServer([App(Scenario(steps=steps), key=KEY)]) as server:
        client = partial(WorkflowClient, base_url=server.base_url, user="u")
        async with start(rows_of(2), client=client) as batch:
            assert [item.state async for item in batch] == [State.FAILED] * 2

        items, other = [], partial(client, user="other")
        with pytest.raises(JournalMismatch, match="user is u there, and other here"):
            await drain(
                start(rows_of(3), client=other, replay=True, rerun_failed=True), items
            )
        assert server.starts.total() == 2

    assert items == []
    async with Journal.open(tmp_path / "runs.db") as journal:
        assert await journal.counts() == {State.FAILED: 2}


async def test_worker_whose_end_nobody_saw(start, monkeypatch):
    """What ended it is raised at the end of the batch, unless that has another error."""

    async def fail(_: Shard) -> None:
        raise JournalUnavailable("gone")

    monkeypatch.setattr(_workers, "run_shard", fail)
    with pytest.raises(JournalUnavailable, match="gone"):
        await drain(start([]), [])

    async def fail_too() -> None:
        async with start([]) as batch:
            assert [item async for item in batch] == []
            await batch._begun._look_at_cluster()  # that is over
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_too()
    async with start([]) as batch:  # which is left early
        assert batch.progress.done == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"journal": None}, "share a journal"),
        ({"workers": 0}, "workers must be 1 or more"),
        ({"dispatcher": object()}, "dispatcher cannot be had"),
        ({"output": dict}, "output cannot be had"),
        ({"rate": "fast"}, "rate"),
    ],
)
def test_options_that_cannot_work(options, says):
    """They are refused before anything begins."""
    with pytest.raises(ConfigurationError, match=says):
        run_distributed([], **({"journal": "runs.db"} | options))


async def test_cluster_that_does_not_answer(monkeypatch, tmp_path):
    """The error names its address."""
    monkeypatch.setattr(_workers, "_COMING", 0.3)
    batch = run_distributed(
        [], cluster="tcp://127.0.0.1:1", journal=tmp_path / "runs.db"
    )
    with pytest.raises(ClusterUnavailable, match=r"127\.0\.0\.1:1"):
        await batch.__aenter__()
    with pytest.raises(UsageError, match="enter"):
        batch.stop()


async def test_cluster_without_workers(monkeypatch, tmp_path, client):
    """It is told when none has come for a while."""
    monkeypatch.setattr(_workers, "_COMING", 0.5)
    cluster = LocalCluster(
        n_workers=0, processes=False, dashboard_address="127.0.0.1:0", asynchronous=True
    )
    async with cluster:
        address = cluster.scheduler_address
        batch = run_distributed(
            rows_of(1), client=client, cluster=address, journal=tmp_path / "runs.db"
        )
        with pytest.raises(ClusterUnavailable, match="has no worker"):
            await batch.__aenter__()


async def test_cluster_that_loses_its_workers(start, near, monkeypatch):
    """When none has come back for a while, the rows are lost from sight."""
    monkeypatch.setattr(_workers, "_PATIENCE", 0.5)
    async with LocalServer([app(seconds=60)]) as server:
        client = partial(WorkflowClient, base_url=server.base_url, user="u")
        items = []
        batch = start(rows_of(200), client=client)
        draining = asyncio.create_task(drain(batch, items))
        while server.starts.total() < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await near.retire_workers(list(await near.ncores()), close_workers=True)
        with pytest.raises(ClusterUnavailable, match="no worker for"):
            await draining

    assert items
    assert {item.state for item in items} <= {State.UNKNOWN, State.RUNNING}


async def test_program_that_was_taken_for_gone(start, monkeypatch, tmp_path):
    """Its workers end what they do; when it is back, they go on with its rows."""
    monkeypatch.setattr(_shard, "_LATEST", 0.05)
    struck = asyncio.Event()

    async def source():
        yield {"marker": "before"}
        await struck.wait()
        yield {"marker": "after"}

    states = []
    async with asyncio.timeout(60), start(source()) as batch:
        async for item in batch:
            states.append(item.state)
            if not struck.is_set():
                first = [slot.future for slot in batch._begun.team._slots]
                await _strike(tmp_path / "runs.db", batch._begun.journal.token)
                while {x.status for x in first} != {"finished"}:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                struck.set()

    assert states == [State.SUCCEEDED] * 2


async def _strike(journal: Path, token: str) -> None:
    """What a process does that finds the lease of another one lapsed."""

    def strike() -> None:
        with closing(sqlite3.connect(journal, timeout=30)) as connection, connection:
            gone = "DELETE FROM dify_batch_owners WHERE token = ?"
            assert connection.execute(gone, (token,)).rowcount == 1

    await asyncio.to_thread(strike)


async def test_abort_by_a_program_that_was_taken_for_gone(start, monkeypatch, tmp_path):
    """Its workers have begun to end gracefully by then; they stop their runs all the same."""
    monkeypatch.setenv("DIFY_API_KEY", KEY)
    monkeypatch.setattr(_shard, "_LATEST", 0.05)
    stopped = []
    stop = Batch.stop

    def note(batch: Batch) -> None:
        stopped.append(batch)
        stop(batch)

    async with LocalServer([app(seconds=60)]) as server:
        client = partial(WorkflowClient, base_url=server.base_url, user="u")
        async with asyncio.timeout(30), start(rows_of(4), client=client) as batch:
            while server.starts.total() < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            journal = batch._begun.journal
            journal._beating.cancel()
            monkeypatch.setattr(Batch, "stop", note)
            await _strike(tmp_path / "runs.db", journal.token)
            while len(stopped) < 2:  # noqa: ASYNC110 - both of the workers
                await asyncio.sleep(0.01)
            batch.abort()

        assert {run.status for run in server.runs} == {"stopped"}


async def test_workers_that_were_told_to_end(start, server, monkeypatch):
    """They get no share again."""
    monkeypatch.setattr(_shard, "_LATEST", 0.05)
    async with start(rows_of(1), ordered=True) as batch:
        begun = batch._begun
        shares = [slot.future for slot in begun.team._slots]
        batch.abort()
        while {x.status for x in shares} != {"finished"}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await begun._look_at_cluster()
        assert [slot.future for slot in begun.team._slots] == shares
        assert begun.team.have_given_up


async def test_worker_that_leaves(start, near, server):
    """The other one does what is left."""
    items = []
    draining = asyncio.create_task(drain(start(rows_of(120), concurrency=4), items))
    while server.starts.total() < 10:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await near.retire_workers(list(await near.ncores())[:1], close_workers=True)
    await draining

    assert len(items) == 120
    assert max(server.starts.values()) == 1


async def test_shard_of_another_journal(tmp_path, client):
    """It runs nothing; where the process is its own, interrupts do not concern it."""
    before = signal.getsignal(signal.SIGINT)
    async with Journal.open(tmp_path / "runs.db"):
        pass
    shard = Shard(
        journal=str(tmp_path / "runs.db"),
        batch="elsewhere",
        make_client=client,
        concurrency=1,
        rate=None,
        rerun=frozenset(),
        is_ours=True,
        options={},
    )
    try:
        with pytest.raises(ConfigurationError, match="another journal"):
            await run_shard(shard)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("error", [JournalUnavailable("gone"), OverflowError("gone")])
async def test_journal_that_fails(start, monkeypatch, server, error):
    """Rows that it does not tell of are lost from sight, and the error is raised."""

    async def fail(*_: Any) -> None:
        raise error

    items = []
    async with start(rows_of(5)) as batch:
        monkeypatch.setattr(Journal, "over", fail)
        with pytest.raises(type(error), match="gone"):
            await drain(nullcontext(batch), items)

    assert {item.state for item in items} == {State.UNKNOWN}


async def test_cluster_of_its_own(client, server, tmp_path):
    """Without a cluster, processes are started for the batch."""
    batch = run_distributed(
        rows_of(6), client=client, journal=f"sqlite:///{tmp_path}/runs.db", workers=1
    )
    items = []
    await drain(batch, items)

    assert len(items) == 6
    assert sorted(server.starts.values()) == [1] * 6


async def test_client_of_dask_that_blocks(near, tmp_path):
    """It cannot be used in an event loop."""
    blocking = SimpleNamespace(asynchronous=False)
    monkey = pytest.MonkeyPatch()
    monkey.setattr("distributed.Client", SimpleNamespace)
    batch = run_distributed([], cluster=blocking, journal=tmp_path / "runs.db")
    try:
        with pytest.raises(ConfigurationError, match="asynchronous=True"):
            await batch.__aenter__()
    finally:
        monkey.undo()


async def test_dask_that_is_missing(monkeypatch, tmp_path):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    batch = run_distributed([], journal=tmp_path / "runs.db")

    with pytest.raises(ConfigurationError, match=r"dify-workflow-async\[distributed\]"):
        await batch.__aenter__()


async def test_batch_is_entered_once(start):
    """Another one is made for another time."""
    async with start(rows_of(1)) as batch:
        with pytest.raises(UsageError, match="once"):
            await batch.__aenter__()
        assert len([item async for item in batch]) == 1


async def test_abort(start, monkeypatch):
    """The loop ends at once, and the runs are stopped."""
    monkeypatch.setenv("DIFY_API_KEY", KEY)
    async with LocalServer([app(seconds=60)]) as server:
        client = partial(WorkflowClient, base_url=server.base_url, user="u")
        async with start(rows_of(2), client=client) as batch:
            while server.starts.total() < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            batch.abort()
            items = [item async for item in batch]

        assert {run.status for run in server.runs} == {"stopped"}
    assert {item.state for item in items} == {State.UNKNOWN}


async def test_rows_that_are_unknown_from_before(start, server, tmp_path):
    """They are told, and run only if that is wanted."""
    async with start(rows_of(1), key="marker") as batch:
        (item,) = [item async for item in batch]
    async with Journal.open(tmp_path / "runs.db") as journal:
        row = Row(index=0, key=item.key, inputs={}, digest=item.record.digest)
        await journal.offer([row], rerun={State.SUCCEEDED})  # and lost from sight

    for _ in range(2):  # when a worker finds out, and when the journal has it
        async with start(rows_of(1), key="marker") as batch:
            assert [item.state async for item in batch] == [State.UNKNOWN]
    assert server.starts.total() == 1
    async with start(rows_of(1), key="marker", rerun_unknown=True) as batch:
        assert [item.state async for item in batch] == [State.SUCCEEDED]
    async with start(rows_of(1), key="marker", rerun_failed=True) as batch:
        assert [item async for item in batch] == []


async def test_claims_that_were_not_begun(tmp_path, client):
    """A worker that stops gives them back for others."""
    async with Journal.open(tmp_path / "runs.db") as journal:
        rows = [Row(index=i, key=str(i), inputs={}) for i in range(3)]
        await journal.add(rows, batch=journal.token)
        shard = Shard(
            journal="",
            batch=journal.token,
            make_client=client,
            concurrency=3,
            rate=None,
            rerun=frozenset(),
            is_ours=False,
            options={},
        )
        taker = _Taker(shard, journal)
        taker.batch = SimpleNamespace(progress=SimpleNamespace(running=0))

        assert (await anext(taker)).row.key == "0"
        await taker.give_back()

        assert await journal.counts() == {State.STARTED: 1, State.PENDING: 2}


async def test_cluster_that_falls_silent():
    """It is told at once; one without workers has some time."""

    async def silent() -> None:
        raise OSError("closed")

    async def empty() -> dict[str, int]:
        return {}

    with pytest.raises(ClusterUnavailable, match="does not answer: closed"):
        await _workers.Workers(SimpleNamespace(ncores=silent), []).look()
    await _workers.Workers(SimpleNamespace(ncores=empty), []).look()


async def test_rows_that_nobody_ends_any_more(start, near, monkeypatch):
    """When the workers are gone, what they had begun is lost from sight."""

    async def nothing(_: Journal, rows: list[Row]) -> list[None]:
        return [None] * len(rows)

    monkeypatch.setattr(_workers, "_PATIENCE", 0.5)
    async with LocalServer([app(seconds=60)]) as server:
        client = partial(WorkflowClient, base_url=server.base_url, user="u")
        items = []
        draining = asyncio.create_task(drain(start(rows_of(3), client=client), items))
        while server.starts.total() < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        monkeypatch.setattr(Journal, "over", nothing)
        await near.retire_workers(list(await near.ncores()), close_workers=True)
        with pytest.raises(ClusterUnavailable, match="no worker for"):
            await draining

    assert [item.state for item in items] == [State.UNKNOWN] * 3


class _Task:
    """A task of Dask's, whose worker has trouble."""

    is_cancelled = False

    def __init__(self, status: str = "error") -> None:
        self.status = status

    async def exception(self) -> Exception:
        return KeyError("what Dask has")

    async def cancel(self, *, force: bool) -> None:
        self.is_cancelled = force


async def test_cluster_that_goes_at_once():
    """It is told before there is any share; what else goes wrong is told as it is."""

    async def come(*_: Any, **__: Any) -> dict[str, int]:
        return {"a": 1}

    def workers(task: _Task) -> _workers.Workers:
        dask = SimpleNamespace(
            ncores=come, wait_for_workers=come, submit=lambda *_, **__: task
        )
        return _workers.Workers(dask, [SimpleNamespace(batch="b")])

    gone = _Task("cancelled")
    with pytest.raises(ClusterUnavailable, match="has gone"):
        await workers(gone).first()
    assert gone.is_cancelled
    with pytest.raises(KeyError, match="what Dask has"):
        await workers(_Task()).first()


async def test_task_that_ends_as_its_worker_leaves():
    """It is given to another; only of a worker that stays is the error told."""
    task, there = _Task(), {"a": 1}

    async def ncores() -> dict[str, int]:
        return there

    dask = SimpleNamespace(ncores=ncores, submit=lambda *_, **__: task)
    workers = _workers.Workers(dask, [SimpleNamespace(batch="b")])
    await workers.look()
    await workers.look()  # it may be about to leave
    there.clear()
    await workers.look()
    assert task.is_cancelled

    there["b"] = 1
    await workers.look()
    await workers.look()
    with pytest.raises(KeyError, match="what Dask has"):
        await workers.look()
    assert not workers.is_working
    assert await workers.end(0) is None


async def test_errors_that_are_no_news():
    """At the end only those of ours are told that ended a task."""
    dask = SimpleNamespace(submit=lambda *_, **__: _Task())
    workers = _workers.Workers(dask, [SimpleNamespace(batch="b")])
    workers._give(workers._slots[0], "a")

    assert await workers.end(0) is None
