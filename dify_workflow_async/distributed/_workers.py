"""The workers of a Dask cluster: which of them has which share of the batch."""

from __future__ import annotations

import asyncio
import contextlib

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import attrs

from ..errors import ClusterUnavailable, ConfigurationError, DifyError
from ._shard import Shard, check_shard, run_shard


# Seconds without any worker after which nobody will come: a nanny starts a new one
# within a few.
_PATIENCE = 60.0

_SOON = 0.05
"""Seconds between two looks at a task that is to end at once."""

_COMING = 30.0
"""Seconds for a cluster to answer, and for its first worker to come."""


@asynccontextmanager
async def cluster_client(cluster: Any, workers: int) -> AsyncGenerator[Any]:
    """A client of the cluster: of a new one on this machine, if it is None.

    Raises:
        ClusterUnavailable: it does not answer.
        ConfigurationError: Dask is missing, or *cluster* is no cluster.
    """
    try:
        import distributed
    except ImportError:
        msg = "batches over workers need Dask: pip install 'dify-workflow-async[distributed]'"
        raise ConfigurationError(msg) from None
    # Dask's classes have no types.
    client_class: Any = distributed.Client
    local_cluster: Any = distributed.LocalCluster
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(cluster, client_class):
            if not cluster.asynchronous:
                msg = "a client of Dask must be asynchronous=True to be used here"
                raise ConfigurationError(msg)
            yield cluster
            return
        if cluster is None:
            local = local_cluster(
                n_workers=workers,
                threads_per_worker=1,
                # None would take port 8787, or warn that somebody has it.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                asynchronous=True,
            )
            cluster = await stack.enter_async_context(local)
        try:
            made = client_class(cluster, asynchronous=True, timeout=_COMING)
            client = await stack.enter_async_context(made)
        except (OSError, TimeoutError, ValueError) as error:
            msg = f"no Dask cluster answers at {cluster}: {error}"
            raise ClusterUnavailable(msg) from None
        yield client


@attrs.define(eq=False)
class _Slot:
    """A share, and who has it.

    Attributes:
        address: of the worker; None: nobody.
        future: of the worker's task.
        is_doubtful: True if the task ended in an error that is none of ours.
    """

    shard: Shard
    address: str | None = None
    future: Any = None
    is_doubtful: bool = False

    @property
    def is_working(self) -> bool:
        """True while its task is under way."""
        return self._status == "pending"

    @property
    def is_given_up(self) -> bool:
        """True if its task ended without an error: it was told to, or took us for gone."""
        return self._status == "finished"

    @property
    def _status(self) -> str | None:
        return None if self.future is None else self.future.status


class Workers:
    """Gives each share to a worker, and again to another one if that is lost.

    Args:
        client: of Dask.
        shards: the shares.
    """

    def __init__(self, client: Any, shards: Sequence[Shard]) -> None:
        self._client = client
        self._slots = [_Slot(shard) for shard in shards]
        self._number = count()
        self._loop = asyncio.get_running_loop()
        self._seen_at = self._loop.time()

    async def first(self) -> None:
        """Wait for a worker, have one look at the journal, and give out the shares.

        Raises:
            ClusterUnavailable: none comes, or none stays.
            DifyError: the journal is of another batch, or a worker has no client.
        """
        try:
            await self._client.wait_for_workers(1, timeout=_COMING)
        except (OSError, TimeoutError):
            msg = f"the Dask cluster has no worker, after {_COMING:g} seconds"
            raise ClusterUnavailable(msg) from None
        await self._check_journal()
        await self.look()

    async def _check_journal(self) -> None:
        """Only a worker knows its client, and so what the journal has to be for."""
        future = self._submit(check_shard, self._slots[0].shard)
        try:
            while future.status == "pending":
                self._check_that_some_are(await self._there())
                await asyncio.sleep(_SOON)
            if future.status == "error":
                raise await future.exception()
            if future.status != "finished":
                msg = "the Dask cluster has gone"
                raise ClusterUnavailable(msg)
        finally:
            with contextlib.suppress(OSError, TimeoutError):  # the cluster may be gone
                await future.cancel(force=True)

    async def look(self, *, replace: bool = True) -> None:
        """See who is there, and give out the shares that nobody has, if *replace*.

        Those that were given up are given out again, too.

        Raises:
            Exception: what ended the task of a worker that is still there.
            ClusterUnavailable: the cluster is gone, or has had no worker for long.
        """
        there = await self._there()
        for slot in self._slots:
            if slot.address is not None and slot.address not in there:
                await self._forget(slot)
        self._check_that_some_are(there)
        for slot in self._slots:
            await self._check_task(slot)
            if replace and slot.is_given_up:
                slot.future = slot.address = None
        busy = {slot.address for slot in self._slots}
        idle = [address for address in there if address not in busy]
        for slot in self._slots:
            if replace and slot.address is None and idle:
                self._give(slot, idle.pop(0))

    async def _there(self) -> list[str]:
        try:
            return list(await self._client.ncores())
        except (OSError, TimeoutError) as error:
            # A cluster that goes may take its workers from the list first.
            for slot in self._slots:  # pragma: no cover
                slot.address = slot.future = None
            msg = f"the Dask cluster does not answer: {error}"
            raise ClusterUnavailable(msg) from None

    async def _check_task(self, slot: _Slot) -> None:
        if slot.future is None or slot.future.status != "error":
            return
        error = await slot.future.exception()
        # What else a task ends in may only be that its worker is about to leave.
        if isinstance(error, DifyError) or slot.is_doubtful:
            slot.future = None
            raise error
        slot.is_doubtful = True

    def _check_that_some_are(self, there: Sequence[str]) -> None:
        now = self._loop.time()
        if there:
            self._seen_at = now
        elif now - self._seen_at > _PATIENCE:
            msg = f"the Dask cluster has had no worker for {_PATIENCE:g} seconds"
            raise ClusterUnavailable(msg)

    def _give(self, slot: _Slot, address: str) -> None:
        slot.address, slot.is_doubtful = address, False
        slot.future = self._submit(
            run_shard, slot.shard, workers=[address], allow_other_workers=False
        )

    def _submit(self, work: Any, shard: Shard, **options: Any) -> Any:
        key = f"dify-batch-{shard.batch}-{next(self._number)}"
        return self._client.submit(work, shard, key=key, pure=False, **options)

    async def _forget(self, slot: _Slot) -> None:
        """Its worker is lost: Dask shall not keep its task for it."""
        future, slot.future, slot.address = slot.future, None, None
        with contextlib.suppress(OSError, TimeoutError):  # the cluster may be gone
            await future.cancel(force=True)

    @property
    def have_given_up(self) -> bool:
        """True if a worker ended its task without an error."""
        return any(slot.is_given_up for slot in self._slots)

    @property
    def is_working(self) -> bool:
        """True while a worker has a share that it has not done."""
        return any(slot.is_working for slot in self._slots)

    async def end(self, patience: float) -> DifyError | None:
        """Wait until the workers have ended their tasks, which they were asked to do.

        Returns:
            an error of ours that one ended in, if `look` has not raised it.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.is_working:  # noqa: ASYNC110 - Dask's own waits raise
                    await asyncio.sleep(_SOON)
        failure: DifyError | None = None
        for slot in self._slots:
            if slot.future is not None:
                failure = failure or await _failure_of(slot.future)
                await self._forget(slot)
        return failure


async def _failure_of(future: Any) -> DifyError | None:
    error = await future.exception() if future.status == "error" else None
    return error if isinstance(error, DifyError) else None
