"""`WorkflowClient`: the verbs."""

from __future__ import annotations

import ssl as ssl_

from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Self, Unpack

import aiohttp
import attrs

from . import _protocol
from ._aiohttp import AiohttpTransport
from ._api import Api
from ._call import (
    Call,
    Defaults,
    Files,
    Inputs,
    OnCancel,
    RunOptions,
    checked_on_cancel,
    make_call,
    with_total,
)
from ._config import Limits, Timeouts, settings
from ._lifetime import Lifetime
from ._retry import RetryPolicy
from ._run import RunStream
from .events import Event
from .models import RunDetail, RunResult


class WorkflowClient:
    """Runs the workflow of one Dify app.

    One client serves a whole process: it holds a pool of connections, and thousands of
    runs may share it. It is bound to the event loop and the process of its first use
    and is not thread-safe. Use it in ``async with``, or call `aclose` at the end.

    Args:
        api_key: the app's key; else ``DIFY_API_KEY``. No repr, log or error shows it.
        base_url: the server, with or without ``/v1``; else ``DIFY_BASE_URL``, else
            Dify Cloud.
        user: the end user, at most 255 characters; else ``DIFY_USER``. Every call may
            name its own.
        session: an `aiohttp.ClientSession` to borrow. Its owner closes it and chooses
            its limits: note that aiohttp's default allows 100 connections, and keeps
            unused ones for 15 s, while Dify hangs up after 2 s.
        timeouts: see `Timeouts`.
        limits: see `Limits`.
        retry: see `RetryPolicy`.
        on_cancel: what becomes of a run whose caller is cancelled or leaves early:
            ``"stop"`` stops it on the server, ``"detach"`` lets it go on.
        ssl: a context, or False to check no certificate.
        proxy: URL of an HTTP proxy.
        headers: sent with every request.
        max_concurrent_runs: further runs wait until one ends; None: no limit.

    Raises:
        ConfigurationError: no key, a base URL that is none, a wrong setting.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        user: str | None = None,
        *,
        # Behaviour
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        on_cancel: OnCancel = "stop",
        max_concurrent_runs: int | None = None,
        # Connections
        session: aiohttp.ClientSession | None = None,
        ssl: ssl_.SSLContext | bool = True,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        found = settings(api_key, base_url, user)
        self._user = found.user
        self._on_cancel: OnCancel = checked_on_cancel(on_cancel)
        self._api = Api(
            transport=AiohttpTransport(session, ssl=ssl, proxy=proxy, headers=headers),
            lifetime=Lifetime(max_concurrent_runs),
            base_url=_protocol.normalize_base_url(found.base_url),
            api_key=found.api_key,
            timeouts=timeouts or Timeouts(),
            limits=limits or Limits(),
            retry=retry or RetryPolicy(),
        )

    def with_options(
        self,
        *,
        api_key: str | None = None,
        user: str | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        on_cancel: OnCancel | None = None,
    ) -> WorkflowClient:
        """A cheap copy with other settings, on the same connections and limits.

        The key selects the app, so a backend with many apps makes one client and a
        copy for each. Closing any of them closes all.
        """
        found = settings(api_key or self._api.api_key, None, None, environ={})
        copy = WorkflowClient.__new__(type(self))
        copy._user = user or self._user
        copy._on_cancel = checked_on_cancel(on_cancel or self._on_cancel)
        copy._api = attrs.evolve(
            self._api,
            api_key=found.api_key,
            timeouts=timeouts or self._api.timeouts,
            limits=limits or self._api.limits,
            retry=retry or self._api.retry,
        )
        return copy

    @property
    def base_url(self) -> str:
        """The server, with ``/v1``."""
        return self._api.base_url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url} user={self._user!r}>"

    # -- runs ------------------------------------------------------------------------

    async def run(
        self,
        inputs: Inputs | None = None,
        *,
        check: bool = True,
        **options: Unpack[RunOptions],
    ) -> RunResult:
        """Run the workflow and wait for its result (specification, section 1.3).

        Streams underneath, so that no gateway cuts a long run. The run is started at
        most once. Cancelling the call stops the run, as ``on_cancel`` says.

        Args:
            inputs: by the names of the Start node's variables; texts, numbers,
                booleans, lists and mappings. Datetimes go as ISO 8601 text.
            check: False returns the result of a run that did not succeed, too.
            **options: see `RunOptions`.

        Returns:
            The result, with its outputs.

        Raises:
            InvalidInputs: the inputs cannot be sent; nothing was.
            APIError: the server refused, or an ``error`` event ended the run.
            RunFailed, RunStopped, RunPaused: the run ended so, and *check* is true.
            RunInterrupted: the stream broke; the run may still be going.
            RunStateUnknown: no answer came; whether a run began is not known.
            TotalTimeout: it took longer than ``timeout``.
        """
        async with self.stream(inputs, **options) as run:
            result = await run.result()
        if check:
            result.raise_for_status()
        return result

    def stream(
        self, inputs: Inputs | None = None, **options: Unpack[RunOptions]
    ) -> RunStream:
        """Run the workflow and stream its events (specification, section 3).

        Nothing is sent before ``async with``.

        Args:
            inputs: as for `run`.
            **options: see `RunOptions`.

        Returns:
            An async context manager and async iterator.

        Raises:
            InvalidInputs: the inputs cannot be sent.
            ConfigurationError: there is no user.
        """
        return RunStream(self._api, self._call(inputs, options))

    async def events(
        self, inputs: Inputs | None = None, **options: Unpack[RunOptions]
    ) -> AsyncGenerator[Event]:
        """Run the workflow and yield its events, when that is all one wants.

        A loop that is left by ``break`` stops the run a little later, when Python
        closes the generator, and only while the client is open: `stream`, or
        `contextlib.aclosing`, does so at once.

        Args:
            inputs: as for `run`.
            **options: see `RunOptions`.

        Yields:
            Typed events, pings left out.

        Raises:
            DifyError: as for `stream` and `RunStream`.
        """
        async with self.stream(inputs, **options) as run:
            async for event in run:
                yield event

    async def run_blocking(
        self,
        inputs: Inputs | None = None,
        *,
        user: str | None = None,
        files: Files | None = None,
        workflow_id: str | None = None,
        check: bool = True,
        timeout: float | None = None,
        trace_id: str | None = None,
    ) -> RunResult:
        """Run the workflow in blocking mode (specification, section 1.3).

        Gateways cut it after 60 to 100 s, and a cancelled call cannot stop its run,
        whose id is not known: `run` has neither fault. The arguments are those of
        `run`.

        Raises:
            GatewayError: a gateway gave up waiting; the run may go on behind it.
            DifyError: as for `run`.
        """
        self._api.lifetime.check()
        request = _protocol.run_request(
            inputs or {},
            user=user or self._user,
            response_mode="blocking",
            files=files,
            workflow_id=workflow_id,
            trace_id=trace_id,
        )
        result = await self._api.run_blocking(
            request, with_total(self._api.timeouts, timeout)
        )
        if check:
            result.raise_for_status()
        return result

    async def get_run(self, run_id: str) -> RunDetail:
        """Read a run of this app, under way or ended (specification, section 1.5).

        Args:
            run_id: the ``workflow_run_id``.

        Raises:
            RunNotFound: the app has no such run; right after a start the server may
                not have written it yet.
        """
        self._api.lifetime.check()
        return await self._api.get_run(run_id)

    async def stop(self, task_id: str, *, user: str | None = None) -> None:
        """Ask the server to stop a run (specification, section 1.6).

        The server says success for any id, and stops runs of other users and apps,
        too: give it none but your own. `RunStream.stop` needs no ids.

        Args:
            task_id: not the run id; every event has it.
            user: who started the run; servers up to 1.8 ignore others.
        """
        self._api.lifetime.check()
        await self._api.stop(task_id, user=user or self._user)

    def _call(self, inputs: Inputs | None, options: RunOptions) -> Call:
        defaults = Defaults(self._user, self._api.timeouts, self._on_cancel)
        return make_call(inputs or {}, defaults, **options)

    # -- life ------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Wait for stops under way, at most ``Timeouts.stop`` seconds, and close.

        Closing twice is harmless. A borrowed session stays open.
        """
        try:
            await self._api.lifetime.finish(self._api.timeouts.stop)
        finally:
            await self._api.transport.aclose()

    async def __aenter__(self) -> Self:
        """Bind the client to this event loop; nothing is sent.

        Raises:
            ClientClosed, WrongLoop: it cannot be used here.
        """
        self._api.lifetime.check()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
