"""What a batch tells its journal, and makes of what that tells."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any

import pytest

from dify_workflow_async.batch import Claim, Row, State, Verdict, _held, run_batch
from dify_workflow_async.batch._rows import digest_of
from dify_workflow_async.errors import (
    BadRequest,
    InvalidInputs,
    JournalUnavailable,
    LeaseLost,
    RunFailed,
    RunInterrupted,
    RunStateUnknown,
    RunStopped,
    TooManyRequests,
)
from dify_workflow_async.models import RunRef, RunResult

from ._fakes import (
    AfterStart,
    Kept,
    MemoryJournal,
    Works,
    collect,
    ref,
    rows,
    until_failure,
)


Until = Callable[[Callable[[], object]], Awaitable[None]]

GONE = JournalUnavailable("the disk is full")


def batch(work: Any, journal: MemoryJournal, n: Any = 3, **options: Any) -> Any:
    """A batch whose rows are known by their numbers."""
    given = rows(n) if isinstance(n, int) else n
    options.setdefault("key", "n")
    return run_batch(work, given, journal=journal, **options)


async def test_each_step_of_a_row_is_kept() -> None:
    """Started before its work, running when its run is known, and its end before the item."""
    journal = MemoryJournal()
    seen: list[State] = []

    async def look(row: Row) -> None:
        seen.append(journal.of(row.key).state)

    async with batch(Works(do={0: look}), journal, 1, binding={"a": "b"}) as run:
        item = await anext(run)
        assert journal.of("0").state is State.SUCCEEDED
    assert seen == [State.RUNNING]
    assert journal.bound == {"a": "b"}
    record = journal.of("0")
    assert (record.ref, record.status) == (ref("0"), "succeeded")
    assert record.outputs == {"echo": {"n": 0}}
    assert item.record is None


async def test_a_batch_goes_on_where_it_ended() -> None:
    """Rows that ended are not run again, and come out only if asked for."""
    journal = MemoryJournal()
    failed = RunFailed(RunResult(status="failed", error="boom", workflow_run_id="r"))
    await collect(batch(Works(do={1: failed}), journal))
    work = Works()
    second = batch(work, journal, 4)
    items = await collect(second)
    assert [item.key for item in items] == ["3"]
    assert work.calls == ["3"]
    assert second.progress.skipped == 3

    again = batch(Works(), journal, 4, replay=True, ordered=True)
    items = await collect(again)
    assert [item.state for item in items] == [
        State.SUCCEEDED,
        State.FAILED,
        State.SUCCEEDED,
        State.SUCCEEDED,
    ]
    assert [item.attempts for item in items] == [0] * 4
    assert items[1].record.error_type == "RunFailed"
    assert again.summary.rows == 0
    assert again.progress.seconds_left is None


async def test_failed_rows_are_run_again_if_asked_for() -> None:
    """And so are those that were stopped; those that were refused are in any case."""
    journal = MemoryJournal()
    ended = RunResult(status="failed")
    stopped = RunStopped(RunResult(status="stopped"))
    do = {0: RunFailed(ended), 1: stopped, 2: BadRequest("no")}
    await collect(batch(Works(do=do), journal))
    assert journal.states == {State.FAILED: 1, State.STOPPED: 1, State.REFUSED: 1}
    work = Works()
    await collect(batch(work, journal))
    assert work.calls == ["2"]
    work = Works()
    await collect(batch(work, journal, rerun_failed=True))
    assert sorted(work.calls) == ["0", "1"]
    assert journal.states == {State.SUCCEEDED: 3}


async def killed(until: Until, **do: Any) -> MemoryJournal:
    """A journal whose process died when rows 0 and 1 ran: 0 was started, 1 known."""

    async def never(row: Row) -> None:
        await asyncio.Event().wait()

    async def work(row: Row, *, known: Any, started: Any) -> RunResult:
        if row.key == "1":
            await started(ref(row))
        await never(row)
        return RunResult()

    first = MemoryJournal()
    async with batch(work, first, 2) as run:
        await until(lambda: first.states == {State.STARTED: 1, State.RUNNING: 1})
        rows = {identity: Kept(kept.record) for identity, kept in first.rows.items()}
    del run
    return MemoryJournal(rows)


async def test_what_a_killed_process_left_behind(until: Until) -> None:
    """A known run is found again; a row that may have run is reported, every time."""
    journal = await killed(until)
    work = Works()
    items = await collect(batch(work, journal, ordered=True))
    assert work.known == [ref("1")]
    assert [item.state for item in items] == [
        State.UNKNOWN,
        State.SUCCEEDED,
        State.SUCCEEDED,
    ]
    assert isinstance(items[0].error, RunStateUnknown)
    assert items[0].record.key == "0"
    assert work.calls == ["1", "2"]

    (item,) = await collect(batch(Works(), journal))
    assert (item.key, item.state) == ("0", State.UNKNOWN)


async def test_unknown_rows_are_run_again_if_asked_for(until: Until) -> None:
    """Only then."""
    journal = await killed(until)
    await collect(batch(Works(), journal))
    work = Works()
    await collect(batch(work, journal, rerun_unknown=True))
    assert work.calls == ["0"]
    assert journal.of("0").state is State.SUCCEEDED


async def test_a_changed_row_is_a_new_row() -> None:
    """Under the same key, too."""
    journal = MemoryJournal()
    await collect(batch(Works(), journal, [{"n": 1, "text": "a"}]))
    work = Works()
    await collect(batch(work, journal, [{"n": 1, "text": "b"}]))
    assert work.calls == ["1"]
    assert len(journal.rows) == 2


async def test_equal_rows_without_a_key_are_rows_of_their_own() -> None:
    """Each is run once, in this pass and the next."""
    journal = MemoryJournal()
    given = [{"text": "same"}] * 3
    await collect(run_batch(Works(), given, journal=journal))
    work = Works()
    items = await collect(run_batch(work, [*given, *given], journal=journal))
    assert len(work.calls) == len(items) == 3


async def test_equal_rows_of_one_key_are_one_row() -> None:
    """It is run once, and both items tell how it ended."""
    gate = asyncio.Event()
    work = Works(gate=gate)
    asyncio.get_running_loop().call_later(0.05, gate.set)
    items = await collect(batch(work, MemoryJournal(), [{"n": 1}, {"n": 1}]))
    assert work.calls == ["1"]
    assert [item.state for item in items] == [State.SUCCEEDED] * 2
    assert [item.attempts for item in items] == [1, 0]


async def test_many_equal_rows_of_one_key(until: Until) -> None:
    """When the one that runs has ended, the others are told one after another, at once."""
    gate = asyncio.Event()
    work = Works(gate=gate)
    async with batch(work, MemoryJournal(), [{"n": 1}] * 500) as run:
        await until(lambda: len(run._runner._feed._held) == 499)
        gate.set()
        async with asyncio.timeout(20):  # ten at a time, in minutes if each time waited
            items = [item async for item in run]
    assert work.calls == ["1"]
    assert len(items) == 500


async def test_endless_equal_rows_of_one_key(
    until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait for the one that runs are bounded, too."""
    monkeypatch.setattr(_held, "_MOST", 20)
    gate, read = asyncio.Event(), count(1)

    def endless() -> Iterator[dict[str, int]]:
        for _ in read:
            yield {"n": 1}

    async with batch(Works(gate=gate), MemoryJournal(), endless()) as run:
        held = run._runner._feed._held
        await until(lambda: len(held) >= 20)
        await asyncio.sleep(0.05)
        assert next(read) <= 20 + 2 * 10 + 1
        gate.set()
        for _ in range(21):  # those that are read later have ended, and are skipped
            await anext(run)


