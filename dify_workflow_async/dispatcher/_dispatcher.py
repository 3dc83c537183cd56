"""The face of the room."""

from __future__ import annotations

import asyncio

from collections.abc import Callable
from types import UnionType
from typing import Any, Literal, overload

from ..errors import ConfigurationError
from ..events import Event
from ._interest import Interest
from ._registering import Registering
from ._registry import Registry
from ._scope import Scope
from ._target import Target, inspect_target
from ._typing import E, OnError
from ._waiting import Wait, Waiter


class Dispatcher(Registering):
    """Calls the program's functions for the events that they want.

    Register handlers, then give the dispatcher to a client, or give it events with
    `dispatch()` or `scope()`. It may be shared by any number of runs at a time, in one
    event loop; it is not thread-safe.

    All handlers that match an event run, those of a higher ``priority`` first, else in
    the order of their registration, however they were registered.

    Args:
        on_error: What to do with a handler's exception that no `on_exception()` dealt
            with. ``"raise"``: raise it, unchanged; handlers after it do not run.
            ``"log"``: log it, with the ids of the event but nothing that it holds, to
            the logger ``dify_workflow_async``, and go on. A function, plain or async:
            call it with the exception and the event, and go on unless it raises.
            Cancellation always passes.
        max_concurrent: How many ``concurrent`` handlers may run at a time in a scope.

    Raises:
        ConfigurationError: one of the arguments is none of these.
    """

    def __init__(
        self,
        *,
        on_error: OnError = "raise",
        # Handlers of I/O wait more than they work: 100 is what aiohttp's pool of
        # connections takes by default. More events wait in the socket, not in memory.
        max_concurrent: int = 100,
    ) -> None:
        if max_concurrent < 1:
            msg = f"max_concurrent must be 1 or more, not {max_concurrent!r}"
            raise ConfigurationError(msg)
        self._max_concurrent = max_concurrent
        self._registry = Registry(_policy(on_error))

    def include(self, other: Dispatcher) -> None:
        """Let the handlers of *other* take part, those to come as well.

        Its ``on_exception`` handlers are asked first for its own handlers. Its
        ``on_error`` and ``max_concurrent`` count only where it dispatches itself.
        However often a dispatcher is included, its handlers run once for an event.

        Raises:
            ConfigurationError: a dispatcher would include itself.
        """
        self._registry.include(other._registry)

    @overload
    def wait_for(
        self,
        what: type[E],
        /,
        where: Callable[[E], object] | None = None,
        *,
        timeout: float | None = None,
        run: object | None = None,
        **fields: Any,
    ) -> Waiter[E]: ...
    @overload
    def wait_for(
        self,
        what: UnionType | str,
        /,
        where: Callable[[Any], object] | None = None,
        *,
        timeout: float | None = None,
        run: object | None = None,
        **fields: Any,
    ) -> Waiter[Event]: ...
    def wait_for(
        self,
        what: Any,
        /,
        where: Callable[[Any], object] | None = None,
        *,
        timeout: float | None = None,
        run: object | None = None,
        **fields: Any,
    ) -> Waiter[Any]:
        """Wait for one event: ``event = await dispatcher.wait_for(NodeFinished)``.

        It listens from this call on, in the running event loop, whenever it is
        awaited. Dropping what it returns ends it without a word.

        Args:
            what: As in `on()`; several classes go as a union.
            where: As in `on()`; if it raises, the exception is raised to who awaits.
            timeout: Seconds from now, None for no limit.
            run: Take events of this run only, and give up when it ends.
            fields: As in `on()`.

        Returns:
            To be awaited once, for the first event that matches. It raises
            `WaitTimeout` or `RunEnded`, the latter at once if the run has ended before.

        Raises:
            ConfigurationError: as in `on()`.
        """
        interest = Interest.of((what,), where, fields)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        wait = Wait(interest, future, run, self._registry.forget)
        wait.start(timeout)
        self._registry.add_wait(wait, run)
        return Waiter(wait)

    def run_ended(self, run: object, *, run_id: str | None = None) -> None:
        """Tell who waits for an event of *run* that none will come.

        Called by who dispatches, at the end of a run. *run* is remembered for as long
        as it lives, so it must have a hash and allow weak references.
        """
        self._registry.end(run, run_id)

    @property
    def version(self) -> int:
        """Grows whenever the answer of `wants()` or `asked_for()` may have changed."""
        return self._registry.version

    def wants(self, name: str) -> bool:
        """Tell if events that the wire calls *name* have any handler or waiter.

        Filters may still pass over them. The answer holds until `version` grows.
        """
        return self._registry.plan_of_name(name).wanted

    def asked_for(self, name: str) -> bool:
        """Tell if somebody asked for these events, by their class, name or a pattern.

        Whoever takes all events (`on_any()`, ``on(Event)``) did not. The answer holds
        until `version` grows.
        """
        return self._registry.plan_of_name(name).asked

    def scope(
        self,
        run: object | None = None,
        row: object | None = None,
        *,
        on_failure: Callable[[BaseException], object] | None = None,
    ) -> Scope:
        """Make a scope: ``async with dispatcher.scope() as scope``.

        Args:
            run: What handlers get that have a parameter ``run``.
            row: What handlers get that have a parameter ``row``.
            on_failure: Called, and not awaited, with the exception of the first
                concurrent handler that fails, to wake whoever sleeps elsewhere and is
                to raise it. Not called for what happens in `Scope.cancel()`.
        """
        slots = asyncio.Semaphore(self._max_concurrent)
        return Scope(self._registry, run, row, on_failure, slots)

    async def dispatch(
        self, event: Event, run: object | None = None, row: object | None = None
    ) -> bool:
        """Dispatch one event, and wait for its concurrent handlers too.

        Returns:
            True if anybody wanted it.

        Raises:
            Exception: a handler's own, unchanged.
        """
        async with self.scope(run, row) as scope:
            return await scope.dispatch(event)


def _policy(on_error: object) -> Literal["raise", "log"] | Target:
    if on_error == "raise":
        return "raise"
    if on_error == "log":
        return "log"
    if not callable(on_error):
        msg = f"on_error must be 'raise', 'log' or a function, not {on_error!r}"
        raise ConfigurationError(msg)
    return inspect_target(on_error, "exception", "event")
