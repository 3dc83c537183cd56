"""What a journal tells and keeps, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio

from decimal import Decimal
from pathlib import Path

import attrs
import pytest
import sqlalchemy as sa

from dify_workflow_async.batch._values import Record, Row, State, Verdict, Wish
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.batch.journal._process import Process
from dify_workflow_async.batch.journal._schema import OWNERS
from dify_workflow_async.batch.journal._writer import alone
from dify_workflow_async.errors import (
    ConfigurationError,
    InvalidInputs,
    JournalMismatch,
    JournalUnavailable,
    LeaseLost,
    UsageError,
)
from dify_workflow_async.models import RunRef


REF = RunRef(workflow_run_id="run", task_id="task", user="ann")


def end(row: Row, state: State = State.SUCCEEDED, **values) -> Record:
    """How a row ended."""
    return Record(key=row.key, digest=row.digest, state=state, **values)


async def verdicts(journal: Journal, rows: list[Row], **options) -> list[Verdict]:
    """What a journal says of rows."""
    return [claim.verdict for claim in await journal.offer(rows, **options)]


# -- the life of a row ---------------------------------------------------------------


async def test_new_rows_are_claimed(journal, rows):
    """They are to be run, and are started from then on."""
    claims = await journal.offer(rows)

    assert [claim.verdict for claim in claims] == [Verdict.RUN] * 5
    assert [claim.row for claim in claims] == rows
    assert {claim.record.state for claim in claims} == {State.STARTED}
    assert claims[0].record.attempts == 1
    assert claims[0].record.started_at.tzinfo is not None
    assert await journal.counts() == {State.STARTED: 5}


async def test_what_is_asked_is_all_answered(journal):
    """Nothing, and more than goes into one transaction, come back in order."""
    rows = [Row(index=i, key=str(i), inputs={}) for i in range(1234)]

    assert await journal.offer([]) == []
    claims = await journal.offer(rows)

    assert [claim.row.key for claim in claims] == [str(i) for i in range(1234)]
    assert all(claim.verdict is Verdict.RUN for claim in claims)
    assert [record.key async for record in journal.records()] == [
        str(i) for i in range(1234)
    ]


async def test_ended_row_is_told_as_it_was_kept(journal, opened, rows):
    """Everything that was written of it comes back, to another owner, too."""
    record = end(
        rows[0],
        ref=REF,
        status="partial-succeeded",
        outputs={"text": "ünï\u2028\0", "list": [1, 2.5, None, {"a": True}]},
        elapsed_time=1.25,
        total_tokens=321,
        total_price=Decimal("0.0001230"),
        currency="USD",
    )
    (claim,) = await journal.offer(rows[:1])
    await journal.known(rows[0], REF)
    await journal.finish(record)

    for each in (journal, await opened()):
        (again,) = await each.offer(rows[:1])
        assert again.verdict is Verdict.DONE
        kept = again.record
        assert kept.started_at == claim.record.started_at
        assert kept.finished_at >= kept.started_at
        told = {"attempts": 0, "started_at": None, "finished_at": None}
        assert attrs.evolve(kept, **told) == record
        assert kept.attempts == 1


async def test_errors_with_odd_characters_are_kept(journal, rows):
    """What a database cannot keep is replaced; nothing raises."""
    odd = attrs.evolve(rows[0], key="a\0\ud800")
    await journal.offer([odd])
    await journal.finish(
        end(odd, State.FAILED, error_type="RunFailed", error="\0 and \udfff")
    )

    (claim,) = await journal.offer([odd])

    assert claim.verdict is Verdict.DONE
    assert claim.record.error == "\N{REPLACEMENT CHARACTER} and ?"
    assert claim.record.key == "a\N{REPLACEMENT CHARACTER}?"


async def test_numbers_that_no_database_holds(journal, rows):
    """Absurd token counts are not kept, and everything else is."""
    await journal.offer(rows[:1])
    await journal.finish(end(rows[0], total_tokens=2**70, status="succeeded"))

    (record,) = await journal.look(rows[:1])

    assert record.status == "succeeded"
    assert record.total_tokens is None


async def test_changed_inputs_are_a_new_row(journal, rows):
    """The same key with another digest is run."""
    await journal.offer(rows[:1])
    await journal.finish(end(rows[0]))
    changed = attrs.evolve(rows[0], digest="f" * 64)

    assert await verdicts(journal, [rows[0], changed]) == [Verdict.DONE, Verdict.RUN]


async def test_what_we_hold_is_held_for_us_too(journal, rows):
    """Neither a second offer nor a row twice in one offer is run twice."""
    first = await verdicts(journal, [rows[0], rows[0]])

    assert first == [Verdict.RUN, Verdict.HELD]
    assert await verdicts(journal, rows[:1]) == [Verdict.HELD]
    await journal.known(rows[0], REF)
    assert await verdicts(journal, rows[:1]) == [Verdict.HELD]


@pytest.mark.parametrize(
    ("state", "again"),
    [
        (State.SUCCEEDED, Verdict.DONE),
        (State.FAILED, Verdict.DONE),
        (State.STOPPED, Verdict.DONE),
        (State.PAUSED, Verdict.DONE),
        (State.REFUSED, Verdict.RUN),
        (State.UNKNOWN, Verdict.UNKNOWN),
    ],
)
async def test_ends(journal, rows, state, again):
    """What was refused is run again; all else only when it is asked for."""
    await journal.offer(rows[:1])
    await journal.finish(end(rows[0], state, error="why"))

    assert await verdicts(journal, rows[:1]) == [again]
    if again is not Verdict.RUN:
        assert await verdicts(journal, rows[:1], rerun={state}) == [Verdict.RUN]
    (record,) = await journal.look(rows[:1])
    assert record.state is State.STARTED
    assert record.error is None
    assert record.attempts == 2


# -- giving back ---------------------------------------------------------------------


@pytest.mark.parametrize("before", [State.FAILED, State.UNKNOWN, State.REFUSED])
async def test_released_row_is_as_it_was(journal, rows, before):
    """A claim that came to nothing leaves the row's last end."""
    await journal.offer(rows[:1])
    await journal.finish(end(rows[0], before, ref=REF, error="why"))
    (was,) = await journal.look(rows[:1])
    await journal.offer(rows[:1], rerun={before})

    await journal.release(rows[0])

    (now,) = await journal.look(rows[:1])
    assert now.state is before
    assert (now.error, now.ref) == ("why", REF)
    assert now.finished_at == was.finished_at


