"""What a batch is given, and what it gives: rows, items, and what a journal keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Protocol, runtime_checkable

import attrs

from ..models import RunRef


@runtime_checkable
class Outcome(Protocol):
    """What a row's work returns; `models.RunResult` is one.

    If it also has a ``total_price`` (a decimal number) and a ``currency``, those are counted.
    """

    @property
    def status(self) -> str | None: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...
    @property
    def error(self) -> str | None: ...
    @property
    def workflow_run_id(self) -> str | None: ...
    @property
    def elapsed_time(self) -> float | None: ...
    @property
    def total_tokens(self) -> int | None: ...


@attrs.frozen(kw_only=True)
class Row:
    """One row of a batch.

    Attributes:
        index: its number in the order of the rows, from 0.
        key: by which it is told from all others; see `run_batch`.
        inputs: of its run.
        digest: SHA-256, in hexadecimal digits, of the inputs in canonical JSON, files by
            their content; empty where nobody asked for it.
    """

    index: int
    key: str
    inputs: Mapping[str, Any] = attrs.field(repr=False)
    digest: str = ""


Started = Callable[[RunRef], Awaitable[None]]
"""Awaited by a row's work as soon as its run's id is known."""


class Work(Protocol):
    """What is done for each row: a run, for a client's batch.

    Args:
        row: the row.
        known: the run that was started for it before, by a process that is gone: it is
            to be found again, not started.
        started: see ``Started``.

    Raises:
        DifyError: ``safe_to_repeat`` says whether the row may be tried again.
    """

    def __call__(
        self, row: Row, *, known: RunRef | None, started: Started
    ) -> Awaitable[Outcome]: ...


class State(StrEnum):
    """Where a row stands, as the journal has it.

    A row is ``pending`` until somebody claims it, ``started`` from just before its
    request, and ``running`` once its run's id is known. The rest are ends: it
    ``succeeded``, ``failed`` (the run did, or ended in an error that cannot be
    repeated), was ``stopped`` or ``paused``, was ``refused`` before it began
    (nothing was run: it is run again the next time), or is ``unknown``: it was started
    and nobody knows whether a run came of it.
    """

    PENDING = "pending"
    STARTED = "started"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    PAUSED = "paused"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Record:
    """What a journal keeps of a row.

    Attributes:
        status: of the run, in Dify's words.
        error_type: the class of the error that the row ended in.
        error: its sentence, or what the run failed with.
        attempts: how often it was claimed, by this process or another.
        elapsed_time: of the run, in seconds, as the server tells.
        started_at: when it was claimed last, by the database's clock.
        finished_at: when it ended, likewise.
    """

    key: str
    digest: str
    state: State
    ref: RunRef | None = None
    status: str | None = None
    outputs: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    error_type: str | None = None
    error: str | None = None
    attempts: int = 0
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_price: Decimal | None = None
    currency: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Totals:
    """What all rows of a journal together took and cost.

    Attributes:
        counts: how many rows stand where; states without rows are left out.
        prices: by currency, which is empty where none was told.
        started_at: the oldest claim on a row that was not claimed again.
        finished_at: when the last one ended.
    """

    counts: Mapping[State, int]
    tokens: int
    prices: Mapping[str, Decimal]
    started_at: datetime | None
    finished_at: datetime | None


class Verdict(Enum):
    """What to do with a row that was offered to a journal."""

    RUN = "run"  # it is claimed for us, as started: run it
    RECOVER = "recover"  # it is claimed for us: find its run again by ``record.ref``
    UNKNOWN = "unknown"  # a process that is gone started it, and no run id is known
    DONE = "done"  # it has ended: ``record`` tells how
    HELD = "held"  # another process works on it: ask again later


class Wish(StrEnum):
    """What those who take rows from a batch are asked to do by who put them in."""

    GO = "go"  # take rows and run them
    STOP = "stop"  # take no more, and finish what runs
    ABORT = "abort"  # take no more, and stop what runs


@attrs.frozen(kw_only=True)
class Claim:
    """A journal's answer to a row that it was offered, or a row that it gave out.

    Attributes:
        row: the row: the one that was offered, or as the journal kept it.
    """

    verdict: Verdict
    record: Record
    row: Row


@attrs.frozen(kw_only=True)
class BatchItem:
    """How one row ended.

    Attributes:
        key: of the row.
        index: of the row.
        inputs: of the row.
        state: how it ended.
        result: what its work returned: a `RunResult` in a client's batch. None if it ended
            in an error, or was read from a journal.
        record: what the journal has of it, if it ended before this batch began, or by
            another process.
        error: what it ended in.
        attempts: how often it was tried in all; 0 for rows that this batch only read.
        waited: seconds from its reading to its first start.
        seconds: from there to its end.
    """

    key: str
    index: int
    inputs: Mapping[str, Any] = attrs.field(repr=False)
    state: State
    result: Any = None
    record: Record | None = None
    error: Exception | None = None
    attempts: int = 0
    waited: float = 0.0
    seconds: float = 0.0
