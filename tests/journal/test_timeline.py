"""The timeline of a batch, read from its journal."""

from __future__ import annotations

import asyncio

from decimal import Decimal

import pytest

from dify_workflow_async import errors
from dify_workflow_async.batch import Record, State
from dify_workflow_async.models import RunRef
from dify_workflow_async.timeline import BatchTimeline


def end(row, state=State.SUCCEEDED, **more):
    return Record(key=row.key, digest=row.digest, state=state, **more)


async def test_a_batch(journal, rows, where):
    """Its ends, times, tokens and failures are those that the journal keeps."""
    await journal.offer(rows)
    for number, row in enumerate(rows[:4], 1):
        await journal.known(row, RunRef(workflow_run_id=f"run-{number}"))
    cost = {"total_tokens": 10, "total_price": Decimal("0.5"), "currency": "USD"}
    outputs = {"text": "long " * 1000}
    await journal.finish(end(rows[0], elapsed_time=1.0, outputs=outputs, **cost))
    await journal.finish(end(rows[1], elapsed_time=3.0, outputs=outputs, **cost))
    failure = {"error": "boom", "error_type": "RunFailed", "elapsed_time": 2.0}
    await journal.finish(end(rows[2], State.FAILED, **failure))
    await journal.finish(end(rows[3], State.STOPPED))

    batch = await BatchTimeline.read(where)
    ended = [each.ended for each in batch.slices if each.ended]
    assert sum(sum(each.values()) for each in ended) == 4
    assert batch.totals.counts[State.STARTED] == 1
    assert batch.seconds[100] == 3
    assert batch.tokens == {50: 10, 90: 10, 99: 10, 100: 10}
    assert batch.causes == {"RunFailed: boom": 1, "stopped": 1}
    assert await BatchTimeline.of(journal) == batch
    svg = await asyncio.to_thread(batch.svg)
    assert "Batch: 5 rows" in svg


async def test_records_without_outputs(journal, rows):
    """Who needs no outputs does not read them; all else is told."""
    await journal.offer(rows)
    await journal.finish(end(rows[0], outputs={"a": 1}, status="succeeded"))
    (whole,) = [x async for x in journal.records([State.SUCCEEDED])]
    (short,) = [x async for x in journal.records([State.SUCCEEDED], outputs=False)]
    assert whole.outputs == {"a": 1}
    assert short.outputs == {}
    assert (short.key, short.status) == (whole.key, whole.status)
    assert short.finished_at == whole.finished_at


async def test_no_journal(tmp_path):
    """It is told, and none is made."""
    with pytest.raises(errors.JournalUnavailable, match="no journal"):
        await BatchTimeline.read(tmp_path / "runs.db")
    assert list(tmp_path.iterdir()) == []