async def test_released_new_row_is_pending(journal, rows):
    """It is run by whoever offers it next."""
    await journal.offer(rows[:1])

    await journal.release(rows[0])
    await journal.release(rows[0])  # not ours any more: nothing happens

    assert await journal.counts() == {State.PENDING: 1}
    assert await verdicts(journal, rows[:1]) == [Verdict.RUN]


async def test_released_running_row_is_recovered(journal, opened, rows):
    """Whoever offers it next finds its run again, and nobody else does."""
    await journal.offer(rows[:1])
    await journal.known(rows[0], REF)
    await journal.release(rows[0])
    other = await opened()

    (claim,) = await other.offer(rows[:1])

    assert claim.verdict is Verdict.RECOVER
    assert claim.record.ref == REF
    assert claim.record.attempts == 2
    assert await verdicts(journal, rows[:1]) == [Verdict.HELD]
    await other.finish(end(rows[0], ref=REF))
    assert await verdicts(journal, rows[:1]) == [Verdict.DONE]


async def test_row_that_is_not_ours(journal, opened, rows):
    """Nothing can be written of it, and the error names it."""
    await journal.offer(rows[:1])
    other = await opened()

    for write in (other.known(rows[0], REF), other.finish(end(rows[0]))):
        with pytest.raises(LeaseLost, match="'k0'"):
            await write
    await other.release(rows[0])

    assert await journal.counts() == {State.STARTED: 1}


async def test_one_bad_write_among_many(journal, rows):
    """Outputs that are no JSON are refused where they come from."""
    await journal.offer(rows)
    outcomes = await asyncio.gather(
        *(journal.finish(end(row, outputs={"n": row.index})) for row in rows[:4]),
        journal.finish(end(rows[4], outputs={"n": object()})),
        return_exceptions=True,
    )

    assert outcomes[:4] == [None] * 4
    assert isinstance(outcomes[4], InvalidInputs)
    assert await journal.counts() == {State.STARTED: 1, State.SUCCEEDED: 4}


# -- owners --------------------------------------------------------------------------


