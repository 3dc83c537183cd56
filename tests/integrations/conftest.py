"""What the tests of integrations share: a Dify, and browsers that are plain sockets."""

from __future__ import annotations

import asyncio
import json

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Self

import attrs
import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import App, LocalServer, Scenario


KEY = "app-s3cr3t0f7h3t3s7s"


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Give the function that waits for a condition."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - of any kind, not an event's
                await asyncio.sleep(0.001)

    return wait


@pytest.fixture
async def dify() -> AsyncIterator[Callable[..., Awaitable[LocalServer]]]:
    """Give a function that starts a local server with one app."""
    async with AsyncExitStack() as stack:

        async def start(*steps: Any, **settings: Any) -> LocalServer:
            app = App(Scenario(steps=steps), key=KEY, name="Demo")
            return await stack.enter_async_context(LocalServer([app], **settings))

        yield start


@pytest.fixture
def make_client() -> Callable[..., Callable[[], WorkflowClient]]:
    """Give a function that gives what makes a client of a server."""

    def of(server: LocalServer, **settings: Any) -> Callable[[], WorkflowClient]:
        usual = {"api_key": KEY, "base_url": server.base_url, "user": "u1"}
        return lambda: WorkflowClient(**(usual | settings))

    return of


@attrs.define
class Browser:
    """One connection, over which one request is sent, with what came back."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = attrs.field(factory=dict)

    @classmethod
    async def open(
        cls, port: int, path: str, method: str = "GET", body: object = None, **more: str
    ) -> Self:
        """Send a request; underscores in names of headers are hyphens."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        data = b"" if body is None else json.dumps(body).encode()
        headers = {
            "Host": "x",
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        return cls(reader, writer)

    async def answered(self) -> Self:
        """Wait for the headers."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().strip().split("\r\n")
        self.status = int(first.split(" ")[1])
        pairs = (line.split(": ", 1) for line in lines)
        self.headers = {name.lower(): value for name, value in pairs}
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the pieces of the body until it ends, or the connection does."""
        while True:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size + 2)
            if not size:
                return
            yield data[:-2]

    async def rest(self) -> bytes:
        """Read the body to its end."""
        if "content-length" in self.headers:
            return await self.reader.readexactly(int(self.headers["content-length"]))
        return b"".join([data async for data in self.chunks()])

    async def leave(self) -> None:
        """Close the connection."""
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
async def browse() -> AsyncIterator[Callable[..., Awaitable[Browser]]]:
    """Give a function that asks, as a browser does."""
    opened: list[Browser] = []

    async def ask(port: int, path: str, *args: Any, **more: Any) -> Browser:
        browser = await Browser.open(port, path, *args, **more)
        opened.append(browser)
        return await browser.answered()

    yield ask
    for browser in opened:
        await browser.leave()


def frames_in(data: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Decode frames, with their numbers."""
    found = []
    for frame in data.split(b"\n\n"):
        if frame.startswith(b"id: "):
            number, _, rest = frame.partition(b"\ndata: ")
            found.append((int(number[4:]), json.loads(rest)))
    return found


@pytest.fixture
def decode() -> Callable[[bytes], list[tuple[int, dict[str, Any]]]]:
    """Give the function that decodes frames."""
    return frames_in
