"""How many rows at once, and how often one more: decisions without sleeping."""

from __future__ import annotations

import re

from ..errors import ConfigurationError, DifyError, ServerError, TooManyRequests


_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|min|h)\s*")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}

# Timers come late by a few milliseconds, and an event loop that is busy by more: what
# was missed in this time is made up for, so that a high rate is reached.
_CATCH_UP = 0.1

# A server may ask for a pause of any length; a batch has the night, not the week.
MAX_PAUSE = 3600.0


def per_second(rate: str | float) -> float:
    """Starts per second: ``5``, ``"5/s"``, ``"100/min"`` and ``"1000/h"`` are rates.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(rate, str):
        found = _RATE.fullmatch(rate)
        value = float(found[1]) / _SECONDS[found[2]] if found else 0.0
    else:
        value = float(rate)
    if not 0 < value < float("inf"):
        msg = f"a rate is a number per second, or like '5/s' or '100/min', not {rate!r}"
        raise ConfigurationError(msg)
    return value


class Pace:
    """Decides when one more row may start. Its caller tells the time, and sleeps.

    Args:
        concurrency: the most rows at once.
        rate: starts per second; None: as they come.
        adaptive: have fewer rows at once while the server says that it has too much
            to do, and more again as rows succeed (additive increase, multiplicative
            decrease, as TCP does it).

    Attributes:
        limit: how many rows may be under way at this time.
    """

    def __init__(
        self, concurrency: int, rate: float | None = None, *, adaptive: bool = False
    ) -> None:
        self.limit = concurrency
        self._most = concurrency
        self._wished = float(concurrency)
        self._adaptive = adaptive
        self._gap = 0.0 if rate is None else 1 / rate
        self._next = float("-inf")
        self._pause_ends = float("-inf")
        self._reduced_at = float("-inf")

    # -- the rate ----------------------------------------------------------------------

    def wait(self, now: float) -> float:
        """Seconds until one more row may start; 0: at once."""
        return max(self._next, self._pause_ends, now) - now

    def take(self, now: float) -> None:
        """Count one start."""
        if self._gap:
            is_late = now - self._next <= _CATCH_UP  # else nobody was there before
            self._next = (self._next if is_late else now) + self._gap

    def give_back(self) -> None:
        """Count one start less: the row needed no run."""
        self._next -= self._gap

    # -- the concurrency ---------------------------------------------------------------

    def went_well(self) -> None:
        """Count a row that succeeded: as many as run at once allow one more."""
        if self._wished < self._most:
            self._wished = min(self._most, self._wished + 1 / self._wished)
            self.limit = int(self._wished)

    def went_wrong(self, error: BaseException, since: float, now: float) -> bool:
        """Look at what a request ended in.

        Args:
            error: of any kind.
            since: when the request was sent, or began to be repeated.
            now: the time.

        Returns:
            True if the server has too much to do. All rows then wait for as long as it
            asks, up to an hour; and half as many run, but requests that were sent
            before the last halving halve nothing, since they know nothing of it.
        """
        if not isinstance(error, TooManyRequests | ServerError):
            return False
        self._heed(error, now)
        if self._adaptive and since >= self._reduced_at:
            self._reduced_at = now
            self._wished = max(1.0, self.limit / 2)
            self.limit = int(self._wished)
        return True

    def _heed(self, error: DifyError, now: float) -> None:
        asked = min(error.retry_after or 0.0, MAX_PAUSE)
        self._pause_ends = max(self._pause_ends, now + asked)
