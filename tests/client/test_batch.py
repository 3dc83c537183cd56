"""Batches of runs: a real server, a real journal."""

from __future__ import annotations

import asyncio
import io

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from dify_workflow_async import Dispatcher, RetryPolicy, WorkflowClient
from dify_workflow_async.batch import Row, State
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.errors import (
    ConfigurationError,
    InvalidInputs,
    JournalMismatch,
    LeaseLost,
    OutputsMismatch,
    RunFailed,
    RunInterrupted,
    RunStateUnknown,
    TooManyRequests,
)
from dify_workflow_async.events import NodeFinished
from dify_workflow_async.files import RemoteFile, Upload
from dify_workflow_async.hooks import Retry
from dify_workflow_async.local import Node, Scenario, Sleep, Variable, faults
from dify_workflow_async.models import RunRef


Serve = Callable[..., Awaitable[Any]]
Until = Callable[[Callable[[], object]], Awaitable[None]]

ECHO = (Node(type="start"), Node(type="end", outputs={"text": "{marker}"}))


def client_of(served: Any, key: str, **settings: Any) -> WorkflowClient:
    """A client of this server."""
    settings.setdefault("user", "u")
    return WorkflowClient(key, served.base_url, **settings)


def rows(n: int) -> list[dict[str, Any]]:
    """So many rows, which the server tells apart."""
    return [{"marker": f"m{i}"} for i in range(n)]


async def collect(batch: Any) -> list[Any]:
    """All items of a batch."""
    async with batch:
        return [item async for item in batch]


async def test_each_row_is_one_run(serve: Serve, key: str) -> None:
    """Its item has the run's result."""
    served = await serve(*ECHO)
    async with client_of(served, key) as client:
        items = await collect(client.batch(rows(30), concurrency=8, ordered=True))
    assert [item.result.outputs["text"] for item in items] == [
        f"m{i}" for i in range(30)
    ]
    assert {item.state for item in items} == {State.SUCCEEDED}
    assert set(served.server.starts.values()) == {1}


async def test_a_run_that_fails_is_its_rows_own_matter(serve: Serve, key: str) -> None:
    """Its item has the error, and the result beside it."""
    failing = (Node(type="start"), Node(type="llm", status="failed", error="boom"))
    served = await serve(*failing)
    async with client_of(served, key) as client:
        (item,) = await collect(client.batch(rows(1)))
    assert item.state is State.FAILED
    assert isinstance(item.error, RunFailed)
    assert item.result.status == "failed"
    assert item.result is item.error.result


async def test_handlers_get_the_row(serve: Serve, key: str) -> None:
    """By a parameter of that name, as they get the run."""
    served = await serve(*ECHO)
    dispatcher = Dispatcher()
    seen: list[tuple[str, Any, str | None]] = []

    @dispatcher.on(NodeFinished, node_type="end")
    def note(event: NodeFinished, row: Row, run: Any) -> None:
        seen.append((row.key, row.inputs["marker"], run.workflow_run_id))

    async with client_of(served, key) as client:
        items = await collect(client.batch(rows(3), dispatcher=dispatcher))
    assert sorted(seen) == sorted(
        (item.key, item.inputs["marker"], item.result.workflow_run_id) for item in items
    )


async def test_handlers_of_single_runs_get_no_row(serve: Serve, key: str) -> None:
    """There is none."""
    served = await serve(*ECHO)
    dispatcher = Dispatcher()
    seen: list[object] = []

    @dispatcher.on("workflow_finished")
    def note(event: Any, row: Row | None) -> None:
        seen.append(row)

    async with client_of(served, key) as client:
        await client.run({}, dispatcher=dispatcher)
    assert seen == [None]


async def test_outputs_of_a_class(serve: Serve, key: str) -> None:
    """Each result has one; outputs that do not fit are an error with the result."""

    @attrs.frozen
    class Fits:
        text: str

    @attrs.frozen
    class FitsNot:
        number: int

    served = await serve(*ECHO)
    async with client_of(served, key) as client:
        (item,) = await collect(client.batch(rows(1), output=Fits))
        assert item.result.output == Fits("m0")
        (item,) = await collect(client.batch(rows(1), output=FitsNot))
    assert item.state is State.FAILED
    assert isinstance(item.error, OutputsMismatch)
    assert item.result.outputs == {"text": "m0"}


