"""When events came, told by events that tell whole seconds."""

from __future__ import annotations

from datetime import datetime


LONGEST = 1e8
"""Seconds, three years: who tells of more has no clock, and sums stay finite."""


class Clock:
    """Seconds since the first event, for events in the order in which they came.

    Servers tell in whole seconds when something began, and precisely how long an
    execution took (specification, section 3.4). Both together, and the order of the
    events, tell more: what follows an execution did not begin before its end. In which
    part of its second the first event came is found on the way: as late as it takes
    for what follows to follow without a gap, if no event's second forbids that.
    On recorded runs this is true to a tenth of a second or two.

    Attributes:
        now: when the last event came.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._first: float | None = None
        self._phase = 0.0  # in which part of its second the first event came
        self._latest_phase = 1.0

    @property
    def has_begun(self) -> bool:
        """True once an event told a moment."""
        return self._first is not None

    def at(self, moment: datetime | None) -> float:
        """When an event came that tells *moment*; never far from that.

        Args:
            moment: with microseconds if it is exact; None: the event tells none.
        """
        if moment is None:
            return self.now
        low, width = self._since(moment), 0.0 if moment.microsecond else 1.0
        if self._phase < low - self.now <= self._latest_phase:
            self._phase = low - self.now
        low -= self._phase
        at = max(0.0, min(max(self.now, low), low + width))
        room = max(0.0, low + width - at)
        self._latest_phase = min(self._latest_phase, self._phase + room)
        self.now = max(self.now, at)
        return at

    def end(
        self, start: float, elapsed: float | None, moment: datetime | None
    ) -> float:
        """When something ended.

        Args:
            start: when it began.
            elapsed: the seconds that it took, as the server tells: without those in
                which it waited for a person.
            moment: when it ended, as the server tells.
        """
        if elapsed is None:
            return max(start, self.at(moment))
        end = self.until(start + max(0.0, elapsed))
        if moment is None:
            return end
        self.at(moment)
        return max(end, self._since(moment) - self._phase)

    def until(self, seconds: float) -> float:
        """When something came of which the *seconds* after the first event are known."""
        seconds = min(seconds, LONGEST)
        self.now = max(self.now, seconds)
        return seconds

    def _since(self, moment: datetime) -> float:
        told = moment.timestamp()
        if self._first is None:
            self._first = told
        return told - self._first