async def test_a_row_that_another_process_has(until: Until) -> None:
    """It is asked for again and again, until it ends there; its slot is free meanwhile."""
    other = MemoryJournal()
    mine = MemoryJournal(other.rows)
    gate = asyncio.Event()
    async with batch(Works(gate=gate), other, 1) as theirs:
        await until(lambda: other.states == {State.RUNNING: 1})
        work = Works()
        async with batch(work, mine, 2, concurrency=1) as run:
            assert (await anext(run)).key == "1"
            await until(lambda: mine.called["offer"] >= 3)
            gate.set()
            await anext(theirs)
            item = await anext(run)
            assert (item.key, item.state) == ("0", State.SUCCEEDED)
            assert item.record == mine.of("0")
            assert [item async for item in run] == []
            assert run.summary.rows == 2
    assert work.calls == ["1"]


async def test_a_row_that_another_process_has_while_others_are_read(
    until: Until,
) -> None:
    """Its end is told although the rows that are read have no end."""
    other = MemoryJournal()
    gate = asyncio.Event()
    endless = ({"n": n} for n in count())
    async with batch(Works(gate=gate), other, 1) as theirs:
        await until(lambda: other.states == {State.RUNNING: 1})
        mine = MemoryJournal(other.rows)
        async with asyncio.timeout(10), batch(Works(), mine, endless) as run:
            assert (await anext(run)).key != "0"
            gate.set()
            await anext(theirs)
            while (await anext(run)).key != "0":
                pass


