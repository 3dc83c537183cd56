"""Concurrent handlers, and that none of them is left behind."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator

import pytest

from dify_workflow_async.dispatcher import Dispatcher, Scope
from dify_workflow_async.errors import UsageError
from dify_workflow_async.events import NodeFinished, NodeStarted, TextChunk


class Odd(Exception):
    """An exception of the program."""


class Work:
    """A concurrent handler whose calls wait for a gate, and its dispatcher."""

    def __init__(self, max_concurrent: int = 100) -> None:
        self.dispatcher = Dispatcher(max_concurrent=max_concurrent)
        self.gate = asyncio.Event()
        self.error: BaseException | None = None
        self.running = 0
        self.most = 0
        self.done: list[str] = []
        self.cancelled: list[str] = []
        self.dispatcher.on(TextChunk, concurrent=True)(self.work)
        self.dispatcher.on(NodeStarted)(lambda event: self.done.append("plain"))
        self.dispatcher.on(NodeFinished, concurrent=True)(self.fail)

    async def work(self, event: TextChunk) -> None:
        """Wait for the gate."""
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(event.text)
            raise
        finally:
            self.running -= 1
        self.done.append(event.text)

    async def fail(self, event: NodeFinished) -> None:
        """Raise the error at once."""
        raise self.error or Odd(event.title)


async def settle() -> None:
    """Let all tasks go as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


def others() -> set[asyncio.Task[object]]:
    """Give the tasks beside the test's own."""
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """Check that no test leaves a task."""
    yield
    assert not others()


async def test_concurrent_handlers_run_beside() -> None:
    """Dispatching does not wait for them; leaving the scope does."""
    work = Work()
    async with work.dispatcher.scope() as scope:
        for text in "abc":
            assert await scope.dispatch(TextChunk(text=text))
        assert await scope.dispatch(NodeStarted())
        assert work.done == ["plain"]
        await settle()
        assert work.running == 3
        work.gate.set()
    assert work.done == ["plain", "a", "b", "c"]


async def test_dispatch_waits_for_concurrent_handlers() -> None:
    """The dispatch of a single event is its whole scope."""
    work = Work()
    work.gate.set()
    assert await work.dispatcher.dispatch(TextChunk(text="a"))
    assert work.done == ["a"]


async def test_drain_and_go_on() -> None:
    """After a drain nothing runs, and the scope can be used further."""
    work = Work()
    scope = work.dispatcher.scope()
    work.gate.set()
    await scope.drain()
    await scope.dispatch(TextChunk(text="a"))
    await scope.drain()
    assert work.done == ["a"]
    assert not others()
    await scope.dispatch(TextChunk(text="b"))
    await scope.drain()
    assert work.done == ["a", "b"]


async def test_drain_waits_for_what_comes_meanwhile() -> None:
    """A drain includes handlers that are started while it waits."""
    work = Work(max_concurrent=1)
    scope = work.dispatcher.scope()
    await scope.dispatch(TextChunk(text="a"))
    late = asyncio.create_task(scope.dispatch(TextChunk(text="b")))
    drain = asyncio.create_task(scope.drain())
    await settle()
    work.gate.set()
    await drain
    await late
    assert work.done == ["a", "b"]


async def test_back_pressure() -> None:
    """When as many run as may, dispatch waits for one to end."""
    work = Work(max_concurrent=2)
    async with work.dispatcher.scope() as scope:
        await scope.dispatch(TextChunk())
        await scope.dispatch(TextChunk())
        third = asyncio.create_task(scope.dispatch(TextChunk()))
        await settle()
        assert not third.done()
        assert work.running == 2
        work.gate.set()
        await third
        for _ in range(20):
            await scope.dispatch(TextChunk())
    assert work.most == 2
    assert len(work.done) == 23


async def test_back_pressure_is_per_scope() -> None:
    """One run's handlers do not hold up another run."""
    work = Work(max_concurrent=1)
    async with work.dispatcher.scope() as one, work.dispatcher.scope() as two:
        await one.dispatch(TextChunk(text="1"))
        await two.dispatch(TextChunk(text="2"))
        await settle()
        assert work.running == 2
        work.gate.set()


