"""Journals that several processes use, some of which die or are suspended."""

from __future__ import annotations

import asyncio
import signal

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sqlalchemy import event

from dify_workflow_async.batch._values import Record, State, Verdict
from dify_workflow_async.batch.journal import Journal, _process
from dify_workflow_async.errors import LeaseLost
from dify_workflow_async.models import RunRef

from ._peer import Peer, row_of


Starter = Callable[..., Awaitable[Peer]]
SHORT = {"lease": 1.0, "heartbeat": 0.2}  # others may have the processor for a while
LONG = {"lease": 60, "heartbeat": 10}


@pytest.fixture
async def start(where: str) -> AsyncIterator[Starter]:
    """Give a function that starts a process with the same journal."""
    peers: list[Peer] = []

    async def start_(**options: float) -> Peer:
        peers.append(await Peer.start(where, **options))
        return peers[-1]

    yield start_
    await asyncio.gather(*(peer.end() for peer in peers))


async def offered(journal: Journal, *keys: str) -> list[Verdict]:
    """What the journal says of rows."""
    return [claim.verdict for claim in await journal.offer([row_of(k) for k in keys])]


async def until_free(journal: Journal, key: str) -> Verdict:
    """Offer a row until nobody holds it, as a batch does."""
    async with asyncio.timeout(20):
        while True:
            (verdict,) = await offered(journal, key)
            if verdict is not Verdict.HELD:
                return verdict
            await asyncio.sleep(0.05)  # the journal of others tells nobody anything


async def test_rows_of_a_process_that_lives(start, opened):
    """They are held, and told as done when they are."""
    peer, journal = await start(**LONG), await opened(**LONG)
    assert await peer.do("offer", "a", "b") == ["run", "run"]

    assert await offered(journal, "a", "b", "c") == [
        Verdict.HELD,
        Verdict.HELD,
        Verdict.RUN,
    ]
    assert await peer.do("offer", "c") == ["held"]
    await peer.do("finish", "a")
    assert await offered(journal, "a") == [Verdict.DONE]


async def test_killed_process_is_gone_at_once(start, opened):
    """On the same machine nobody waits for its lease to end."""
    peer, journal = await start(**LONG), await opened(**LONG)
    await peer.do("offer", "a", "b", "c")
    await peer.do("known", "b")
    await peer.do("finish", "c")

    peer.process.send_signal(signal.SIGKILL)
    await peer.process.wait()

    assert await offered(journal, "a", "b", "c") == [
        Verdict.UNKNOWN,
        Verdict.RECOVER,
        Verdict.DONE,
    ]
    (record,) = await journal.look([row_of("b")])
    assert record.ref == RunRef(workflow_run_id="run-b")


async def test_killed_process_that_waits_to_be_reaped(start, opened):
    """A process whose parent has not heard of its death yet is dead all the same."""
    peer, journal = await start(**LONG), await opened(**LONG)
    await peer.do("offer", "a")

    peer.process.send_signal(signal.SIGKILL)

    assert await until_free(journal, "a") is Verdict.UNKNOWN


async def test_process_of_another_machine(start, opened, monkeypatch):
    """Nobody here can tell whether it lives, so its lease must end."""
    monkeypatch.setattr(_process, "_machine", lambda: "another")
    peer, journal = await start(**SHORT), await opened(**SHORT)
    await peer.do("offer", "a")
    peer.process.send_signal(signal.SIGKILL)
    await peer.process.wait()

    assert await offered(journal, "a") == [Verdict.HELD]
    assert await until_free(journal, "a") is Verdict.UNKNOWN


async def test_heartbeat_keeps_the_claims(start, opened):
    """For as long as it beats, however long a row takes."""
    peer, journal = await start(**SHORT), await opened(**SHORT)
    await peer.do("offer", "a")

    await asyncio.sleep(1.5 * SHORT["lease"])  # it is time itself that is tested

    assert await offered(journal, "a") == [Verdict.HELD]
    assert await peer.do("sure") is True


