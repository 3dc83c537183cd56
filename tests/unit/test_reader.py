"""What waits for a run's stream beside the one who reads it."""

from __future__ import annotations

import asyncio

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
    return RunReader(Silence(), events, request="POST /run", tail=0)


async def test_all_who_wait_learn_the_task_id():
    """However many wait for the task id, all of them learn it from whoever reads."""
    events = EventStream(1000)
    reader = reader_of(events)
    waiting = [asyncio.create_task(reader.wait_for_task_id()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)

    list(events.feed(b'data: {"event": "x", "task_id": "t"}\n\n'))

    async with asyncio.timeout(2):
        assert await asyncio.gather(*waiting) == ["t", "t", "t"]
        assert await reader.wait_for_task_id() == "t"


async def test_nobody_waits_for_a_stream_that_is_over():
    """Who waits when the stream ends, and who comes later, learns that there is none."""
    reader = reader_of(EventStream(1000))
    waiting = asyncio.create_task(reader.wait_for_task_id())
    await asyncio.sleep(0)

    reader.close()

    async with asyncio.timeout(2):
        assert await waiting is None
        assert await reader.wait_for_task_id() is None
