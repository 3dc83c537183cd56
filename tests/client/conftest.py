"""What the tests of the client share: servers, clients, and a look for leaks."""

from __future__ import annotations

import asyncio
import json
import socket
import struct

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace
from typing import Any, Self

import attrs
import pytest

from dify_workflow_async import RetryPolicy, Timeouts, WorkflowClient
from dify_workflow_async.local import App, LocalServer, Replay, Scenario

from ._traces import Seen


KEY = "app-s3cr3t0f7h3t3s7s"
RUN_ID = "11111111-1111-4111-8111-111111111111"
TASK_ID = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def key() -> str:
    """Give the API key of all the tests, which nothing may show."""
    return KEY


@pytest.fixture
def ids() -> SimpleNamespace:
    """Give the ids of the runs that the wild server tells of."""
    return SimpleNamespace(run=RUN_ID, task=TASK_ID)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in ("DIFY_API_KEY", "DIFY_BASE_URL", "DIFY_USER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """Fail a test that leaves a task behind when all is closed."""
    yield
    for _ in range(20):  # what was closed may need some rounds to end
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks that nobody owns: {left}"


async def wait_until(condition: Callable[[], object]) -> None:
    """Let the loop run until a condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of any kind, not an event's
            await asyncio.sleep(0)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Give the function that waits for a condition."""
    return wait_until


# -- a server that behaves -------------------------------------------------------------


@attrs.define
class Served:
    """A local server with one app, and what it was asked."""

    server: LocalServer
    app: App

    @property
    def base_url(self) -> str:
        """Where it is."""
        return self.server.base_url

    @property
    def runs(self) -> list[Any]:
        """The runs that were started."""
        return self.server.runs

    @property
    def starts(self) -> list[Any]:
        """The bodies of the requests that started a run."""
        return self._bodies("/run")

    @property
    def stops(self) -> list[Any]:
        """The bodies of the requests that stopped a run."""
        return self._bodies("/stop")

    def _bodies(self, ending: str) -> list[Any]:
        found = (x for x in self.server.requests if x.method == "POST")
        return [x.json for x in found if x.path.endswith(ending)]


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Give a function that starts a local server with one app."""
    async with AsyncExitStack() as stack:

        async def start(
            *steps: Any,
            behaviour: Scenario | Replay | None = None,
            app: dict[str, Any] | None = None,
            outputs: Any = None,
            inputs: Any = None,
            **settings: Any,
        ) -> Served:
            made = behaviour or Scenario(steps=steps, outputs=outputs, inputs=inputs)
            one = App(made, key=KEY, **(app or {}))
            server = await stack.enter_async_context(LocalServer([one], **settings))
            return Served(server, one)

        yield start


# -- a server that does not ------------------------------------------------------------


class Peer:
    """One connection to the wild server, and the request that came last."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.method = self.path = ""
        self.headers: dict[str, str] = {}
        self.json: Any = None

    async def receive(self) -> bool:
        """Read the next request; False if the client has left."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return False
        first, *lines = head.decode().strip().split("\r\n")
        self.method, self.path, _ = first.split(" ")
        pairs = (line.split(": ", 1) for line in lines)
        self.headers = {name.lower(): value for name, value in pairs}
        if self.headers.get("transfer-encoding") == "chunked":
            body = await self._reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            length = self.headers.get("content-length", "0")
            body = await self._reader.readexactly(int(length))
        is_json = self.headers.get("content-type") == "application/json"
        self.json = json.loads(body) if is_json else None
        return True

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()
        await asyncio.sleep(0)  # drain() alone lets nobody else run

    async def begin(self, version: str | None = "1.14.2", **headers: str) -> None:
        """Begin a stream of events."""
        await self.write(
            _head(200, {"Content-Type": "text/event-stream; charset=utf-8"}, version)
            + _lines({"Transfer-Encoding": "chunked", **headers})
            + b"\r\n"
        )

    async def send(self, data: bytes) -> None:
        """Send a chunk of the stream."""
        await self.write(b"%X\r\n%s\r\n" % (len(data), data))

    async def event(self, name: str, /, **data: Any) -> None:
        """Send an event of the run, with its ids."""
        await self.send(event_frame(name, **data))

    async def end(self) -> None:
        """Send the chunk that ends the stream."""
        await self.write(b"0\r\n\r\n")

    async def answer(
        self,
        status: int,
        body: bytes | dict[str, Any] = b"",
        kind: str = "application/json",
        **headers: str,
    ) -> None:
        """Send a whole answer; underscores in names of headers are hyphens."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        own = {"Content-Type": kind, "Content-Length": str(len(data))}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.write(_head(status, own | named) + b"\r\n" + data)

    def hang_up(self) -> None:
        """Close the connection."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection: the client gets ``ECONNRESET``."""
        linger = struct.pack("ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has left."""
        with suppress(ConnectionError):
            while await self._reader.read(1 << 16):
                pass


def event_frame(name: str, /, **data: Any) -> bytes:
    """Write an event of the run as a frame; ``task_id=None`` leaves it out."""
    obj: dict[str, Any] = {"event": name, "workflow_run_id": RUN_ID, "task_id": TASK_ID}
    for envelope in ("workflow_run_id", "task_id", "audio", "code", "message"):
        if envelope in data:
            obj[envelope] = data.pop(envelope)
    obj = {key: value for key, value in obj.items() if value is not None}
    return b"data: " + json.dumps(obj | {"data": data}).encode() + b"\n\n"


def _head(status: int, headers: dict[str, str], version: str | None = None) -> bytes:
    if version is not None:
        headers = headers | {"X-Version": version}
    return b"HTTP/1.1 %d X\r\n" % status + _lines(headers)


def _lines(headers: dict[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


Script = Callable[[Peer], Awaitable[None]]


@attrs.define(eq=False)
class Wild:
    """A server that says and does by script whatever a test likes.

    The first request is answered by the first script, and so on; all further ones by
    the last. Stops have a script of their own.
    """

    scripts: list[Script]
    stop: Script
    requests: list[tuple[str, str, dict[str, str], Any]] = attrs.field(factory=list)
    connections: int = 0
    errors: list[BaseException] = attrs.field(factory=list)
    _served: int = 0
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set)
    _server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """Where it is."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def starts(self) -> list[Any]:
        """The bodies of the requests that started a run."""
        return [x[3] for x in self.requests if x[1].endswith("/run")]

    @property
    def stops(self) -> list[Any]:
        """The bodies of the requests that stopped a run."""
        return [x[3] for x in self.requests if x[1].endswith("/stop")]

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        assert not self.errors, "a script failed"

    def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        task = asyncio.create_task(self._talk(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        peer = Peer(reader, writer)
        try:
            while await peer.receive():
                self.requests.append((peer.method, peer.path, peer.headers, peer.json))
                await self._script_for(peer)(peer)
        except ConnectionError:
            pass  # the client has left
        except Exception as error:  # noqa: BLE001 - shown at the end
            self.errors.append(error)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _script_for(self, peer: Peer) -> Script:
        if peer.path.endswith("/stop"):
            return self.stop
        self._served += 1
        return self.scripts[min(self._served, len(self.scripts)) - 1]


async def _accept(peer: Peer) -> None:
    """Answer a stop as Dify does."""
    await peer.answer(200, {"result": "success"})


@pytest.fixture
async def wild() -> AsyncIterator[Callable[..., Awaitable[Wild]]]:
    """Give a function that starts a wild server."""
    async with AsyncExitStack() as stack:

        async def start(*scripts: Script, stop: Script = _accept) -> Wild:
            return await stack.enter_async_context(Wild(list(scripts), stop))

        yield start


@pytest.fixture
def frame() -> Callable[..., bytes]:
    """Give the function that writes an event as a frame."""
    return event_frame


# -- clients ---------------------------------------------------------------------------


@pytest.fixture
async def connect(
    serve: object,
    wild: object,
) -> AsyncIterator[Callable[..., WorkflowClient]]:
    """Give a function that makes a client, which is closed before the servers."""
    del serve, wild
    async with AsyncExitStack() as stack:

        def make(
            server: Any, *, recovers: bool = False, **settings: Any
        ) -> WorkflowClient:
            """A wild server knows no runs to look for, unless the test *recovers*."""
            usual = {"api_key": KEY, "user": "u1", "retry": RetryPolicy(base=0.001)}
            if isinstance(server, Wild) and not recovers:
                times = settings.get("timeouts", Timeouts())
                settings["timeouts"] = attrs.evolve(times, recovery=0)
            client = WorkflowClient(base_url=server.base_url, **(usual | settings))
            stack.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def in_use() -> Callable[[WorkflowClient], int]:
    """Give a function that counts the connections that a client holds for answers."""

    def count(client: WorkflowClient) -> int:
        session = client._api.transport._session  # type: ignore[attr-defined]
        connector = None if session is None else session.connector
        return 0 if connector is None else len(connector._acquired)

    return count


@pytest.fixture
def seen() -> Seen:
    """Give what OpenTelemetry exports."""
    return Seen()
