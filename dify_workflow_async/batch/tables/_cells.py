"""Cells: what is in a table, as JSON values, and as text."""

from __future__ import annotations

import base64
import json
import math

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeGuard

from ...errors import TableError


Cells = Mapping[str, Any]
"""A row of a table: its cells, by the names of their columns."""


def plain(value: object) -> Any:
    """The JSON value that stands for *value*.

    Dates and times become ISO 8601 text, durations seconds, decimals text with all
    their digits, bytes base64, and what is not a number (NaN) None, as tables write it
    for a value that is missing.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if math.isfinite(value):
                return value
            return None if math.isnan(value) else dumped(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal():
            return str(value) if value.is_finite() else None
        case _ if is_mapping(value):
            return {str(name): plain(item) for name, item in value.items()}
        case _ if is_list(value):
            return [plain(item) for item in value]
        case _:
            return str(value)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """True for what JSON has as an object."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """True for what JSON has as an array."""
    return isinstance(value, list | tuple)


def is_empty(value: object) -> bool:
    """True for a cell with nothing in it: tables do not tell that from an empty text."""
    return value is None or value == ""


def text_of(value: object) -> str:
    """A JSON value as the text of a cell: texts as they are, all else as JSON."""
    if isinstance(value, str):
        return value
    return dumped(value) if value is not None else ""


def dumped(value: object) -> str:
    """JSON on one line, with all characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encodable(text: str) -> str:
    """The text, with its lone surrogates, which have no UTF-8, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def names_of(header: list[Any], path: str) -> list[str]:
    """The names of columns; one without a name is called by its number, from 1.

    Raises:
        TableError: two have the same name, or there are none.
    """
    names = [
        text_of(plain(cell)).strip() or f"column {number}"
        for number, cell in enumerate(header, 1)
    ]
    if not names:
        msg = "the table has no header"
        raise TableError(msg, path=path)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"two columns are called {', '.join(map(repr, twice))}"
        raise TableError(msg, path=path)
    return names
