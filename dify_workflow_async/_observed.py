"""Tells observers of runs and requests; they can do no harm by what they raise."""

from __future__ import annotations

import inspect
import logging
import time

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

import attrs

from ._log import about, known, logger
from ._protocol import Request, checked_headers, is_a
from .errors import DifyError
from .events import (
    Error,
    Event,
    UnknownEvent,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from .hooks import Observer, RunEnd, RunObserver, RunStart
from .models import RunResult


A = TypeVar("A")
T = TypeVar("T")

_METHODS = (
    *("on_run", "on_request", "on_retry"),
    *("headers", "sending", "heeds", "on_event", "on_end"),
)
_ENDS = frozenset({WorkflowFinished, WorkflowPaused, Error})


def tell(observe: Callable[[A], T], of: A) -> T | None:
    """Call a method of an observer; its own failure is no failure of the call."""
    try:
        return observe(of)
    except Exception:
        logger.exception("an observer failed")
        return None


class ObservedRun:
    """One run, of which observers are told, and the log if it is asked for.

    Args:
        observers: who may want to follow it.
        start: what is told of its beginning.
    """

    def __init__(self, observers: Iterable[Observer], start: RunStart) -> None:
        self._clock = time.perf_counter
        self._began = self._clock()
        self._seen_end: float | None = None
        self._is_over = False
        found = (tell(partial(_follower, each), start) for each in observers)
        self._followers: list[RunObserver] = [x for x in found if x is not None]
        if logger.isEnabledFor(logging.DEBUG):
            self._followers.append(_Logged(start))
        self._by_name: dict[str, list[RunObserver]] = {}

    def with_headers(self, request: Request) -> Request:
        """The request, with the headers that observers want to be sent."""
        headers: dict[str, str] = {}
        for each in self._followers:
            headers.update(tell(_headers, each) or {})
        if not headers:
            return request
        return attrs.evolve(request, headers=headers | dict(request.headers))

    @contextmanager
    def sending(self) -> Generator[None]:
        """Let observers make current what they like, while the request is sent."""
        stack = ExitStack()
        for each in self._followers:
            wrapper = tell(_sending, each)
            if wrapper is not None:
                tell(stack.enter_context, wrapper)
        try:
            yield
        finally:
            tell(ExitStack.close, stack)

    def heeds(self, event_name: str) -> bool:
        """True if an observer wants events of this name."""
        return bool(self._heeding(event_name))

    def _heeding(self, event_name: str) -> list[RunObserver]:
        """Who wants events of this name; asked once, since texts come by thousands."""
        if event_name not in self._by_name:
            self._by_name[event_name] = [
                each for each in self._followers if tell(each.heeds, event_name)
            ]
        return self._by_name[event_name]

    def add(self, event: Event) -> None:
        """Show an event to those who want it."""
        if event.__class__ in _ENDS:
            self._seen_end = self._clock()
        name = event.name if isinstance(event, UnknownEvent) else event.event_name
        for each in self._heeding(name):
            tell(each.on_event, event)

    def end(
        self,
        status: str,
        *,
        result: RunResult[Any] | None = None,
        error: DifyError | None = None,
        workflow_run_id: str | None = None,
        task_id: str | None = None,
    ) -> None:
        """Tell that it is over; the first time counts."""
        if self._is_over:
            return
        self._is_over = True
        # After a pause that is over, what was seen is not the end.
        seen = None if result is None else self._seen_end
        then = self._clock() if seen is None else seen
        end = RunEnd(
            status=status,
            result=result,
            error=error,
            workflow_run_id=workflow_run_id,
            task_id=task_id,
            seconds=then - self._began,
        )
        for each in self._followers:
            tell(each.on_end, end)


def awaited(observer: Observer | RunObserver) -> str | None:
    """The name of a method that would have to be awaited, which nobody does."""
    methods = ((name, getattr(observer, name, None)) for name in _METHODS)
    return next((x for x, it in methods if inspect.iscoroutinefunction(it)), None)


def _follower(observer: Observer, start: RunStart) -> RunObserver | None:
    """What follows the run, if anything does.

    Raises:
        TypeError: it cannot.
    """
    found = observer.on_run(start)
    if found is None:
        return None
    if not is_a(RunObserver, found):
        msg = f"on_run gave {type(found).__name__} instead of a RunObserver or None"
        raise TypeError(msg)
    if name := awaited(found):
        msg = f"{type(found).__name__}.{name} has to be a plain function"
        raise TypeError(msg)
    return found


def _sending(follower: RunObserver) -> AbstractContextManager[object]:
    return follower.sending()


def _headers(follower: RunObserver) -> Mapping[str, str]:
    """The headers that a follower wants to be sent.

    Raises:
        ConfigurationError: one cannot be.
    """
    return checked_headers(follower.headers())


class _Logged(RunObserver):
    """Writes into the log when the run began and ended."""

    def __init__(self, start: RunStart) -> None:
        self._verb = start.verb

    def heeds(self, event_name: str) -> bool:
        return event_name == WorkflowStarted.event_name

    def on_event(self, event: Event) -> None:
        run_id = event.workflow_run_id
        logger.debug(
            "%s: run %s began",
            self._verb,
            run_id,
            extra=known(verb=self._verb, workflow_run_id=run_id, task_id=event.task_id),
        )

    def on_end(self, end: RunEnd) -> None:
        extra = known(
            verb=self._verb,
            workflow_run_id=end.workflow_run_id,
            task_id=end.task_id,
            run_status=end.status,
            seconds=end.seconds,
        )
        if end.error is not None:
            extra = about(end.error) | extra
        logger.debug(
            "%s: run %s %s after %.3f s",
            self._verb,
            end.workflow_run_id,
            end.status,
            end.seconds,
            extra=extra,
        )
