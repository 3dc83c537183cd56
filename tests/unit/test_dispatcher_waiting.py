"""Waiting for one event."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from dify_workflow_async.dispatcher import Dispatcher
from dify_workflow_async.errors import DifyError, RunEnded, WaitTimeout
from dify_workflow_async.events import (
    NodeFinished,
    NodeStarted,
    Ping,
    TextChunk,
    UnknownEvent,
)


class Run:
    """Stands for a run."""


EVENT = NodeFinished(node_type="llm")


async def test_registered_when_called() -> None:
    """An event between the call and the await is not missed; the first one counts."""
    dispatcher = Dispatcher()
    waiter = dispatcher.wait_for(NodeFinished)
    assert await dispatcher.dispatch(EVENT)
    assert not await dispatcher.dispatch(NodeFinished(node_type="code"))
    assert await waiter is EVENT
    assert await waiter is EVENT


async def test_awaited_before() -> None:
    """A task that waits goes on with the event."""
    dispatcher = Dispatcher()

    async def program() -> NodeFinished:
        return await dispatcher.wait_for(NodeFinished, node_type="llm")

    task = asyncio.create_task(program())
    await asyncio.sleep(0)
    gc.collect()
    assert not await dispatcher.dispatch(NodeFinished(node_type="code"))
    assert not await dispatcher.dispatch(NodeStarted(node_type="llm"))
    assert await dispatcher.dispatch(EVENT)
    assert await task is EVENT
    assert not dispatcher.wants("node_finished")


@pytest.mark.parametrize(
    ("what", "where", "fields"),
    [
        (NodeFinished, None, {}),
        (NodeFinished | TextChunk, None, {}),
        ("node_finished", None, {"node_type": "llm"}),
        ("node_*", lambda event: event.node_type == "llm", {}),
        (NodeFinished, None, {"node_type": ["code", "llm"], "status": None}),
    ],
)
async def test_what(what: object, where: object, fields: dict[str, object]) -> None:
    """What is waited for is told as for handlers."""
    dispatcher = Dispatcher()
    waiter = dispatcher.wait_for(what, where, **fields)
    assert dispatcher.asked_for("node_finished")
    await dispatcher.dispatch(UnknownEvent(name="other"))
    await dispatcher.dispatch(EVENT)
    assert await waiter is EVENT


async def test_wants() -> None:
    """While somebody waits, the event is wanted and asked for, a ping as well."""
    dispatcher = Dispatcher()
    waiter = dispatcher.wait_for(Ping)
    assert dispatcher.wants("ping")
    assert dispatcher.asked_for("ping")
    async with dispatcher.scope() as scope:
        assert scope.interested(Ping())
        await scope.dispatch(Ping())
    await waiter
    assert not dispatcher.wants("ping")


async def test_several_and_handlers() -> None:
    """Each of several waiters gets the event, and handlers get it too."""
    seen: list[object] = []
    dispatcher = Dispatcher()
    dispatcher.on(NodeFinished)(seen.append)
    waiters = [dispatcher.wait_for(NodeFinished) for _ in range(3)]
    await dispatcher.dispatch(EVENT)
    assert await asyncio.gather(*waiters) == [EVENT] * 3
    assert seen == [EVENT]


async def test_waiters_survive_failing_handlers() -> None:
    """Who waits gets the event although a handler fails."""
    dispatcher = Dispatcher()
    dispatcher.on(NodeFinished, priority=100)(lambda event: 1 / 0)
    waiter = dispatcher.wait_for(NodeFinished)
    with pytest.raises(ZeroDivisionError):
        await dispatcher.dispatch(EVENT)
    assert await waiter is EVENT


async def test_included() -> None:
    """Waiting at an included dispatcher is as good."""
    outer, inner = Dispatcher(), Dispatcher()
    waiter = inner.wait_for(NodeFinished)
    outer.include(inner)
    await outer.dispatch(EVENT)
    assert await waiter is EVENT


async def test_run() -> None:
    """With a run, events of other runs do not count; without, any does."""
    dispatcher = Dispatcher()
    mine, other = Run(), Run()
    waiter, of_any = (
        dispatcher.wait_for(NodeFinished, run=mine),
        dispatcher.wait_for(NodeFinished),
    )
    first = NodeFinished()
    await dispatcher.dispatch(first, other)
    await dispatcher.dispatch(EVENT, mine)
    assert await waiter is EVENT
    assert await of_any is first


@pytest.mark.parametrize("when", ["before", "while", "after"])
@pytest.mark.parametrize("at", ["outer", "inner"])
async def test_run_ended(when: str, at: str) -> None:
    """Waiting for an event of a run that has ended, or ends, is in vain."""
    outer, inner = Dispatcher(), Dispatcher()
    outer.include(inner)
    dispatcher = {"outer": outer, "inner": inner}[at]
    run, other = Run(), Run()
    if when == "before":
        outer.run_ended(run, run_id="run-1")
    waiter = dispatcher.wait_for(NodeFinished, run=run)
    of_other = dispatcher.wait_for(NodeFinished, run=other)
    of_any = dispatcher.wait_for(NodeFinished)
    if when == "while":
        outer.run_ended(run, run_id="run-1")
        outer.run_ended(run)
    if when == "after":
        asyncio.get_running_loop().call_soon(outer.run_ended, run)
    with pytest.raises(RunEnded, match="ended before NodeFinished") as caught:
        await waiter
    assert caught.value.run_id == (None if when == "after" else "run-1")
    await outer.dispatch(EVENT, other)
    assert await of_other is EVENT
    assert await of_any is EVENT


async def test_ended_runs_are_not_held() -> None:
    """Remembering that a run has ended does not keep it alive."""
    dispatcher = Dispatcher()
    run = Run()
    dispatcher.run_ended(run)
    reference = weakref.ref(run)
    del run
    gc.collect()
    assert reference() is None
    assert not dispatcher._registry.ended


async def test_timeout() -> None:
    """The time runs from the call; the error is ours and Python's."""
    dispatcher = Dispatcher()
    waiter = dispatcher.wait_for("node_*", timeout=0)
    with pytest.raises(WaitTimeout, match=r"no node_\* within 0 s") as caught:
        await waiter
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, DifyError)
    assert caught.value.seconds == 0
    assert not dispatcher.wants("node_started")
    assert not await dispatcher.dispatch(EVENT)


