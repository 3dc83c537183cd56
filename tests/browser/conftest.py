"""A real browser, the example's backends, and a line between them that can be cut."""

from __future__ import annotations

import asyncio
import importlib
import math
import shutil
import sys

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import attrs
import pytest
import pytest_asyncio

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import App, LocalServer, Scenario


EXAMPLE = Path(__file__).parents[2] / "examples" / "web"
KEY = "app-s3cr3t0f7h3t3s7s"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


# -- the browser -----------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    """Start Chromium, as Debian has it."""
    playwright = pytest.importorskip("playwright.async_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(
            executable_path=chromium, args=list(FLAGS)
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Give a function that opens a page, in which no script may fail."""
    failures: list[str] = []
    contexts: list[Any] = []

    async def open_(url: str, **context: Any) -> Any:
        contexts.append(await browser.new_context(**context))
        page = await contexts[-1].new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.set_default_timeout(10_000)
        await page.goto(url)
        return page

    yield open_
    for each in contexts:
        await each.close()
    assert not failures


CONTRAST = """([ink, ground]) => {
  const color = (selector, name) =>
    getComputedStyle(document.querySelector(selector))[name];
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((x) => {
      const c = x / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = [light(color(ink, 'color')), light(color(ground, 'backgroundColor'))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.fixture
def contrast() -> Callable[[Any, str, str], Awaitable[float]]:
    """Give a function that measures how one can read an element's text on another.

    At least 4.5 is wanted, and 7 for much of it (WCAG 2.2, 1.4.3 and 1.4.6).
    """

    async def measure(page: Any, ink: str, ground: str) -> float:
        return await page.evaluate(CONTRAST, [ink, ground])

    return measure


# -- the line --------------------------------------------------------------------------


@attrs.define
class Line:
    """Passes bytes on between two programs, until it is held, or cut.

    Attributes:
        sent: how many bytes went forth, over all connections.
    """

    target: int
    port: int = 0
    connections: int = 0
    sent: int = 0
    _is_cut: bool = False
    _end: float = math.inf
    _flows: asyncio.Event = attrs.field(factory=asyncio.Event)
    _news: asyncio.Event = attrs.field(factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = attrs.field(factory=set)
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._flows.set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self.flow()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break all connections, and take no more."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Take connections again."""
        self._is_cut = False

    def hold(self, after: int = 0) -> None:
        """Pass nothing on when so many more bytes went forth, and leave all open."""
        self._end = self.sent + after
        self._check()

    def flow(self) -> None:
        """Pass bytes on again."""
        self._end = math.inf
        self._flows.set()

    async def has_sent(self, size: int) -> None:
        """Wait until so many bytes went forth."""
        while self.sent < size:
            await self._news.wait()

    def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        back, forth = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, forth}
        await asyncio.gather(
            self._pass(reader, forth, self._count), self._pass(back, writer, int)
        )
        self._writers -= {writer, forth}

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        count: Callable[[int], object],
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
                count(len(data))
        writer.close()

    def _check(self) -> None:
        if self.sent >= self._end:
            self._flows.clear()

    def _count(self, size: int) -> None:
        self.sent += size
        self._check()
        self._news.set()
        self._news.clear()


# -- the backends ----------------------------------------------------------------------


@asynccontextmanager
async def aiohttp_backend(app: Any) -> AsyncIterator[int]:
    """Serve the application of aiohttp, and give its port."""
    from aiohttp import web

    # Chromium keeps a spare connection open for as long as it lives.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def fastapi_backend(app: Any) -> AsyncIterator[int]:
    """Serve the application of FastAPI, and give its port."""
    import uvicorn

    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    loop = asyncio.create_task(server.main_loop())
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await loop
        await server.shutdown()


BACKENDS = {"aiohttp": aiohttp_backend, "fastapi": fastapi_backend}


@attrs.define
class Site:
    """The example as it runs: Dify, its backend, and the lines to both."""

    dify: LocalServer
    line: Line
    upstream: Line

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.line.port}/"


@pytest_asyncio.fixture(params=BACKENDS, loop_scope="module")
async def site(request, monkeypatch) -> AsyncIterator[Callable[..., Awaitable[Site]]]:
    """Give a function that runs the example over a scenario, with each backend."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    name = f"backend_{request.param}"
    async with AsyncExitStack() as stack:

        async def run(
            *steps: Any, inputs: Any = None, app: Any = None, **settings: Any
        ) -> Site:
            served = App(
                Scenario(steps=steps, inputs=inputs),
                key=KEY,
                name="Ask anything",
                description="A workflow that answers.",
                **(app or {}),
            )
            dify = await stack.enter_async_context(LocalServer([served], **settings))
            upstream = await stack.enter_async_context(Line(dify.port))
            url = f"http://127.0.0.1:{upstream.port}/v1"
            made = importlib.import_module(name).make_app(
                lambda: WorkflowClient(KEY, url, "u1")
            )
            port = await stack.enter_async_context(BACKENDS[request.param](made))
            line = await stack.enter_async_context(Line(port))
            return Site(dify, line, upstream)

        yield run
    for module in (name, "common", "files"):
        sys.modules.pop(module, None)
