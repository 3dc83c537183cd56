"""The timeline of a run that a client reads."""

from __future__ import annotations

import asyncio

import pytest

from dify_workflow_async import Dispatcher, errors
from dify_workflow_async.events import NodeFinished
from dify_workflow_async.local import Iteration, Loop, Node
from dify_workflow_async.timeline import Timeline


LLM = Node(type="llm", title="Model", text=["Hello"], tokens=7, price="0.5", delay=0.05)
EACH = Iteration(
    title="Each", items=("a", "b"), steps=[Node(type="code", id="line", title="Line")]
)
INNER = Iteration(
    id="outer",
    title="Outer",
    items=(1, 2),
    steps=[
        Loop(title="Inner", count=2, steps=[Node(type="code", id="c", title="Code")])
    ],
)
END = Node(type="end", title="End", outputs={"answer": "42"})
FOREVER = Node(type="llm", title="Thinker", text=["..."], delay=3600)


def rows(timeline):
    return [(x.lane, x.depth, x.state.title) for x in timeline.bars]


async def test_a_run_that_is_awaited(serve, connect, tmp_path):
    """It is complete when the result is there, although no event was made for others."""
    server = await serve(LLM, EACH, END)
    async with connect(server).stream() as run:
        timeline = run.timeline()
        assert timeline.bars == ()
        result = await run.result()
    assert rows(timeline) == [
        (0, 0, "Model"),
        (1, 0, "Each"),
        (2, 1, "Line"),
        (2, 1, "Line"),
        (3, 0, "End"),
    ]
    assert (timeline.status, timeline.workflow_run_id) == (
        "succeeded",
        run.workflow_run_id,
    )
    assert timeline.seconds >= result.elapsed_time
    assert timeline.usage.total_tokens == result.total_tokens == 7
    model = timeline.bars[0]
    assert model.seconds == pytest.approx(model.state.elapsed_time)
    path = await asyncio.to_thread(timeline.save, tmp_path / "run.svg")
    assert path.read_text().startswith("<svg")


async def test_a_run_that_is_iterated(serve, connect):
    """Each event has been taken in when the loop gets it; nodes are shown beside it."""
    server = await serve(LLM, END)
    async with connect(server).stream() as run:
        timeline, nodes = run.timeline(), run.nodes
        assert run.timeline() is timeline
        async for event in run:
            if isinstance(event, NodeFinished):
                ended = {x.state.id for x in timeline.bars if not x.state.is_running}
                assert event.id in ended
        assert [bar.state for bar in timeline.bars] == list(nodes.values())


async def test_a_run_with_handlers(serve, connect):
    """Handlers get theirs, and the timeline gets its own."""
    server = await serve(LLM, END)
    dispatcher, heard = Dispatcher(), []
    dispatcher.on("text_chunk")(lambda event: heard.append(event.text))
    async with connect(server).stream(dispatcher=dispatcher) as run:
        timeline, nodes = run.timeline(), run.nodes
        await run.result()
    assert "".join(heard) == "Hello"
    assert len(timeline.bars) == len(nodes) == 2


async def test_it_is_asked_for_too_late(serve, connect):
    """What passed unasked was not kept: half a timeline would be worse than none."""
    server = await serve(END)
    async with connect(server).stream() as run:
        await run.result()
        with pytest.raises(errors.UsageError, match=r"run\.timeline\(\) before"):
            run.timeline()


async def test_a_run_that_is_stopped(serve, connect):
    """What ran then ends with the run."""
    server = await serve(LLM, FOREVER)
    async with connect(server).stream() as run:
        timeline = run.timeline()
        async for event in run:
            if isinstance(event, NodeFinished):
                await run.stop()
    assert timeline.status == "stopped"
    assert [bar.state.status for bar in timeline.bars] == ["succeeded", "stopped"]
    assert timeline.bars[1].end == timeline.seconds


async def test_a_loop_in_an_iteration(serve, connect):
    """The inner one lies in the outer one, though no event says so."""
    server = await serve(INNER, END)
    async with connect(server).stream() as run:
        timeline = run.timeline()
        await run.result()
    assert sorted(set(rows(timeline))) == [
        (0, 0, "Outer"),
        (1, 1, "Inner"),
        (2, 2, "Code"),
        (3, 0, "End"),
    ]
    assert len(timeline.bars) == 1 + 2 + 4 + 1


async def test_events_of_a_timeline_that_are_kept_elsewhere(serve, connect):
    """Their events make the same timeline again, from wherever they come."""
    server = await serve(LLM, EACH, INNER, END)
    async with connect(server).stream() as run:
        timeline = run.timeline()
        events = [event async for event in run]
    assert Timeline.of(events).bars == timeline.bars
