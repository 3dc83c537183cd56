"""What a type checker is told of handlers."""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

from ..events import Event


P = ParamSpec("P")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)
X = TypeVar("X", bound=Exception)
AnyHandler = TypeVar("AnyHandler", bound=Callable[Concatenate[Any, ...], object])

OnError: TypeAlias = Literal["raise", "log"] | Callable[[Exception, Event], object]
"""What becomes of a handler's exception that no ``on_exception()`` dealt with."""

What: TypeAlias = type[Event] | UnionType | str


class Registrar(Protocol[T_co]):
    """Registers a function whose first argument is a *T_co*, and gives it back.

    For a type checker what comes back takes anything in that place, so that decorators
    for different classes can be stacked.
    """

    def __call__(
        self, handler: Callable[Concatenate[T_co, P], R], /
    ) -> Callable[Concatenate[Any, P], R]:
        """Register *handler*."""
        ...
