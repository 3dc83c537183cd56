"""What the copies of a client share: one loop, one process, tasks, one limiter.

A task that has to outlive the call that made it, such as the stop of a run whose
caller was cancelled, is owned here, and waited for when the client is closed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from collections.abc import Callable, Coroutine, Generator, Hashable
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar, cast

from ._log import logger
from .errors import ClientClosed, ConfigurationError, WrongLoop


T = TypeVar("T")


class Lifetime:
    """Bound to the event loop and the process of its first use.

    Args:
        max_concurrent_runs: how many runs may be open at once; None: any number.

    Attributes:
        closed: True once `finish` was called.
        draining: True once `drain` was called: no run may begin any more.
        on_close: what to call then; open streams close themselves so.
        busy: until when apps said that they have too many runs, by the loop's clock.
    """

    def __init__(self, max_concurrent_runs: int | None = None) -> None:
        if max_concurrent_runs is not None and max_concurrent_runs < 1:
            msg = f"max_concurrent_runs must be 1 or more, not {max_concurrent_runs}"
            raise ConfigurationError(msg)
        self._max_runs = max_concurrent_runs
        self._slots: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        # Each with what waits for it, if anything does.
        self._tasks: dict[asyncio.Task[Any], asyncio.Future[None] | None] = {}
        self._pausing: set[asyncio.Task[Any] | None] = set()
        self._given_up: set[asyncio.Task[Any]] = set()
        self.cut_off: set[asyncio.Task[Any] | None] = set()
        self.on_close: set[Callable[[], None]] = set()
        self.busy: dict[Hashable, float] = {}
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

    # -- apps that are busy ----------------------------------------------------------

    def note_busy(self, app: Hashable, seconds: float) -> None:
        """Let no run of this app be asked for before so many *seconds* have passed."""
        now = asyncio.get_running_loop().time()
        until = max(now + seconds, self.busy.get(app, now))
        self.busy = {each: then for each, then in self.busy.items() if then > now}
        self.busy[app] = until

    def busy_for(self, app: Hashable) -> float:
        """For how many seconds no run of this app is to be asked for."""
        then = self.busy.get(app)
        if then is None:
            return 0.0
        return max(0.0, then - asyncio.get_running_loop().time())

    # -- tasks -----------------------------------------------------------------------

    def leave(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine* in a task of its own; `finish` waits for it."""
        _ = self.own(coroutine)

    def own(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run *coroutine* in a task that nobody can lose."""
        return self._owned(asyncio.get_running_loop().create_task(coroutine))

    def _owned(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        waiter = self._tasks.pop(task, None)
        self._given_up.discard(task)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The same, for one that is best begun before this returns.

        That saves a turn of the loop, where Python can (3.12), and the program has not
        said itself how tasks are made.
        """
        loop = asyncio.get_running_loop()
        if sys.version_info < (3, 12) or loop.get_task_factory() is not None:
            return self.own(coroutine)
        task = asyncio.Task(self._to_its_end(coroutine), loop=loop, eager_start=True)
        if not task.done():
            self._tasks[task] = None
        return task

    async def _to_its_end(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a callback of the task would do, a turn of the loop earlier."""
        try:
            return await coroutine
        finally:
            self._forget(cast("asyncio.Task[T]", asyncio.current_task()))

    async def outlived_by(self, task: asyncio.Task[T]) -> T:
        """Wait for an owned task, which goes on if its one waiter is cancelled.

        What `asyncio.shield` does, with a callback less: each costs every run as much as
        decoding an event.
        """
        if task.done():
            return task.result()
        self._tasks[task] = waiter = asyncio.get_running_loop().create_future()
        await waiter
        return task.result()

    @contextmanager
    def nothing_begun(self) -> Generator[None]:
        """Within the block `give_up` and `finish` end the task: nothing would be lost."""
        task = asyncio.current_task()
        if task in self._given_up:
            raise asyncio.CancelledError
        self._pausing.add(task)
        try:
            yield
        finally:
            self._pausing.discard(task)

    def give_up(self, task: asyncio.Task[Any]) -> None:
        """Let a task end what is under way, and begin nothing more."""
        if task in self._tasks:
            self._given_up.add(task)
        if task in self._pausing:
            task.cancel()

    async def pause(self, seconds: float, *, repeatable: bool) -> None:
        """Sleep between two tries; what is *repeatable*, such as a stop, is not given up."""
        with nullcontext() if repeatable else self.nothing_begun():
            await asyncio.sleep(seconds)

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
                "%d streams are open after %s s",
                len(self.on_close),
                seconds,
                extra={"seconds": seconds},
            )

    async def finish(self, seconds: float) -> None:
        """Close: let nobody begin, and wait for the owned tasks.

        Those that take longer than *seconds* are cancelled.
        """
        self.closed = True
        for close in tuple(self.on_close):
            close()
        for task in self._tasks.keys() & self._pausing:
            task.cancel()
        current = asyncio.current_task()
        tasks = {task for task in self._tasks if task is not current}
        if not tasks:
            return
        late = tasks
        try:
            _, late = await asyncio.wait(tasks, timeout=seconds)
        finally:
            for task in late:
                self.cut_off.add(task)
                task.cancel()
        if late:
            logger.warning(
                "gave up %d tasks after %s s",
                len(late),
                seconds,
                extra={"seconds": seconds},
            )
            await asyncio.wait(late)


def _closed() -> ClientClosed:
    return ClientClosed("the client is closed")