async def test_options_of_the_runs_are_checked_at_once(serve: Serve, key: str) -> None:
    """Before any row is read."""
    served = await serve(*ECHO)
    async with client_of(served, key) as client:
        with pytest.raises(ConfigurationError, match="on_cancel"):
            client.batch(rows(1), on_cancel="never")  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="concurrency"):
            client.batch(rows(1), concurrency=0)
    assert served.starts == []


async def test_requests_that_are_sent_again_slow_the_batch(
    serve: Serve, key: str
) -> None:
    """The client deals with a 429 itself, and the batch hears of it, as the hook does."""
    served = await serve(*ECHO)
    served.server.fail_next(faults.Busy(), path="*/run", times=1)
    told: list[Retry] = []
    quick = RetryPolicy(base=0.01)
    async with client_of(served, key, retry=quick, on_retry=told.append) as client:
        batch = client.batch(rows(4), concurrency=4, adaptive=True)
        async with batch:
            first = await anext(batch)
            assert batch._runner._pace.limit < 4
            assert [item async for item in batch]
    assert first.state is State.SUCCEEDED
    assert [type(retry.error) for retry in told] == [TooManyRequests]


async def test_many_refusals_of_one_round_halve_once(serve: Serve, key: str) -> None:
    """Sixteen requests are refused that were sent together, and eight run after that."""
    served = await serve(*ECHO)
    served.server.fail_next(faults.Busy(), path="*/run", times=16)
    told: list[Retry] = []
    slow = RetryPolicy(base=10_000.0, cap=10_000.0)
    async with (
        client_of(served, key, retry=slow, on_retry=told.append) as client,
        client.batch(rows(16), concurrency=16, adaptive=True) as batch,
    ):
        while len(told) < 16:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert batch._runner._pace.limit == 8
        batch.abort()


async def test_a_client_without_a_hook(serve: Serve, key: str) -> None:
    """The batch hears of requests that are sent again all the same."""
    served = await serve(*ECHO)
    served.server.fail_next(faults.Busy(), path="*/run", times=1)
    async with client_of(served, key, retry=RetryPolicy(base=0.01)) as client:
        assert len(await collect(client.batch(rows(2)))) == 2


async def test_leaving_early_stops_the_runs(
    serve: Serve, key: str, until: Until
) -> None:
    """On the server, before the client is closed."""
    served = await serve(Node(type="start"), Sleep(seconds=30))
    async with client_of(served, key) as client, client.batch(rows(3)) as batch:
        await until(lambda: len(served.runs) == 3)
        assert batch.progress.running == 3
    assert len(served.stops) == 3


# -- with a journal ----------------------------------------------------------------------


async def test_a_journal_knows_what_it_is_for(
    serve: Serve, key: str, tmp_path: Path
) -> None:
    """Server, workflow, user and key; with another it is refused, and nothing runs."""
    served = await serve(*ECHO)
    where = tmp_path / "runs.db"
    async with client_of(served, key) as client:
        await collect(client.batch(rows(2), journal=where))
        assert await collect(client.batch(rows(2), journal=where)) == []
        with pytest.raises(JournalMismatch, match="user"):
            await collect(client.batch(rows(2), journal=where, user="other"))
    async with Journal.open(where) as journal:
        binding = await journal.binding()
    assert key not in str(binding)
    assert len(binding["key"]) == 8
    assert len(served.starts) == 2


async def test_an_open_journal_stays_open(
    serve: Serve, key: str, tmp_path: Path
) -> None:
    """It is its owner's."""
    served = await serve(*ECHO)
    async with (
        client_of(served, key) as client,
        Journal.open(tmp_path / "runs.db") as journal,
    ):
        await collect(client.batch(rows(2), journal=journal))
        assert await journal.counts() == {State.SUCCEEDED: 2}


async def left_running(
    client: WorkflowClient, where: Path, inputs: dict[str, Any], *, task_id: bool = True
) -> RunRef:
    """Start a run, and leave the journal as a process does that is killed meanwhile."""
    ref = await client.start(inputs)
    batch = client.batch([inputs], journal=where)
    async with Journal.open(where) as journal:
        await journal.bind(batch._binding or {})
        read, _ = await batch._reader.read()
        await journal.offer([read.row])
        kept = ref if task_id else attrs.evolve(ref, task_id=None)
        await journal.known(read.row, kept)
    return ref


