"""Kinds of columns: what a format with types writes each column as."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from ._cells import encodable, text_of


class Kind(IntEnum):
    """What all values of a column can be written as; NOTHING where all are empty."""

    NOTHING = 0
    BOOL = 1
    INT = 2
    FLOAT = 3
    TEXT = 4


# Doubles hold no larger integers than these exactly.
_EXACT = 2**53


def kind_of(value: object) -> Kind:
    """The kind of one value; what is nested becomes text."""
    match value:
        case None:
            return Kind.NOTHING
        case bool():
            return Kind.BOOL
        case int() if -(2**63) <= value < 2**63:
            return Kind.INT
        case float():
            return Kind.FLOAT
        case _:
            return Kind.TEXT


def common(one: Kind, other: Kind) -> Kind:
    """The kind of a column that has values of both; text takes everything."""
    if one is other or other is Kind.NOTHING:
        return one
    if one is Kind.NOTHING:
        return other
    if {one, other} == {Kind.INT, Kind.FLOAT}:
        return Kind.FLOAT
    return Kind.TEXT


def fitted(value: Any, kind: Kind) -> Any:
    """A JSON value, as a column of that kind has it."""
    if value is None:
        return None
    if kind is Kind.FLOAT:
        return float(value)
    return value if kind < Kind.FLOAT else encodable(text_of(value))