async def test_rows_of_a_journal_that_closed(journal, opened, rows):
    """What has a run is found again, what may have one is unknown, nothing waits."""
    await journal.offer(rows[:3])
    await journal.known(rows[1], REF)
    await journal.finish(end(rows[2]))
    await journal.aclose()
    other = await opened()

    claims = await other.offer(rows[:4])

    assert [claim.verdict for claim in claims] == [
        Verdict.UNKNOWN,
        Verdict.RECOVER,
        Verdict.DONE,
        Verdict.RUN,
    ]
    unknown = claims[0].record
    assert (unknown.state, unknown.error_type) == (State.UNKNOWN, "RunStateUnknown")
    assert unknown.ref is None
    assert (await other.look(rows[:1]))[0] == unknown


async def test_unknown_row_is_run_when_that_is_wanted(journal, opened, rows):
    """It is claimed at once, in the offer that finds it."""
    await journal.offer(rows[:1])
    await journal.aclose()
    other = await opened()

    assert await verdicts(other, rows[:1], rerun={State.UNKNOWN}) == [Verdict.RUN]


async def test_two_owners_never_both_run_a_row(opened):
    """Of rows that two offer at the same time each goes to one of them."""
    one, two = await opened(), await opened()
    rows = [Row(index=i, key=str(i), inputs={}) for i in range(300)]

    async def offers(journal: Journal, rows: list[Row]) -> list[Verdict]:
        claims = await asyncio.gather(*(journal.offer([row]) for row in rows))
        return [claim.verdict for (claim,) in claims]

    first, second = await asyncio.gather(
        offers(one, rows), offers(two, list(reversed(rows)))
    )

    second.reverse()
    for pair in zip(first, second, strict=True):
        assert set(pair) == {Verdict.RUN, Verdict.HELD}


async def test_cancelled_offer_claims_nothing(journal, opened, rows):
    """Rows that nobody was told of are free again."""
    offering = asyncio.create_task(journal.offer([*rows, rows[0]]))
    await asyncio.sleep(0)  # now it is asked, and not answered
    offering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await offering

    # If they were claimed, they are given back as soon as the journal can.
    while (counts := await journal.counts()) == {State.STARTED: 5}:
        pass
    assert counts in ({}, {State.PENDING: 5})
    other = await opened()
    assert await verdicts(other, rows) == [Verdict.RUN] * 5


async def test_cancelled_offer_of_a_journal_that_closes(journal, opened, rows):
    """What was claimed for nobody is given back before the journal is closed."""
    offering = asyncio.create_task(journal.offer(rows))
    await asyncio.sleep(0)
    offering.cancel()
    await journal.aclose()
    other = await opened()

    assert await verdicts(other, rows, rerun={State.UNKNOWN}) == [Verdict.RUN] * 5


async def test_cancelled_end_is_written(journal, rows):
    """A result that is there is kept, whatever becomes of who brought it."""
    await journal.offer(rows[:1])
    finishing = asyncio.create_task(journal.finish(end(rows[0])))
    await asyncio.sleep(0)
    finishing.cancel()

    assert await journal.counts() == {State.SUCCEEDED: 1}


# -- rows that are put in and taken --------------------------------------------------


async def test_rows_are_taken_as_they_were_put_in(journal, opened, rows):
    """In their order, with their inputs, each by one taker."""
    records = await journal.add(rows, batch="b")
    one, two = await opened(), await opened()
    first, second = await one.take(2, batch="b"), await two.take(9, batch="b")

    assert [record.state for record in records] == [State.PENDING] * 5
    assert [claim.row for claim in first] == rows[:2]
    assert [claim.row for claim in second] == rows[2:]
    assert {claim.verdict for claim in first + second} == {Verdict.RUN}
    assert await one.take(2, batch="b") == []


async def test_leftovers_of_another_batch_are_not_taken(journal, rows):
    """Only rows that somebody wants now are run."""
    await journal.add(rows[:3], batch="old")
    await journal.add(rows[2:], batch="new")

    assert [c.row.key for c in await journal.take(9, batch="new")] == ["k2", "k3", "k4"]
    assert [c.row.key for c in await journal.take(9, batch="old")] == ["k0", "k1"]


