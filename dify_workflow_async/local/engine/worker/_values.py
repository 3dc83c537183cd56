"""Values between JSON and the engine."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from graphon.file.models import File
from graphon.variables.segments import Segment
from pydantic import BaseModel


_IDENTITY: Final = "__dify__file__"


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
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def revive(value: Any) -> Any:
    """Make the engine's files of the file values in JSON."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("dify_model_identity") == _IDENTITY:
        return File(**value)
    return {key: revive(item) for key, item in value.items()}


def seconds(moment: datetime) -> float:
    """Tell a time of the engine, which is in UTC without saying so, since 1970."""
    return moment.replace(tzinfo=UTC).timestamp()
