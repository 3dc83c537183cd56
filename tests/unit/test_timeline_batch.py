"""How a batch went, counted from what its journal tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from dify_workflow_async.batch import Record, State, Totals
from dify_workflow_async.timeline import BatchTimeline
from dify_workflow_async.timeline._batch import OTHER_CAUSES


BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(ended=None, state=State.SUCCEEDED, **more):
    """Tell of a row that *ended* so many seconds after the beginning."""
    finished = None if ended is None else BEGAN + timedelta(seconds=ended)
    return Record(key="k", digest="", state=state, finished_at=finished, **more)


class Kept:
    """A journal that tells of these rows.

    Args:
        records: the rows that have ended, in any order.
        begun: how many were begun.
        length: seconds to the last end that the totals tell.
    """

    def __init__(self, *records, begun=1, length=None, **counts):
        self._records = records
        ends = [each.finished_at for each in records if each.finished_at]
        last = max(ends, default=None)
        if length is not None:
            last = BEGAN + timedelta(seconds=length)
        states = [each.state for each in records]
        found = {state: states.count(state) for state in State if state in states}
        self._totals = Totals(
            counts=found | {State(name): number for name, number in counts.items()},
            tokens=sum(each.total_tokens or 0 for each in records),
            prices={"USD": Decimal("0.5")},
            started_at=BEGAN if begun else None,
            finished_at=last,
        )

    async def totals(self):
        """Tell what all rows took."""
        return self._totals

    async def records(self, states, *, outputs):
        """Give the rows, without their outputs."""
        assert not outputs
        for each in self._records:
            assert each.state in states
            yield each


def titles(svg):
    """What is written in it."""
    return [x.text for x in ET.fromstring(svg).iter() if x.text and x.text.strip()]


async def test_nothing():
    """A journal without rows makes a picture, too."""
    batch = await BatchTimeline.of(Kept(begun=0))
    assert (batch.slices, batch.seconds, batch.tokens, batch.causes) == ((), {}, {}, {})
    assert {"Batch: 0 rows", "No row has ended"} <= set(titles(batch.svg()))


async def test_rows_that_only_run():
    """They are counted, and nothing else is told of them."""
    batch = await BatchTimeline.of(Kept(running=3))
    assert batch.slices == ()
    assert {"Batch: 3 rows", "3 running"} <= set(titles(batch.svg()))


async def test_one_row():
    """It has a slice of its own, the last."""
    batch = await BatchTimeline.of(Kept(record(2, elapsed_time=1.5, total_tokens=7)))
    last = batch.slices[-1]
    assert last.ended == {State.SUCCEEDED: 1}
    assert last.seconds[50] == pytest.approx(1.5, rel=0.01)
    assert last.tokens[100] == 7
    assert len(batch.slices) <= 100
    assert "Batch: 1 row" in titles(batch.svg())


async def test_rows_that_ended_at_once():
    """A batch of no length has one slice."""
    batch = await BatchTimeline.of(Kept(record(0), record(0, State.PAUSED)))
    (only,) = batch.slices
    assert only.ended == {State.SUCCEEDED: 1, State.PAUSED: 1}
    assert batch.seconds == batch.tokens == {}
    assert batch.causes == {}


@pytest.mark.parametrize(
    ("length", "width"),
    [(1, 0.02), (60, 1), (100, 2), (399, 5), (8000, 100), (86400, 2000)],
)
async def test_slices(length, width):
    """Each is as long as people count in; none is missing, whatever ended in it."""
    rows = [record(length * n / 200, elapsed_time=n) for n in range(1, 201)]
    batch = await BatchTimeline.of(Kept(*rows))
    assert batch.width == pytest.approx(width)
    assert 30 <= len(batch.slices) <= 81
    assert sum(sum(each.ended.values()) for each in batch.slices) == 200
    starts = [each.start for each in batch.slices]
    assert starts == pytest.approx([n * width for n in range(len(starts))])
    for each in batch.slices:
        inside = [
            n
            for n in range(1, 201)
            if each.start <= length * n / 200 < each.start + width
        ]
        assert abs(sum(each.ended.values()) - len(inside)) <= 1


async def test_percentiles():
    """They are those of the rows, to a percent; without a server's time, of the claims."""
    rows = [record(n, elapsed_time=n / 10, total_tokens=n) for n in range(1, 1001)]
    batch = await BatchTimeline.of(Kept(*rows))
    assert batch.seconds == pytest.approx({50: 50, 90: 90, 99: 99, 100: 100}, rel=0.011)
    assert batch.tokens == pytest.approx(
        {50: 500, 90: 900, 99: 990, 100: 1000}, rel=0.011
    )
    claimed = record(30, started_at=BEGAN + timedelta(seconds=10))
    assert (await BatchTimeline.of(Kept(claimed))).seconds[100] == 20


