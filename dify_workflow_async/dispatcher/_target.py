"""A callable of the program, inspected once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from inspect import (
    Parameter,
    isasyncgenfunction,
    isawaitable,
    iscoroutinefunction,
    isgeneratorfunction,
    signature,
)
from typing import Any

import attrs

from ..errors import ConfigurationError


_POSITIONAL = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
_NAMED = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}


@attrs.frozen(eq=False)
class Target:
    """A callable, and how to call it.

    Attributes:
        function: the callable as it was given.
        name: the same for people.
        takes: how many positional arguments it is given.
        injected: the names of the parameters that it is given by name.
        is_async: True if it certainly returns an awaitable.
    """

    function: Callable[..., Any]
    name: str
    takes: int
    injected: tuple[str, ...]
    is_async: bool

    @property
    def is_simple(self) -> bool:
        """True if calling it is ``await function(event)`` and nothing else."""
        return self.is_async and not self.injected and self.takes == 1

    def start(self, *given: object, **context: object) -> Any:
        """Call it with as much of what is given as it takes."""
        if not self.injected:
            return self.function(*given[: self.takes])
        named = {name: context[name] for name in self.injected}
        return self.function(*given[: self.takes], **named)

    async def __call__(self, *given: object, **context: object) -> None:
        """Call it, and await what it returns if that can be awaited."""
        result = self.start(*given, **context)
        if self.is_async or (result is not None and isawaitable(result)):
            await result


def inspect_target(function: object, given: str, *more: str) -> Target:
    """Find out how to call *function*.

    Args:
        function: what the program registers.
        given: what the first positional parameter receives.
        more: what a second positional parameter may receive, or one of this name.

    Raises:
        ConfigurationError: it is not callable, a generator, takes no argument, or
            requires one that nobody gives.
    """
    if not callable(function):
        msg = f"not a function: {function!r}"
        raise ConfigurationError(msg)
    name = _name(function)
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        msg = f"{name} is a generator: nobody would iterate over it"
        raise ConfigurationError(msg)
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins tell nothing
        return Target(function, name, 1, (), iscoroutinefunction(function))
    takes, injected, missing = _arguments(
        parameters, {"run", "row", *more} - _bound(function), 1 + len(more)
    )
    if not takes:
        msg = f"{name} takes no argument: its first would be the {given}"
        raise ConfigurationError(msg)
    if missing:
        msg = (
            f"{name} requires {missing[0]!r}, which nobody gives: beside the {given} "
            "there are 'run' and 'row'"
        )
        raise ConfigurationError(msg)
    return Target(function, name, takes, injected, iscoroutinefunction(function))


def _arguments(
    parameters: Iterable[Parameter], free: set[str], most: int
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Sort parameters into: how many by position, which by name, which by nobody."""
    takes = 0
    injected: list[str] = []
    missing: list[str] = []
    for parameter in parameters:
        name, kind = parameter.name, parameter.kind
        required = parameter.default is Parameter.empty
        by_name = name in free and kind in _NAMED
        if kind is Parameter.VAR_POSITIONAL:
            takes = takes or most
        elif kind is Parameter.VAR_KEYWORD:
            pass
        elif kind in _POSITIONAL and (
            not takes or (takes < most and required and not by_name)
        ):
            takes += 1
        elif by_name:
            injected.append(name)
        elif required:
            missing.append(name)
    return takes, tuple(injected), tuple(missing)


def _bound(function: object) -> set[str]:
    """Give the names that a partial has bound: they are not ours to give."""
    return set(function.keywords) if isinstance(function, partial) else set()


def _name(function: object) -> str:
    inner = function.func if isinstance(function, partial) else function
    return getattr(inner, "__qualname__", type(inner).__qualname__)
