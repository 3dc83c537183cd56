"""Rows, run: how many at once, in which order, how often, and how they are given out."""

from __future__ import annotations

import asyncio
import logging

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from dify_workflow_async import errors
from dify_workflow_async.batch import Progress, Row, State, run_batch
from dify_workflow_async.errors import (
    BadRequest,
    ConfigurationError,
    ConnectionFailed,
    InvalidInputs,
    RunFailed,
    RunStateUnknown,
    StreamBusy,
    TooManyFailures,
    TooManyRequests,
    UsageError,
)
from dify_workflow_async.models import RunResult

from ._fakes import AfterStart, Works, collect, result, rows, until_failure


Until = Callable[[Callable[[], object]], Awaitable[None]]


async def test_every_row_comes_out_once_as_it_ends() -> None:
    """With its key, number, inputs, result and times."""
    work = Works()
    items = await collect(run_batch(work, rows(25), concurrency=4))
    assert sorted(item.index for item in items) == list(range(25))
    for item in items:
        assert item.key == str(item.index)
        assert item.inputs == {"n": item.index}
        assert item.result.outputs == {"echo": {"n": item.index}}
        assert (item.state, item.error, item.attempts) == (State.SUCCEEDED, None, 1)
        assert item.record is None
        assert 0 <= item.waited < 10
        assert 0 < item.seconds < 10
    assert work.most == 4


async def test_no_rows() -> None:
    """The loop ends at once."""
    assert await collect(run_batch(Works(), [])) == []


async def test_rows_are_read_only_as_there_is_room(until: Until) -> None:
    """Endless rows take no memory: as many are read as run, and wait to be taken."""
    read: list[int] = []

    def endless() -> Iterator[dict[str, Any]]:
        while True:
            read.append(len(read))
            yield {"n": len(read) - 1}

    work = Works(gate=asyncio.Event())
    async with run_batch(work, endless(), concurrency=3) as batch:
        await until(lambda: work.running == 3)
        await asyncio.sleep(0.01)
        assert len(read) == 3
        assert work.gate is not None
        work.gate.set()
        await until(lambda: len(read) == 6)
        await asyncio.sleep(0.01)
        assert len(read) == 6  # three ended and are not taken, and as many more ran
        assert (await anext(batch)).state is State.SUCCEEDED
        await until(lambda: len(read) == 7)


async def test_a_slow_source_of_rows() -> None:
    """Rows that were read run while the next one is waited for."""
    more = asyncio.Event()

    async def slow() -> AsyncIterator[dict[str, Any]]:
        yield {"n": 0}
        await more.wait()
        yield {"n": 1}

    async with run_batch(Works(), slow()) as batch:
        assert (await anext(batch)).index == 0
        more.set()
        assert [item.index async for item in batch] == [1]


async def test_items_in_order(until: Until) -> None:
    """A row that ends early waits for those before it, and bad rows have a place, too."""
    first = asyncio.Event()

    async def late(row: Any) -> None:
        await first.wait()

    work = Works(do={0: late})
    given = [{"n": 0}, {"n": 1}, "no row", *({"n": i} for i in range(3, 40))]
    async with run_batch(work, given, concurrency=4, ordered=True) as batch:  # type: ignore[arg-type]
        await until(lambda: len(work.calls) >= 7)
        await asyncio.sleep(0.01)
        assert len(work.calls) == 7  # as many as there is room for, the bad one too
        first.set()
        items = [item async for item in batch]
    assert [item.index for item in items] == list(range(40))
    assert isinstance(items[2].error, InvalidInputs)
    assert items[2].state is State.REFUSED


