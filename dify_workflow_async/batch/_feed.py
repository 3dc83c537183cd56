"""From the rows to their starts: each waits for room, its turn, and the journal."""

from __future__ import annotations

import asyncio

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..errors import RunStateUnknown
from ..models import RunRef
from ._ends import RERUN
from ._held import Held
from ._rows import BadRow, Read, Reader
from ._values import BatchItem, Claim, Row, State, Verdict


if TYPE_CHECKING:
    from ._pace import Pace
    from .journal import Journal


class Floor(Protocol):
    """Where rows run. A row that was read has a slot until it is started or left."""

    def has_room(self) -> bool:
        """True if one more row may be read."""
        ...

    def has_slot(self) -> bool:
        """True if one more row may run."""
        ...

    def start(self, read: Read, known: RunRef | None) -> None:
        """Run a row, or find its *known* run again."""
        ...

    def leave(self, read: Read, item: BatchItem | None, *, skipped: bool) -> None:
        """Give the *item* of a row that is not run; None: there is none."""
        ...


class Feed:
    """Reads rows when there is room for them, and starts those that are to be run.

    Args:
        reader: of the rows.
        pace: when they may start.
        floor: where they run.
        now: the clock.
        rerun_unknown: see `BatchOptions`.
        rerun_failed: likewise.
        replay: likewise.

    Attributes:
        claiming: how many rows were read and have neither begun nor been left.
        stopping: True once no more rows are to be started.
    """

    def __init__(
        self,
        reader: Reader,
        pace: Pace,
        floor: Floor,
        now: Callable[[], float],
        *,
        rerun_unknown: bool = False,
        rerun_failed: bool = False,
        replay: bool = False,
    ) -> None:
        self.claiming = 0
        self.stopping = False
        self._reader = reader
        self._pace = pace
        self._floor = floor
        self._now = now
        unknown = {State.UNKNOWN} if rerun_unknown else frozenset[State]()
        self._rerun = unknown | (RERUN if rerun_failed else frozenset[State]())
        self._replay = replay
        self._reading: asyncio.Task[None] | None = None
        self._ready: list[Read] = []
        self._held = Held(now)
        self._news = asyncio.Event()  # for who claims
        self._changed: asyncio.Future[None] | None = None  # for who reads

    async def run(self, journal: Journal | None) -> None:
        """Go on until all rows are started, or left.

        Raises:
            JournalError: the journal failed.
            Exception: what the rows' iterable raised, when all before it is done.
        """
        reading = self._reading = asyncio.create_task(self._read_all(journal))
        reading.add_done_callback(lambda _: self._news.set())
        if self.stopping:  # before it began
            reading.cancel()
        try:
            if journal is not None:
                await self._claim_all(journal)
            await asyncio.wait([reading])
        finally:
            self.stop()
            self._leave_what_waits()
            await asyncio.wait([reading])
            failure = None if reading.cancelled() else reading.exception()
            await self._reader.close()
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Start no more rows."""
        self.stopping = True
        if self._reading is not None:
            self._reading.cancel()
        self._news.set()

    def changed(self) -> None:
        """There may be room again, or a turn."""
        if self._held:
            self._news.set()
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _change(self) -> None:
        self._changed = asyncio.get_running_loop().create_future()
        await self._changed

    # -- reading -----------------------------------------------------------------------

    async def _read_all(self, journal: Journal | None) -> None:
        floor, pace, now = self._floor, self._pace, self._now
        while True:
            while not floor.has_room() or self._held.come_first:
                await self._change()
            while wait := pace.wait(now()):
                await self._turn(wait)
            try:
                read, claim = await self._reader.read()
            except StopAsyncIteration:
                return
            except BadRow as bad:
                self._refuse(bad)
                continue
            self.claiming += 1
            read.at = now()
            pace.take(read.at)
            if claim is not None:
                self._settle(read, claim)
            elif journal is None:
                self._start(read, None)
            else:
                self._ready.append(read)
                self._news.set()

    async def _turn(self, seconds: float) -> None:
        """Wait until it may be a row's turn; one that needs no run gives its turn."""
        try:
            async with asyncio.timeout(seconds):
                await self._change()
        except TimeoutError:
            pass

    def _refuse(self, bad: BadRow) -> None:
        self.claiming += 1
        item = _item(bad.read.row, State.REFUSED, error=bad.cause)
        self._leave(bad.read, item)

    # -- claiming ----------------------------------------------------------------------

    async def _claim_all(self, journal: Journal) -> None:
        """Ask the journal what to do with the rows, all at once that are there."""
        while reads := await self._to_offer():
            rows = [read.row for read in reads]
            try:
                claims = await journal.offer(rows, rerun=self._rerun)
            except BaseException:
                self._ready = reads + self._ready
                raise
            unwanted: list[Row] = []
            for read, claim in zip(reads, claims, strict=True):
                if self.stopping and claim.verdict in {Verdict.RUN, Verdict.RECOVER}:
                    unwanted.append(read.row)
                    self._leave(read)
                else:
                    self._settle(read, claim)
            await _release(journal, unwanted)

    async def _to_offer(self) -> list[Read]:
        """Wait for rows to offer; none: all were offered."""
        while not self.stopping:
            self._news.clear()
            if reads := self._take_ready() + self._take_held():
                return reads
            if not self._held and (self._reading is None or self._reading.done()):
                break
            wait = self._held.wait or None  # 0: until there is a slot, whose news comes
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass
        return []

    def _take_ready(self) -> list[Read]:
        reads, self._ready = self._ready, []
        return reads

    def _take_held(self) -> list[Read]:
        """Rows that others worked on, now and then, as far as there are slots."""
        reads: list[Read] = []
        if self._held.wait == 0:
            while self._held and self._floor.has_slot():
                self.claiming += 1
                reads.append(self._held.take())
        if reads:
            self._held.were_asked_for()
            self.changed()  # for who reads
        return reads

    def _settle(self, read: Read, claim: Claim) -> None:
        record = claim.record
        if read.was_held and claim.verdict is not Verdict.HELD:
            self._held.one_is_free()
        if claim.verdict is Verdict.RUN:
            if read.was_held:  # its turn was given back then
                self._pace.take(self._now())
            self._start(read, None)
            return
        if not read.was_held:
            self._pace.give_back()
        match claim.verdict:
            case Verdict.RECOVER:
                self._start(read, record.ref)
            case Verdict.HELD:
                self._held.add(read)
                self.claiming -= 1
            case Verdict.UNKNOWN:
                self._leave(read, _item(read.row, State.UNKNOWN, claim, _unknown()))
            case _ if read.was_held:
                self._leave(read, _item(read.row, record.state, claim))
            case _:
                item = _item(read.row, record.state, claim) if self._replay else None
                self._leave(read, item, skipped=True)
        self.changed()

    def _start(self, read: Read, known: RunRef | None) -> None:
        self.claiming -= 1
        self._floor.start(read, known)

    def _leave(
        self, read: Read, item: BatchItem | None = None, *, skipped: bool = False
    ) -> None:
        self.claiming -= 1
        self._floor.leave(read, item, skipped=skipped)

    def _leave_what_waits(self) -> None:
        """Let go of rows that were read and will not be started; nothing claimed them."""
        for read in self._ready:
            self._leave(read)
        self._ready = []
        while self._held:
            self.claiming += 1
            self._leave(self._held.take())


async def _release(journal: Journal, rows: list[Row]) -> None:
    """Give claims back, also those behind one that cannot be given back."""
    given = (journal.release(row) for row in rows)
    for failure in await asyncio.gather(*given, return_exceptions=True):
        if failure is not None:
            raise failure


def _item(
    row: Row,
    state: State,
    claim: Claim | None = None,
    error: Exception | None = None,
) -> BatchItem:
    """The item of a row that this batch did not run."""
    return BatchItem(
        key=row.key,
        index=row.index,
        inputs=row.inputs,
        state=state,
        record=None if claim is None else claim.record,
        error=error,
    )


def _unknown() -> RunStateUnknown:
    return RunStateUnknown(
        "a process that is gone started this row, and left no id of its run: it may "
        "have run or not"
    )
