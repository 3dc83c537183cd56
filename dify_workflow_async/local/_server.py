"""LocalServer: a server on a socket of this machine, and its life."""

import asyncio

from collections import Counter, deque
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from ._app import App
from ._application import make_application
from ._backend import Backend
from ._dialect import Dialect
from ._received import ReceivedRequest
from ._run_store import RunStore
from ._runs import Run
from ._uploads import FileStore, StoredFile
from .engine import Workflow
from .engine._pool import Engines
from .faults import Fault, FaultPlan, Injected
from .faults._plan import Injector


# Enough for any test to look back on; older requests are forgotten.
MAX_KEPT_REQUESTS: Final = 1_000

# How long a handler may go on when the server closes. It only waits for runs that
# are about to be cancelled; 0 would mean without limit.
_SHUTDOWN_TIMEOUT: Final = 0.01

# How long a real server listens to a worker that says nothing.
_IDLE_LIMIT: Final = 300.0
_ACCESS_TIMEOUT: Final = 300.0


class LocalServer:
    """A server that speaks Dify's API, for tests and for trying things out.

    It sends what real servers were seen to send: each app plays its scenario or its
    recordings, or runs the workflow that Dify exported.

    Args:
        apps: The apps, told apart by their keys.
        version: The version of Dify whose behaviour it has. What changed with 1.13
            is known; in between the nearest of 1.12.1 and 1.14.2 was looked at.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        files_url: What links to files begin with; ``None`` takes the address of this
            server. An empty text makes them relative, as they are where the operator
            has not set ``FILES_URL``.
        ping_interval: Seconds of silence in a stream before a ping; ``None`` never
            pings.
        close_delay: Seconds from the last event to the end of a stream; ``None``
            takes those of the version, 1 s from 1.13 on and none before.
        error_silence: Seconds that a stream stays open and silent after an
            ``error`` event, from 1.13 on.
        idle_limit: Seconds of silence, also without pings, after which a stream of
            ``/workflow/{workflow_run_id}/events`` ends that no event has closed.
        access_timeout: Seconds that a link to a file is good for.
        faults: Picks for a request the fault that its answer gets, or ``None``; see
            `dify_workflow_async.local.faults`.
        marker: The input by whose value ``starts`` counts.
        engine_processes: How many processes exported apps run in; ``None`` is one
            for each processor but one, and at most four. None are started without
            such an app.

    Attributes:
        requests: What came in, the oldest first; only the last thousand.

    Raises:
        ValueError: Two apps have the same key, or the version is none.

    Example:
        .. code-block:: python

            app = App(Scenario(steps=[Node(type="end", outputs={"a": 1})]))
            async with LocalServer([app]) as server:
                ...  # server.base_url, app.key
    """

    def __init__(
        self,
        apps: Iterable[App] = (),
        *,
        # Behaviour
        version: str = "1.14.2",
        # Network
        host: str = "127.0.0.1",
        port: int = 0,
        files_url: str | None = None,
        # Times
        ping_interval: float | None = 10.0,
        close_delay: float | None = None,
        error_silence: float = _IDLE_LIMIT,
        idle_limit: float = _IDLE_LIMIT,
        access_timeout: float = _ACCESS_TIMEOUT,
        # Faults
        faults: FaultPlan | None = None,
        marker: str = "marker",
        # Engine
        engine_processes: int | None = None,
    ) -> None:
        dialect = Dialect(version)
        delay = dialect.close_delay if close_delay is None else close_delay
        files = FileStore(access_timeout)
        self._backend = Backend(
            dialect=dialect,
            ping_interval=ping_interval,
            close_delay=delay,
            error_silence=error_silence,
            idle_limit=idle_limit,
            runs=RunStore(marker),
            files=files,
            engines=Engines(files, engine_processes),
        )
        self._files_url = files_url
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._injector = Injector(faults)
        self.requests: deque[ReceivedRequest] = deque(maxlen=MAX_KEPT_REQUESTS)
        for app in apps:
            self.add(app)

    @property
    def version(self) -> str:
        """The version that it behaves like."""
        return self._backend.dialect.version

    @property
    def port(self) -> int:
        """The port, known once the server has started if it was 0."""
        return self._port

    @property
    def base_url(self) -> str:
        """What clients take as their base URL."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/v1"

    @property
    def apps(self) -> list[App]:
        """The apps, in the order in which they were added."""
        return list(self._backend.apps.values())

    @property
    def runs(self) -> list[Run]:
        """The runs that it remembers, the oldest first.

        Each start of a recording is one; they share its ids.
        """
        return list(self._backend.runs)

    @property
    def starts(self) -> Counter[str]:
        """How many runs were started, by their marker; those without one under "".

        Unlike ``runs`` this forgets nothing.
        """
        return self._backend.runs.starts

    @property
    def injected(self) -> list[Injected]:
        """The faults that answers got, the oldest first."""
        return list(self._injector.injected)

    @property
    def files(self) -> list[StoredFile]:
        """The files that were uploaded, or made by runs; gone when it closes."""
        return list(self._backend.files)

    def add(self, app: App) -> App:
        """Add an app, also while the server runs, and return it.

        Raises:
            ValueError: Another app has its key.
        """
        if app.key in self._backend.apps:
            message = "two apps have the same key"
            raise ValueError(message)
        self._backend.apps[app.key] = app
        return app

    def fail_next(
        self,
        fault: Fault,
        *,
        path: str | None = None,
        method: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Spoil the next answer, or the next few of them.

        Of several that fit, the one that was asked for first comes first; the plan is
        asked when there is none.

        Args:
            fault: What is done to the answer.
            path: The path of the requests that it is for, such as ``*/run``, where
                ``*`` is anything; ``None`` is any path.
            method: The method of them; ``None`` is any.
            times: How many answers get it; ``None`` is without end.
        """
        self._injector.order(fault, path, method, times)

    def heal(self) -> None:
        """Forget what was asked of `fail_next`, and the plan."""
        self._injector.clear()

    async def start(self) -> None:
        """Listen; without effect on a server that does already.

        Raises:
            DslError: The engine refuses an exported app.
            OSError: The address cannot be listened on.
        """
        if self._runner is not None:
            return
        runner = web.AppRunner(
            make_application(self._backend, self.requests, self._injector),
            access_log=None,
            # A client that leaves ends its answer, but never its run.
            handler_cancellation=True,
            keepalive_timeout=self._backend.dialect.keepalive_timeout,
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]
        own_url = self.base_url.removesuffix("/v1")
        url = own_url if self._files_url is None else self._files_url
        self._backend.files.links.base_url = url
        try:
            await self._load()
        except BaseException:
            await self.aclose()
            raise

    async def _load(self) -> None:
        """Let the engine look at the exported apps, all at once."""
        behaviours = (app.behaviour for app in self.apps)
        loading = [
            self._backend.engines.load(one)
            for one in behaviours
            if isinstance(one, Workflow)
        ]
        await asyncio.gather(*loading)

    async def aclose(self) -> None:
        """Close all connections, cancel all runs and remove all uploaded files.

        May be called repeatedly.
        """
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        await self._backend.runs.cancel()
        await self._backend.engines.aclose()
        await self._backend.files.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
