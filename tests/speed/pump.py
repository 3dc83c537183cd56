"""The hot path without a socket, for callgrind to count: see guard.py.

Each part is done once to warm up, and then once between two marks.
"""

from __future__ import annotations

import asyncio
import gc
import json

from collections import deque

import orjson

from marks import mark

from dify_workflow_async import Dispatcher
from dify_workflow_async._stream import EventStream
from dify_workflow_async.events import TextChunk


EVENTS = 5_000
CHUNK = 16 * 1024
LIMIT = 1 << 20


def make_chunks() -> list[bytes]:
    """A stream of texts, cut as a socket would cut it."""
    ids = {
        "workflow_run_id": "efcc7333-c4c1-463f-8b0a-74ae28804fe8",
        "task_id": "48239bf3-864a-4b73-b041-1a150e6ff035",
    }
    frames = []
    for i in range(EVENTS):
        data = {"text": f" token {i}", "from_variable_selector": ["llm", "text"]}
        event = {"event": "text_chunk", **ids, "data": data}
        text = json.dumps(event, separators=(",", ":"))
        frames.append(b"data: " + text.encode() + b"\n\n")
    stream = b"".join(frames)
    return [stream[i : i + CHUNK] for i in range(0, len(stream), CHUNK)]


chunks = make_chunks()
loop = asyncio.new_event_loop()
dispatcher = Dispatcher()
taken: list[str] = []


@dispatcher.on(TextChunk)
async def take(event: TextChunk) -> None:
    """Take the text."""
    taken.append(event.text)


class Plain:
    """What the yardstick makes of each event."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text


def yardstick() -> int:
    """Decode with orjson, in plain Python: what the other parts are held against.

    It has its share of both, so that it grows with them in a Python that was built
    otherwise, or with another orjson.
    """
    made: deque[Plain] = deque(maxlen=1)
    count = 0
    rest = b""
    for chunk in chunks:
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            obj = orjson.loads(frame[6:])
            made.append(Plain(obj["event"], obj["data"]["text"]))
            count += 1
    return count


def stream() -> int:
    """Decode events."""
    events = EventStream(LIMIT)
    count = 0
    for chunk in chunks:
        for event in events.feed(chunk):
            count += event.__class__ is TextChunk
    return count


def dispatch() -> int:
    """Decode events, and have an async handler called for each."""

    async def pump() -> None:
        events = EventStream(LIMIT)
        async with dispatcher.scope() as scope:
            for chunk in chunks:
                for event in events.feed(chunk):
                    if scope.interested(event):
                        await scope.dispatch(event)

    taken.clear()
    loop.run_until_complete(pump())
    return len(taken)


def main() -> None:
    """Do all parts, in the order that guard.py knows."""
    parts = (yardstick, stream, dispatch)
    for part in parts:
        assert part() == EVENTS, part.__name__
    gc.collect()
    gc.freeze()
    for part in parts:
        mark()
        part()
    mark()
    loop.close()


if __name__ == "__main__":
    main()
