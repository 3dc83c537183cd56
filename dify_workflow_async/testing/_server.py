"""DifyServer: a local server in a thread of its own."""

from __future__ import annotations

import asyncio
import threading

from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from ..local import App, LocalServer, ReceivedRequest, Run
from ..local.faults import Fault


T = TypeVar("T")

# The engine of exported apps takes seconds to start; anything else, next to nothing.
PATIENCE = 60.0


class DifyServer:
    """A local server, seen from a test; it has an event loop in a thread of its own.

    So it answers whatever the test does, blocking calls included.

    Args:
        app: what it serves.
        options: what `LocalServer` takes.

    Attributes:
        app: what it serves.
    """

    def __init__(self, app: App, **options: Any) -> None:
        self.app = app
        self._local = LocalServer([app], **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="dify-server", daemon=True
        )

    # -- where it is -----------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What clients take as their base URL."""
        return self._local.base_url

    @property
    def api_key(self) -> str:
        """The key of the app."""
        return self.app.key

    # -- what it saw -----------------------------------------------------------------

    @property
    def runs(self) -> list[Run]:
        """The runs that were started, the oldest first."""
        return self._local.runs

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests that came in, the oldest first."""
        return list(self._local.requests)

    def assert_ran_once(self, inputs: Mapping[str, Any] | None = None) -> Run:
        """Assert that exactly one run was started, and give it.

        Args:
            inputs: only runs with these inputs count; others they may have as well.

        Raises:
            AssertionError: there was none, or more than one.
        """
        wanted = dict(inputs or {})
        runs = [run for run in self.runs if wanted.items() <= run.inputs.items()]
        if len(runs) != 1:
            seen = ", ".join(f"{run.inputs} {run.status}" for run in self.runs)
            of = f" with {wanted}" if wanted else ""
            msg = f"{len(runs)} runs{of}, not one; there were: {seen or 'none'}"
            raise AssertionError(msg)
        return runs[0]

    # -- what it does ----------------------------------------------------------------

    def add(self, app: App) -> App:
        """Serve another app as well; its key tells it apart."""
        return self._call(self._local.add, app)

    def fail_next(self, fault: Fault, **options: Any) -> None:
        """Spoil the next answer; see `LocalServer.fail_next`."""
        self._call(self._local.fail_next, fault, **options)

    def heal(self) -> None:
        """Forget what was asked of `fail_next`."""
        self._call(self._local.heal)

    def answer(self, action: str, inputs: Mapping[str, Any] | None = None) -> None:
        """Answer the form that the last run waits for, as a person would.

        Raises:
            AssertionError: no run waits for a person.
            FormRefused: the form does not take this answer.
        """
        forms = [form for run in self.runs for form in run.open_forms]
        if not forms:
            msg = "no run waits for a person"
            raise AssertionError(msg)
        self._call(forms[-1].answer, action, dict(inputs or {}))

    # -- life ------------------------------------------------------------------------

    def start(self) -> None:
        """Listen.

        Raises:
            DslError: the engine refuses the exported app.
        """
        self._thread.start()
        try:
            self._run(self._local.start())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all runs, and the thread."""
        self._run(self._local.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _call(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call something of the server's in its own thread."""
        done: Future[T] = Future()

        def call() -> None:
            try:
                done.set_result(function(*args, **options))
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                done.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return done.result(PATIENCE)
