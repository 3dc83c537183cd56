"""Counting rows: numbers in, numbers out."""

from __future__ import annotations

import random

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from dify_workflow_async.batch import BatchItem, Record, State
from dify_workflow_async.batch._tally import Durations, Tally


def item(
    state: State = State.SUCCEEDED, seconds: float = 1.0, **more: Any
) -> BatchItem:
    """A row that ended."""
    more.setdefault("attempts", 1)
    return BatchItem(key="k", index=0, inputs={}, state=state, seconds=seconds, **more)


def cost(tokens: int | None, price: str | None, currency: str | None = "USD") -> Any:
    """A result that cost so much."""
    return SimpleNamespace(
        total_tokens=tokens,
        total_price=None if price is None else Decimal(price),
        currency=currency,
    )


def test_progress_tells_where_a_batch_stands() -> None:
    """All rows that ended are in one of four numbers, and those left take their time."""
    tally = Tally(20, began=100.0)
    tally.read, tally.skipped, tally.running = 14, 4, 3
    for state in State:
        tally.add(item(state), 103.0)
    progress = tally.progress(109.0)
    assert (progress.total, progress.read, progress.done) == (20, 14, 9)
    assert (progress.succeeded, progress.paused) == (1, 1)
    assert progress.unknown == 2  # unknown, and running
    assert progress.failed == 5
    assert (progress.skipped, progress.running) == (4, 3)
    assert (progress.rate, progress.seconds) == (1.0, 9.0)
    assert progress.seconds_left == 7.0  # 20, less 9 that ended and 4 that had before


def test_time_left_that_cannot_be_told() -> None:
    """It needs the number of rows, and one that ended."""
    assert Tally(5, 0.0).progress(1.0).seconds_left is None
    tally = Tally(None, 0.0)
    tally.add(item(), 1.0)
    assert tally.progress(1.0).seconds_left is None


def test_the_rate_is_that_of_the_last_rows() -> None:
    """A slow beginning is forgotten after 200 rows."""
    tally = Tally(None, 0.0)
    for i in range(1_000):
        tally.add(item(), 1_000.0 + i / 10)
    assert tally.progress(1_099.9).rate == pytest.approx(10.0, rel=0.01)


def test_costs_are_added_up_by_currency() -> None:
    """Of results and records; what tells no cost adds none."""
    tally = Tally(None, 0.0)
    tally.add(item(result=cost(10, "0.5")), 0.0)
    tally.add(item(result=cost(None, "0.25", "RMB")), 0.0)
    tally.add(item(result=SimpleNamespace(total_tokens=5)), 0.0)
    tally.add(item(result=cost(1, "0.1", None)), 0.0)
    record = Record(
        key="k",
        digest="",
        state=State.FAILED,
        total_tokens=2,
        total_price=Decimal("1.5"),
        currency="USD",
    )
    tally.add(item(State.FAILED, record=record, attempts=0), 0.0)
    summary = tally.summary(1.0)
    assert summary.tokens == 18
    prices = {"USD": Decimal("2.0"), "RMB": Decimal("0.25"), "": Decimal("0.1")}
    assert summary.price == prices
    assert tally.progress(1.0).price == prices


def test_a_summary_of_what_was() -> None:
    """States, attempts, and the times of rows that were run here; the clock stands."""
    tally = Tally(None, 10.0)
    tally.add(item(attempts=3, seconds=2.0), 0.0)
    tally.add(item(State.UNKNOWN, attempts=0, seconds=0.0), 0.0)
    tally.end(15.0)
    tally.end(20.0)
    summary = tally.summary(99.0)
    assert (summary.rows, summary.succeeded, summary.attempts) == (2, 1, 3)
    assert summary.states == {State.SUCCEEDED: 1, State.UNKNOWN: 1}
    assert summary.seconds == 5.0
    assert set(summary.percentiles.values()) == {2.0}


def test_percentiles_are_true_to_one_percent() -> None:
    """Of durations of any size, in few numbers."""
    dice = random.Random(1)
    times = sorted(dice.lognormvariate(0, 3) for _ in range(20_000))
    durations = Durations()
    for seconds in times:
        durations.add(seconds)
    found = durations.percentiles(50, 90, 99)
    for percent in (50, 90, 99):
        assert found[percent] == pytest.approx(times[200 * percent - 1], rel=0.0101)
    assert found[100] == times[-1]
    assert len(durations._classes) < 1_500


def test_percentiles_of_nothing() -> None:
    """There are none."""
    assert Durations().percentiles(50, 99) == {}


def test_a_duration_of_no_time() -> None:
    """It is counted like a very short one."""
    durations = Durations()
    durations.add(0.0)
    assert durations.percentiles(50) == {50: 0.0, 100: 0.0}
