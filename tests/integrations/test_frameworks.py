"""Backends of each framework, and browsers that are plain sockets."""

from __future__ import annotations

import asyncio
import json

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import attrs
import pytest
import uvicorn

from aiohttp import web
from fastapi import FastAPI, Request, Response

from dify_workflow_async import WorkflowClient, errors
from dify_workflow_async.errors import DifyError
from dify_workflow_async.integrations import aiohttp_web, starlette
from dify_workflow_async.local import Node, Sleep
from dify_workflow_async.relay import RelayHub


END = Node(type="end", outputs={"answer": "42"})
LLM = Node(type="llm", text=["Hello", ", ", "world"])
FOREVER = Node(type="llm", text=["..."], delay=3600)
LONG = Node(type="llm", text=["x" * 10_000] * 1000)


@attrs.define
class Backend:
    """A backend that runs: where it is, and what it has."""

    port: int
    client: WorkflowClient
    hub: RelayHub
    close: Callable[[], Awaitable[None]]


# -- two backends that do the same -----------------------------------------------------


@asynccontextmanager
async def aiohttp_backend(make_client, **settings) -> AsyncIterator[Backend]:
    """Run a backend of aiohttp.web."""

    async def start(request: web.Request) -> web.Response:
        run_id = await request.app[aiohttp_web.HUB].start(await request.json())
        return web.json_response({"id": run_id})

    async def watch(request: web.Request) -> web.StreamResponse:
        view = aiohttp_web.view_of(request, request.match_info["id"])
        return await aiohttp_web.relay_response(request, view)

    async def direct(request: web.Request) -> web.StreamResponse:
        async with request.app[aiohttp_web.CLIENT].stream() as run:
            return await aiohttp_web.relay_response(request, run.relay())

    app = web.Application(middlewares=[aiohttp_web.errors_as_json])
    app.add_routes(
        [
            web.post("/runs", start),
            web.get("/runs/{id}/events", watch),
            web.get("/direct", direct),
        ]
    )
    aiohttp_web.setup(app, make_client, **settings)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        client, hub = app[aiohttp_web.CLIENT], app[aiohttp_web.HUB]
        yield Backend(port, client, hub, runner.cleanup)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def fastapi_backend(make_client, **settings) -> AsyncIterator[Backend]:
    """Run a backend of FastAPI under uvicorn."""
    found: dict[str, Any] = {}
    living = starlette.lifespan(make_client, **settings)

    @asynccontextmanager
    async def noted(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with living(app) as state:
            found.update(state)
            yield state

    app = FastAPI(
        lifespan=noted, exception_handlers={DifyError: starlette.error_as_json}
    )

    @app.post("/runs")
    async def start(request: Request, inputs: dict[str, Any]) -> dict[str, str]:
        return {"id": await request.state.dify_hub.start(inputs)}

    @app.get("/runs/{run_id}/events")
    async def watch(request: Request, run_id: str) -> Response:
        return starlette.RelayResponse(starlette.view_of(request, run_id))

    @app.get("/direct")
    async def direct(request: Request) -> Response:
        client: WorkflowClient = request.state.dify_client

        async def frames() -> AsyncIterator[bytes]:
            async with client.stream() as run:
                async for data in run.relay():
                    yield data

        return starlette.RelayResponse(frames())

    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    loop = asyncio.create_task(server.main_loop())
    port = server.servers[0].sockets[0].getsockname()[1]

    async def close() -> None:
        if not server.should_exit:
            server.should_exit = True
            await loop
            await server.shutdown()

    try:
        yield Backend(port, found["dify_client"], found["dify_hub"], close)
    finally:
        await close()


BACKENDS = {"aiohttp": aiohttp_backend, "fastapi": fastapi_backend}


@pytest.fixture(params=BACKENDS)
async def backend(request) -> AsyncIterator[Callable[..., Awaitable[Backend]]]:
    """Give a function that runs a backend, of each framework in turn."""
    async with AsyncExitStack() as stack:

        async def run(make_client, **settings) -> Backend:
            made = BACKENDS[request.param](make_client, **settings)
            return await stack.enter_async_context(made)

        yield run


# -- what they must do -----------------------------------------------------------------


async def start(browse, port: int, inputs: object = None) -> str:
    """Start a run, and give its id."""
    answer = await browse(port, "/runs", "POST", inputs or {})
    assert answer.status == 200
    return json.loads(await answer.rest())["id"]


async def test_a_run_in_a_browser(dify, make_client, backend, browse, decode):
    """It is started by one request, and watched by another."""
    server = await dify(LLM, END)
    there = await backend(make_client(server))
    run_id = await start(browse, there.port, {"topic": "x"})
    watching = await browse(there.port, f"/runs/{run_id}/events")
    assert watching.status == 200
    assert watching.headers["content-type"].startswith("text/event-stream")
    assert watching.headers["x-accel-buffering"] == "no"
    data = await watching.rest()
    assert data.startswith(b"retry: 1000\n\n")
    frames = decode(data)
    assert [number for number, _ in frames] == list(range(1, len(frames) + 1))
    assert frames[-1][1]["data"]["outputs"] == {"answer": "42"}
    assert server.runs[0].inputs == {"topic": "x"}


async def test_a_browser_that_comes_back(dify, make_client, backend, browse, decode):
    """It names the last event that it has, gets the rest, and then is sent away."""
    server = await dify(LLM, Sleep(seconds=0.1), END)
    there = await backend(make_client(server))
    path = f"/runs/{await start(browse, there.port)}/events"
    first = await browse(there.port, path)
    got = b""
    async for data in first.chunks():
        got += data
        if decode(got):
            break
    await first.leave()
    last = decode(got)[-1][0]
    second = await browse(there.port, path, Last_Event_ID=str(last))
    rest = decode(await second.rest())
    assert [n for n, _ in rest] == list(range(last + 1, last + 1 + len(rest)))
    third = await browse(there.port, path, Last_Event_ID=str(rest[-1][0]))
    assert third.status == 204


async def test_a_run_for_one_browser(dify, make_client, backend, browse, decode):
    """Without a hub it is one request, which is not to be made again by itself."""
    server = await dify(LLM, END)
    there = await backend(make_client(server))
    data = await (await browse(there.port, "/direct")).rest()
    assert decode(data)[-1][1]["event"] == "workflow_finished"
    assert b"retry:" not in data


async def test_a_browser_that_leaves(dify, make_client, backend, browse, until):
    """Its run is stopped, with a hub that was told so, or without any."""
    server = await dify(LLM, FOREVER)
    there = await backend(make_client(server), unwatched="stop", grace=0.05, ping=0.05)
    run_id = await start(browse, there.port)
    watching = await browse(there.port, f"/runs/{run_id}/events")
    await anext(aiter(watching.chunks()))
    await watching.leave()
    await until(lambda: server.runs[0].status == "stopped")


async def test_a_browser_that_leaves_its_own_run(
    dify, make_client, backend, browse, until
):
    """Without a hub the run is left with the browser."""
    chatty = Node(type="llm", text=["."] * 10_000, chunk_delay=0.02)
    server = await dify(chatty)
    there = await backend(make_client(server))
    watching = await browse(there.port, "/direct")
    async for data in watching.chunks():
        if b"text_chunk" in data:
            break
    assert server.runs[0].status == "running"
    await watching.leave()
    await until(lambda: server.runs[0].status == "stopped")


@pytest.mark.slow
async def test_a_browser_that_stops_reading(dify, make_client, backend, browse, decode):
    """It does not slow the others, and its connection is closed at the bound."""
    server = await dify(Sleep(seconds=0.1), LONG, END)
    there = await backend(make_client(server), max_bytes=500_000)
    path = f"/runs/{await start(browse, there.port)}/events"
    slow = await browse(there.port, path)
    slow.writer.transport.pause_reading()
    fast = await browse(there.port, path)
    last = decode(await fast.rest())[-1][1]
    assert last["event"] == "workflow_finished"
    slow.writer.transport.resume_reading()
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        frames = decode(await slow.rest())
        assert frames[-1][1]["event"] != "workflow_finished"


@pytest.mark.parametrize(
    ("settings", "status", "words"),
    [
        ({"api_key": "app-wrong"}, 502, "not available"),
        ({"base_url": "http://127.0.0.1:1/v1"}, 502, "cannot be reached"),
    ],
)
async def test_a_run_that_is_refused(
    settings, status, words, dify, make_client, backend, browse
):
    """The browser gets a status and a sentence, and nothing of the inside."""
    server = await dify(END)
    there = await backend(make_client(server, **settings))
    answer = await browse(there.port, "/runs", "POST", {})
    assert answer.status == status
    told = json.loads(await answer.rest())
    assert words in told["message"]
    assert "127.0.0.1" not in json.dumps(told)


async def test_a_busy_app(dify, make_client, backend, browse):
    """How long to wait is told."""
    server = await dify(END)
    server.apps[0].quota = 0
    server.apps[0].retry_after = 3
    there = await backend(make_client(server))
    answer = await browse(there.port, "/runs", "POST", {})
    assert answer.status == 429
    assert answer.headers["retry-after"] == "3"


async def test_a_run_that_nobody_knows(dify, make_client, backend, browse):
    """It is a 404 with a sentence."""
    there = await backend(make_client(await dify(END)))
    answer = await browse(there.port, "/runs/no/events")
    assert answer.status == 404
    assert "no such run" in json.loads(await answer.rest())["message"]


# -- life ------------------------------------------------------------------------------


async def test_a_shutdown_lets_runs_end(dify, make_client, backend, browse, decode):
    """Who watches a run when the backend is shut down gets it to its end."""
    server = await dify(LLM, Sleep(seconds=0.3), END)
    there = await backend(make_client(server))
    watching = await browse(
        there.port, f"/runs/{await start(browse, there.port)}/events"
    )
    closing = asyncio.create_task(there.close())
    frames = decode(await watching.rest())
    assert frames[-1][1]["event"] == "workflow_finished"
    await closing
    with pytest.raises(errors.ClientClosed):
        await there.hub.start()
    with pytest.raises(errors.ClientClosed):
        await there.client.run()


async def test_a_shutdown_at_its_deadline(dify, make_client, backend, browse, until):
    """A run that does not end by then is stopped."""
    server = await dify(LLM, FOREVER)
    there = await backend(make_client(server), drain=0.05)
    await start(browse, there.port)
    await until(lambda: server.runs[0].events)
    await there.close()
    assert server.runs[0].status == "stopped"


@pytest.mark.slow
async def test_many_requests_share_one_client(
    dify, make_client, backend, browse, decode
):
    """There is one client for all, and each request gets what is its own."""
    server = await dify(Node(type="llm", text="{n}"), END)
    made = []

    def make() -> WorkflowClient:
        made.append(1)
        return make_client(server)()

    there = await backend(make)

    async def one(n: int) -> None:
        run_id = await start(browse, there.port, {"n": str(n)})
        watching = await browse(there.port, f"/runs/{run_id}/events")
        texts = [
            obj["data"]["text"]
            for _, obj in decode(await watching.rest())
            if obj["event"] == "text_chunk"
        ]
        assert texts == [str(n)]

    await asyncio.gather(*(one(n) for n in range(150)))
    assert made == [1]
    assert len(server.runs) == 150
