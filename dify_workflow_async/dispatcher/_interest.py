"""What somebody listens for: classes, names and patterns of events, and filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from inspect import iscoroutinefunction
from operator import attrgetter
from types import UnionType
from typing import Any, TypeGuard, Union, get_args, get_origin

import attrs

from ..errors import ConfigurationError
from ..events import EVENTS, Event, Ping, UnknownEvent


Test = Callable[[Any], object]
"""Takes an event; what it returns is taken for true or false."""

_ONE_OF = (tuple, list, set, frozenset)


def always(event: Event) -> bool:
    """Pass every event: the test of an interest without filters."""
    del event
    return True


@attrs.frozen(eq=False)
class Interest:
    """Which events somebody wants.

    Attributes:
        text: the same for people.
        test: what an event of a matching class must pass as well.
    """

    text: str
    test: Test
    _classes: tuple[type[Event], ...] = attrs.field(alias="classes")
    _names: frozenset[str] = attrs.field(alias="names")
    _patterns: tuple[str, ...] = attrs.field(alias="patterns")
    _fields: frozenset[str] = attrs.field(alias="fields")

    @classmethod
    def of(
        cls, what: Iterable[object], where: object, fields: Mapping[str, Any]
    ) -> Interest:
        """Make sense of the arguments of ``on()`` and ``wait_for()``.

        Raises:
            ConfigurationError: *what* is empty or no event, a field is in none of the
                events, or *where* cannot be asked.
        """
        parts = tuple(_flatten(what))
        if not parts:
            msg = "say what to listen for: event classes, names or patterns"
            raise ConfigurationError(msg)
        words = {part for part in parts if isinstance(part, str)}
        patterns = {word for word in words if any(char in word for char in "*?[")}
        interest = cls(
            text=" or ".join(x if isinstance(x, str) else x.__name__ for x in parts),
            test=_test(where, fields),
            classes=tuple(part for part in parts if not isinstance(part, str)),
            names=frozenset(words - patterns),
            patterns=tuple(sorted(patterns)),
            fields=frozenset(fields),
        )
        interest._check_fields()
        return interest

    def asks_for(self, event_class: type[Event], name: str) -> bool:
        """Tell if such events are asked for, and not only as events like all others."""
        return self._has_fields(event_class) and self._means(event_class, name)

    def takes(self, event_class: type[Event], name: str) -> bool:
        """Tell if such events may match; *name* is the wire's."""
        if not self._has_fields(event_class):
            return False
        # A ping is news to nobody who did not ask for it.
        everything = Event in self._classes and not issubclass(event_class, Ping)
        return everything or self._means(event_class, name)

    def _means(self, event_class: type[Event], name: str) -> bool:
        return (
            name in self._names
            or any(issubclass(event_class, c) for c in self._classes if c is not Event)
            or any(fnmatchcase(name, pattern) for pattern in self._patterns)
        )

    def _has_fields(self, event_class: type[Event]) -> bool:
        return self._fields <= attrs.fields_dict(event_class).keys()

    def _check_fields(self) -> None:
        known = {name for c in self._candidates() for name in attrs.fields_dict(c)}
        for field in sorted(self._fields - known):
            close = get_close_matches(field, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            msg = f"{self.text} has no field {field!r}{hint}"
            raise ConfigurationError(msg)

    def _candidates(self) -> Iterator[type[Event]]:
        """Give the classes whose events may match, whatever their fields."""
        yield from self._classes  # a program's own are in no table
        for name, event_class in EVENTS.items():
            if Event in self._classes or self._means(event_class, name):
                yield event_class
        if Event in self._classes or self._patterns or self._names - EVENTS.keys():
            yield UnknownEvent


def _flatten(what: Iterable[object]) -> Iterator[type[Event] | str]:
    for part in what:
        if get_origin(part) in {Union, UnionType}:
            yield from _flatten(get_args(part))
        elif _is_what(part):
            yield part
        else:
            msg = f"not an event class, a name or a pattern: {part!r}"
            raise ConfigurationError(msg)


def _is_what(part: object) -> TypeGuard[type[Event] | str]:
    if isinstance(part, str):
        return bool(part)
    return isinstance(part, type) and issubclass(part, Event)


def _test(where: object, fields: Mapping[str, Any]) -> Test:
    tests = [_field_test(name, wanted) for name, wanted in fields.items()]
    if where is not None:
        if not callable(where) or iscoroutinefunction(where):
            msg = f"where= takes a plain function of the event, not {where!r}"
            raise ConfigurationError(msg)
        tests.append(where)
    if len(tests) < 2:
        return tests[0] if tests else always
    return lambda event: all(test(event) for test in tests)


def _field_test(name: str, wanted: object) -> Test:
    get = attrgetter(name)
    if isinstance(wanted, _ONE_OF):
        # A tuple, since a field may hold what has no hash.
        choice: tuple[object, ...] = tuple(wanted)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return lambda event: get(event) in choice
    return lambda event: get(event) == wanted
