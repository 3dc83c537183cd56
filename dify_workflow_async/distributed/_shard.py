"""What one worker does: a batch of its own, over rows that it takes from the journal.

It is one coroutine for as long as the batch lasts. A task for each row would be run
again by Dask when its worker is lost, whatever had become of the row.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal

from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import attrs

from .._client import WorkflowClient
from ..batch import Batch, Claim, State
from ..batch._values import Wish
from ..batch.journal import Journal
from ..errors import ConfigurationError, JournalError


# Seconds between two looks into the journal, when it had nothing the last time: first
# and at most. A worker that looks costs about a millisecond of the database's time.
_SOONEST, _LATEST = 0.05, 1.0


@attrs.frozen(kw_only=True)
class Shard:
    """A worker's share.

    Attributes:
        journal: where; it is there already.
        batch: whose rows are taken.
        make_client: makes the client, in the worker.
        concurrency: of this worker.
        rate: of this worker, per second.
        rerun: states whose rows are run again.
        is_ours: True if the worker's process was started for this batch alone.
        options: the rest, for ``client.batch()``.
    """

    journal: str
    batch: str
    make_client: Callable[[], WorkflowClient]
    concurrency: int
    rate: float | None
    rerun: frozenset[State]
    is_ours: bool
    options: Mapping[str, Any]


@asynccontextmanager
async def _opened(shard: Shard) -> AsyncGenerator[tuple[WorkflowClient, Journal]]:
    """The client and the journal of this worker.

    Raises:
        ConfigurationError: the journal that is found here is another one, or no client
            can be made here.
        JournalError: it cannot be opened.
    """
    if shard.is_ours:
        # A terminal interrupts us, too, and who is at the other end decides what of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    async with (
        shard.make_client() as client,
        Journal.open(shard.journal, create=False) as journal,
    ):
        if await journal.wished(shard.batch) is None:
            msg = (
                "a worker finds another journal: over several machines it has to be in "
                "PostgreSQL"
            )
            raise ConfigurationError(msg)
        yield client, journal


async def check_shard(shard: Shard) -> None:
    """See whether the journal is for what would be run here, and take nothing.

    Raises:
        ConfigurationError: as for `run_shard`.
        JournalMismatch: it is for something else.
    """
    async with (
        _opened(shard) as (client, journal),
        client.batch((), journal=journal, **shard.options),
    ):
        pass  # it was compared when the batch was entered


async def run_shard(shard: Shard) -> None:
    """Take rows and run them, until the batch is over.

    Raises:
        ConfigurationError: the journal that is found here is another one, or no client
            can be made here.
        JournalError: it failed on the way.
    """
    async with _opened(shard) as (client, journal):
        taker = _Taker(shard, journal)
        batch = client.batch(
            taker,  # type: ignore[arg-type]  # claims, which a batch takes as rows
            journal=journal,
            concurrency=shard.concurrency,
            rate=shard.rate,
            **shard.options,
        )
        async with batch:
            taker.batch = batch
            heeding = asyncio.create_task(_heed(shard, journal, batch))
            try:
                async for _ in batch:
                    pass  # the journal has it
            finally:
                heeding.cancel()
                await asyncio.wait([heeding])
                await taker.give_back()


async def _heed(shard: Shard, journal: Journal, batch: Batch) -> None:
    """Do what who put the rows in asks for, or what would be asked if they could."""
    wish: Wish | None = Wish.GO
    while wish is not Wish.ABORT:  # which may come after a stop, or after a lapse
        await asyncio.sleep(_LATEST)
        before = wish
        with contextlib.suppress(JournalError):  # the batch will tell
            wish = await journal.wished(shard.batch)
        if before is Wish.GO is not wish:
            batch.stop()
    batch.abort()


class _Taker:
    """Claims, for a batch that reads them as it has room."""

    def __init__(self, shard: Shard, journal: Journal) -> None:
        self.batch: Batch | None = None
        self._shard = shard
        self._journal = journal
        self._claims: deque[Claim] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Claim:
        wait = _SOONEST
        while not self._claims:
            self._claims += await self._journal.take(
                self._room(), batch=self._shard.batch, rerun=self._shard.rerun
            )
            if not self._claims:
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LATEST)
        return self._claims.popleft()

    def _room(self) -> int:
        """How many rows can start at once: a row that waits here is lost with us."""
        if self.batch is None or self._shard.rate is not None:
            return 1
        return max(1, self._shard.concurrency - self.batch.progress.running)

    async def give_back(self) -> None:
        """Let others have what was taken and not begun."""
        for claim in self._claims:
            await self._journal.release(claim.row)
