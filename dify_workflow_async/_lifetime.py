"""What the copies of a client share: one loop, one process, tasks, one limiter.

A task that has to outlive the call that made it, such as the stop of a run whose
caller was cancelled, is owned here, and waited for when the client is closed.
"""

from __future__ import annotations

import asyncio
import logging
import os

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .errors import ClientClosed, ConfigurationError, WrongLoop


logger = logging.getLogger("dify_workflow_async")
T = TypeVar("T")


class Lifetime:
    """Bound to the event loop and the process of its first use.

    Args:
        max_concurrent_runs: how many runs may be open at once; None: any number.

    Attributes:
        closed: True once `finish` was called.
        draining: True once `drain` was called: no run may begin any more.
        on_close: what to call then; open streams close themselves so.
    """

    def __init__(self, max_concurrent_runs: int | None = None) -> None:
        if max_concurrent_runs is not None and max_concurrent_runs < 1:
            msg = f"max_concurrent_runs must be 1 or more, not {max_concurrent_runs}"
            raise ConfigurationError(msg)
        self._max_runs = max_concurrent_runs
        self._slots: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.on_close: set[Callable[[], None]] = set()
        self.closed = False
        self.draining = False
        self._idle = asyncio.Event()

    def check(self) -> asyncio.AbstractEventLoop:
        """The loop, if this is the right one.

        Raises:
            ClientClosed: after the client's ``aclose()``.
            WrongLoop: in another loop, or in a forked process.
        """
        if self.closed:
            raise _closed()
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._pid = os.getpid()
        elif os.getpid() != self._pid:
            msg = "the client was made before a fork: make one in each process"
            raise WrongLoop(msg)
        elif loop is not self._loop:
            msg = "the client belongs to another event loop: make one in each loop"
            raise WrongLoop(msg)
        return loop

    # -- slots -----------------------------------------------------------------------

    async def acquire(self) -> None:
        """Wait until one more run may be open.

        Raises:
            ClientClosed: the client was closed meanwhile, or is being drained.
        """
        if self.draining:
            raise _closed()
        if self._max_runs is None:
            return
        if self._slots is None:
            self._slots = asyncio.Semaphore(self._max_runs)
        await self._slots.acquire()
        if self.closed or self.draining:
            self._slots.release()  # to whoever waits next, to learn the same
            raise _closed()

    def release(self) -> None:
        """Let the next run open."""
        if self._slots is not None:
            self._slots.release()

    # -- tasks -----------------------------------------------------------------------

    def leave(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine* in a task of its own; `finish` waits for it."""
        _ = self.own(coroutine)

    def own(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run *coroutine* in a task that nobody can lose."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def ended(self, close: Callable[[], None]) -> None:
        """Do not call this of `on_close` any more: it has ended by itself."""
        self.on_close.discard(close)
        if not self.on_close:
            self._idle.set()

    async def drain(self, seconds: float) -> None:
        """Let no run begin, and wait for those that are open, at most so long."""
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                while self._tasks or self.on_close:
                    if self._tasks:  # openings and stops
                        await asyncio.wait(tuple(self._tasks))
                    else:
                        self._idle.clear()
                        await self._idle.wait()
        except TimeoutError:
            logger.warning(
                "%d streams are open after %s s", len(self.on_close), seconds
            )

    async def finish(self, seconds: float) -> None:
        """Close: let nobody begin, and wait for the owned tasks.

        Those that take longer than *seconds* are cancelled.
        """
        self.closed = True
        for close in tuple(self.on_close):
            close()
        current = asyncio.current_task()
        tasks = {task for task in self._tasks if task is not current}
        if not tasks:
            return
        late = tasks
        try:
            _, late = await asyncio.wait(tasks, timeout=seconds)
        finally:
            for task in late:
                task.cancel()
        if late:
            logger.warning("gave up %d tasks after %s s", len(late), seconds)
            await asyncio.wait(late)


def _closed() -> ClientClosed:
    return ClientClosed("the client is closed")
