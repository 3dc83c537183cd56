"""How the program's functions come to a dispatcher."""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Any, overload

from ..errors import ConfigurationError
from ..events import Event
from ._interest import Interest
from ._plan import Handler, Rescue
from ._registry import Registry
from ._target import inspect_target
from ._typing import E2, E3, E4, AnyHandler, E, Registrar, What, X


class Registering:
    """The half of a `Dispatcher` that a program calls before there are events."""

    _registry: Registry

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


def _is_exception(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, Exception)
