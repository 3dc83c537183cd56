"""The client and the hub of an application, from its start-up to its end."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from .._client import WorkflowClient
from ..relay import RETRY, RelayHub, View


MakeClient = Callable[[], WorkflowClient]
"""Makes the client of a process: `WorkflowClient` itself, or a function of yours."""


async def close(hub: RelayHub, client: WorkflowClient, drain: float) -> None:
    """Start no more runs, and let those under way end, at most *drain* seconds."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + drain
    try:
        await hub.aclose(drain)
    finally:
        await client.aclose(drain=max(0.0, ends - loop.time()))


@asynccontextmanager
async def sent(frames: AsyncIterable[bytes]) -> AsyncGenerator[AsyncIterator[bytes]]:
    """What is sent to a browser, which is left when the block is."""
    async with aclosing(_sent(frames)) as pieces:
        yield pieces


async def _sent(frames: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    if isinstance(frames, View):  # coming back for others may start a run anew
        yield RETRY
    source: Any = aiter(frames)
    try:
        async for data in source:
            yield data
    finally:
        if close_source := getattr(source, "aclose", None):
            await close_source()
