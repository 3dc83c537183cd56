"""Reading a run, and relaying it to a browser, for callgrind to count: see guard.py.

All of it is done as it is in earnest, by aiohttp's client and aiohttp's server, but
for the sockets: what would be sent is handed over in this process. So nothing depends
on time, and the counts are the same each time. With sockets, which cost as much again
to read as to relay, the ratio of the two is smaller: see benchmarks/relay.py.

The parts are done twice: with events that come together, as many as a socket gives at
once, and with events that come one by one.
"""

from __future__ import annotations

import asyncio
import gc
import json

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self

import aiohttp

from aiohttp import web
from marks import mark

from dify_workflow_async import WorkflowClient
from dify_workflow_async.integrations.aiohttp_web import relay_response
from dify_workflow_async.relay import RelayHub


EVENTS = 1_000
TOGETHER = 70  # events in 16 KB, which is what a socket gives
IDS = {
    "workflow_run_id": "efcc7333-c4c1-463f-8b0a-74ae28804fe8",
    "task_id": "48239bf3-864a-4b73-b041-1a150e6ff035",
}
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"X-Version: 1.14.2\r\nTransfer-Encoding: chunked\r\n\r\n"
)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def frames() -> Iterator[bytes]:
    """The events of a run, as Dify sends them."""
    yield _frame("workflow_started", id=IDS["workflow_run_id"], inputs={})
    for i in range(EVENTS):
        yield _frame(
            "text_chunk", text=f" token {i}", from_variable_selector=["llm", "text"]
        )
    end = {"id": IDS["workflow_run_id"], "status": "succeeded", "outputs": {}}
    yield _frame("workflow_finished", **end)


def _frame(name: str, **data: Any) -> bytes:
    event = {"event": name, **IDS, "data": data}
    return f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


def answer(together: int) -> list[bytes]:
    """An HTTP answer with that many events in each of its chunks."""
    all_frames = list(frames())
    bodies = [
        b"".join(all_frames[i : i + together])
        for i in range(0, len(all_frames), together)
    ]
    return [HEAD, *(b"%x\r\n%b\r\n" % (len(x), x) for x in bodies), b"0\r\n\r\n"]


class Wire(asyncio.Transport):
    """What a protocol writes to, instead of a socket."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written: list[bytes] = []
        self.closed = asyncio.Event()
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what is written."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """Tell whether no more is to be written."""
        return self.closed.is_set()

    def close(self) -> None:
        """Let the protocol know that it is over."""
        if not self.closed.is_set():
            self.closed.set()
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


class Dify(Wire):
    """Answers each request, one piece in each turn of the loop."""

    pieces: tuple[bytes, ...] = ()

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__(protocol)
        self._rest: Iterator[bytes] = iter(())
        self._paused = self._is_due = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take a request, which comes in one piece, and begin to answer."""
        super().write(data)
        self._rest = iter(self.pieces)
        self._feed()

    def writelines(self, list_of_data: Any) -> None:
        """Take a request."""
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        """Give nothing until the reader has room."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self._paused = False
        self._feed()

    def _feed(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        self._is_due = False
        if self._paused or (piece := next(self._rest, None)) is None:
            return
        self.protocol.data_received(piece)
        if not self._paused:
            self._feed()


class Loop(asyncio.SelectorEventLoop):
    """A loop in which who connects to a path gets a Dify."""

    async def create_unix_connection(
        self, protocol_factory: Callable[[], Any], *_: Any, **__: Any
    ) -> Any:
        """Connect."""
        protocol = protocol_factory()
        return Dify(protocol), protocol


class Bench:
    """A client of that Dify, and a web server that relays its runs."""

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector("dify")
        self._session = aiohttp.ClientSession(connector=connector)
        self.client = WorkflowClient(
            "app-1", "http://localhost/v1", "u1", session=self._session
        )
        self.hub = RelayHub(self.client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hub.aclose()
        await self.client.aclose()
        await self._session.close()

    async def read(self) -> int:
        """Read a run, and show it to nobody."""
        count = 0
        async with self.client.stream({}) as run:
            async for _ in run:
                count += 1
        return count

    async def relay(self) -> int:
        """Relay a run to the browser that asked for it."""

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            async with self.client.stream({}) as run:
                return await relay_response(request, run.relay())

        return await browse(handler)

    async def share(self) -> int:
        """Relay a run by the hub."""

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            view = self.hub.view(await self.hub.start({}))
            return await relay_response(request, view)

        return await browse(handler)


async def browse(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> int:
    """Be the browser; give how many events came."""
    server = web.Server(handler, access_log=None)
    protocol = server()
    wire = Wire(protocol)
    protocol.data_received(REQUEST)
    await wire.closed.wait()
    await server.shutdown()
    return b"".join(wire.written).count(b"\ndata: ")


async def main() -> None:
    """Do all parts, in the order that guard.py knows."""
    async with Bench() as bench:
        parts = [
            (answer(together), part)
            for together in (TOGETHER, 1)
            for part in (bench.read, bench.relay, bench.share)
        ]
        for pieces, part in parts:
            Dify.pieces = tuple(pieces)
            count = await part()
            assert count == EVENTS + 2, (part.__name__, count)
        gc.collect()
        gc.freeze()
        for pieces, part in parts:
            Dify.pieces = tuple(pieces)
            mark()
            await part()
        mark()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
