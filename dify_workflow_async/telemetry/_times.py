"""Times of events as OpenTelemetry wants them: nanoseconds since 1970, and in order.

Servers tell when a node began and ended in whole seconds, cut off, and how long it took
more exactly.
"""

from __future__ import annotations

from datetime import UTC, datetime


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000

LONGEST = 1e8
"""Seconds, three years: who tells of more has no clock."""

TOLERANCE = 2 * SECOND
"""Two times that were cut off may be so far apart from a duration that was not."""


def nanoseconds(moment: datetime) -> int:
    """The time as an integer; a float would lose some of it.

    Exporters have no bits for what is before 1970 or long after: it is 1970, or 2262.
    """
    since = moment - _EPOCH
    then = (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000
    return min(max(0, then), 2**63 - 1)


def within(told: datetime | None, *now: int) -> int:
    """When it was, as exactly as can be known.

    Args:
        told: by the server; None: it said nothing.
        now: when we heard of it, and other times of our own clock. The first that
            lies within the second that was told is better than its beginning.
    """
    if told is None:
        return now[0]
    then = nanoseconds(told)
    if then % SECOND:
        return then
    fitting = (each for each in now if then <= each < then + SECOND)
    return next(fitting, then)


def end(began: int, told: datetime | None, seconds: float | None, *now: int) -> int:
    """When something ended that began then, as exactly as can be known.

    Args:
        began: when it began.
        told: when it ended, by the server; None: it said nothing.
        seconds: how long it took, by the server; None: it said nothing.
        now: as for `within`.
    """
    if seconds is not None and 0 <= seconds < LONGEST:
        then = began + round(seconds * SECOND)
        if told is None or abs(nanoseconds(told) - then) <= TOLERANCE:
            return then
    return max(began, within(told, *now))
