"""The rows that are under way, and what is to be done with those that ended."""

from __future__ import annotations

import asyncio

from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING

from ..errors import TooManyFailures
from ..models import RunRef
from ._ends import FAILURES
from ._feed import Feed
from ._outlet import Outlet
from ._row import Plan, RowRun
from ._tally import Progress, Summary, Tally
from ._values import BatchItem, Work


if TYPE_CHECKING:
    from ._options import Options
    from ._rows import Read, Reader
    from .journal import Journal


# The row in whose work this is: a client sends requests from tasks of their own.
_row: ContextVar[RowRun | None] = ContextVar("row", default=None)


class Runner:
    """Runs the rows of one batch; made when the batch begins.

    Attributes:
        main: sees all rows to their ends.
        failure: what the batch is to end with.
        is_over: True once nothing more will come.
    """

    def __init__(
        self,
        work: Work,
        reader: Reader,
        options: Options,
        journal: Journal | None,
        total: int | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = monotonic  # the loop's own clock, without two calls more
        self._outlet = Outlet(ordered=options.ordered)
        self._tally = Tally(total, self._now())
        self.failure: BaseException | None = None
        self.is_over = False
        self._journal = journal
        self._pace = options.pace()
        # Whoever takes the items may lag behind the rows by as many as may run.
        self._most = 2 * options.concurrency
        self._max_failures = options.max_failures
        self._is_aborted = False
        self._runs: dict[asyncio.Task[None], RowRun] = {}
        self._plan = Plan(
            work=work,
            pace=self._pace,
            policy=options.policy(),
            may_run_twice=options.may_run_twice,
            now=self._now,
            broken=self.end_with,
            journal=journal,
        )
        self._feed = Feed(
            reader,
            self._pace,
            self,
            self._now,
            rerun_unknown=options.rerun_unknown,
            rerun_failed=options.rerun_failed,
            replay=options.replay,
        )

        self.main = self._loop.create_task(self._see_through())

    async def _see_through(self) -> None:
        try:
            await self._feed.run(self._journal)
        except Exception as error:  # noqa: BLE001 - told to who iterates
            self.end_with(error)
        finally:
            try:
                while self._runs:
                    await asyncio.wait(self._runs)
            finally:
                self.is_over = True
                self._tally.end(self._now())
                self._outlet.close()

    # -- stops -------------------------------------------------------------------------

    def stop(self) -> None:
        """Start no more rows, and no more tries of those that failed."""
        self._feed.stop()
        for task, run in self._runs.items():
            if run.is_resting:
                task.cancel()

    def abort(self) -> None:
        """Stop, and cancel what runs."""
        self._is_aborted = True
        self._feed.stop()
        for task, run in self._runs.items():
            if run.is_cancellable:
                task.cancel()

    def end_with(self, failure: BaseException) -> None:
        """Stop; whoever iterates gets the *failure* when all has been given out."""
        self.failure = self.failure or failure
        self.stop()

    # -- the floor ---------------------------------------------------------------------

    def has_slot(self) -> bool:
        """True if one more row may run."""
        return len(self._runs) + self._feed.claiming < self._pace.limit

    def has_room(self) -> bool:
        """True if one more row may be read: what is not taken takes room, too."""
        busy = len(self._runs) + self._feed.claiming
        return busy < self._pace.limit and busy + len(self._outlet) < self._most

    def start(self, read: Read, known: RunRef | None) -> None:
        """Run a row, or find its *known* run again."""
        run = RowRun(self._plan, read, known)
        self._runs[self._loop.create_task(self._run(run))] = run
        self._tally.read += 1
        self._tally.running += 1

    async def _run(self, run: RowRun) -> None:
        """The task of one row, which nobody else awaits: no exception may leave it."""
        item: BatchItem | None = None
        _row.set(run)  # the context is the task's own
        try:
            if not self._is_aborted:
                item = await run.to_end()
            elif self._journal is not None:
                await self._journal.release(run.row)
        except BaseException as error:  # noqa: BLE001 - told to who iterates
            self.end_with(error)
        del self._runs[asyncio.current_task()]  # type: ignore[arg-type]
        self._tally.running -= 1
        self._give(run.read, item)

    def leave(self, read: Read, item: BatchItem | None, *, skipped: bool) -> None:
        """Give the *item* of a row that is not run; None: there is none."""
        self._tally.read += 1
        if skipped:
            self._tally.skipped += 1
            self._outlet.put(read.number, item)
        else:
            self._give(read, item)

    def _give(self, read: Read, item: BatchItem | None) -> None:
        if item is not None:
            self._tally.add(item, self._now())
            if item.state in FAILURES:
                self._count_failure(item)
        self._outlet.put(read.number, item)
        self._feed.changed()

    def _count_failure(self, item: BatchItem) -> None:
        failures = self._tally.count(*FAILURES)
        if failures == self._max_failures:
            msg = f"{failures} rows failed: the batch was ended"
            error = TooManyFailures(msg, failures=failures)
            error.__cause__ = item.error
            self.end_with(error)

    async def take(self) -> BatchItem | None:
        """The next item; None: there are no more."""
        item = await self._outlet.take()
        self._feed.changed()
        return item

    def heed(self, error: BaseException) -> None:
        """A request of the row in whose work this is ended in *error*, and is repeated."""
        run = _row.get()
        now = self._now()
        self._pace.went_wrong(error, now if run is None else run.since, now)
        if run is not None:
            run.since = now

    # -- numbers -----------------------------------------------------------------------

    def progress(self) -> Progress:
        """Where the batch stands."""
        return self._tally.progress(self._now())

    def summary(self) -> Summary:
        """What it was, so far."""
        return self._tally.summary(self._now())