async def test_taker_finds_the_rows_of_one_that_is_gone(journal, opened, rows):
    """Known runs are found again first; what is unknown, or was left, is nobody's."""
    await journal.add(rows, batch="b")
    gone = await opened()
    await gone.take(3, batch="b")
    await gone.known(rows[1], REF)
    await gone.known(rows[2], REF)
    await gone.release(rows[2])
    await gone.aclose()

    claims = await journal.take(9, batch="b")

    assert [(claim.row.key, claim.verdict) for claim in claims] == [
        ("k1", Verdict.RECOVER),
        ("k3", Verdict.RUN),
        ("k4", Verdict.RUN),
    ]
    states = [record and record.state for record in await journal.over(rows)]
    assert states == [State.UNKNOWN, None, State.RUNNING, None, None]


async def test_unknown_rows_are_taken_when_that_is_wanted(journal, opened, rows):
    """They count among the others."""
    await journal.add(rows, batch="b")
    gone = await opened()
    await gone.take(2, batch="b")
    await gone.aclose()

    claims = await journal.take(3, batch="b", rerun={State.UNKNOWN})

    assert [claim.row.key for claim in claims] == ["k0", "k1", "k2"]
    assert {claim.verdict for claim in claims} == {Verdict.RUN}
    assert claims[0].record.attempts == 2


async def test_rows_are_put_in_again(journal, rows):
    """Ended rows are told, refused ones and those to be rerun are pending again."""
    await journal.offer(rows[:4])
    await journal.finish(end(rows[0]))
    await journal.finish(end(rows[1], State.FAILED))
    await journal.finish(end(rows[2], State.REFUSED))

    records = await journal.add(rows, batch="b", rerun={State.FAILED})

    assert [record.state for record in records] == [
        State.SUCCEEDED,
        State.PENDING,
        State.PENDING,
        State.STARTED,
        State.PENDING,
    ]
    assert [c.row for c in await journal.take(9, batch="b")] == [
        rows[1],
        rows[2],
        rows[4],
    ]


async def test_rows_that_are_withdrawn(journal, opened, rows):
    """Nobody takes them any more; what was begun goes on."""
    await journal.add(rows, batch=journal.token)
    taker = await opened()
    await taker.take(2, batch=journal.token)

    await journal.withdraw()

    assert await taker.take(9, batch=journal.token) == []
    states = [record and record.state for record in await journal.over(rows)]
    assert states == [None, None, *[State.PENDING] * 3]


async def test_wishes(journal, opened):
    """Takers hear what is to become of a batch, until whoever put it in is gone."""
    taker = await opened()
    assert await taker.wished(journal.token) is None  # there is none yet
    for wish in Wish:
        await journal.wish(wish)
        assert await taker.wished(journal.token) is wish
    await journal.aclose()
    assert await taker.wished("another") is None


async def test_wishes_of_one_that_was_taken_for_gone(journal, opened):
    """It says them again when it is back."""
    taker = await opened()
    await journal.wish(Wish.ABORT)
    strike = sa.delete(OWNERS).where(OWNERS.c.token == journal.token)
    await taker._open.ask(alone, lambda connection: connection.execute(strike))
    assert await taker.wished(journal.token) is None
    await journal.beat()
    assert await taker.wished(journal.token) is Wish.ABORT


async def test_wish_to_abort_outlives_who_had_it(journal, opened, monkeypatch):
    """All takers can see it for the time of a lease, also if its process has ended."""
    taker = await opened()
    await journal.wish(Wish.ABORT)
    await journal.aclose()
    monkeypatch.setattr(Process, "has_ended", lambda _: True)
    await taker.take(1, batch="another")  # which strikes those who are gone
    assert await taker.wished(journal.token) is Wish.ABORT

    lapse = sa.update(OWNERS).values(expires_at=0)
    await taker._open.ask(alone, lambda connection: connection.execute(lapse))
    await taker.take(1, batch="another")
    assert await taker.wished(journal.token) is None


async def test_wish_to_abort_of_one_that_holds_rows(journal, opened, rows):
    """It is struck when it leaves: its rows are free."""
    other = await opened()
    await journal.offer(rows[:1])
    await journal.known(rows[0], REF)
    await journal.wish(Wish.ABORT)
    await journal.aclose()
    assert [c.verdict for c in await other.offer(rows[:1])] == [Verdict.RECOVER]


