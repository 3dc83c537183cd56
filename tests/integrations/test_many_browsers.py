"""A thousand browsers on one process: every one gets every event, in order."""

from __future__ import annotations

import asyncio
import resource

import pytest

from aiohttp import web

from dify_workflow_async.integrations.aiohttp_web import (
    HUB,
    relay_response,
    setup,
    view_of,
)
from dify_workflow_async.local import Node


RUNS, VIEWERS = 20, 50
WORDS = [f"{n} " for n in range(30)]


@pytest.fixture
def many_sockets():
    """Have as many sockets as the system lets one have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"the system allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.usefixtures("many_sockets")
async def test_a_thousand_browsers(dify, make_client, browse, decode):
    """However they come, in the midst of a run or at its end, none misses anything."""
    server = await dify(Node(type="llm", text=WORDS, chunk_delay=0.05))

    async def watch(request: web.Request) -> web.StreamResponse:
        view = view_of(request, request.match_info["id"])
        return await relay_response(request, view)

    app = web.Application()
    app.router.add_get("/runs/{id}", watch)
    setup(app, make_client(server))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
        port = runner.addresses[0][1]
        ids = [await app[HUB].start() for _ in range(RUNS)]

        async def one(run_id: str) -> list[tuple[int, dict]]:
            browser = await browse(port, f"/runs/{run_id}")
            return decode(await browser.rest())

        seen = await asyncio.gather(*(one(x) for x in ids * VIEWERS))
    finally:
        await runner.cleanup()
    assert len(seen) == RUNS * VIEWERS
    assert len(server.runs) == RUNS
    for frames in seen:
        assert [number for number, _ in frames] == list(range(1, len(WORDS) + 5))
        texts = [x["data"]["text"] for _, x in frames if x["event"] == "text_chunk"]
        assert texts == WORDS
        assert frames[-1][1]["event"] == "workflow_finished"
