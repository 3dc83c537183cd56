"""What a check has found: how it stands, why, and what to do."""

from __future__ import annotations

import enum

import attrs


class Mark(enum.Enum):
    """How a check went; its value is what is shown."""

    FINE = "✓"
    DOUBT = "!"
    WRONG = "✗"
    UNKNOWN = "?"


@attrs.frozen
class Finding:
    """What a check has found.

    Attributes:
        check: what was looked at, in a word or two.
        told: what was found, or the cause of the trouble: a sentence.
        remedy: what to do about it: a sentence; empty if there is nothing to do.
    """

    check: str
    mark: Mark
    told: str
    remedy: str = ""


def fine(check: str, told: str) -> Finding:
    """All is well."""
    return Finding(check, Mark.FINE, told)


def doubt(check: str, told: str, remedy: str) -> Finding:
    """It works, and something will hurt sooner or later."""
    return Finding(check, Mark.DOUBT, told, remedy)


def wrong(check: str, told: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, Mark.WRONG, told, remedy)


def unknown(check: str, told: str, remedy: str = "") -> Finding:
    """It could not be looked at, or told nothing."""
    return Finding(check, Mark.UNKNOWN, told, remedy)
