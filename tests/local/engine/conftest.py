"""What the tests of the engine share: one server for all of them, and the outside.

The engine takes seconds to start, so they share an event loop as well.
"""

from __future__ import annotations

import importlib.util
import json

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from aiohttp import web

from dify_workflow_async.local import (
    App,
    LocalServer,
    StubModel,
    StubReply,
)

from ._outside import Outside


HERE = Path(__file__).parent
DSL = HERE.parents[1] / "dsl"
MISSING = importlib.util.find_spec("graphon") is None

# As the model of the recordings answered.
ECHO = StubModel(
    replies=[
        StubReply(
            text=[
                "Echo: ",
                "hello",
                "there",
                "",
                *(f" w{n} é你😀" for n in range(8)),
            ],
            contains="hello there",
            prompt_tokens=7,
            completion_tokens=12,
        )
    ],
    prompt_price="0.001",
    completion_price="0.002",
)

Stream = Callable[..., Awaitable[list[Any]]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the engine where it cannot be installed."""
    skip = pytest.mark.skip(reason="graphon needs Python 3.12 or 3.13 (extra engine)")
    for item in items:
        if MISSING and HERE in item.path.parents and "apps" in _fixtures(item):
            item.add_marker(skip)


def _fixtures(item: pytest.Item) -> list[str]:
    return list(getattr(item, "fixturenames", ()))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def outside() -> AsyncIterator[Outside]:
    """Serve what the workflows call."""
    it = Outside()
    runner = web.AppRunner(it.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.port = runner.addresses[0][1]
    yield it
    await runner.cleanup()


@pytest.fixture(scope="session")
def dsl(outside: Outside) -> Callable[[str], str]:
    """Give a function that reads an app, which calls the outside of the tests."""

    def read(name: str) -> str:
        text = (DSL / f"{name}.yml").read_text("utf-8")
        return text.replace("127.0.0.1:18080", f"127.0.0.1:{outside.port}")

    return read


@pytest.fixture(scope="session")
def apps(dsl: Callable[[str], str]) -> dict[str, App]:
    """Make all exported apps, by name."""
    names = sorted(path.stem for path in DSL.glob("*.yml"))
    return {name: App.from_dsl(dsl(name), model=ECHO) for name in names}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(apps: dict[str, App]) -> AsyncIterator[dict[str, LocalServer]]:
    """Serve all apps, as both versions."""
    made = {
        version: LocalServer(
            apps.values(), version=version, close_delay=0, engine_processes=1
        )
        for version in ("1.12.1", "1.14.2")
    }
    async with made["1.12.1"], made["1.14.2"]:
        yield made


@pytest.fixture
def server(servers: dict[str, LocalServer]) -> LocalServer:
    """Give the server of the newer version."""
    return servers["1.14.2"]


@pytest_asyncio.fixture(loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a plain HTTP client."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as it:
        yield it


@pytest.fixture
def call(session: aiohttp.ClientSession):
    """Give a function that asks with the key of an app: status and JSON."""

    async def send(
        server: LocalServer, app: App, method: str, path: str, **options: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}{path}"
        async with session.request(method, url, headers=headers, **options) as response:
            return response.status, await response.json()

    return send


@pytest.fixture
def upload(session: aiohttp.ClientSession):
    """Give a function that uploads a file, and gives what is told of it."""

    async def send(
        server: LocalServer, app: App, name: str, mime_type: str, data: bytes
    ) -> dict[str, Any]:
        form = aiohttp.FormData({"user": "u1"})
        form.add_field("file", data, filename=name, content_type=mime_type)
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}/files/upload"
        async with session.post(url, data=form, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
        return answer

    return send


@pytest.fixture
def start(session: aiohttp.ClientSession):
    """Give a function that starts a run and gives the open response."""

    def post(server: LocalServer, app: App, inputs: Any = None, **body: Any):
        run = {"inputs": inputs or {}, "user": "u1", "response_mode": "streaming"}
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}/workflows/run"
        return session.post(url, json=run | body, headers=headers)

    return post


@pytest.fixture
def play(start, parse_frames) -> Stream:
    """Give a function that runs an app and gives all events of its stream."""

    async def read(
        server: LocalServer, app: App, inputs: Any = None, **body: Any
    ) -> list[Any]:
        async with start(server, app, inputs, **body) as response:
            frames = parse_frames(await response.read())
        return [frame for frame in frames if frame != "ping"]

    return read


@pytest.fixture
def until(parse_frames):
    """Give a function that reads a stream until an event of some name has come."""

    async def read(response: aiohttp.ClientResponse, name: str) -> dict[str, Any]:
        async for line in response.content:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if event["event"] == name:
                    return event
        raise AssertionError(name)

    return read
