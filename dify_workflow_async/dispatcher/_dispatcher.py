"""The face of the room."""

from __future__ import annotations

import asyncio

from collections.abc import Callable
from types import UnionType
from typing import Any, Literal, overload

from ..errors import ConfigurationError
from ..events import Event
from ._interest import Interest
from ._plan import Handler, Rescue
from ._registry import Registry
from ._scope import Scope
from ._target import Target, inspect_target
from ._typing import E2, E3, E4, AnyHandler, E, OnError, Registrar, What, X
from ._waiting import Wait, Waiter


class Dispatcher:
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

    @overload
    def on(
        self,
        first: type[E],
        /,
        *,
        where: Callable[[E], object] | None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Registrar[E]: ...
    @overload
    def on(
        self,
        first: type[E],
        second: type[E2],
        /,
        *,
        where: Callable[[E | E2], object] | None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Registrar[E | E2]: ...
    @overload
    def on(
        self,
        first: type[E],
        second: type[E2],
        third: type[E3],
        /,
        *,
        where: Callable[[E | E2 | E3], object] | None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Registrar[E | E2 | E3]: ...
    @overload
    def on(
        self,
        first: type[E],
        second: type[E2],
        third: type[E3],
        fourth: type[E4],
        /,
        *,
        where: Callable[[E | E2 | E3 | E4], object] | None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Registrar[E | E2 | E3 | E4]: ...
    @overload
    def on(
        self,
        # mypy takes A | B to be, perhaps, one of these classes.
        first: UnionType | type[Event],
        /,
        *,
        where: None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Callable[[AnyHandler], AnyHandler]: ...
    @overload
    def on(
        self,
        first: UnionType | str,
        /,
        *more: What,
        where: Callable[[Any], object] | None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Callable[[AnyHandler], AnyHandler]: ...
    @overload
    def on(
        self,
        first: type[Event],
        second: UnionType | str,
        /,
        *more: What,
        where: Callable[[Any], object] | None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Callable[[AnyHandler], AnyHandler]: ...
    def on(  # type: ignore[misc]  # mypy wants names for what is positional only
        self,
        *what: Any,
        where: Callable[[Any], object] | None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Any:
        """Register the decorated function for events.

        Args:
            what: Event classes (a subclass matches too), unions of them, names on the
                wire (``"node_finished"``) or patterns of names (``"node_*"``, as in
                `fnmatch`, upper and lower case told apart). A name that no class has
                is that of an `UnknownEvent`. ``Event`` is every event but ``Ping``.
                Up to four classes tell type checkers what the function must take;
                of a name, a pattern or a union they believe what it says. In a
                mixture they want names, patterns and unions first.
            where: A plain function of the event that says if it matches.
            priority: A higher one runs earlier.
            concurrent: Run it as a task beside the reading; see `Scope`.
            fields: What fields of the event must equal; one of the values, if it is a
                tuple, list, set or frozenset. Events of a class without the field do
                not match.

        Returns:
            A decorator that gives the function back as it is. The function, plain or
            async, takes the event first; a parameter ``run`` or ``row`` is given the
            run that sent the event and the row of its batch, None where there is none.
            It may be registered again, for other events.

        Raises:
            ConfigurationError: *what* is no event, none of the events has such a
                field, or the function cannot be called so.
        """
        return self._registrar(what, where, priority, concurrent, fields)

    def on_any(
        self,
        *,
        where: Callable[[Event], object] | None = None,
        priority: int = 0,
        concurrent: bool = False,
        **fields: Any,
    ) -> Registrar[Event]:
        """Register the decorated function for all events but ``Ping``.

        The same as ``on(Event)``. It takes what comes and does not count as
        `asked_for()`. Arguments and errors are those of `on()`.
        """
        registrar: Registrar[Event] = self._registrar(
            (Event,), where, priority, concurrent, fields
        )
        return registrar

    def _registrar(
        self,
        what: tuple[object, ...],
        where: Callable[[Any], object] | None,
        priority: int,
        concurrent: bool,
        fields: dict[str, Any],
    ) -> Any:
        interest = Interest.of(what, where, fields)

        def register(function: Any) -> Any:
            target = inspect_target(function, "event")
            self._registry.add_handler(Handler(interest, target, priority, concurrent))
            return function

        return register

    @overload
    def on_exception(self, exception: type[X], /) -> Registrar[X]: ...
    @overload
    def on_exception(
        self, exception: type[Exception], /, *more: type[Exception]
    ) -> Callable[[AnyHandler], AnyHandler]: ...
    def on_exception(self, *exceptions: type[Exception]) -> Any:
        """Register the decorated function for exceptions of handlers.

        The function, plain or async, takes the exception, and the event second if it
        wants; ``run`` and ``row`` as in `on()`. It has dealt with the exception if it
        returns. To decline, it raises the same exception again: then the next one is
        asked, at last ``on_error``. Another exception of its own is raised instead.

        The one for the most specific class is asked first. Those of an included
        dispatcher come before those around it, for its own handlers.

        Raises:
            ConfigurationError: these are no subclasses of Exception, or the function
                cannot be called so.
        """
        if not exceptions or not all(_is_exception(x) for x in exceptions):
            msg = f"not subclasses of Exception: {exceptions!r}"
            raise ConfigurationError(msg)

        def register(function: Any) -> Any:
            target = inspect_target(function, "exception", "event")
            self._registry.add_rescue(Rescue(exceptions, target))
            return function

        return register

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


def _is_exception(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, Exception)
