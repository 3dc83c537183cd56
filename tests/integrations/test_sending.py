"""What is sent of frames of any kind, without a framework."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs

from dify_workflow_async.integrations._life import sent


@attrs.define
class Plain:
    """An async iterator that has nothing but what an iterator must have."""

    left: list[bytes]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


async def test_frames_that_cannot_be_closed():
    """Any async iterable will do: it is read to its end, or left, and nothing fails."""
    async with sent(Plain([b"a", b"b"])) as pieces:
        assert b"".join([data async for data in pieces]).endswith(b"ab")
    plain = Plain([b"a", b"b"])
    async with sent(plain) as pieces:
        while await anext(pieces) != b"a":
            pass
    assert plain.left == [b"b"]


async def test_frames_that_can_be_closed():
    """A generator that is left is closed at once."""
    closed = []

    async def frames() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    async with sent(frames()) as pieces:
        while await anext(pieces) != b"a":
            pass
    assert closed == [True]
