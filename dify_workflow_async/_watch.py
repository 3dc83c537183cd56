"""The time that a server has, from the sending of a request to its answer's last byte."""

from __future__ import annotations

import asyncio
import math

from contextvars import Context
from types import TracebackType
from typing import Any


class Expired(Exception):
    """The server took longer than it was allowed."""


class Watch:
    """Cancels the task that waits for a server, once that has had its time.

    Use it as a context manager around each wait::

        watch.allow(60.0)
        with watch:
            await ...

    One timer serves all waits, and is armed again only when it goes off: a timeout
    object for each would cost more than decoding an event.

    Args:
        deadline: when all is over, by the loop's clock; None: never.

    Raises:
        Expired: at the end of the block, if the time was over.
    """

    __slots__ = (
        *("_armed_for", "_before", "_deadline", "_expired", "_limit", "_loop"),
        *("_since", "_task", "_timer"),
    )

    def __init__(self, deadline: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = _time(deadline)
        self._since = 0.0
        self._limit = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = math.inf
        # The task that waits, and how often it had been cancelled before.
        self._task: asyncio.Task[Any] | None = None
        self._before = 0
        self._expired = False

    @property
    def is_over(self) -> bool:
        """True once the deadline has passed."""
        return self._loop.time() >= self._deadline

    def allow(self, seconds: float | None) -> None:
        """Give the server so many seconds from now on; None: until the deadline."""
        self._since = self._loop.time()
        self._limit = _time(seconds)
        if (due := self._due()) < self._armed_for:
            self._arm(due)

    def until(self, deadline: float | None) -> None:
        """Have another deadline from now on."""
        self._deadline = _time(deadline)
        if (due := self._due()) < self._armed_for:
            self._arm(due)

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        self._before = task.cancelling() if task is not None else 0

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if not self._expired:
            return
        self._expired = False
        if task is not None and task.uncancel() <= self._before:
            # Else it was cancelled from elsewhere, too.
            raise Expired from None

    def close(self) -> None:
        """Watch no more."""
        self._armed_for = -math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> float:
        due = self._since + self._limit
        return min(self._deadline, due)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = due
        self._timer = self._loop.call_at(due, self._on_timer, context=_NO_CONTEXT)

    def _on_timer(self) -> None:
        self._timer = None
        self._armed_for = math.inf
        if self._task is None:
            # The consumer is at work, which is no fault of the server's; that the
            # deadline has passed is told at the next read.
            self._since = self._loop.time()
        elif self._loop.time() >= self._due():
            self._expired = True
            self._task.cancel()
            return
        if not self.is_over and (due := self._due()) < math.inf:
            self._arm(due)


# A timer would copy its maker's, for each run.
_NO_CONTEXT = Context()


def _time(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
