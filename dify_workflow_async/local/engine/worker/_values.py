"""Values between JSON and the engine."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeGuard

from graphon.file.models import File
from graphon.variables.segments import Segment
from pydantic import BaseModel

from ..._file_values import is_file
from ..._json import is_list, is_mapping, is_object


def plain(value: Any) -> Any:
    """Make JSON of a value of the engine.

    A price is a Decimal there, and text on the wire.
    """
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return str(value)
        case File():
            return plain(value.to_dict())
        case Segment():
            return plain(value.value)
        case BaseModel():
            return plain(value.model_dump())
        case datetime():
            return value.isoformat()
        case _:
            return _collection(value)


def _collection(value: Any) -> Any:
    if is_mapping(value):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if _is_row(value):
        return [plain(item) for item in value]
    return str(value)


def _is_row(value: object) -> TypeGuard[Iterable[Any]]:
    return isinstance(value, (list, tuple, set, frozenset))


def revive(value: Any) -> Any:
    """Make the engine's files of the file values in JSON."""
    if is_list(value):
        return [revive(item) for item in value]
    if not is_object(value):
        return value
    if is_file(value):
        return File(**value)
    return {key: revive(item) for key, item in value.items()}


def seconds(moment: datetime) -> float:
    """Tell a time of the engine, which is in UTC without saying so, since 1970."""
    return moment.replace(tzinfo=UTC).timestamp()