async def test_a_row_whose_other_process_dies(until: Until) -> None:
    """Its run is found again here, when there is a slot."""
    other = MemoryJournal()
    mine = MemoryJournal(other.rows)
    async with batch(Works(gate=asyncio.Event()), other, 1):
        await until(lambda: other.states == {State.RUNNING: 1})
        work = Works()
        async with batch(work, mine, 1) as run:
            await until(lambda: mine.called["offer"])
            other.die()
            item = await anext(run)
        assert (item.key, item.state) == ("0", State.SUCCEEDED)
        assert work.known == [ref("0")]
        other.rows.clear()  # there is nothing to give back


async def test_a_row_that_another_process_gives_back(until: Until) -> None:
    """It takes no turn of the rate while it is asked for, and one when it starts here."""
    other = MemoryJournal()
    mine = MemoryJournal(other.rows)
    row = Row(index=0, key="0", inputs={"n": 0}, digest=await digest_of({"n": 0}))
    await other.offer([row])
    work = Works()
    async with batch(work, mine, 1, rate="1/h") as run:
        pace, now = run._runner._pace, run._runner._now
        await until(lambda: mine.called["offer"] >= 2 and run._runner._feed._held)
        assert pace.wait(now()) == 0
        await other.release(row)
        assert (await anext(run)).state is State.SUCCEEDED
        assert pace.wait(now()) > 3_500
    assert work.calls == ["0"]


async def test_a_stop_leaves_what_others_have(until: Until) -> None:
    """It is theirs to end."""
    other = MemoryJournal()
    async with batch(Works(gate=asyncio.Event()), other, 1):
        await until(lambda: other.states == {State.RUNNING: 1})
        async with batch(Works(), MemoryJournal(other.rows), 1, ordered=True) as run:
            await until(lambda: run._runner._feed._held)
            run.stop()
            assert [item async for item in run] == []


async def test_rows_are_offered_together() -> None:
    """As many as were read while the journal was at work."""
    journal = MemoryJournal()

    async def slow() -> None:
        await asyncio.sleep(0.01)

    journal.before["offer"] = slow
    await collect(batch(Works(), journal, 100, concurrency=20))
    assert journal.called["offer"] < 30
    assert max(journal.offers) >= 10


async def test_skipped_rows_take_no_turn() -> None:
    """Ten thousand rows that ended are not passed by at five per second."""
    journal = MemoryJournal()
    await collect(batch(Works(), journal, 50))
    loop = asyncio.get_running_loop()
    began = loop.time()
    run = batch(Works(), journal, 52, rate="5/s")
    items = await collect(run)
    assert len(items) == 2
    assert loop.time() - began < 3


