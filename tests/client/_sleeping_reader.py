"""A program that begins to read a stream, sleeps, and tells how much memory it has.

``python _sleeping_reader.py HOW BASE_URL``: it writes a line when it has something, and
its resident size in bytes for each line that it reads. It ends with its input.
"""

from __future__ import annotations

import asyncio
import os
import sys

from pathlib import Path

import aiohttp

from dify_workflow_async import Dispatcher, Timeouts, WorkflowClient
from dify_workflow_async.events import TextChunk


def resident_size() -> int:
    """Tell how many bytes of this process are in memory."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def sleep() -> None:
    """Sleep as a consumer does, until the input ends; the event loop goes on."""
    loop = asyncio.get_running_loop()
    print("begun", flush=True)  # noqa: T201
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(resident_size(), flush=True)  # noqa: T201
    os._exit(0)  # what would have to be read to leave in good order is too much


async def bare(url: str) -> None:
    """Read with aiohttp alone."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/workflows/run", json={"inputs": {}}) as answer,
    ):
        async for _ in answer.content.iter_any():
            await sleep()


async def iterating(url: str) -> None:
    """Sleep in the loop over the events of a stream."""
    async with client_for(url) as client, client.stream() as run:
        async for _ in run:
            await sleep()


async def generating(url: str) -> None:
    """Sleep in the loop over the plain generator."""
    async with client_for(url) as client:
        async for _ in client.events():
            await sleep()


async def handling(url: str) -> None:
    """Sleep in a handler."""
    dispatcher = Dispatcher()

    @dispatcher.on(TextChunk)
    async def handle(event: TextChunk) -> None:
        del event
        await sleep()

    async with client_for(url) as client:
        await client.run(dispatcher=dispatcher)


async def concurrent(url: str) -> None:
    """Sleep in as many concurrent handlers as there may be."""
    dispatcher = Dispatcher()
    never = asyncio.Event()
    handling = 0

    @dispatcher.on(TextChunk, concurrent=True)
    async def handle(event: TextChunk) -> None:
        nonlocal handling
        del event
        handling += 1
        if handling == 100:
            await sleep()
        await never.wait()

    async with client_for(url) as client:
        await client.run(dispatcher=dispatcher)


def client_for(url: str) -> WorkflowClient:
    """Make a client that waits for ever."""
    return WorkflowClient("app-1", url, "u1", timeouts=Timeouts(idle=None, stall=None))


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](sys.argv[2]))
