"""From the rows of a batch into the journal, and back from there when they ended."""

from __future__ import annotations

import asyncio

from collections import deque
from typing import Any, Self

from ..batch import Claim, Record, Row, Started, State, Verdict
from ..batch._rows import BadRow, Reader
from ..batch.journal import Journal
from ..errors import RunStateUnknown
from ..models import RunRef, RunResult
from ._results import result_of


_OPEN = frozenset({State.PENDING, State.STARTED, State.RUNNING})


class Feed:
    """Rows, as they are put into the journal: what a batch reads here.

    Args:
        reader: of the rows.
        journal: where they go.
        rerun: states whose rows are run again.
        at_once: how many are read before they are put in, in one transaction.
    """

    def __init__(
        self, reader: Reader, journal: Journal, rerun: frozenset[State], at_once: int
    ) -> None:
        self._reader = reader
        self._journal = journal
        self._rerun = rerun
        self._at_once = at_once
        self._ready: deque[Claim | BadRow] = deque()
        self._failure: BaseException | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Claim:
        """The next row: to be waited for, or as it ended before.

        Raises:
            BadRow: it cannot be run.
            Exception: what ended the batch, or the rows.
        """
        if not self._ready and self._failure is None:
            await self._fill()
        if not self._ready:
            raise self._failure or StopAsyncIteration
        ready = self._ready.popleft()
        if isinstance(ready, BadRow):
            raise ready
        return ready

    async def _fill(self) -> None:
        rows: list[Row] = []
        bad: list[BadRow] = []
        try:
            while len(rows) < self._at_once:
                try:
                    rows.append((await self._reader.read())[0].row)
                except BadRow as error:
                    bad.append(error)
        except (StopAsyncIteration, Exception) as error:  # noqa: BLE001 - told later
            self._failure = error
        journal = self._journal
        records = await journal.add(rows, batch=journal.token, rerun=self._rerun)
        self._ready.extend(bad)
        self._ready.extend(map(_claim, rows, records))


def _claim(row: Row, record: Record) -> Claim:
    verdict = Verdict.RUN if record.state in _OPEN else Verdict.DONE
    if record.state is State.UNKNOWN:
        verdict = Verdict.UNKNOWN
    return Claim(verdict=verdict, record=record, row=row)


class Watch:
    """Waits for rows to end in the journal, for many at once.

    Attributes:
        records: how they ended, by their index, for who takes them out of here.
    """

    def __init__(self, journal: Journal) -> None:
        self.records: dict[int, Record] = {}
        self._journal = journal
        self._waiting: dict[int, tuple[Row, asyncio.Future[Record]]] = {}

    async def work(
        self, row: Row, *, known: RunRef | None, started: Started
    ) -> RunResult[Any]:
        """What a row's work is here; see `Work`."""
        del known, started  # who takes the row tells the journal
        ended: asyncio.Future[Record]
        ended = asyncio.get_running_loop().create_future()
        self._waiting[row.index] = row, ended
        try:
            record = self.records[row.index] = await ended
        finally:
            del self._waiting[row.index]
        return result_of(record)

    async def look(self) -> None:
        """See which rows have ended.

        Raises:
            JournalError: it failed.
        """
        waiting = list(self._waiting.values())
        records = await self._journal.over([row for row, _ in waiting])
        for (_, ended), record in zip(waiting, records, strict=True):
            if record is not None and not ended.done():
                ended.set_result(record)

    def lose_sight(self, cause: Exception) -> None:
        """Nobody will tell how the rows end."""
        for _, ended in self._waiting.values():
            if not ended.done():
                msg = f"the batch lost sight of this row: {cause}"
                ended.set_exception(RunStateUnknown(msg))
