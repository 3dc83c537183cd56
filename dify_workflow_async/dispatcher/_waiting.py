"""Waiting for one event, without a handler."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import attrs

from ..errors import RunEnded, WaitTimeout
from ..events import Event
from ._interest import Interest


E_co = TypeVar("E_co", bound=Event, covariant=True)


@attrs.define(eq=False)
class Wait:
    """What a dispatcher holds of a `Waiter` until it is over.

    Attributes:
        interest: which events it takes.
        future: gets the event, or the reason why there is none.
    """

    interest: Interest
    future: asyncio.Future[Any]
    _run: object | None
    _forget: Callable[[Wait], None]
    _timer: asyncio.TimerHandle | None = None

    def offer(self, event: Event, run: object | None) -> bool:
        """Take *event* if it is the one; tell whether it was."""
        if self.future.done() or (self._run is not None and self._run is not run):
            return False
        try:
            if not self.interest.test(event):
                return False
        except Exception as error:  # noqa: BLE001 (of the program's where=: it gets it)
            self._fail(error)
            return True
        self.future.set_result(event)
        self.close()
        return True

    def start(self, timeout: float | None) -> None:
        """Set the alarm, *timeout* seconds from now."""
        if timeout is not None:
            loop = self.future.get_loop()
            self._timer = loop.call_later(timeout, self._expire, timeout)

    def _expire(self, timeout: float) -> None:
        msg = f"no {self.interest.text} within {timeout:g} s"
        self._fail(WaitTimeout(msg, seconds=timeout))

    def end(self, run: object, run_id: str | None) -> None:
        """Give up, if it waits for an event of *run*, which has ended."""
        if self._run is run:
            msg = f"the run ended before {self.interest.text}"
            self._fail(RunEnded(msg, run_id=run_id))

    def _fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            # Else asyncio complains of an error that nobody looked at.
            self.future.exception()
        self.close()

    def close(self) -> None:
        """Let go of timer and dispatcher; safe to call again."""
        if self._timer is not None:
            self._timer.cancel()
        self._forget(self)


class Waiter(Generic[E_co]):
    """One event to come: ``event = await waiter``.

    It listens from the call of `Dispatcher.wait_for()` on, so what comes between the
    call and the ``await`` is not missed. It stops by itself: with the event, an error,
    the cancellation of who awaits it, or when nobody holds it any longer.

    Raises:
        WaitTimeout: (when awaited) no such event came within ``timeout``.
        RunEnded: (when awaited) the run ended first.
    """

    def __init__(self, wait: Wait) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, None, E_co]:
        return self._outcome().__await__()

    async def _outcome(self) -> E_co:
        try:
            event: E_co = await self._wait.future
        finally:
            self._wait.close()
        return event

    def __del__(self) -> None:
        self._wait.close()
