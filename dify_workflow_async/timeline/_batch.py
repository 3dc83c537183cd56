"""`BatchTimeline`: how the rows of a batch went, as its journal tells."""

from __future__ import annotations

import math
import re

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Self

import attrs

from ..batch import Record, State, Totals
from ..batch._tally import Durations
from ._picture import Picture
from ._words import one_line


if TYPE_CHECKING:
    from altair import VConcatChart

    from ..batch.journal import Journal

PERCENTS = (50, 90, 99)

ENDS = (
    *(State.SUCCEEDED, State.PAUSED, State.STOPPED, State.REFUSED),
    *(State.UNKNOWN, State.FAILED),
)
"""States that are ends."""

# As many as a picture can show, of any number of rows and any length.
_SLICES = 80
_MOST_CAUSES = 1000

# What differs from one failure to the next of the same cause; statuses tell more.
_IDS = re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{20,}|\b(?=\w*\d)[0-9a-f]{12,}\b|\d{4,}")
OTHER_CAUSES = "other causes"


@attrs.frozen(kw_only=True)
class Slice:
    """The rows of a batch that ended in one part of its time.

    Attributes:
        start: seconds from the beginning of the batch.
        ended: how many rows ended how.
        seconds: percentiles of the seconds that their runs took, by ``50``, ``90``,
            ``99`` and ``100``, true to 1 %; empty if nothing tells.
        tokens: likewise, of their tokens.
    """

    start: float
    ended: Mapping[State, int]
    seconds: Mapping[int, float]
    tokens: Mapping[int, float]


@attrs.frozen(kw_only=True)
class BatchTimeline(Picture):
    """A picture of a batch: what ended when and how, how long it took, what failed.

    Attributes:
        totals: what all rows took and cost.
        width: seconds of each slice.
        slices: the time of the batch in parts, from the beginning to the last end.
        seconds: as for a `Slice`, of all rows.
        tokens: likewise.
        causes: why rows did not succeed, and how many for each reason, the most
            frequent first. Ids and long numbers in it are left out.
    """

    totals: Totals
    width: float
    slices: tuple[Slice, ...]
    seconds: Mapping[int, float]
    tokens: Mapping[int, float]
    causes: Mapping[str, int]

    @classmethod
    async def read(cls, where: str | PathLike[str]) -> Self:
        """The timeline of a batch, also while it runs; its journal is only read.

        Args:
            where: the journal: a file, or a URL, as for `batch.journal.Journal.open`.

        Raises:
            ConfigurationError: *where* is no such thing, or a package is missing.
            JournalError: there is none, or it cannot be read.
        """
        from ..batch.journal import Journal

        async with Journal.open(where, create=False) as journal:
            return await cls.of(journal)

    @classmethod
    async def of(cls, journal: Journal) -> Self:
        """The timeline of a journal that is open.

        Rows are read a few hundred at a time, and not kept.

        Raises:
            JournalError: it cannot be read.
        """
        totals = await journal.totals()
        counting = _Counting(totals)
        async for record in journal.records(ENDS, outputs=False):
            counting.add(record)
        return cls(
            totals=totals,
            width=counting.width,
            slices=tuple(
                part.slice(number * counting.width)
                for number, part in enumerate(counting.parts)
            ),
            seconds=counting.all.seconds.percentiles(*PERCENTS),
            tokens=counting.all.tokens.percentiles(*PERCENTS),
            causes=dict(counting.causes.most_common()),
        )

    def _drawn(self) -> VConcatChart:
        from ._batch_chart import chart_of

        return chart_of(self)


class _Part:
    """Counts the rows of some time."""

    def __init__(self) -> None:
        self.ended: Counter[State] = Counter()
        self.seconds, self.tokens = Durations(), Durations()

    def add(self, record: Record) -> None:
        self.ended[record.state] += 1
        if (seconds := _seconds(record)) is not None:
            self.seconds.add(seconds)
        if record.total_tokens is not None:
            self.tokens.add(record.total_tokens)

    def slice(self, start: float) -> Slice:
        return Slice(
            start=start,
            ended=dict(self.ended),
            seconds=self.seconds.percentiles(*PERCENTS),
            tokens=self.tokens.percentiles(*PERCENTS),
        )


class _Counting:
    """Counts all rows of a batch, and those of each part of its time."""

    def __init__(self, totals: Totals) -> None:
        began, ended = totals.started_at, totals.finished_at
        length = (ended - began).total_seconds() if began and ended else 0.0
        self._began = began
        self.width = _nice(max(0.0, length) / _SLICES) if ended else 1.0
        number = max(1, math.ceil(length / self.width)) if ended else 0
        self.parts = [_Part() for _ in range(number)]
        self.all = _Part()
        self.causes: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        self.all.add(record)
        if self.parts and record.finished_at is not None:
            self._part(record.finished_at).add(record)
        if record.state is not State.SUCCEEDED and record.state is not State.PAUSED:
            cause = _cause(record)
            known = cause in self.causes or len(self.causes) < _MOST_CAUSES
            self.causes[cause if known else OTHER_CAUSES] += 1

    def _part(self, ended: datetime) -> _Part:
        """Where a row belongs that *ended* then; also if that was after the totals."""
        since = (ended - (self._began or ended)).total_seconds()
        number = math.floor(since / self.width)
        return self.parts[max(0, min(number, len(self.parts) - 1))]


def _nice(width: float) -> float:
    """The next width that people count in: 1, 2 or 5 times a power of ten."""
    if width <= 0.001:
        return 0.001
    power = 10.0 ** math.floor(math.log10(width))
    return next(
        (step * power for step in (1, 2, 5) if width <= step * power), 10 * power
    )


def _seconds(record: Record) -> float | None:
    """What a run took, as the server tells, or from claim to end."""
    if record.elapsed_time is not None:
        return record.elapsed_time
    if record.started_at is None or record.finished_at is None:
        return None
    return (record.finished_at - record.started_at).total_seconds()


def _cause(record: Record) -> str:
    first = (record.error or "").strip().partition("\n")[0]
    told = _IDS.sub("…", first)
    words = [record.error_type or record.state.value, told]
    return one_line(": ".join(filter(None, words)), 120)