async def test_a_known_run_is_found_again(
    serve: Serve, key: str, tmp_path: Path
) -> None:
    """Its result is read from the server, and nothing is started."""
    served = await serve(Node(type="start"), Sleep(seconds=0.1), *ECHO[1:])
    where = tmp_path / "runs.db"
    async with client_of(served, key) as client:
        ref = await left_running(client, where, {"marker": "a"})
        (item,) = await collect(client.batch([{"marker": "a"}], journal=where))
    assert item.result.workflow_run_id == ref.workflow_run_id
    assert item.result.outputs == {"text": "a"}
    assert len(served.starts) == 1


async def test_a_known_run_that_goes_on(serve: Serve, key: str, tmp_path: Path) -> None:
    """It is waited for as long as was asked for, and left to the next batch."""
    served = await serve(Node(type="start"), Sleep(seconds=30))
    where = tmp_path / "runs.db"
    async with client_of(served, key) as client:
        ref = await left_running(client, where, {"marker": "a"})
        batch = client.batch([{"marker": "a"}], journal=where, timeout=0.1)
        (item,) = await collect(batch)
        await client.stop(ref)
    assert item.state is State.RUNNING
    assert isinstance(item.error, RunInterrupted)
    assert item.error.run_id == ref.workflow_run_id


@pytest.mark.parametrize(
    ("on_cancel", "task_id", "status"),
    [
        ("stop", True, "stopped"),
        ("stop", False, "running"),
        ("detach", True, "running"),
    ],
)
async def test_a_batch_that_is_left_while_it_waits_for_a_known_run(
    serve: Serve,
    key: str,
    tmp_path: Path,
    until: Until,
    on_cancel: Any,
    task_id: bool,
    status: str,
) -> None:
    """The run is stopped as those are that the batch started, if it is known how."""
    served = await serve(Node(type="start"), Sleep(seconds=60))
    where = tmp_path / "runs.db"
    async with client_of(served, key, on_cancel=on_cancel) as client:
        ref = await left_running(client, where, {"marker": "a"}, task_id=task_id)
        async with client.batch([{"marker": "a"}], journal=where) as batch:
            await until(lambda: batch.progress.running)
            await asyncio.sleep(0.05)  # the run is read
            batch.abort()
            (item,) = [item async for item in batch]
    assert item.state is State.RUNNING
    assert isinstance(item.error, RunInterrupted)
    (run,) = served.server.runs
    assert (run.id, run.status) == (ref.workflow_run_id, status)


