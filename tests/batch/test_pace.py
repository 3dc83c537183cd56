"""When rows may start: a table of times, without a clock."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dify_workflow_async.batch._pace import MAX_PAUSE, Pace, per_second
from dify_workflow_async.errors import (
    BadRequest,
    ConfigurationError,
    GatewayError,
    ServerError,
    TooManyRequests,
)


@pytest.mark.parametrize(
    ("rate", "value"),
    [
        (5, 5.0),
        (0.5, 0.5),
        ("5/s", 5.0),
        ("2.5 / s", 2.5),
        ("120/min", 2.0),
        ("1800/h", 0.5),
    ],
)
def test_rates_are_numbers_or_texts(rate: str | float, value: float) -> None:
    """Each of them is so many starts per second."""
    assert per_second(rate) == value


@pytest.mark.parametrize("rate", ["", "5", "5/day", "-1/s", "0/s", 0, -1, float("inf")])
def test_what_is_no_rate(rate: str | float) -> None:
    """It is refused, with the forms that there are."""
    with pytest.raises(ConfigurationError, match="'5/s'"):
        per_second(rate)


def starts(pace: Pace, until: float, step: float = 0.001) -> list[float]:
    """When rows start that are always there, if one looks every *step* seconds."""
    times: list[float] = []
    for i in range(round(until / step)):
        now = i * step
        while not pace.wait(now):
            pace.take(now)
            times.append(now)
    return times


def test_starts_are_spread_evenly() -> None:
    """At 5 per second one row starts every 200 ms, whatever waited before."""
    pace = Pace(100, 5.0)
    times = starts(pace, 2.0)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == [pytest.approx(0.2, abs=0.002)] * 9


def test_a_late_timer_is_made_up_for() -> None:
    """At 1,000 per second, and a look every 20 ms, there are 1,000 in a second."""
    times = starts(Pace(100, 1000.0), 2.0, step=0.02)
    assert 1_900 <= len(times) <= 2_110


def test_without_a_rate_nothing_waits() -> None:
    """Any number of rows start at one time."""
    pace = Pace(3)
    for _ in range(1000):
        assert pace.wait(5.0) == 0
        pace.take(5.0)


def test_a_turn_that_is_given_back() -> None:
    """The next row may start at once: none ran."""
    pace = Pace(3, 1.0)
    pace.take(10.0)
    assert pace.wait(10.0) == pytest.approx(1.0)
    pace.give_back()
    assert pace.wait(10.0) == 0


def test_all_rows_wait_as_long_as_the_server_asks() -> None:
    """A pause that is asked for holds for all, and a shorter one does not end it."""
    pace = Pace(3)
    assert pace.went_wrong(TooManyRequests("", retry_after=20.0), 0.0, 100.0)
    assert pace.went_wrong(TooManyRequests("", retry_after=1.0), 0.0, 101.0)
    assert pace.wait(101.0) == pytest.approx(19.0)
    assert pace.wait(120.0) == 0


def test_a_server_that_asks_for_a_week() -> None:
    """Nobody waits for more than an hour."""
    pace = Pace(3)
    pace.went_wrong(TooManyRequests("", retry_after=7 * 86400.0), 0.0, 0.0)
    assert pace.wait(0.0) == MAX_PAUSE


@pytest.mark.parametrize(
    ("error", "is_busy"),
    [
        (TooManyRequests(""), True),
        (ServerError(""), True),
        (GatewayError(""), True),
        (BadRequest("", retry_after=3.0), False),
        (ValueError(), False),
    ],
)
def test_what_says_that_the_server_has_too_much_to_do(
    error: Exception, is_busy: bool
) -> None:
    """429 and 5xx do, and nothing else slows a batch."""
    pace = Pace(8, adaptive=True)
    assert pace.went_wrong(error, 1.0, 1.0) is is_busy
    assert pace.limit == (4 if is_busy else 8)
    assert pace.wait(1.0) == 0


def test_many_refusals_of_one_round_halve_once() -> None:
    """Requests that were under way at the halving know nothing of it."""
    pace = Pace(16, adaptive=True)
    for _ in range(10):
        pace.went_wrong(TooManyRequests(""), since=1.0, now=2.0)
    assert pace.limit == 8
    pace.went_wrong(TooManyRequests(""), since=2.5, now=3.0)
    assert pace.limit == 4


def test_one_row_always_runs() -> None:
    """However often the server refuses."""
    pace = Pace(16, adaptive=True)
    for i in range(20):
        pace.went_wrong(TooManyRequests(""), since=float(i), now=float(i))
    assert pace.limit == 1


def test_each_round_of_successes_allows_one_more() -> None:
    """Up to the concurrency that was asked for."""
    pace = Pace(6, adaptive=True)
    pace.went_wrong(TooManyRequests(""), since=0.0, now=0.0)
    limits = []
    for _ in range(5):
        for _ in range(pace.limit + 1):
            pace.went_well()
        limits.append(pace.limit)
    assert limits == [4, 5, 6, 6, 6]


def test_a_batch_that_is_not_adaptive() -> None:
    """It goes on with as many rows at once."""
    pace = Pace(6)
    pace.went_wrong(TooManyRequests(""), since=0.0, now=0.0)
    assert pace.limit == 6
