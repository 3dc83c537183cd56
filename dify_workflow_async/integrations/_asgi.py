"""Frames over ASGI, until they end or the browser leaves."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from ..relay import HEADERS, View
from ._life import sent


if TYPE_CHECKING:
    from starlette.types import Receive, Send


async def answer(frames: AsyncIterable[bytes], receive: Receive, send: Send) -> None:
    """Send the frames; a view that is dropped, and a browser that left, end that."""
    sending = asyncio.ensure_future(_send(frames, send))
    leaving = asyncio.ensure_future(_left(receive))
    if isinstance(frames, View):
        frames.on_drop = sending.cancel
    both = (sending, leaving)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.wait(both)
    if not sending.cancelled():
        sending.result()


async def _send(frames: AsyncIterable[bytes], send: Send) -> None:
    headers = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async with sent(frames) as pieces:
        async for data in pieces:
            await send(_body(data, more=True))
    await send(_body(b"", more=False))


def _body(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def _left(receive: Receive) -> None:
    """Wait until the browser has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
