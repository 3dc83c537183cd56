"""Tolerant conversion of single JSON values: None for what cannot be understood.

Which forms a value comes in, over the years and servers, is section 5 of the
specification ("type drift").
"""

from __future__ import annotations

import math
import re

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeGuard

import orjson


_DIGITS = re.compile(r"-?[0-9]{1,20}")


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """True for a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """True for a JSON array."""
    return isinstance(value, list)


def to_str(value: object) -> str | None:
    """Texts only: a number where a text belongs is no text."""
    return value if isinstance(value, str) else None


def to_bool(value: object) -> bool | None:
    """True and False only."""
    return value if isinstance(value, bool) else None


def to_float(value: object) -> float | None:
    """Numbers, and texts that hold one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def to_int(value: object) -> int | None:
    """Whole numbers, also as float or digit text (``total_steps`` of old servers)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)  # exactly: a float has 53 bits
    number = to_float(value)
    return int(number) if number is not None and number.is_integer() else None


def to_decimal(value: object) -> Decimal | None:
    """Prices: text since 1.9, a number before."""
    if value.__class__ is not str and (
        isinstance(value, bool) or not isinstance(value, int | float | str)
    ):
        return None
    try:
        price = Decimal(str(value))
    except (InvalidOperation, ValueError):  # an int of more digits than str() gives
        return None
    return price if price.is_finite() else None


def to_datetime(value: object) -> datetime | None:
    """Unix seconds, as number or digits, RFC 2822 or ISO 8601 text; UTC if unsaid."""
    if value.__class__ is int:
        return _moment(value)
    seconds = to_float(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
        if not isinstance(value, str):
            return None
        return _in_utc(_parse_date(value))
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=64)
def _moment(seconds: int) -> datetime | None:
    """The datetime of whole seconds; a run's events have but a few different ones."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _parse_date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def to_mapping(value: object) -> dict[str, Any] | None:
    """Objects, also as JSON text (``inputs`` of the run detail)."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    return value if is_object(value) else None


# -- forms of whole fields that other servers, or the documents, write otherwise -------


def text_of_number(value: object) -> object:
    """An id, which the documents show as a number."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


def account_of_name(value: object) -> object:
    """An account, of which the documents show but a text."""
    return {"name": value} if isinstance(value, str) else value


def flat_variables(value: object) -> object:
    """An app's inputs: the wire has objects of one key, which is the control's type."""
    return [_flat_variable(each) for each in value] if is_array(value) else value


def _flat_variable(value: object) -> object:
    if is_object(value) and len(value) == 1:
        ((control, variable),) = value.items()
        if is_object(variable):
            return {**variable, "type": control}
    return value