async def test_a_rate() -> None:
    """At 50 per second, ten rows take at least a tenth of a second, all at once none."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await collect(run_batch(Works(), rows(10), concurrency=10, rate="50/s"))
    assert 0.05 < loop.time() - began < 5


async def test_failures_are_items() -> None:
    """An error ends its row and not the batch; what a run gave comes with its error."""
    failed = RunResult(status="failed", error="boom", workflow_run_id="r")
    work = Works(
        do={
            0: BadRequest("no"),
            1: RunFailed(failed),
            2: ValueError("of a handler"),
            3: failed,
            4: RunResult(status="paused"),
        }
    )
    items = await collect(run_batch(work, rows(6), ordered=True))
    assert [item.state for item in items] == [
        State.REFUSED,
        State.FAILED,
        State.FAILED,
        State.FAILED,
        State.PAUSED,
        State.SUCCEEDED,
    ]
    assert items[1].result is failed
    assert isinstance(items[1].error, RunFailed)
    assert isinstance(items[2].error, ValueError)
    assert (items[3].result, items[3].error) == (failed, None)


# -- tries -----------------------------------------------------------------------------


@pytest.mark.usefixtures("no_backoff")
async def test_a_row_that_started_nothing_is_tried_again() -> None:
    """As often as was asked for, in the same slot."""
    busy = TooManyRequests("busy")
    work = Works(do={0: [busy, ConnectionFailed("off")], 1: [busy] * 9})
    items = await collect(run_batch(work, rows(2), concurrency=1, attempts=3))
    assert [(i.state, i.attempts) for i in items] == [
        (State.SUCCEEDED, 3),
        (State.REFUSED, 3),
    ]
    assert items[1].error is busy
    assert work.calls == ["0", "0", "0", "1", "1", "1"]


@pytest.mark.usefixtures("no_backoff")
async def test_a_row_that_may_have_run_is_not_tried_again() -> None:
    """Unless the caller says that it may run twice."""
    for may, calls in ((False, 1), (True, 2)):
        work = Works(do={0: [RunStateUnknown("who knows")]})
        (item,) = await collect(run_batch(work, rows(1), may_run_twice=may))
        assert len(work.calls) == calls
        assert item.state is (State.SUCCEEDED if may else State.UNKNOWN)


@pytest.mark.usefixtures("no_backoff")
async def test_the_rate_counts_tries() -> None:
    """A row that is tried again waits for its turn like a new one."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    work = Works(do={0: [TooManyRequests("busy")] * 3})
    await collect(run_batch(work, rows(1), attempts=4, rate=20))
    assert loop.time() - began > 0.09


