"""A batch over workers, while it runs: what is seen of it, and told to the workers."""

from __future__ import annotations

import asyncio

from collections.abc import Coroutine
from typing import Any

import attrs

from ..batch import Batch, BatchItem, State
from ..batch._values import Wish
from ..batch.journal import Journal
from ..errors import DifyError
from ._feed import Watch
from ._workers import Workers


# Seconds between two looks: into the journal, and at the cluster.
_LOOK, _LOOK_AT_CLUSTER = 0.1, 1.0

# Seconds for workers to end what they were asked to end, stops of runs included.
_LEAVING = 30.0


@attrs.define(eq=False)
class Begun:
    """A batch that runs.

    Attributes:
        batch: whose rows' work is to wait until they have ended elsewhere.
        failure: what ends it.
    """

    journal: Journal
    team: Workers
    watch: Watch
    batch: Batch
    failure: Exception | None = None
    tending: asyncio.Task[None] = attrs.field(init=False)
    _is_over: bool = False
    _is_aborted: bool = False
    _telling: list[asyncio.Task[None]] = attrs.field(factory=list[asyncio.Task[None]])

    async def next(self) -> BatchItem:
        """The next row that ended."""
        while True:
            try:
                item = await anext(self.batch)
            except StopAsyncIteration:
                self._is_over = True
                if self.failure is not None:
                    raise self.failure from None
                raise
            record = self.watch.records.pop(item.index, None)
            if record is None:
                return item
            if record.state is not State.PENDING:  # or else nobody had begun it
                return attrs.evolve(
                    item, state=record.state, record=record, attempts=record.attempts
                )

    async def tend(self) -> None:
        """Look what has ended, and who is there; until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                look_at_cluster = loop.time() + _LOOK_AT_CLUSTER
                while loop.time() < look_at_cluster:
                    await asyncio.sleep(_LOOK)
                    await self.watch.look()
                await self._look_at_cluster()
        except Exception as error:  # noqa: BLE001 - told to who iterates
            self._fail(error)
            self.watch.lose_sight(error)

    async def _look_at_cluster(self) -> None:
        if self._is_over:  # what is found now `leave` tells
            return
        is_open = self.failure is None and not self._is_aborted
        try:
            if is_open and self.team.have_given_up:
                # They took us for gone, and would again before our next heartbeat.
                await self.journal.beat()
            await self.team.look(replace=is_open)
        except Exception as error:  # noqa: BLE001 - told to who iterates
            self._fail(error)
        if self.failure is not None and not self.team.is_working:
            await self.watch.look()
            self.watch.lose_sight(self.failure)

    def _fail(self, error: Exception) -> None:
        if self.failure is None:  # pragma: no branch - it seldom fails twice
            self.failure = error
            self.stop()

    def stop(self) -> None:
        self.batch.stop()
        self._tell(self.journal.withdraw())

    def abort(self) -> None:
        self.batch.abort()
        self._is_aborted = True
        self._tell(self.journal.wish(Wish.ABORT))

    def _tell(self, telling: Coroutine[Any, Any, None]) -> None:
        self._telling.append(asyncio.create_task(telling))

    async def leave(self) -> DifyError | None:
        """Wait for the end of all that was begun.

        Returns:
            what ended a worker's share, if who iterated to the end was not told of it.
        """
        if not self._is_over:
            self.abort()
        elif not self._is_aborted:
            self._tell(self.journal.wish(Wish.STOP))
        try:
            await self.batch.__aexit__(None, None, None)
            # What the journal could not be told the workers see when it is closed.
            await asyncio.gather(*self._telling, return_exceptions=True)
            failure = await self.team.end(_LEAVING)
        finally:
            self.tending.cancel()
            await asyncio.wait([self.tending])
        return failure if self._is_over and self.failure is None else None
