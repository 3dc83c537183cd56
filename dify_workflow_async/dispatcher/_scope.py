"""The dispatching of many events, and the handlers that run beside it."""

from __future__ import annotations

import asyncio

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import attrs

from ..errors import UsageError
from ..events import Event
from ._plan import Step, log_failure
from ._registry import Registry


@attrs.define(eq=False, repr=False)
class Scope:
    """Dispatches events, as a rule those of one run, and owns ``concurrent`` handlers.

    Made by `Dispatcher.scope()`. It may be entered in one task and left in another.
    No handler outlives it: leaving waits for them, or cancels them if there is an
    exception, which is then the one that is raised. Without ``async with``, call
    `drain()` or `cancel()` at the end.

    When a concurrent handler fails, the others are cancelled, and the next `dispatch()`
    or `drain()` raises its exception, unchanged.

    Attributes:
        failure: the first exception that a concurrent handler raised and nobody dealt
            with; None if there is none.
    """

    _registry: Registry
    _run: object | None
    _row: object | None
    _on_failure: Callable[[BaseException], object] | None
    _slots: asyncio.Semaphore
    failure: BaseException | None = attrs.field(default=None, init=False)
    # The registry's, for as long as the scope is not over.
    _simple: dict[type[Event], tuple[Callable[..., Any], ...]] = attrs.field(init=False)
    # What to raise instead of dispatching: the failure, or that the scope is closed.
    _over: BaseException | None = attrs.field(default=None, init=False)
    _tasks: dict[asyncio.Task[None], Event] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._simple = self._registry.simple

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None:
                await self.drain()
        finally:
            await self.cancel()

    def interested(self, event: Event) -> bool:
        """Tell if `dispatch()` would have anything to do for *event*.

        A look into a dictionary. To ask first saves a coroutine for each event that
        nobody wants, and also tells of a failure that is to be raised::

            if scope.interested(event):
                await scope.dispatch(event)
        """
        handlers = self._simple.get(event.__class__)
        if handlers is not None:
            return handlers != ()
        return self._over is not None or self._registry.plan_of(event).wanted

    async def dispatch(self, event: Event) -> bool:
        """Give *event* to everybody who wants it, one after another.

        Concurrent handlers are started; if as many run as may, it waits for one to end.

        Returns:
            True if anybody wanted it, filters included.

        Raises:
            Exception: a handler's own, unchanged, or that of a concurrent one before.
            UsageError: the scope was left or cancelled.
        """
        handlers = self._simple.get(event.__class__)
        if handlers is None:
            return await self._dispatch(event)
        for handler in handlers:
            await handler(event)
        return handlers != ()

    async def _dispatch(self, event: Event) -> bool:
        if self._over is not None:
            raise self._over
        plan = self._registry.plan_of(event)
        taken = False
        for wait in plan.waits:
            taken |= wait.offer(event, self._run)
        for step in plan.steps:
            try:
                wanted = step.test(event)
            except Exception as error:  # noqa: BLE001 (raised again unless dealt with)
                await step.deal_with(error, event, self._run, self._row)
                continue
            if not wanted:
                continue
            taken = True
            if step.concurrent:
                await self._start(step, event)
            else:
                await step.run(event, self._run, self._row)
        return taken

    async def _start(self, step: Step, event: Event) -> None:
        await self._slots.acquire()
        if self._over is not None:
            self._slots.release()
            raise self._over
        task = asyncio.create_task(
            step.run(event, self._run, self._row), name=step.target.name
        )
        self._tasks[task] = event
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        event = self._tasks.pop(task)
        self._slots.release()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._over is not None:
            # Only one exception can be raised: the others are not lost either.
            log_failure(error, event, task.get_name())
            return
        self.failure = error
        self._end(error)
        for other in self._tasks:
            other.cancel()
        if self._on_failure is not None:
            self._on_failure(error)

    def _end(self, reason: BaseException) -> None:
        """Let every dispatch from now on raise *reason*."""
        self._over = reason
        self._simple = {}

    async def drain(self) -> None:
        """Wait until no concurrent handler runs.

        Cancelling it leaves them running: call `cancel()` then.

        Raises:
            Exception: a concurrent handler's own, the first that failed, unchanged.
        """
        while others := self._others():
            await asyncio.wait(others)
        if self.failure is not None:
            raise self.failure

    async def cancel(self) -> None:
        """Cancel the concurrent handlers, wait for their end, and close the scope.

        Safe to call again. If it is cancelled itself, it waits all the same.
        """
        if self._over is None:
            msg = "the scope is closed"
            self._end(UsageError(msg))
        interrupted: asyncio.CancelledError | None = None
        while others := self._others():
            for task in others:
                task.cancel()
            try:
                await asyncio.wait(others)
            except asyncio.CancelledError as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted

    def _others(self) -> set[asyncio.Task[None]]:
        """Give the tasks that can be waited for: a handler cannot wait for itself."""
        return {task for task in self._tasks if task is not asyncio.current_task()}