async def test_inputs_that_are_no_json(journal, rows):
    """They cannot be put in, and nothing else is."""
    bad = attrs.evolve(rows[1], inputs={"query": object()})

    with pytest.raises(InvalidInputs, match="query: object"):
        await journal.add([rows[0], bad], batch="b")

    assert await journal.counts() == {}


# -- reading -------------------------------------------------------------------------


async def test_totals(journal, rows):
    """Tokens and prices are added up, prices as decimals and by currency."""
    assert (await journal.totals()).started_at is None
    await journal.offer(rows)
    costs = [
        {"total_price": Decimal("0.1"), "currency": "USD"},
        {"total_price": Decimal("0.2"), "currency": "USD"},
        {"total_price": Decimal("0.2")},
        {},
        {"currency": "EUR"},
    ]
    for row, cost in zip(rows, costs, strict=True):
        await journal.finish(end(row, total_tokens=10, **cost))

    totals = await journal.totals()

    assert totals.counts == {State.SUCCEEDED: 5}
    assert totals.tokens == 50
    assert totals.prices == {"USD": Decimal("0.3"), "": Decimal("0.2")}
    assert totals.finished_at >= totals.started_at


async def test_records_by_state(journal, rows):
    """Only those that are wanted."""
    await journal.offer(rows)
    await journal.finish(end(rows[3], State.FAILED))
    await journal.finish(end(rows[1]))

    wanted = {State.FAILED, State.SUCCEEDED}
    assert [record.key async for record in journal.records(wanted)] == ["k1", "k3"]
    assert [r.key async for r in journal.records({State.STOPPED})] == []


async def test_looking_claims_nothing(journal, rows):
    """What is not in is None; what is in stays free."""
    await journal.add(rows[:1], batch="b")

    found = await journal.look(rows[:2])

    assert (found[0].state, found[1]) == (State.PENDING, None)
    assert await verdicts(journal, rows[:1]) == [Verdict.RUN]


# -- opening -------------------------------------------------------------------------


async def test_binding(journal, opened):
    """The first one is kept; another one is refused, and told."""
    await journal.bind({"base_url": "http://a", "user": "ann"})
    other = await opened()
    await other.bind({"user": "ann", "base_url": "http://a"})

    with pytest.raises(JournalMismatch, match="user is ann there, and bob here") as it:
        await other.bind({"base_url": "http://a", "user": "bob"})

    assert it.value.differences == {"user": ("ann", "bob")}
    assert await other.binding() == {"base_url": "http://a", "user": "ann"}


async def test_binding_to_more_than_there_is(journal):
    """What is not set there differs, too."""
    await journal.bind({"user": "ann"})

    with pytest.raises(JournalMismatch, match="workflow is not set there"):
        await journal.bind({"user": "ann", "workflow": "w"})


async def test_many_open_at_once(where):
    """One makes the tables, and all use them."""

    async def use(i: int) -> None:
        async with Journal.open(where) as journal:
            await journal.offer([Row(index=i, key=str(i), inputs={})])

    await asyncio.gather(*(use(i) for i in range(8)))

    async with Journal.open(where) as journal:
        assert await journal.counts() == {State.STARTED: 8}


async def test_nothing_is_made_where_that_is_not_wanted(where):
    """A journal that is only read must be there."""
    for _ in range(2):
        with pytest.raises(JournalUnavailable, match="no journal"):
            async with Journal.open(where, create=False):
                pass
    assert not await asyncio.to_thread(Path(where).exists)
    async with Journal.open(where):
        pass
    async with Journal.open(where, create=False) as journal:
        assert await journal.counts() == {}


async def test_use_outside(where, rows):
    """It is opened once, used in between, and closed as often as one likes."""
    journal = Journal.open(where)
    assert Journal.open(journal) is journal
    with pytest.raises(UsageError, match="async with"):
        await journal.counts()
    await journal.aclose()
    async with journal:
        with pytest.raises(UsageError, match="once"):
            await journal.__aenter__()
    await journal.aclose()

    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.offer(rows)


def test_settings_that_cannot_work(where):
    """A heartbeat must come within the lease."""
    for lease, heartbeat in ((1, 1), (1, 2), (1, 0), (-1, -2)):
        with pytest.raises(ConfigurationError, match="heartbeat"):
            Journal.open(where, lease=lease, heartbeat=heartbeat)
