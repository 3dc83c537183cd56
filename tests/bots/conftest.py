"""What the tests of bots share: a Dify, and a look at the examples."""

from __future__ import annotations

import asyncio
import importlib
import sys

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aiohttp import web

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import App, LocalServer, Scenario


EXAMPLES = Path(__file__).parents[2] / "examples" / "bots"
KEY = "app-s3cr3t0f7h3t3s7s"


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Give the function that waits for a condition."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - of any kind, not an event's
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
async def dify() -> AsyncIterator[Callable[..., Awaitable[LocalServer]]]:
    """Give a function that starts a local server with one app."""
    async with AsyncExitStack() as stack:

        async def start(*steps: Any, **settings: Any) -> LocalServer:
            app = App(Scenario(steps=steps), key=KEY)
            return await stack.enter_async_context(LocalServer([app], **settings))

        yield start


@pytest.fixture
def make_client() -> Callable[[LocalServer], WorkflowClient]:
    """Give a function that makes a client of a server."""
    return lambda server: WorkflowClient(KEY, server.base_url, "bot")


@pytest.fixture
def example(monkeypatch) -> Iterator[Callable[[str], ModuleType]]:
    """Give a function that imports an example, with a quicker pace."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    names = ["common"]

    def load(name: str, *needs: str) -> ModuleType:
        for need in needs:
            pytest.importorskip(need)
        names.append(name)
        module = importlib.import_module(name)
        module.EVERY = 0.1
        return module

    yield load
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def serving() -> Callable[..., Any]:
    """Give a context manager that serves an application, and gives its port."""

    @asynccontextmanager
    async def serve(app: web.Application) -> AsyncIterator[int]:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    return serve