async def test_failure_is_raised_at_the_next_dispatch() -> None:
    """The first failure cancels the others and is raised, unchanged."""
    work = Work()
    work.error = Odd("first")
    told: list[BaseException] = []
    scope = work.dispatcher.scope(on_failure=told.append)
    await scope.dispatch(TextChunk(text="a"))
    await settle()
    await scope.dispatch(NodeFinished())
    assert scope.failure is None
    await settle()
    assert scope.failure is work.error
    assert told == [work.error]
    assert work.cancelled == ["a"]
    assert not others()
    for event in (NodeStarted(), TextChunk(), NodeFinished()):
        assert scope.interested(event)
        with pytest.raises(Odd) as caught:
            await scope.dispatch(event)
        assert caught.value is work.error
    with pytest.raises(Odd):
        await scope.drain()
    await scope.cancel()
    assert work.done == []


async def test_failure_reaches_events_that_nobody_wants() -> None:
    """A reader that skips such events still learns of a failure."""
    dispatcher = Dispatcher()
    dispatcher.on(NodeFinished, concurrent=True)(lambda event: 1 / 0)
    scope = dispatcher.scope()
    assert not scope.interested(TextChunk())
    await scope.dispatch(NodeFinished())
    await settle()
    assert scope.interested(TextChunk())


async def test_failure_is_raised_by_drain() -> None:
    """Drain raises when all have ended, those that were cancelled too."""
    work = Work()
    scope = work.dispatcher.scope()
    await scope.dispatch(TextChunk(text="a"))
    await scope.dispatch(NodeFinished(title="b"))
    with pytest.raises(Odd, match="b"):
        await scope.drain()
    assert not others()


async def test_failure_while_dispatch_waits_for_a_slot() -> None:
    """A dispatch that waits for a slot raises the failure and starts nothing."""
    work = Work(max_concurrent=2)
    scope = work.dispatcher.scope()
    await scope.dispatch(TextChunk(text="a"))
    await scope.dispatch(NodeFinished())
    with pytest.raises(Odd):
        await scope.dispatch(TextChunk(text="b"))
    await scope.cancel()
    assert work.cancelled == ["a"]
    assert work.done == []


async def test_failure_before_a_slot_was_free() -> None:
    """The same when the failure comes before the slot."""
    work = Work(max_concurrent=1)
    scope = work.dispatcher.scope()
    await scope.dispatch(NodeFinished())
    waiting = [
        asyncio.create_task(scope.dispatch(TextChunk(text="b"))) for _ in range(3)
    ]
    raised = await asyncio.gather(*waiting, return_exceptions=True)
    assert raised == [scope.failure] * 3
    assert isinstance(scope.failure, Odd)


async def test_second_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Only the first failure can be raised; the others are in the log."""
    work = Work()
    scope = work.dispatcher.scope()
    await scope.dispatch(NodeFinished(title="first"))
    await scope.dispatch(NodeFinished(title="second"))
    with pytest.raises(Odd, match="first"):
        await scope.drain()
    (record,) = caplog.records
    assert "Work.fail failed on node_finished" in record.getMessage()
    assert str(record.exc_info[1]) == "second"


@pytest.mark.parametrize("when", ["body", "end"])
async def test_failure_leaves_the_context(when: str) -> None:
    """The context manager raises the failure itself, at the latest when it is left."""
    work = Work()

    async def program() -> None:
        async with work.dispatcher.scope() as scope:
            await scope.dispatch(TextChunk())
            await scope.dispatch(NodeFinished())
            if when == "body":
                await settle()
                await scope.dispatch(NodeStarted())

    with pytest.raises(Odd):
        await program()
    assert not others()


async def test_original_exception_wins() -> None:
    """An exception of the body cancels the handlers and is raised as it is."""
    work = Work()
    error = KeyError()

    async def program() -> None:
        async with work.dispatcher.scope() as scope:
            await scope.dispatch(TextChunk(text="a"))
            await settle()
            raise error

    with pytest.raises(KeyError) as caught:
        await program()
    assert caught.value is error
    assert error.__context__ is None
    assert work.cancelled == ["a"]
    assert not others()


async def test_failure_during_cancel_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A handler that fails while it is cancelled cannot hide why it was."""
    dispatcher = Dispatcher()
    told: list[BaseException] = []

    @dispatcher.on(TextChunk, concurrent=True)
    async def untidy(event: TextChunk) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise Odd

    scope = dispatcher.scope(on_failure=told.append)
    await scope.dispatch(TextChunk())
    await settle()
    await scope.cancel()
    assert "untidy failed on text_chunk" in caplog.text
    assert told == []
    assert scope.failure is None


