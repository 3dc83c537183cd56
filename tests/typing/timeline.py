"""What a type checker knows of timelines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

from dify_workflow_async import WorkflowClient
from dify_workflow_async.batch import State
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.timeline import (
    Bar,
    BatchTimeline,
    Picture,
    Slice,
    Timeline,
    check_path,
)
from dify_workflow_async.views import NodeState, Usage


async def runs(client: WorkflowClient) -> None:
    """A run gives a timeline, which is a picture."""
    async with client.stream() as run:
        timeline = run.timeline()
        assert_type(timeline, Timeline)
        _ = await run.result()
    assert_type(timeline.bars, tuple[Bar, ...])
    assert_type(timeline.bars[0].state, NodeState)
    assert_type(timeline.usage, Usage)
    assert_type(timeline.status, str | None)
    assert_type(Timeline.of([]), Timeline)
    assert_type(Timeline.read("run.http"), Timeline)
    pictures(timeline)


async def batches(journal: Journal) -> None:
    """So does the journal of a batch."""
    batch = await BatchTimeline.read("runs.db")
    assert_type(batch, BatchTimeline)
    assert_type(await BatchTimeline.of(journal), BatchTimeline)
    assert_type(batch.slices, tuple[Slice, ...])
    assert_type(batch.slices[0].ended, Mapping[State, int])
    assert_type(batch.causes, Mapping[str, int])
    pictures(batch)


def pictures(picture: Picture) -> None:
    """Each can be drawn in the same ways."""
    assert_type(check_path("run.html"), None)
    assert_type(picture.save(Path("run.html")), Path)
    assert_type(picture.html(), str)
    assert_type(picture.svg(), str)
    assert_type(picture.png(scale=1), bytes)
    assert_type(picture.chart().to_json(), str)
