"""What a type checker knows of batches."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import assert_type

from dify_workflow_async import RunResult, WorkflowClient
from dify_workflow_async.batch import (
    Batch,
    BatchItem,
    Progress,
    Row,
    Started,
    State,
    Summary,
    run_batch,
)
from dify_workflow_async.models import RunRef


async def work(row: Row, *, known: RunRef | None, started: Started) -> RunResult:
    """A work is any coroutine function of this shape."""
    await started(RunRef(workflow_run_id=row.key))
    return RunResult(status="succeeded")


async def batches(client: WorkflowClient) -> None:
    """Options are checked by their names and types."""
    batch = client.batch(
        [{"a": 1}], concurrency=5, rate="5/s", journal="runs.db", user="u"
    )
    assert_type(batch, Batch)
    async with batch as entered:
        assert_type(entered, Batch)
        async for item in entered:
            assert_type(item, BatchItem)
            assert_type(item.state, State)
            assert_type(item.error, Exception | None)
    assert_type(batch.progress, Progress)
    assert_type(batch.summary, Summary)
    assert_type(batch.summary.price, Mapping[str, Decimal])

    client.batch([{}], concurrent=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    client.batch([{}], ordered="yes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    client.batch(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def other_work() -> None:
    """`run_batch` takes the same options, and any iterable of mappings."""
    assert_type(run_batch(work, ({"n": i} for i in range(3)), ordered=True), Batch)
    run_batch(work, [], user="u")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