async def test_event_before_the_timeout() -> None:
    """An event in time stops the clock."""
    dispatcher = Dispatcher()
    waiter = dispatcher.wait_for(NodeFinished, timeout=30)
    await dispatcher.dispatch(EVENT)
    assert waiter._wait._timer.cancelled()
    assert await waiter is EVENT


async def test_failing_predicate() -> None:
    """An exception of ``where`` goes to who waits, not to who dispatches."""
    dispatcher = Dispatcher()
    error = KeyError()

    def where(event: NodeFinished) -> bool:
        raise error

    waiter = dispatcher.wait_for(NodeFinished, where)
    assert await dispatcher.dispatch(EVENT)
    with pytest.raises(KeyError) as caught:
        await waiter
    assert caught.value is error
    assert not dispatcher.wants("node_finished")


async def test_cancelled() -> None:
    """Who is cancelled waits no longer."""
    dispatcher = Dispatcher()
    task = asyncio.ensure_future(dispatcher.wait_for(NodeFinished, timeout=30))
    await asyncio.sleep(0)
    task.cancel()
    # Between the cancellation and the task's end the event may come.
    assert not await dispatcher.dispatch(EVENT)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not dispatcher.wants("node_finished")


async def test_cancelled_and_timed_out_at_once() -> None:
    """A timer or a run's end in the same turn as a cancellation changes nothing."""
    dispatcher = Dispatcher()
    run = Run()
    waiter = dispatcher.wait_for(NodeFinished, run=run)
    task = asyncio.ensure_future(waiter)
    await asyncio.sleep(0)
    task.cancel()
    dispatcher.run_ended(run)
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("end", ["pending", "done", "failed"])
async def test_dropped(end: str) -> None:
    """Who drops it hears no complaint, and nobody waits any longer."""
    dispatcher = Dispatcher()
    run = Run()
    waiter = dispatcher.wait_for(NodeFinished, timeout=30, run=run)
    assert dispatcher.wants("node_finished")
    if end == "done":
        await dispatcher.dispatch(EVENT, run)
    if end == "failed":
        dispatcher.run_ended(run)
    version = dispatcher.version
    del waiter
    assert not dispatcher.wants("node_finished")
    assert (dispatcher.version > version) is (end == "pending")
    gc.collect()  # warnings are errors here


def test_needs_a_loop() -> None:
    """Waiting is for code that runs in an event loop."""
    dispatcher = Dispatcher()
    with pytest.raises(RuntimeError, match="no running event loop"):
        dispatcher.wait_for(NodeFinished)
    assert dispatcher.version == 0
