"""Strict JSON for what goes out: nothing is guessed, nothing becomes null unseen."""

from __future__ import annotations

import math

from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any, TypeGuard

import orjson

from .errors import InvalidInputs


def encode(value: Mapping[str, Any], *, sort: bool = False) -> bytes:
    """Encode a request's body.

    Texts, finite numbers, booleans, None, lists, tuples and mappings with text keys
    go as JSON; datetimes, dates and times as ISO 8601 text; enums by their value.

    Args:
        value: what to encode.
        sort: have the keys of all mappings in order, so that equal values are equal
            bytes.

    Raises:
        InvalidInputs: for anything else; every problem begins with its path.
    """
    option = orjson.OPT_SORT_KEYS if sort else None
    if _is_plain(value):
        try:
            return _shrunk(orjson.dumps(value, option=option))
        except TypeError:
            pass  # surrogates, large integers, great depth: what follows tells where
    problems: list[str] = []
    sendable = _sendable(value, "", problems, depth=0)
    if problems:
        raise InvalidInputs(problems)
    return _shrunk(orjson.dumps(sendable, option=option))


def _shrunk(body: bytes) -> bytes:
    """A copy: orjson's own keeps some 4 KB of spare room for as long as a run is open."""
    return bytes(memoryview(body))


_SCALARS = frozenset({str, int, bool, type(None)})


def _is_plain(value: Any, depth: int = 0) -> bool:
    """True if orjson may have *value*, no scalar but a float, as it is: nearly always."""
    kind = value.__class__
    if kind is float:
        return math.isfinite(value)
    if depth > _MAX_DEPTH or (kind is not dict and kind is not list):
        return False
    for item in value.values() if kind is dict else value:
        # Most are scalars, for which a call would cost more than this.
        if item.__class__ not in _SCALARS and not _is_plain(item, depth + 1):
            return False
    return True


# orjson itself goes no deeper than 254.
_MAX_DEPTH = 200


def _sendable(value: object, path: str, problems: list[str], depth: int) -> object:
    """The JSON form of *value*; what has none is added to *problems*."""
    if isinstance(value, Enum):
        value = value.value
    if _is_container(value):
        if depth < _MAX_DEPTH:
            return _container(value, path, problems, depth + 1)
        problems.append(f"{path[:80]}...: nested too deeply")
        return None
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, path, problems)
        case int() | float():
            return _number(value, path, problems)
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            kind = type(value).__name__
            problems.append(f"{path}: {kind} cannot be sent as JSON")
    return None


def _is_container(
    value: object,
) -> TypeGuard[Mapping[Any, Any] | list[Any] | tuple[Any, ...]]:
    """True for what has items that must be looked at."""
    return isinstance(value, Mapping | list | tuple)


def _container(
    value: Mapping[Any, Any] | list[Any] | tuple[Any, ...],
    path: str,
    problems: list[str],
    depth: int,
) -> object:
    if not isinstance(value, Mapping):
        return [
            _sendable(item, f"{path}[{index}]", problems, depth)
            for index, item in enumerate(value)
        ]
    sendable: dict[str, object] = {}
    for key, item in value.items():
        name = _key(key, path, problems)
        inner = f"{path}.{name}" if path else name
        sendable[name] = _sendable(item, inner, problems, depth)
    return sendable


def _number(value: float, path: str, problems: list[str]) -> float | None:
    if isinstance(value, int):
        if -(2**63) <= value < 2**64:
            return int(value)
        problems.append(f"{path}: an integer of more than 64 bits")
    elif math.isfinite(value):
        return float(value)
    else:
        problems.append(f"{path}: {value} has no form in JSON")
    return None


def _text(value: str, path: str, problems: list[str]) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        problems.append(f"{path}: a text with a lone surrogate, which has no UTF-8")
    return str.__str__(value)


def _key(key: object, path: str, problems: list[str]) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return _text(key, path, problems)
    problems.append(f"{path}: the key {key!r} is not a text")
    return ""
