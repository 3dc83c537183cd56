"""`DistributedBatch`: the rows of a batch, run by the workers of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os

from collections.abc import AsyncIterable, Callable, Sized
from types import TracebackType
from typing import Any, Self, Unpack

from .._client import WorkflowClient
from .._client._batch import ClientBatchOptions
from ..batch import Batch, BatchItem, Progress, State, Summary, run_batch
from ..batch._ends import RERUN
from ..batch._options import Options
from ..batch._pace import per_second
from ..batch._rows import Reader, Rows, digest_of
from ..batch._values import Wish
from ..batch.journal import Journal
from ..errors import ConfigurationError, UsageError
from ._begun import Begun
from ._feed import Feed, Watch
from ._shard import Shard
from ._workers import Workers, cluster_client


# Rows that go into the journal at once. Those of an async source go one by one, since
# the next may come late.
_AT_ONCE = 64

# What is seen to here; the workers get the rest.
_OURS = frozenset(
    {
        *("key", "ordered", "replay", "max_failures", "on_progress", "total"),
        *("journal", "concurrency", "rate", "rerun_unknown", "rerun_failed"),
    }
)
_NOT_OVER_THERE = ("dispatcher", "output")


def run_distributed(
    rows: Rows,
    *,
    client: Callable[[], WorkflowClient] = WorkflowClient,
    cluster: Any = None,
    workers: int = 2,
    **options: Unpack[ClientBatchOptions],
) -> DistributedBatch:
    """Run the workflow for each of *rows* on the workers of a Dask cluster.

    .. code-block:: python

        async with run_distributed(rows, journal="runs.db", workers=4) as batch:
            async for item in batch:
                print(item.key, item.state, item.error)

    Each worker takes rows from the journal and runs them with a client of its own. The
    rows of a worker that is lost are taken by the others: runs whose ids are known are
    found again, and the rest is ``unknown``.

    Args:
        rows: mappings of inputs that are JSON, from any iterable or async iterable.
        client: makes a client; it is sent to each worker, and called there. The
            worker's environment has the API key: one that is written here travels over
            the network.
        cluster: the address of a Dask scheduler, or a client of Dask that is
            asynchronous; None: a cluster of *workers* processes on this machine is
            started, and ended with the batch.
        workers: how many workers have a share in the batch, at most.
        **options: as for ``WorkflowClient.batch()``; ``journal`` is needed, and has to
            be in PostgreSQL if there is more than one machine. ``concurrency`` and
            ``rate`` are of all workers together. A ``dispatcher`` and ``output`` cannot
            be had.

    Raises:
        ConfigurationError: an option is wrong.
    """
    return DistributedBatch(rows, client, cluster, workers, {**options})


class DistributedBatch:
    """An async context manager and iterator, as `Batch` is.

    Items are made from the journal: their ``record`` is always there, and ``result``
    has what a `Record` keeps. Rows that nobody had begun when the batch was stopped
    give none.

    Made by `run_distributed`, not directly.
    """

    def __init__(
        self,
        rows: Rows,
        client: Callable[[], WorkflowClient],
        cluster: Any,
        workers: int,
        options: dict[str, Any],
    ) -> None:
        for name in _NOT_OVER_THERE:
            if options.pop(name, None) is not None:
                msg = f"{name} cannot be had over workers"
                raise ConfigurationError(msg)
        self._where = _location(options.get("journal"))
        self._options = Options(**{n: options[n] for n in _OURS & options.keys()})
        self._options.pace()  # which checks the rate
        self._reader = Reader(rows, self._options.key, digest_of)
        self._rows = rows
        self._make_client = client
        self._cluster = cluster
        if workers < 1:
            msg = f"workers must be 1 or more, not {workers!r}"
            raise ConfigurationError(msg)
        self._workers = min(workers, self._options.concurrency)
        self._shared = {n: v for n, v in options.items() if n not in _OURS}
        self._stack = contextlib.AsyncExitStack()
        self._begun: Begun | None = None

    def __repr__(self) -> str:
        return f"<DistributedBatch workers={self._workers}>"

    async def __aenter__(self) -> Self:
        """Open the journal and the cluster, and begin.

        Raises:
            ClusterUnavailable: it does not answer, or has no worker.
            ConfigurationError: a worker can make no client, or finds another journal.
            JournalError: the journal cannot be opened, or is of another batch.
            UsageError: the batch was entered before.
        """
        if self._begun is not None:
            msg = "a batch is entered once: make another"
            raise UsageError(msg)
        async with contextlib.AsyncExitStack() as stack:
            journal = await stack.enter_async_context(Journal.open(self._where))
            stack.push_async_callback(self._reader.close)
            await journal.wish(Wish.GO)  # now there is a batch
            client = await stack.enter_async_context(
                cluster_client(self._cluster, self._workers)
            )
            team = Workers(client, self._shards(journal.token))
            await team.first()
            self._begun = Begun(journal, team, *self._inner(journal))
            self._begun.tending = asyncio.create_task(self._begun.tend())
            await self._begun.batch.__aenter__()
            self._stack = stack.pop_all()
        return self

    def _shards(self, batch: str) -> list[Shard]:
        """The shares: nobody's is more than one row larger than another's."""
        options, count = self._options, self._workers
        least, more = divmod(options.concurrency, count)
        rate = None if options.rate is None else per_second(options.rate) / count
        return [
            Shard(
                journal=self._where,
                batch=batch,
                make_client=self._make_client,
                concurrency=least + (number < more),
                rate=rate,
                rerun=frozenset({State.UNKNOWN} if options.rerun_unknown else ()),
                is_ours=self._cluster is None,
                options=self._shared,
            )
            for number in range(count)
        ]

    def _inner(self, journal: Journal) -> tuple[Watch, Batch]:
        """A batch whose rows' work is to wait until they have ended elsewhere."""
        options = self._options
        rerun = frozenset({State.UNKNOWN} if options.rerun_unknown else ())
        rerun |= RERUN if options.rerun_failed else frozenset()
        at_once = 1 if isinstance(self._rows, AsyncIterable) else _AT_ONCE
        feed, watch = Feed(self._reader, journal, rerun, at_once), Watch(journal)
        total = options.total
        if total is None and isinstance(self._rows, Sized):
            total = len(self._rows)
        batch = run_batch(
            watch.work,
            feed,  # type: ignore[arg-type]  # claims, which a batch takes as rows
            concurrency=2 * options.concurrency + _AT_ONCE,
            attempts=1,
            ordered=options.ordered,
            replay=options.replay,
            max_failures=options.max_failures,
            on_progress=options.on_progress,
            total=total,
        )
        return watch, batch

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for the end; if it was not reached, `abort` first.

        Raises:
            DifyError: what ended a worker's share, if the loop came to its end before
                that was known.
        """
        async with self._stack:
            failure = await self._running.leave()
            if failure is not None and exc is None:
                raise failure

    @property
    def _running(self) -> Begun:
        if self._begun is None:
            msg = "enter the batch first: async with run_distributed(...) as batch"
            raise UsageError(msg)
        return self._begun

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchItem:
        """The next row that ended; raises as `Batch` does."""
        return await self._running.next()

    def stop(self) -> None:
        """Begin no more rows; those that run go on, and the loop ends after them."""
        self._running.stop()

    def abort(self) -> None:
        """Begin no more rows, and stop those that run, here and there."""
        self._running.abort()

    @property
    def progress(self) -> Progress:
        """Where it stands; ``running`` are those that the workers may take, too."""
        return self._running.batch.progress

    @property
    def summary(self) -> Summary:
        """What it was, so far."""
        return self._running.batch.summary


def _location(where: Any) -> str:
    """Where the journal is, for workers whose directory may be another."""
    if isinstance(where, str) and "://" in where:
        return where
    if not isinstance(where, str | os.PathLike):
        msg = "workers share a journal: give journal= a file, or a URL"
        raise ConfigurationError(msg)
    return os.path.abspath(where)  # noqa: PTH100 - Path would follow links