@pytest.mark.usefixtures("no_backoff")
async def test_all_rows_heed_what_the_server_asks_of_one() -> None:
    """No other row starts before the pause that a 429 asks for is over."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def note(row: Any) -> None:
        times.append(loop.time())

    work = Works(do={0: [TooManyRequests("busy", retry_after=0.2)]})
    work.do.update(dict.fromkeys(range(1, 4), note))
    began = loop.time()
    items = await collect(run_batch(work, rows(4), concurrency=1, attempts=1))
    assert items[0].state is State.REFUSED
    assert min(times) - began >= 0.19


@pytest.mark.usefixtures("no_backoff")
async def test_adaptive_concurrency() -> None:
    """Half as many rows run after a 429; those that are told of otherwise count, too."""
    seen: list[int] = []
    batch: Any = None

    async def told(row: Any) -> None:
        batch.heed(TooManyRequests("busy, and sent again"))

    async def note(row: Any) -> None:
        seen.append(work.running)

    work = Works(do={0: told, 8: [TooManyRequests("busy")]})
    work.do.update(dict.fromkeys(range(20, 40), note))
    batch = run_batch(work, rows(40), concurrency=16, adaptive=True)
    items = await collect(batch)
    assert {item.state for item in items} == {State.SUCCEEDED}
    assert work.most > 12
    assert max(seen) <= 9


async def test_heed_from_elsewhere() -> None:
    """It is of no row, and slows the batch all the same."""
    async with run_batch(Works(), rows(1), adaptive=True, concurrency=8) as batch:
        batch.heed(TooManyRequests("busy"))
        assert batch._runner._pace.limit == 4
        assert [item.index async for item in batch] == [0]


# -- ends ------------------------------------------------------------------------------


async def test_after_so_many_failures_no_more_rows_start(until: Until) -> None:
    """Those that run go on; the loop gives all of them out, and then raises."""
    gate = asyncio.Event()
    work = Works(do=dict.fromkeys((3, 4), BadRequest("no")), gate=gate)
    batch = run_batch(work, rows(1000), concurrency=5, max_failures=2)
    async with batch:
        await until(lambda: work.running == 3)
        gate.set()
        items, failure = await until_failure(batch)
    assert isinstance(failure, TooManyFailures)
    assert failure.failures == 2
    assert isinstance(failure.__cause__, BadRequest)
    assert len(items) == len(work.calls) < 20
    assert batch.summary.rows == len(items)
    assert work.cancelled == []


async def test_what_the_rows_raise_comes_last() -> None:
    """All rows before it are run and given out; then it is raised unchanged."""

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(3)
        msg = "the file is broken"
        raise KeyError(msg)

    async with run_batch(Works(), broken(), concurrency=1) as batch:
        items, failure = await until_failure(batch)
    assert isinstance(failure, KeyError)
    assert [item.index for item in items] == [0, 1, 2]


async def test_a_source_that_waits_for_what_is_cancelled() -> None:
    """That is an error of the source: the batch does not end as if it were done."""

    async def source() -> AsyncIterator[dict[str, Any]]:
        yield {"n": 1}
        await cancelled_elsewhere()

    async with run_batch(Works(), source()) as batch:
        items, failure = await until_failure(batch)
    assert [item.state for item in items] == [State.SUCCEEDED]
    assert isinstance(failure, UsageError)
    assert "was cancelled" in str(failure)


async def cancelled_elsewhere() -> None:
    """Wait for something that is cancelled."""
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


async def test_a_work_that_waits_for_what_is_cancelled() -> None:
    """Its row may have run or not; nothing says that the batch was left."""

    async def work(row: Row, **_: Any) -> None:
        await cancelled_elsewhere()

    (item,) = await collect(run_batch(work, rows(1)))  # type: ignore[arg-type]
    assert item.state is State.UNKNOWN
    assert str(item.error) == "the work was cancelled while the row was being started"


async def test_a_work_that_returns_no_outcome() -> None:
    """Its row failed, and says why; what it did is not done again."""

    async def work(row: Row, **_: Any) -> str:
        return "done"

    items = await collect(run_batch(work, rows(2)))  # type: ignore[arg-type]
    assert [item.state for item in items] == [State.FAILED] * 2
    assert isinstance(items[0].error, UsageError)
    assert "not str" in str(items[0].error)


async def test_an_outcome_of_another_class() -> None:
    """What has all of its parts will do."""

    async def work(row: Row, **_: Any) -> Any:
        return SimpleNamespace(**attrs.asdict(result(row)))

    (item,) = await collect(run_batch(work, rows(1)))
    assert item.state is State.SUCCEEDED


async def test_a_work_that_ends_the_program() -> None:
    """What is no Exception is raised by the loop."""

    class Enough(BaseException):
        pass

    with pytest.raises(Enough):
        await collect(run_batch(Works(do={1: Enough()}), rows(3), concurrency=1))


async def test_a_graceful_stop(until: Until) -> None:
    """What runs goes on to its end, and nothing more is started."""
    gate = asyncio.Event()
    work = Works(gate=gate)
    async with run_batch(work, rows(100), concurrency=4) as batch:
        await until(lambda: work.running == 4)
        batch.stop()
        batch.stop()
        gate.set()
        items = [item async for item in batch]
    assert [item.state for item in items] == [State.SUCCEEDED] * 4
    assert len(work.calls) == 4


async def test_a_stop_while_the_next_row_is_waited_for(until: Until) -> None:
    """The iterable is not waited for any longer."""
    closed = asyncio.Event()

    async def slow() -> AsyncIterator[dict[str, Any]]:
        try:
            yield {"n": 0}
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with run_batch(Works(), slow()) as batch:
        await anext(batch)
        batch.stop()
        assert [item async for item in batch] == []
    assert closed.is_set()


async def test_a_stop_ends_rows_that_wait_for_another_try(until: Until) -> None:
    """They end with what they ended in; nothing of them runs."""
    busy = TooManyRequests("busy", retry_after=600.0)
    work = Works(do={0: [busy]})
    async with run_batch(work, rows(9)) as batch:
        await until(lambda: any(r.is_resting for r in batch._runner._runs.values()))
        batch.stop()
        items = [item async for item in batch]
    assert [i.error for i in items if i.index == 0] == [busy]


async def test_a_hard_stop(until: Until) -> None:
    """Works are cancelled; their items tell that their runs may not have ended."""

    async def at_once(row: Any) -> None:
        await asyncio.Event().wait()

    work = Works(gate=asyncio.Event(), do={"0": AfterStart(ValueError())})
    work.do["1"] = at_once
    async with run_batch(work, rows(100), concurrency=2) as batch:
        await until(lambda: work.running == 2)
        batch.abort()
        items = [item async for item in batch]
    assert sorted(work.cancelled) == ["0", "1"]
    for item in items:
        assert item.state is State.RUNNING
        assert isinstance(item.error, errors.RunInterrupted)
        assert item.error.run_id == f"run-{item.key}"


async def test_a_hard_stop_before_a_run_is_known(until: Until) -> None:
    """Nobody knows whether it began."""

    async def work(row: Any, *, known: Any, started: Any) -> RunResult:
        await asyncio.Event().wait()
        return RunResult()

    async with run_batch(work, rows(1)) as batch:
        await until(lambda: batch.progress.running)
        await asyncio.sleep(0)
        batch.abort()
        items = [item async for item in batch]
    assert [item.state for item in items] == [State.UNKNOWN]


async def test_rows_that_had_not_begun_are_left_by_a_hard_stop(until: Until) -> None:
    """Their work is not called."""
    work = Works()
    async with run_batch(work, rows(5)) as batch:
        await until(lambda: batch._runner._runs)
        batch.abort()
        assert [item async for item in batch] == []
    assert work.calls == []


async def test_a_work_that_ends_well_although_it_was_cancelled(until: Until) -> None:
    """Its result is not lost."""

    async def stubborn(row: Any, *, known: Any, started: Any) -> RunResult:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return result(row)

    async with run_batch(stubborn, rows(1)) as batch:
        await until(lambda: batch.progress.running)
        await asyncio.sleep(0)
        batch.abort()
        items = [item async for item in batch]
    assert [item.state for item in items] == [State.SUCCEEDED]


async def test_a_batch_that_is_left_early(until: Until) -> None:
    """Its works are cancelled before ``async with`` is left."""
    work = Works(gate=asyncio.Event(), do={})
    async with run_batch(work, rows(100), concurrency=3) as batch:
        await until(lambda: work.running == 3)
    assert len(work.cancelled) == 3
    assert work.running == 0
    assert [item async for item in batch] != []  # what was known of them at the end


async def test_leaving_that_is_cancelled(until: Until) -> None:
    """It waits for the works all the same, and is cancelled then."""
    ended = asyncio.Event()
    entered = asyncio.Event()

    async def slow_to_end(row: Any, *, known: Any, started: Any) -> RunResult:
        try:
            await asyncio.Event().wait()
        finally:
            entered.set()
            await asyncio.sleep(0.05)
            ended.set()
        return RunResult()

    async def leave() -> None:
        async with run_batch(slow_to_end, rows(1)) as batch:
            await until(lambda: batch.progress.running)
            await asyncio.sleep(0)

    task = asyncio.create_task(leave())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


# -- usage -----------------------------------------------------------------------------


async def test_a_batch_is_entered_once_and_first() -> None:
    """Before that there is nothing to iterate, and no second time."""
    batch = run_batch(Works(), rows(1))
    assert repr(batch) == "<Batch, not begun>"
    with pytest.raises(UsageError, match="enter the batch first"):
        await anext(batch)
    await collect(batch)
    assert repr(batch) == "<Batch done=1 running=0>"
    with pytest.raises(UsageError, match="entered once"):
        await batch.__aenter__()


async def test_batch_that_is_left_at_once() -> None:
    """No row of it is read, be there ever so many."""
    numbers = count()
    work = Works()
    async with asyncio.timeout(10), run_batch(work, ({"n": n} for n in numbers)):
        pass
    assert work.calls == []
    assert next(numbers) == 0


async def test_two_tasks_that_iterate() -> None:
    """The second one is told."""
    async with run_batch(Works(gate=asyncio.Event()), rows(1)) as batch:
        first = asyncio.ensure_future(anext(batch))
        await asyncio.sleep(0)
        with pytest.raises(StreamBusy):
            await anext(batch)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("concurrency", 0),
        ("concurrency", 1.5),
        ("attempts", 0),
        ("max_failures", 0),
        ("rate", "fast"),
    ],
)
def test_wrong_options(option: str, value: Any) -> None:
    """They are told when the batch is made."""
    with pytest.raises(ConfigurationError):
        run_batch(Works(), [], **{option: value})


# -- numbers ---------------------------------------------------------------------------


async def test_progress_and_summary() -> None:
    """They count what came out; the number of rows is known where they have a length."""
    work = Works(do={1: BadRequest("no")})
    batch = run_batch(work, rows(4), concurrency=2)
    await collect(batch)
    progress = batch.progress
    assert (progress.total, progress.read, progress.done) == (4, 4, 4)
    assert (progress.succeeded, progress.failed, progress.running) == (3, 1, 0)
    assert progress.seconds_left == 0
    summary = batch.summary
    assert (summary.rows, summary.attempts, summary.tokens) == (4, 4, 9)
    assert summary.states == {State.SUCCEEDED: 3, State.REFUSED: 1}
    seconds = summary.seconds
    await asyncio.sleep(0.01)
    assert batch.summary.seconds == seconds


async def test_the_number_of_rows_may_be_told() -> None:
    """Of an iterable that has no length."""
    async with run_batch(Works(), iter(rows(2)), total=2) as batch:
        assert batch.progress.total == 2
    async with run_batch(Works(), iter(rows(2))) as batch:
        assert batch.progress.total is None


async def test_on_progress_is_called_now_and_then() -> None:
    """At the beginning, every half second, and at the end, when the numbers are final."""
    told: list[Progress] = []

    async def slow(row: Any) -> None:
        await asyncio.sleep(0.7)

    work = Works(do={0: slow})
    await collect(run_batch(work, rows(3), on_progress=told.append))
    assert len(told) == 3
    assert [p.done for p in told] == [0, 2, 3]


async def test_a_hook_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and changes nothing."""

    def broken(progress: Progress) -> None:
        msg = "of the program"
        raise ValueError(msg)

    with caplog.at_level(logging.ERROR):
        items = await collect(run_batch(Works(), rows(2), on_progress=broken))
    assert len(items) == 2
    assert "on_progress failed" in caplog.text