async def test_rows_claimed_before() -> None:
    """They are run, or found again, without an offer."""
    journal = MemoryJournal()
    offered = [
        Row(index=7, key="a", inputs={"n": 7}),
        Row(index=8, key="b", inputs={"n": 8}),
    ]
    started, known = await journal.offer(offered)
    await journal.known(offered[1], RunRef(workflow_run_id="r"))
    claims = [
        started,
        Claim(verdict=Verdict.RECOVER, record=journal.of("b"), row=known.row),
    ]
    work = Works()
    items = await collect(run_batch(work, claims, journal=journal))  # type: ignore[arg-type]
    assert sorted((item.key, item.index) for item in items) == [("a", 7), ("b", 8)]
    assert work.known == [RunRef(workflow_run_id="r")]
    assert journal.called["offer"] == 1
    assert journal.states == {State.SUCCEEDED: 2}


# -- stops -----------------------------------------------------------------------------


async def test_a_hard_stop_leaves_known_runs_to_the_next(until: Until) -> None:
    """They stay running, for whoever comes; what may have begun is unknown."""

    async def work(row: Row, *, known: Any, started: Any) -> RunResult:
        if row.key == "1":
            await started(ref(row))
        await asyncio.Event().wait()
        return RunResult()

    journal = MemoryJournal()
    async with batch(work, journal, 2) as run:
        await until(lambda: journal.states == {State.STARTED: 1, State.RUNNING: 1})
        await asyncio.sleep(0)
        run.abort()
        items = {item.key: item.state async for item in run}
    assert items == {"0": State.UNKNOWN, "1": State.RUNNING}
    assert journal.states == {State.UNKNOWN: 1, State.RUNNING: 1}
    assert all(kept.owner is None for kept in journal.rows.values())


async def test_rows_that_had_not_begun_are_given_back(until: Until) -> None:
    """Claims that a hard stop comes before are as if they had never been."""
    journal = MemoryJournal()
    work = Works()
    async with batch(work, journal, 3) as run:
        await until(lambda: run._runner._runs)
        run.abort()
        assert [item async for item in run] == []
    assert work.calls == []
    assert journal.states == {State.PENDING: 3}


async def test_rows_claimed_while_the_batch_is_stopped(until: Until) -> None:
    """They are given back: a stop starts no more."""
    journal = MemoryJournal()
    work = Works()
    async with batch(work, journal, 3) as run:

        async def stop() -> None:
            run.stop()

        journal.before["offer"] = stop
        assert [item async for item in run] == []
    assert work.calls == []
    assert journal.states == {State.PENDING: 3}


async def test_claims_that_cannot_be_given_back() -> None:
    """The others are, and what the journal said of rows that ended is given out."""
    journal = MemoryJournal()
    await collect(batch(Works(), journal, [{"n": 1}]))
    journal.failures["release"] = [GONE]
    async with batch(Works(), journal, 3, ordered=True, replay=True) as run:

        async def stop() -> None:
            run.stop()

        journal.before["offer"] = stop
        items, failure = await until_failure(run)
    assert failure is GONE
    assert [item.key for item in items] == ["1"]
    assert journal.states == {State.STARTED: 1, State.SUCCEEDED: 1, State.PENDING: 1}


async def test_rows_read_while_the_batch_is_stopped(until: Until) -> None:
    """They are not offered."""
    journal = MemoryJournal()
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        asked.set()
        await go_on.wait()

    journal.before["offer"] = wait

    async def slow() -> Any:
        yield {"n": 0}
        await asked.wait()
        yield {"n": 1}

    async with batch(Works(), journal, slow(), ordered=True) as run:
        await until(lambda: asked.is_set() and run._runner._feed._ready)
        run.stop()
        go_on.set()
        assert [item async for item in run] == []
    assert [key for key, _ in journal.rows] == ["0"]


# -- tries -----------------------------------------------------------------------------


@pytest.mark.usefixtures("no_backoff")
async def test_a_row_is_tried_again_under_one_claim() -> None:
    """The journal counts one attempt, and hears of the last run."""
    journal = MemoryJournal()
    work = Works(do={0: [TooManyRequests("busy"), AfterStart(RunInterrupted("x"))]})
    (item,) = await collect(batch(work, journal, 1, may_run_twice=True))
    assert item.attempts == 3
    assert journal.of("0").attempts == 1
    assert journal.called["known"] == 2


