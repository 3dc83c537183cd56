"""Counting: where a batch stands, and what it was in the end."""

from __future__ import annotations

import math

from collections import Counter, deque
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from ._ends import UNCERTAIN, price_of
from ._values import State


if TYPE_CHECKING:
    from ._values import BatchItem

# The rate of now is that of the last rows: enough to be steady, few enough to be now.
_LAST = 200

# Durations are counted in classes, each 2 % wider than the one before, so that those
# of any number of rows take a few kilobytes, and percentiles are true to 1 %.
_WIDTH = math.log(1.02)


@attrs.frozen(kw_only=True)
class Progress:
    """Where a batch stands.

    Attributes:
        total: how many rows there are; None if nobody knows.
        read: how many were read.
        done: how many ended: those that succeeded, failed, paused, or are unknown.
        failed: also those that were refused or stopped.
        unknown: those of which nobody knows whether, or how, their run ended.
        paused: those that wait for a person.
        skipped: those that the journal had an end of.
        running: those under way.
        rate: rows per second, lately.
        tokens: of all that ended.
        price: of all that ended, by currency.
        seconds: since the beginning.
        seconds_left: at this rate; None if that cannot be told.
    """

    total: int | None
    read: int
    done: int
    succeeded: int
    failed: int
    unknown: int
    paused: int
    skipped: int
    running: int
    rate: float
    tokens: int
    price: Mapping[str, Decimal]
    seconds: float
    seconds_left: float | None


@attrs.frozen(kw_only=True)
class Summary:
    """What a batch was.

    Attributes:
        rows: how many ended in it.
        states: how, and how many of each.
        skipped: how many the journal had an end of.
        attempts: how often rows were tried, in all.
        tokens: of all that ended.
        price: of all that ended, by currency.
        percentiles: of the seconds from a row's start to its end, by ``50``, ``90``,
            ``95``, ``99`` and ``100``, true to 1 %; empty if no row was run.
        seconds: from the beginning to the end, or to now.
    """

    rows: int
    states: Mapping[State, int]
    skipped: int
    attempts: int
    tokens: int
    price: Mapping[str, Decimal]
    percentiles: Mapping[int, float]
    seconds: float

    @property
    def succeeded(self) -> int:
        """How many succeeded."""
        return self.states.get(State.SUCCEEDED, 0)


class Durations:
    """Any number of durations, in little memory."""

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()
        self._most = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._most = max(self._most, seconds)
        self._classes[math.floor(math.log(max(seconds, 1e-6)) / _WIDTH)] += 1

    def percentiles(self, *percents: int) -> dict[int, float]:
        """The seconds in which so many percent were done; none if none was."""
        left = sorted(self._classes.items())
        total = sum(self._classes.values())
        found: dict[int, float] = {}
        passed = 0
        for number, count in left:
            passed += count
            for percent in percents:
                if percent not in found and passed * 100 >= percent * total:
                    middle = math.exp((number + 0.5) * _WIDTH)
                    found[percent] = min(middle, self._most)
        return found | ({100: self._most} if total else {})


class Tally:
    """Counts the rows of one batch.

    Args:
        total: how many rows there are, if that is known.
        began: the time at which it began.

    Attributes:
        read, skipped, running: see `Progress`; counted by whoever knows.
    """

    def __init__(self, total: int | None, began: float) -> None:
        self.read = self.skipped = self.running = 0
        self._total = total
        self._began = began
        self._ended: float | None = None
        self._states: Counter[State] = Counter()
        self._attempts = 0
        self._tokens = 0
        self._price: dict[str, Decimal] = {}
        self._durations = Durations()
        self._last: deque[float] = deque(maxlen=_LAST)

    def add(self, item: BatchItem, now: float) -> None:
        """Count a row that ended in this batch."""
        self._states[item.state] += 1
        self._last.append(now)
        if item.attempts:
            self._attempts += item.attempts
            self._durations.add(item.seconds)
        result = item.result or item.record
        if result is not None:
            self._spend(result)

    def _spend(self, result: Any) -> None:
        self._tokens += result.total_tokens or 0
        price = price_of(result)
        if price:
            currency = result.currency or ""
            self._price[currency] = self._price.get(currency, Decimal()) + price

    def end(self, now: float) -> None:
        """Let the clock stand still."""
        self._ended = self._ended or now

    def count(self, *states: State) -> int:
        """How many rows ended so."""
        return sum(self._states[state] for state in states)

    def progress(self, now: float) -> Progress:
        """Where the batch stands."""
        done = self._states.total()
        unknown = self.count(*UNCERTAIN)
        succeeded, paused = self.count(State.SUCCEEDED), self.count(State.PAUSED)
        rate = self._rate(self._ended or now)
        return Progress(
            total=self._total,
            read=self.read,
            done=done,
            succeeded=succeeded,
            failed=done - succeeded - unknown - paused,
            unknown=unknown,
            paused=paused,
            skipped=self.skipped,
            running=self.running,
            rate=rate,
            tokens=self._tokens,
            price=dict(self._price),
            seconds=(self._ended or now) - self._began,
            seconds_left=self._seconds_left(done, rate),
        )

    def _rate(self, now: float) -> float:
        """Rows per second, over the last of them."""
        if not self._last:
            return 0.0
        is_all = len(self._last) < _LAST
        since = self._began if is_all else self._last[0]
        return (len(self._last) - (not is_all)) / max(now - since, 1e-6)

    def _seconds_left(self, done: int, rate: float) -> float | None:
        if self._total is None or not rate:
            return None
        return max(0, self._total - done - self.skipped) / rate

    def summary(self, now: float) -> Summary:
        """What the batch was, so far."""
        return Summary(
            rows=self._states.total(),
            states=dict(self._states),
            skipped=self.skipped,
            attempts=self._attempts,
            tokens=self._tokens,
            price=dict(self._price),
            percentiles=self._durations.percentiles(50, 90, 95, 99),
            seconds=(self._ended or now) - self._began,
        )
