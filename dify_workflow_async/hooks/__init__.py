"""What the client tells while it works: functions and observers of yours.

A function for one moment:

.. code-block:: python

    def on_retry(retry: Retry) -> None:
        retries.labels(type(retry.error).__name__).inc()

    client = WorkflowClient(on_retry=on_retry)

An `Observer` for all of them; `telemetry.OpenTelemetry` is one:

.. code-block:: python

    class Counted(Observer, RunObserver):
        def on_run(self, start: RunStart) -> RunObserver:
            return self

        def on_end(self, end: RunEnd) -> None:
            runs.labels(end.status).inc()

    client = WorkflowClient(observers=[Counted()])

Both are plain functions that return at once: they are called in the event loop, in
the middle of a call, and must not block it. What they raise is logged, and changes
nothing. One that has to wait for something starts a task of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING

import attrs

from ..errors import DifyError


if TYPE_CHECKING:
    from ..events import Event
    from ._told import RequestEnd, RunEnd, RunStart, Verb

__all__ = [
    "Observer",
    "OnRetry",
    "RequestEnd",
    "Retry",
    "RunEnd",
    "RunObserver",
    "RunStart",
    "Verb",
]


@attrs.frozen(kw_only=True)
class Retry:
    """A request failed and is sent again, after a wait.

    Attributes:
        attempt: how often it was sent so far: 1 before the second time.
        wait: seconds until then.
        error: what it ended in.
        request: method and URL, without its query.
    """

    attempt: int
    wait: float
    error: DifyError
    request: str


OnRetry = Callable[[Retry], object]
"""Called before each wait; what it returns is not looked at."""


class RunObserver:
    """Follows one run; override what you want to know.

    ``on_end`` is called once, whatever becomes of the run, and nothing after it.
    """

    def headers(self) -> Mapping[str, str]:
        """Headers for the request that starts the run, or goes back to it.

        One that the call sets itself is not replaced.
        """
        return {}

    def sending(self) -> AbstractContextManager[object]:
        """Is entered while the request is sent that starts the run, or goes back to it.

        For what is to be current then, as spans are, so that what instruments HTTP
        puts its own below.
        """
        return nullcontext()

    def heeds(self, event_name: str) -> bool:
        """Whether ``on_event`` is to be called with events of this name on the wire.

        What nobody heeds is not even decoded where only the result is asked for. The
        answer must be the same each time.
        """
        del event_name
        return False

    def on_event(self, event: Event) -> None:
        """An event came; it is shown here before handlers and loops get it."""

    def on_end(self, end: RunEnd) -> None:
        """The run has ended, or is not followed any more."""


class Observer:
    """Is told what a client does; override what you want to know."""

    def on_request(self, end: RequestEnd) -> None:
        """A request was sent, of whatever kind, and its answer began or none came.

        One that is cancelled before that is not told.
        """

    def on_retry(self, retry: Retry) -> None:
        """A request failed, and is sent again after a wait."""

    def on_run(self, start: RunStart) -> RunObserver | None:
        """A run is about to be asked for, or gone back to.

        It is called in the context of the call, when nothing is sent yet: before
        files are uploaded, and before a free place is waited for.

        Returns:
            What follows this run, or None if nothing does.
        """
        del start
        return None


_LATER = frozenset({"RequestEnd", "RunEnd", "RunStart", "Verb"})
"""What only observers are told, and importing the client does not need."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}._told"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
