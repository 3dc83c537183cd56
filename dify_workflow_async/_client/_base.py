"""What all verbs of the client need: its settings, and its life."""

from __future__ import annotations

import inspect
import ssl as ssl_

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import attrs

from .. import _protocol
from .._aiohttp import AiohttpTransport
from .._api import Api, AppCache
from .._call import Defaults, OnCancel, checked_on_cancel
from .._config import Limits, Timeouts, settings
from .._lifetime import Lifetime
from .._protocol import is_a
from .._retry import RetryPolicy
from .._secret import Secret, find_key, warn_of_clear_text
from .._wire import structure_outputs
from ..errors import ConfigurationError, OutputsMismatch
from ..hooks import Observer, OnRetry
from ..models import RunResult


class Base:
    """Settings and life of a `WorkflowClient`, whose docstring tells the arguments."""

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
        on_retry: OnRetry | None = None,
        observers: Iterable[Observer] = (),
        # Connections
        session: aiohttp.ClientSession | None = None,
        ssl: ssl_.SSLContext | bool = True,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        key = Secret(api_key)
        del api_key  # no frame of ours holds it as text: see _secret
        key = find_key(key)
        found = settings(base_url, user)
        timeouts = timeouts or Timeouts()
        self._defaults = Defaults(found.user, timeouts, checked_on_cancel(on_cancel))
        self._api = Api(
            transport=AiohttpTransport(session, ssl=ssl, proxy=proxy, headers=headers),
            lifetime=Lifetime(max_concurrent_runs),
            base_url=_protocol.normalize_base_url(found.base_url),
            api_key=key,
            timeouts=timeouts,
            limits=limits or Limits(),
            retry=retry or RetryPolicy(),
            on_retry=checked_hook(on_retry),
            observers=checked_observers(observers),
        )
        warn_of_clear_text(self._api.base_url, stacklevel=2)

    def with_options(
        self,
        *,
        api_key: str | None = None,
        user: str | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        on_cancel: OnCancel | None = None,
        on_retry: OnRetry | None = None,
        observers: Iterable[Observer] | None = None,
    ) -> Self:
        """A cheap copy with other settings, on the same connections and limits.

        The key selects the app, so a backend with many apps makes one client and a
        copy for each. Closing any of them closes all.
        """
        is_same = api_key is None
        key = Secret(api_key)
        del api_key
        key = find_key(key, self._api.api_key)
        copy = type(self).__new__(type(self))
        timeouts = timeouts or self._api.timeouts
        copy._defaults = Defaults(
            user or self._user,
            timeouts,
            checked_on_cancel(on_cancel or self._defaults.on_cancel),
        )
        copy._api = attrs.evolve(
            self._api,
            api_key=key,
            cache=self._api.cache if is_same else AppCache(),
            timeouts=timeouts,
            limits=limits or self._api.limits,
            retry=retry or self._api.retry,
            on_retry=checked_hook(on_retry) or self._api.on_retry,
            observers=self._api.observers
            if observers is None
            else checked_observers(observers),
        )
        return copy

    @property
    def base_url(self) -> str:
        """The server, with ``/v1``."""
        return self._api.base_url

    @property
    def _user(self) -> str:
        return self._defaults.user

    def __repr__(self) -> str:
        if not hasattr(self, "_api"):  # its making failed, and a traceback shows it
            return f"<{type(self).__name__}>"
        return f"<{type(self).__name__} {self.base_url} user={self._user!r}>"

    # -- life ------------------------------------------------------------------------

    async def aclose(self, *, drain: float = 0.0) -> None:
        """Wait for stops under way, at most ``Timeouts.stop`` seconds, and close.

        Closing twice is harmless. A borrowed session stays open.

        Args:
            drain: seconds to wait before for streams and downloads to end by
                themselves. Meanwhile no run begins (`ClientClosed`), and all else
                works. What is open after that is left, as ``on_cancel`` says.
        """
        try:
            if drain > 0:
                await self._api.lifetime.drain(drain)
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


def checked_hook(hook: Any) -> OnRetry | None:
    """The hook, if it can be called as it is.

    Raises:
        ConfigurationError: it is a coroutine function, which nobody would await, or
            no function.
    """
    if hook is None:
        return None
    if not callable(hook):
        msg = f"a hook is a function, not {type(hook).__name__}"
        raise ConfigurationError(msg)
    called = (hook, getattr(hook, "__call__", None))  # noqa: B004 - an object's own
    if any(inspect.iscoroutinefunction(each) for each in called):
        msg = "a hook is a plain function; start a task in it for what takes time"
        raise ConfigurationError(msg)
    checked: OnRetry = hook
    return checked


def checked_observers(observers: Iterable[Observer]) -> tuple[Observer, ...]:
    """The observers.

    Raises:
        ConfigurationError: one is none, or has a method that nobody would await.
    """
    if not is_a(Iterable, observers):
        msg = f"observers are given as a list, not as {type(observers).__name__}"
        raise ConfigurationError(msg)
    found = tuple(observers)
    for each in found:
        if not is_a(Observer, each):
            msg = f"an observer is a hooks.Observer, not {type(each).__name__}"
            raise ConfigurationError(msg)
        from .._observed import awaited

        if name := awaited(each):
            msg = f"{name} of an observer is a plain function; start a task in it"
            raise ConfigurationError(msg)
    return found


def checked(
    result: RunResult, *, check: bool, output: type[Any] | None = None
) -> RunResult[Any]:
    """The result, with its outputs as *output*; raises what *check* asks for.

    Raises:
        RunFailed, RunStopped, RunPaused: the run ended so.
        OutputsMismatch: the outputs of a run that succeeded make no *output*.
    """
    if check:
        result.raise_for_status()
    if output is None or not result.is_success:
        return result
    try:
        return attrs.evolve(result, output=structure_outputs(result.outputs, output))
    except OutputsMismatch as error:
        error.result, error.run_id = result, result.workflow_run_id
        raise
