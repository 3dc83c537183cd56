"""Values as they are sent, and as sentences name them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any, TypeGuard


def as_sent(value: object) -> object:
    """What becomes of *value* on its way into JSON, if that is another type."""
    if isinstance(value, Enum):
        value = value.value
    return value.isoformat() if isinstance(value, datetime | date | time) else value


def kind_of(value: object) -> str:
    """A value's type, for a sentence."""
    return "null" if value is None else type(value).__name__


def shown(value: object) -> str:
    """A value as it is quoted: a few characters of it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """True for what is sent as a JSON object."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """True for what is sent as a JSON array."""
    return isinstance(value, list | tuple)
