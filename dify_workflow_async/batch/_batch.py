"""`Batch`: rows run, and are given out as they end."""

from __future__ import annotations

import asyncio

from collections.abc import Mapping, Sized
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from .._log import logger
from ..errors import UsageError
from ._options import BatchOptions, OnProgress, Options
from ._rows import Digest, Reader, Rows, digest_of
from ._runner import Runner
from ._tally import Progress, Summary
from ._values import BatchItem, Work


if TYPE_CHECKING:
    from .journal import Journal

_TELL_EVERY = 0.5  # seconds: as often as people look


def run_batch(
    work: Work,
    rows: Rows,
    *,
    binding: Mapping[str, str] | None = None,
    digest: Digest | None = None,
    **options: Unpack[BatchOptions],
) -> Batch:
    """Run *work* for each of *rows*, so many at once, and give out how each ended.

    .. code-block:: python

        async with run_batch(work, rows, concurrency=50, journal="runs.db") as batch:
            async for item in batch:
                print(item.key, item.state, item.error)

    Rows are read as there is room for them: they may be endless. No more than twice
    *concurrency* of them are in memory.

    Args:
        work: what is done for each row; see `Work`.
        rows: mappings of inputs, from any iterable or async iterable; or `Claim`, of
            rows that were claimed in the journal before. An iterable that is not async
            is read in the event loop, and must not block it.
        binding: what the journal is for: one that was begun for something else is
            refused.
        digest: an async function that gives the SHA-256 of a row's inputs, for those
            that have more in them than JSON.
        **options: see `BatchOptions`.

    Raises:
        ConfigurationError: an option is wrong.
    """
    return Batch(work, rows, Options(**options), binding=binding, digest=digest)


class Batch:
    """The rows of a batch, as they end: an async context manager and iterator.

    Nothing starts before ``async with``. Leaving early, by ``break`` or an exception,
    is an `abort`. One task iterates.

    The loop ends when each row that was started has ended. It then raises what the
    rows' iterable raised, a `JournalError` if the journal failed on the way, or
    `TooManyFailures`; all items have been given out by then. What a row's work raises
    ends no loop: it is the item's ``error``.

    Made by `run_batch` and ``WorkflowClient.batch()``, not directly.
    """

    def __init__(
        self,
        work: Work,
        rows: Rows,
        options: Options,
        *,
        binding: Mapping[str, str] | None = None,
        digest: Digest | None = None,
    ) -> None:
        options.pace()  # which checks the rate
        is_kept = options.journal is not None
        self._reader = Reader(
            rows, options.key, (digest or digest_of) if is_kept else None
        )
        self._total = options.total
        if self._total is None and isinstance(rows, Sized):
            self._total = len(rows)
        self._work = work
        self._options = options
        self._binding = binding
        self._begun: Runner | None = None
        self._ticker: _Ticker | None = None
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        if self._begun is None:
            return "<Batch, not begun>"
        progress = self.progress
        return f"<Batch done={progress.done} running={progress.running}>"

    # -- life --------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open the journal, and begin.

        Raises:
            JournalError: it cannot be opened, or is of another batch.
            UsageError: the batch was entered before.
        """
        if self._begun is not None:
            msg = "a batch is entered once: make another"
            raise UsageError(msg)
        async with self._stack:
            journal = await self._open_journal()
            options = self._options
            self._begun = Runner(
                self._work, self._reader, options, journal, self._total
            )
            if options.on_progress is not None:
                self._ticker = _Ticker(self, options.on_progress)
            self._stack = self._stack.pop_all()
        return self

    async def _open_journal(self) -> Journal | None:
        where = self._options.journal
        if where is None:
            return None
        from .journal import Journal

        if isinstance(where, Journal):  # it is open, and somebody else's to close
            journal = where
        else:
            journal = await self._stack.enter_async_context(Journal.open(where))
        if self._binding is not None:
            await journal.bind(self._binding)
        return journal

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for the end; if it was not reached, `abort` first.

        Cancelling this waits all the same, for what was aborted ends at once.
        """
        runner = self._runner
        async with self._stack:
            if not runner.is_over:
                runner.abort()
            await _ended(runner.main)
            if self._ticker is not None:
                self._ticker.end()

    @property
    def _runner(self) -> Runner:
        if self._begun is None:
            msg = "enter the batch first: async with client.batch(...) as batch"
            raise UsageError(msg)
        return self._begun

    # -- items -------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchItem:
        """The next row that ended.

        Raises:
            StopAsyncIteration: all have been given out.
            StreamBusy: another task waits for one.
            Exception: what ended the batch; see above.
        """
        runner = self._runner
        item = await runner.take()
        if item is not None:
            return item
        if runner.failure is not None:
            raise runner.failure
        raise StopAsyncIteration

    # -- stops -------------------------------------------------------------------------

    def stop(self) -> None:
        """Start no more rows; those that run go on, and the loop ends after them."""
        self._runner.stop()

    def abort(self) -> None:
        """Start no more rows, and cancel the work of those that run.

        Their items come as ``running``, with `RunInterrupted`, or as ``unknown``. A
        client's batch stops their runs on the server, as its ``on_cancel`` says.
        """
        self._runner.abort()

    def heed(self, error: BaseException) -> None:
        """Tell of an error that a row's work dealt with itself, from its own context.

        What a row ends in is seen anyway; this is for requests that are sent again, so
        that the batch slows down for them, too.
        """
        self._runner.heed(error)

    # -- numbers -----------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """Where it stands."""
        return self._runner.progress()

    @property
    def summary(self) -> Summary:
        """What it was, so far."""
        return self._runner.summary()


class _Ticker:
    """Tells the progress of a batch every now and then."""

    def __init__(self, batch: Batch, on_progress: OnProgress) -> None:
        self._batch = batch
        self._on_progress = on_progress
        self._tick()

    def _tick(self) -> None:
        self._tell()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_TELL_EVERY, self._tick)

    def _tell(self) -> None:
        try:
            self._on_progress(self._batch.progress)
        except Exception:
            logger.exception("on_progress failed")

    def end(self) -> None:
        self._timer.cancel()
        self._tell()


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for *task*, even if this is cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