async def test_a_known_run_that_cannot_be_stopped(
    serve: Serve,
    key: str,
    tmp_path: Path,
    until: Until,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is told; the next batch finds the run all the same."""
    served = await serve(Node(type="start"), Sleep(seconds=60))
    served.server.fail_next(faults.ErrorPage(status=404), path="*/stop")
    where = tmp_path / "runs.db"
    async with client_of(served, key) as client:
        await left_running(client, where, {"marker": "a"})
        async with client.batch([{"marker": "a"}], journal=where) as batch:
            await until(lambda: batch.progress.running)
            await asyncio.sleep(0.05)
    assert "was not stopped" in caplog.text


async def test_a_known_run_that_the_server_has_forgotten(
    serve: Serve, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows how it ended."""
    monkeypatch.setattr("dify_workflow_async._recovery.GRACE", 0.0)
    served, other = await serve(*ECHO), await serve(*ECHO)
    where = tmp_path / "runs.db"
    async with client_of(served, key) as client, client_of(other, key) as elsewhere:
        gone = await elsewhere.start({"marker": "a"})
        monkeypatch.setattr(client, "start", lambda _: asyncio.sleep(0, gone))
        await left_running(client, where, {"marker": "a"})
        (item,) = await collect(client.batch([{"marker": "a"}], journal=where))
    assert item.state is State.UNKNOWN
    assert isinstance(item.error, RunStateUnknown)


async def test_a_run_is_known_while_it_is_read(
    serve: Serve, key: str, tmp_path: Path, until: Until
) -> None:
    """Its id is in the journal long before its end."""
    served = await serve(Node(type="start"), Sleep(seconds=0.3), *ECHO[1:])
    async with (
        client_of(served, key) as client,
        Journal.open(tmp_path / "runs.db") as journal,
        client.batch(rows(2), journal=journal) as batch,
    ):
        while await journal.counts() != {State.RUNNING: 2}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        kept = {r.ref.workflow_run_id async for r in journal.records() if r.ref}
        items = [item async for item in batch]
    assert {item.result.workflow_run_id for item in items} == kept


@pytest.mark.parametrize(
    "first",
    [
        {"task_id": None},
        {"workflow_run_id": None},
        None,
    ],
    ids=["the run's id first", "the task's id first", "all at once"],
)
async def test_ids_that_come_in_any_order(
    wild: Any,
    connect: Any,
    frame: Any,
    ids: Any,
    first: dict[str, None] | None,
    tmp_path: Path,
) -> None:
    """The run is kept by its id, also if its end comes before it could be."""

    async def answer(peer: Any) -> None:
        await peer.begin()
        if first is not None:
            await peer.send(frame("workflow_started", **first))
            await asyncio.sleep(0.05)
        end = frame("workflow_finished", status="succeeded", outputs={"a": 1})
        await peer.send(frame("node_started") + end)
        await peer.end()

    client = connect(await wild(answer))
    async with Journal.open(tmp_path / "runs.db") as journal:
        (item,) = await collect(client.batch(rows(1), journal=journal))
        (record,) = [record async for record in journal.records()]
    assert item.state is State.SUCCEEDED
    assert record.ref is not None
    assert record.ref.workflow_run_id == ids.run
    assert record.outputs == {"a": 1}


async def test_a_claim_that_was_lost(
    serve: Serve, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row's item says so, when its run has told its id."""
    served = await serve(Node(type="start"), Sleep(seconds=0.1), *ECHO[1:])

    async def lost(self: Any, row: Row, ref: RunRef) -> None:
        raise LeaseLost(row.key)

    monkeypatch.setattr(Journal, "known", lost)
    async with client_of(served, key) as client:
        journal = tmp_path / "runs.db"
        (item,) = await collect(client.batch(rows(1), journal=journal))
    assert isinstance(item.error, LeaseLost)
    assert item.state is State.UNKNOWN


async def test_an_error_before_the_run_is_known(
    serve: Serve, key: str, tmp_path: Path
) -> None:
    """Such as a refusal: the row is run the next time."""
    served = await serve(*ECHO)
    served.server.fail_next(faults.ErrorPage(status=404), path="*/run")
    where = tmp_path / "runs.db"
    async with client_of(served, key) as client:
        (item,) = await collect(client.batch(rows(1), journal=where))
        assert item.state is State.REFUSED
        (item,) = await collect(client.batch(rows(1), journal=where))
    assert item.state is State.SUCCEEDED


# -- files -------------------------------------------------------------------------------


DOCUMENT = Variable(variable="document", type="file")


async def test_rows_with_files(serve: Serve, key: str, tmp_path: Path) -> None:
    """They are uploaded for each run, and told apart by their content and name."""
    served = await serve(behaviour=Scenario(steps=ECHO, inputs=[DOCUMENT]))
    where = tmp_path / "runs.db"
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("one")
    second.write_text("two")
    given: list[dict[str, Any]] = [
        {"marker": "m", "document": first},
        {"marker": "m", "document": second},
        {"marker": "m", "document": Upload(b"one", name="a.txt")},  # the first again
        {"marker": "m", "document": RemoteFile("http://127.0.0.1:9/c.txt")},
    ]
    async with client_of(served, key) as client:
        items = await collect(client.batch(given, journal=where, ordered=True))
        assert [item.key[-2:] for item in items] == ["#1", "#1", "#2", "#1"]
        assert items[0].key[:-2] == items[2].key[:-2] != items[1].key[:-2]
        assert {item.state for item in items} == {State.SUCCEEDED}
        second.write_text("changed")
        (item,) = await collect(client.batch(given, journal=where))
    assert item.index == 1


async def test_a_file_that_can_be_read_once(
    serve: Serve, key: str, tmp_path: Path
) -> None:
    """A journal would leave nothing to upload: its row is refused."""

    class Once(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *args: Any) -> int:
            raise OSError

    served = await serve(behaviour=Scenario(steps=ECHO, inputs=[DOCUMENT]))
    row = {"document": Upload(Once(b"x"), name="a.txt")}
    async with client_of(served, key) as client:
        (item,) = await collect(client.batch([row], journal=tmp_path / "runs.db"))
    assert item.state is State.REFUSED
    assert isinstance(item.error, InvalidInputs)
    assert "inputs.document: can be read once only" in str(item.error)
