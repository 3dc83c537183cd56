"""What is required of the client, and what it aims at: all such numbers are here."""

# ruff: noqa: RUF001 - dashes and times signs, for people to read

from __future__ import annotations

import statistics

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


Row = dict[str, Any]

# Contenders that give typed events for everything that a small workflow sends.
TYPED = ("handmade", "dify-client-python", "dify-sdk")


class Results:
    """The rows of all rounds: those that a measure asks for."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def of(self, work: str, contender: str) -> list[Row]:
        """The rows of one contender, by round."""
        mine = (r for r in self._rows if r["work"] == work)
        return [r for r in mine if r["contender"] == contender]

    def contenders(self, work: str) -> list[str]:
        """Who took part, in the order of the rows."""
        return list(
            dict.fromkeys(r["contender"] for r in self._rows if r["work"] == work)
        )

    def values(self, work: str, contender: str, key: str) -> dict[int, float]:
        """A figure by round, where there is one."""
        rows = self.of(work, contender)
        return {r["round"]: r[key] for r in rows if r.get(key) is not None}

    def paired(
        self, work: str, one: str, other: str, key: str = "cpu"
    ) -> Iterator[tuple[float, float]]:
        """The figures of two contenders in the same rounds."""
        first, second = self.values(work, one, key), self.values(work, other, key)
        for number in sorted(first.keys() & second.keys()):
            yield first[number], second[number]

    def ratios(self, work: str, one: str, other: str, key: str = "cpu") -> list[float]:
        """One contender's figures over another's, by round."""
        return [a / b for a, b in self.paired(work, one, other, key)]

    def best(self, work: str, among: tuple[str, ...] | None = None) -> str | None:
        """The other client that needs the fewest CPU seconds and loses nothing."""
        costs = {}
        for name in self.contenders(work):
            rows = self.of(work, name)
            if name in {"floor", "this"} or (among and name not in among):
                continue
            if all(not row["problem"] for row in rows):
                costs[name] = statistics.median(row["cpu"] for row in rows)
        return min(costs, key=lambda name: costs[name], default=None)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One thing that is required.

    Attributes:
        what: in words.
        values: the figures, one for each round.
        required: they must be at most this, in the median.
        goal: and should be at most this.
        at_least: turns both around.
        unit: follows the figures.
    """

    what: str
    values: Callable[[Results], list[float]]
    required: float
    goal: float | None = None
    at_least: bool = False
    unit: str = "×"

    def meets(self, value: float, bound: float | None) -> bool | None:
        """Whether a figure is good enough; None if there is no bound."""
        if bound is None:
            return None
        return value >= bound if self.at_least else value <= bound


def _over_floor(work: str, key: str = "cpu") -> Callable[[Results], list[float]]:
    return lambda results: results.ratios(work, "this", "floor", key)


def _ahead(
    work: str, among: tuple[str, ...] | None = None
) -> Callable[[Results], list[float]]:
    def values(results: Results) -> list[float]:
        best = results.best(work, among)
        return results.ratios(work, best, "this") if best else []

    return values


def _big_growth(results: Results) -> list[float]:
    ten, twenty = (results.values(f"big-{n}", "this", "cpu") for n in (10, 20))
    return [twenty[i] / ten[i] for i in sorted(ten.keys() & twenty.keys())]


def _added_delay(results: Results) -> list[float]:
    pairs = results.paired("delay", "this", "floor", "delay_ms")
    return [ours - floors for ours, floors in pairs]


TARGETS = (
    Target(
        what="200,000 texts, `async for`: CPU over floor",
        values=_over_floor("text"),
        required=2.0,
        goal=1.5,
    ),
    Target(
        what="the same: best other client with types over this one, CPU",
        values=_ahead("text", TYPED),
        required=4.0,
        at_least=True,
    ),
    Target(
        what="200,000 texts to one async handler: CPU over floor",
        values=_over_floor("handler"),
        required=2.3,
        goal=1.8,
    ),
    Target(
        what="200,000 texts that no handler wants: CPU over floor",
        values=_over_floor("unwanted"),
        required=1.4,
        goal=1.2,
    ),
    Target(
        what="2,000 runs, 50 at once: CPU over floor",
        values=_over_floor("runs-50"),
        required=1.5,
        goal=1.25,
    ),
    Target(
        what="the same: best other client over this one, CPU",
        values=_ahead("runs-50"),
        required=8.0,
        at_least=True,
    ),
    Target(
        what="2,000 runs, 1,000 at once: CPU over floor",
        values=_over_floor("runs-1000"),
        required=1.5,
        goal=1.25,
    ),
    Target(
        what="the same: best other client over this one, CPU",
        values=_ahead("runs-1000"),
        required=8.0,
        at_least=True,
    ),
    Target(
        what="5,000 streams open at once: memory of one over floor",
        values=_over_floor("open", "per_stream"),
        required=1.5,
        goal=1.3,
    ),
    Target(
        what="a batch of 10,000 rows, without journal: CPU over floor",
        values=_over_floor("rows-200"),
        required=1.8,
        goal=1.4,
    ),
    Target(
        what="one event of 20 MB over one of 10 MB: CPU",
        values=_big_growth,
        required=2.2,
    ),
    Target(
        what="one event of 20 MB: peak memory over its size",
        values=lambda r: list(r.values("big-20", "this", "per_byte").values()),
        required=5.0,
        goal=4.0,
    ),
    Target(
        what="an event after its bytes: delay added to floor's",
        values=_added_delay,
        required=0.3,
        goal=0.15,
        unit=" ms",
    ),
    Target(
        what="import, over that of aiohttp, attrs, cattrs and orjson",
        values=_over_floor("import"),
        required=1.3,
        goal=1.15,
    ),
)
