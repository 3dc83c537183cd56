"""Tells growth from noise, in what was measured again and again beside other work.

The second half of the measurements must have no slope, within the noise of the first:

1. A fifth of the first half is left out, in which caches fill.
2. Each half is cut into slices of equal length, whose medians count: a slice that met a
   peak is not a trend.
3. The slope of the second half is the median of the slopes between any two of its
   slices (Theil and Sen), which a third of odd slices do not move.
4. How far such a slope is off by noise alone is learnt from the first half: what is
   left of it when its own line is taken away is cut into blocks, since neighbours are
   alike, and blocks drawn by lot are put together to a half without any trend, many
   times (block bootstrap). Their slopes spread around nil. Of a measure that wanders
   it is the steps between slices that are drawn, and added up.
5. Memory grows if the slope is more than three times that spread, and more than two
   steps of the measure over the half: one in its middle may look like more than one.
"""

from __future__ import annotations

import math
import random
import statistics

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import attrs


WARM_UP = 0.2  # of the first half
SLICES = 48  # of each half, if there are so many measurements
BLOCKS = 6  # that a half is put together from
DRAWS = 200
SPREADS = 3.0

Point = tuple[float, float]


class TooFewMeasurements(ValueError):
    """Raised when nothing can be told yet."""


@attrs.frozen(kw_only=True)
class Verdict:
    """What one measure does, each for one more call.

    Attributes:
        slope: how much the second half adds.
        noise: how far such a slope is off by chance, as a standard deviation.
        step: the least slope that is no single step of the measure.
        calls: how long the second half was.
    """

    slope: float
    noise: float
    step: float
    calls: float

    @property
    def bound(self) -> float:
        """The most that may be chance."""
        return max(SPREADS * self.noise, self.step)

    @property
    def grows(self) -> bool:
        """True if it is more than chance."""
        return self.slope > self.bound

    def __str__(self) -> str:
        return (
            f"{self.slope:+.2f} bytes a call, noise {self.noise:.2f}, at most "
            f"{self.bound:.2f} ({self.slope * self.calls / 1e3:+.1f} kB in "
            f"{self.calls:.0f} calls): {'it grows' if self.grows else 'fine'}"
        )


def judge(
    points: Sequence[Point], *, step: float, wanders: bool = False, seed: int = 1
) -> Verdict:
    """Tell whether the second half of *points* grows.

    Args:
        points: calls so far, and what was measured then.
        step: what the measure goes up by at least.
        wanders: True if what it is depends on what it was, as with the pages that are
            resident between the holes of a heap; else it comes back to a level.
        seed: of the lots.

    Raises:
        TooFewMeasurements: there are less than three for a block.
    """
    end = points[-1][0] if points else 0.0
    first = _sliced([x for x in points if end / 2 * WARM_UP <= x[0] < end / 2])
    second = _sliced([x for x in points if x[0] >= end / 2])
    if min(len(first), len(second)) < 3 * BLOCKS:
        msg = "too few measurements: more time is needed"
        raise TooFewMeasurements(msg)
    calls = second[-1][0] - second[0][0]
    places = [x for x, _ in second]
    rest = _residuals(first)
    lots = _lots(_steps(rest) if wanders else rest, seed)
    if wanders:
        lots = map(list, map(accumulate, lots))
    without_trend = (_slope(_at(places, lot)) for lot in lots)
    return Verdict(
        slope=_slope(second),
        noise=statistics.pstdev(list(without_trend)),
        step=2 * step / calls,
        calls=calls,
    )


def _sliced(points: list[Point]) -> list[Point]:
    """The middle of each slice."""
    width = max(1, len(points) // SLICES)
    slices = [points[i : i + width] for i in range(0, len(points) - width + 1, width)]
    return [
        (statistics.mean(x), statistics.median(y)) for x, y in map(_columns, slices)
    ]


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _slope(points: list[Point]) -> float:
    """The slope of Theil and Sen."""
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for i, earlier in enumerate(points)
        for later in points[i + 1 :]
    ]
    return statistics.median(slopes)


def _residuals(points: list[Point]) -> list[float]:
    """What a line through the points leaves."""
    slope = _slope(points)
    rest = [y - slope * x for x, y in points]
    middle = statistics.median(rest)
    return [each - middle for each in rest]


def _steps(values: list[float]) -> list[float]:
    """From each to the next, without their mean."""
    steps = [after - before for before, after in pairwise(values)]
    mean = statistics.mean(steps)
    return [each - mean for each in steps]


def _lots(residuals: list[float], seed: int) -> Iterator[list[float]]:
    """Put blocks together that are drawn by lot; the first follows on the last."""
    dice = random.Random(seed)
    around = residuals * 2
    length = math.ceil(len(residuals) / BLOCKS)
    for _ in range(DRAWS):
        starts = [dice.randrange(len(residuals)) for _ in range(2 * BLOCKS)]
        yield [x for start in starts for x in around[start : start + length]]


def _at(places: list[float], values: list[float]) -> list[Point]:
    return list(zip(places, values, strict=False))
