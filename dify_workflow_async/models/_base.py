"""What all values from the wire have in common: how they show and how they compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import attrs


V = TypeVar("V", bound="Value")


class Value:
    """Shows and compares attrs classes by their fields.

    Done here once: attrs would generate both for each class, and that was a third of
    the time that importing took (docs/explanation/performance.md).
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """The fields that are set; most of an event's are not."""
        shown = [
            f"{field.name}={value!r}"
            for field in fields_of(self)
            if field.repr and (value := getattr(self, field.name)) != default_of(field)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(
            getattr(self, field.name) == getattr(other, field.name)
            for field in fields_of(self)
            if field.eq
        )

    # Dicts among the fields make a hash by value impossible.
    __hash__ = object.__hash__


TERMINAL = frozenset({"succeeded", "failed", "stopped", "partial-succeeded"})
"""Statuses after which a run does not change (specification, section 3.7)."""

SUCCESS = frozenset({"succeeded", "partial-succeeded"})
"""Statuses of a run that did its work. A run in which a node failed and its error
strategy, or a retry, dealt with it ends as ``partial-succeeded``."""


class HasStatus(Value):
    """What the status of a run says."""

    __slots__ = ()

    status: str | None

    @property
    def is_terminal(self) -> bool:
        """True if the run has ended, and its status will not change."""
        return self.status in TERMINAL

    @property
    def is_success(self) -> bool:
        """True for ``succeeded`` and ``partial-succeeded``."""
        return self.status in SUCCESS


def fields_of(value: Value) -> tuple[attrs.Attribute[Any], ...]:
    """The fields of a value's class."""
    cls = cast("type[attrs.AttrsInstance]", type(value))
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(cls)
    return fields


def default_of(field: attrs.Attribute[Any]) -> Any:
    """The value of a field that nothing was given for."""
    default: Any = field.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


def unfrozen(cls: type[V]) -> type[V]:
    """The same class, whose objects may be filled one field after the other.

    The ``__init__`` of a frozen class goes through ``object.__setattr__`` for each field,
    which costs fifty times as much as setting it. What is made for every event or run is
    made as one of these, and then becomes a *cls*::

        made = object.__new__(unfrozen(cls))
        made.field = value
        made.__class__ = cls
    """
    body = {
        "__module__": cls.__module__,
        "__slots__": (),
        "__setattr__": object.__setattr__,
        "__delattr__": object.__delattr__,  # else setting, too, goes the long way
    }
    made: Any = type(cls.__name__, (cls,), body)
    same: type[V] = made
    return same


def raw_field() -> Mapping[str, Any]:
    """The field that keeps the decoded object as it came."""
    field: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False, eq=False)
    return field