@pytest.mark.usefixtures("no_backoff")
async def test_no_try_without_a_claim_that_is_sure() -> None:
    """Another process may have the row by now."""
    journal = MemoryJournal()
    journal.sure = False
    work = Works(do={0: [TooManyRequests("busy")]})
    (item,) = await collect(batch(work, journal, 1))
    assert (item.attempts, item.state) == (1, State.REFUSED)


async def test_a_run_whose_stream_is_lost() -> None:
    """It stays running in the journal: the next batch finds it again."""
    journal = MemoryJournal()
    known = AfterStart(RunInterrupted("lost", run_id="run-0"))
    work = Works(do={0: known, 1: RunInterrupted("lost", run_id="x", task_id="y")})
    items = await collect(batch(work, journal, 2))
    assert {item.state for item in items} == {State.RUNNING}
    assert journal.of("0").ref == ref("0")
    assert journal.of("1").ref == RunRef(workflow_run_id="x", task_id="y")
    work = Works()
    await collect(batch(work, journal, 2))
    assert len(work.known) == 2


# -- a journal that fails --------------------------------------------------------------


@pytest.mark.parametrize("call", ["known", "finish", "release"])
async def test_no_result_is_lost_when_the_journal_fails(call: str) -> None:
    """Rows that run are given out; no more are started, and the loop raises at its end."""
    journal = MemoryJournal(**{call: [GONE]})
    do = {0: AfterStart(RunInterrupted("lost", run_id="r"))}
    work = Works(do=do if call == "release" else {})
    async with batch(work, journal, 100, concurrency=2) as run:
        items, failure = await until_failure(run)
    assert failure is GONE
    assert len(items) == len(work.calls) < 10
    assert [item.result is None for item in items].count(True) == (call == "release")


async def test_a_journal_that_fails_in_a_way_of_its_own() -> None:
    """Whatever it raises, the row's item comes out."""
    journal = MemoryJournal(finish=[OverflowError("too large")])
    async with batch(Works(), journal, 1) as run:
        items, failure = await until_failure(run)
    assert [item.state for item in items] == [State.SUCCEEDED]
    assert isinstance(failure, OverflowError)


async def test_outputs_that_no_journal_can_keep() -> None:
    """The row fails, and is kept as failed; its item has the result."""
    journal = MemoryJournal(finish=[InvalidInputs(["echo.n: object is no JSON"])])
    (item,) = await collect(batch(Works(), journal, 1))
    assert (item.state, item.result.status) == (State.FAILED, "succeeded")
    record = journal.of("0")
    assert (record.state, record.error_type) == (State.FAILED, "InvalidInputs")
    assert (record.outputs, record.ref) == ({}, ref("0"))


async def test_a_journal_that_cannot_claim() -> None:
    """The rows are left as they are, and the loop raises."""
    journal = MemoryJournal(offer=[GONE])
    work = Works()
    async with batch(work, journal) as run:
        with pytest.raises(JournalUnavailable):
            await anext(run)
    assert work.calls == []


async def test_a_journal_of_another_batch() -> None:
    """Nothing is begun."""
    journal = MemoryJournal(bind=[GONE])
    work = Works()
    with pytest.raises(JournalUnavailable):
        await collect(batch(work, journal, binding={}))
    assert work.calls == []


async def test_a_claim_that_is_lost_when_the_run_begins() -> None:
    """The run is one too many: its work hears of it, and its item tells."""
    journal = MemoryJournal(known=[LeaseLost("0")])
    items = await collect(batch(Works(), journal, ordered=True))
    assert isinstance(items[0].error, LeaseLost)
    assert items[0].state is State.UNKNOWN
    assert [item.state for item in items[1:]] == [State.SUCCEEDED] * 2
    assert journal.called["finish"] == 2


async def test_a_claim_that_is_lost_when_the_run_ends() -> None:
    """The item has the result, and says that another process may have another."""
    journal = MemoryJournal(finish=[LeaseLost("0")])
    items = await collect(batch(Works(), journal, ordered=True))
    assert isinstance(items[0].error, LeaseLost)
    assert items[0].state is State.UNKNOWN
    assert items[0].result.outputs == {"echo": {"n": 0}}
    assert items[1].error is None
