"""What waits for a run's stream beside the one who reads it."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from dify_workflow_async._protocol import Request
from dify_workflow_async._reader import RunReader
from dify_workflow_async._stream import EventStream


class Silence:
    """An answer of which nothing is ever read."""

    def __init__(self) -> None:
        self.status = 200
        self.headers = {"X-Version": "1.14.2"}

    async def read_chunk(self) -> bytes:
        """Fail: nobody reads."""
        raise NotImplementedError

    def close(self) -> None:
        """Close nothing."""


def reader_of(events: EventStream) -> RunReader:
    nobody = cast("Any", None)  # nothing breaks here
    request = Request(method="POST", path="/run")
    return RunReader(
        Silence(), events, request=request, api=nobody, tail=0, mender=nobody
    )


@pytest.fixture
async def read() -> AsyncIterator[Callable[[RunReader], Awaitable[None]]]:
    """Give a function that has another task read, until the test ends."""
    tasks: list[asyncio.Task[None]] = []

    async def begin(reader: RunReader) -> None:
        async def hold() -> None:
            with reader.claimed():
                claimed.set()
                await asyncio.Event().wait()

        claimed = asyncio.Event()
        tasks.append(asyncio.create_task(hold()))
        await claimed.wait()

    yield begin
    for task in tasks:
        task.cancel()


async def test_all_who_wait_learn_the_task_id(read):
    """However many wait for the task id, all of them learn it from whoever reads."""
    events = EventStream(1000)
    reader = reader_of(events)
    await read(reader)
    waiting = [asyncio.create_task(reader.read_to_task_id()) for _ in range(3)]
    both = asyncio.create_task(reader.read_to_ids())
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)

    list(events.feed(b'data: {"event": "x", "task_id": "t"}\n\n'))

    async with asyncio.timeout(2):
        assert await asyncio.gather(*waiting) == ["t", "t", "t"]
        assert await reader.read_to_task_id() == "t"
        assert not both.done()
        list(events.feed(b'data: {"event": "x", "workflow_run_id": "r"}\n\n'))
        await both


async def test_nobody_waits_for_a_stream_that_is_over(read):
    """Who waits when the stream ends, and who comes later, learns that there is none."""
    reader = reader_of(EventStream(1000))
    await read(reader)
    waiting = asyncio.create_task(reader.read_to_task_id())
    await asyncio.sleep(0)

    reader.close()

    async with asyncio.timeout(2):
        assert await waiting is None
        assert await reader.read_to_task_id() is None
        await reader.read_to_ids()