async def test_a_batch_that_goes_on():
    """Rows that ended after the totals were read count in the last slice."""
    kept = Kept(record(5), record(9), record(400), record(-3), length=10)
    batch = await BatchTimeline.of(kept)
    assert sum(sum(each.ended.values()) for each in batch.slices) == 4
    assert batch.slices[-1].ended == {State.SUCCEEDED: 1}
    assert batch.slices[0].ended == {State.SUCCEEDED: 1}


async def test_an_end_without_a_time():
    """A row that somebody else wrote so is counted, but in no slice."""
    batch = await BatchTimeline.of(Kept(record(3), record(None, elapsed_time=2)))
    assert sum(sum(each.ended.values()) for each in batch.slices) == 1
    assert batch.seconds[100] == 2


async def test_causes():
    """Failures of one cause are one, whichever ids are in their sentences."""

    def failed(error, kind="RunFailed", state=State.FAILED):
        return record(1, state, error=error, error_type=kind)

    batch = await BatchTimeline.of(
        Kept(
            record(1),
            record(1, State.PAUSED),
            failed("run 7f3a2b1c-0d9e-4c55-9a01-6f0d8f6f2f10 failed: HTTP 429\nmore"),
            failed("run 11111111-1111-4111-8111-111111111111 failed: HTTP 429"),
            failed("run 1234567 failed: HTTP 500"),
            failed("deadbeef0123456789 decade faded", kind=None),
            failed(None, "RunStateUnknown", State.UNKNOWN),
            failed(None, None, State.STOPPED),
            failed("  ", None, State.REFUSED),
        )
    )
    assert batch.causes == {
        "RunFailed: run … failed: HTTP 429": 2,
        "RunFailed: run … failed: HTTP 500": 1,
        "failed: … decade faded": 1,
        "RunStateUnknown": 1,
        "stopped": 1,
        "refused": 1,
    }
    assert next(iter(batch.causes)) == "RunFailed: run … failed: HTTP 429"


async def test_too_many_causes():
    """Where each failure has a sentence of its own, memory does not grow with them."""
    words = (
        f"{chr(97 + n // 100)}{chr(97 + n // 10 % 10)}{chr(97 + n % 10)}"
        for n in range(1500)
    )
    rows = [record(1, State.FAILED, error=f"no {word}") for word in words]
    batch = await BatchTimeline.of(Kept(*rows))
    assert len(batch.causes) == 1001
    assert batch.causes[OTHER_CAUSES] == 500
    shown = [text for text in titles(batch.svg()) if text[0].isdigit() and "  " in text]
    assert [text for text in shown if "other" in text] == ["1,490   other causes"]
    assert len(shown) == 11


async def test_what_is_drawn():
    """Ends, percentiles and causes, with the numbers of all rows."""
    rows = [record(n, elapsed_time=2, total_tokens=10) for n in range(1, 100)]
    cause = "</script><b>& 'x' \x00"
    rows += [
        record(n, State.FAILED, error=cause, error_type="E") for n in range(50, 60)
    ]
    batch = await BatchTimeline.of(Kept(*rows, pending=4))
    shown = set(titles(batch.svg()))
    assert {
        "Batch: 113 rows",
        "4 pending, 99 succeeded, 10 failed",
        "begun 2026-01-02 03:04:05 UTC · 990 tokens · 0.50 USD",
        "Rows that ended in each 2 s",
        "Seconds of a run: p50 2 s, p90 2 s, p99 2 s, most 2 s",
        "Tokens of a run: p50 10, p90 10, p99 10, most 10",
        "What did not succeed",
        "10   E: </script><b>& 'x' \ufffd",
        *("succeeded", "failed", "p50", "p90", "p99"),
    } <= shown
    assert batch.html().count("</script>") == 2
    assert batch.png(scale=1).startswith(b"\x89PNG")