async def test_suspended_process_loses_its_claims_and_is_told(start, opened):
    """Who takes a row may work at it; who had it learns that with its next word."""
    peer, journal = await start(**SHORT), await opened(**SHORT)
    await peer.do("offer", "started", "running")
    await peer.do("known", "running")

    peer.process.send_signal(signal.SIGSTOP)
    assert await until_free(journal, "running") is Verdict.RECOVER
    assert await offered(journal, "started") == [Verdict.UNKNOWN]
    peer.process.send_signal(signal.SIGCONT)

    assert await peer.do("known", "started") == "lost started"
    assert await peer.do("finish", "running") == "lost running"
    assert await peer.do("offer", "running", "new") == ["held", "run"]
    await journal.finish(Record(key="running", digest="d", state=State.SUCCEEDED))
    assert await peer.do("offer", "running", "started") == ["done", "unknown"]


async def test_suspended_process_keeps_what_nobody_took(start, opened):
    """It was struck from the owners, and comes back with what is left."""
    peer, journal = await start(**SHORT), await opened(**SHORT)
    await peer.do("offer", "a", "b")

    peer.process.send_signal(signal.SIGSTOP)
    assert await until_free(journal, "a") is Verdict.UNKNOWN
    peer.process.send_signal(signal.SIGCONT)

    assert await peer.do("finish", "b") is None
    assert await peer.do("finish", "a") == "lost a"
    assert await offered(journal, "b") == [Verdict.DONE]


async def test_suspended_process_that_nobody_missed(start, opened):
    """Nothing was taken, and nothing is lost."""
    peer, journal = await start(**SHORT), await opened(**SHORT)
    await peer.do("offer", "a")

    peer.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(1.5 * SHORT["lease"])  # it is time itself that is tested
    peer.process.send_signal(signal.SIGCONT)

    assert await peer.do("finish", "a") is None
    assert await offered(journal, "a") == [Verdict.DONE]


async def test_sure_of_the_claims(start, opened):
    """Before any, and when no heartbeat came through, it is not."""
    journal = await opened(lease=0.3, heartbeat=0.2)
    assert not journal.is_sure
    await offered(journal, "a")
    assert journal.is_sure
    journal._beating.cancel()

    await asyncio.sleep(0.4)  # it is time itself that is tested

    assert not journal.is_sure


async def test_claims_lost_by_a_journal_of_ours(opened, caplog):
    """They are told of in the log, too."""
    silent, journal = await opened(lease=0.2, heartbeat=0.1), await opened()
    await silent.offer([row_of("a")])
    silent._beating.cancel()
    assert await until_free(journal, "a") is Verdict.UNKNOWN

    with pytest.raises(LeaseLost, match="'a'"):
        await silent.known(row_of("a"), RunRef(workflow_run_id="r"))

    assert "lost its claims on 1 rows" in caplog.text


@pytest.mark.postgresql
async def test_owner_that_beats_while_it_is_struck(postgresql):
    """Who comes back to life at the last moment keeps what it holds."""
    where = postgresql.new_database()
    silent, other = Journal.open(where, lease=0.2, heartbeat=0.1), Journal.open(where)
    async with silent, other:
        await silent.offer([row_of("a")])
        silent._beating.cancel()
        await asyncio.sleep(0.3)  # it is time itself that is tested

        def beat(connection, cursor, statement, *_) -> None:
            if statement.startswith("DELETE"):
                postgresql.execute(
                    where, "UPDATE dify_batch_owners SET expires_at = expires_at + 60"
                )

        engine = other._database._driver._engine.sync_engine
        event.listen(engine, "before_cursor_execute", beat)
        assert await offered(other, "a") == [Verdict.HELD]
        event.remove(engine, "before_cursor_execute", beat)
        await silent.known(row_of("a"), RunRef(workflow_run_id="r"))


async def test_many_processes_share_the_rows(start):
    """Each row goes to exactly one of them."""
    peers = await asyncio.gather(*(start(**LONG) for _ in range(3)))
    keys = [f"row-{i}" for i in range(60)]

    answers = await asyncio.gather(
        *(peer.do("offer", *keys[i:], *keys[:i]) for i, peer in enumerate(peers))
    )

    verdicts = [
        dict(zip(keys[i:] + keys[:i], answer, strict=True))
        for i, answer in enumerate(answers)
    ]
    for key in keys:
        assert sorted(v[key] for v in verdicts) == ["held", "held", "run"]