async def test_cancel_closes() -> None:
    """After a cancel nothing runs, and nothing more can be dispatched."""
    work = Work(max_concurrent=1)
    scope = work.dispatcher.scope()
    await scope.dispatch(TextChunk(text="a"))
    blocked = asyncio.create_task(scope.dispatch(TextChunk(text="b")))
    await settle()
    await scope.cancel()
    await scope.cancel()
    with pytest.raises(UsageError, match="the scope is closed"):
        await blocked
    with pytest.raises(UsageError, match="the scope is closed"):
        await scope.dispatch(NodeStarted())
    await scope.drain()
    assert work.cancelled == ["a"]
    assert not others()


async def test_cancel_that_is_cancelled() -> None:
    """A cancelled cancel waits for the handlers all the same, then passes it on."""
    dispatcher = Dispatcher()
    release = asyncio.Event()
    ended: list[int] = []

    @dispatcher.on(TextChunk, concurrent=True)
    async def slow_to_end(event: TextChunk) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await release.wait()
            except asyncio.CancelledError:
                await release.wait()
            ended.append(1)

    scope = dispatcher.scope()
    await scope.dispatch(TextChunk())
    await settle()
    closing = asyncio.create_task(scope.cancel())
    await settle()
    closing.cancel()
    await settle()
    assert not closing.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert ended == [1]


async def test_leaving_that_is_cancelled() -> None:
    """A scope whose end is cancelled cancels its handlers."""
    work = Work()

    async def program() -> None:
        async with work.dispatcher.scope() as scope:
            await scope.dispatch(TextChunk(text="a"))

    task = asyncio.create_task(program())
    await settle()
    assert work.running == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.cancelled == ["a"]
    assert not others()


async def test_drain_that_is_cancelled() -> None:
    """A cancelled drain leaves the handlers to whoever holds the scope."""
    work = Work()
    scope = work.dispatcher.scope()
    await scope.dispatch(TextChunk(text="a"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await scope.drain()
    work.gate.set()
    await scope.drain()
    assert work.done == ["a"]


async def test_entered_and_left_in_different_tasks() -> None:
    """A scope may live in an async generator that is closed elsewhere."""
    work = Work()

    async def stream() -> AsyncIterator[int]:
        async with work.dispatcher.scope() as scope:
            await scope.dispatch(TextChunk(text="a"))
            yield 1

    generator = stream()
    assert await asyncio.create_task(anext(generator)) == 1
    await settle()
    await asyncio.create_task(generator.aclose())
    assert work.cancelled == ["a"]


@pytest.mark.parametrize("end", [Scope.drain, Scope.cancel])
async def test_handler_that_ends_its_own_scope(end: object) -> None:
    """A handler that drains or cancels its scope does not wait for itself."""
    dispatcher = Dispatcher()
    seen: list[str] = []

    @dispatcher.on(TextChunk, concurrent=True)
    async def handler(event: TextChunk, run: list[Scope]) -> None:
        await end(run[0])
        seen.append("ended")

    run: list[Scope] = []
    scope = dispatcher.scope(run)
    run.append(scope)
    await scope.dispatch(TextChunk())
    await settle()
    assert seen == ["ended"]
    assert not others()


async def test_handler_that_is_cancelled_by_others() -> None:
    """A handler's own cancellation is not a failure of the run."""
    dispatcher = Dispatcher()

    @dispatcher.on(TextChunk, concurrent=True)
    async def handler(event: TextChunk) -> None:
        raise asyncio.CancelledError

    async with dispatcher.scope() as scope:
        await scope.dispatch(TextChunk())
        await settle()
        assert scope.failure is None


async def test_concurrent_handlers_keep_their_place() -> None:
    """Priority and filters hold for concurrent handlers as for others."""
    seen: list[str] = []
    dispatcher = Dispatcher()

    @dispatcher.on(TextChunk, concurrent=True, text="x")
    async def beside(event: TextChunk, run: object, row: object) -> None:
        seen.append(f"beside {run} {row}")

    @dispatcher.on(TextChunk, priority=1, concurrent=True)
    def plain(event: TextChunk) -> None:
        seen.append("plain")

    @dispatcher.on(TextChunk, priority=-1)
    async def after(event: TextChunk) -> None:
        seen.append("after")

    async with dispatcher.scope("run", "row") as scope:
        await scope.dispatch(TextChunk(text="y"))
        await scope.drain()
        assert seen == ["after", "plain"]
        seen.clear()
        await scope.dispatch(TextChunk(text="x"))
    assert seen == ["after", "plain", "beside run row"]
