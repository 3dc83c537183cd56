"""Finds the run again whose stream broke, by its id.

First by opening its stream once more, where the server has that, else by reading the
run's detail until it has ended (promise 2).
"""

from __future__ import annotations

import asyncio
import math

import attrs

from . import _protocol
from ._api import Api
from ._call import Call
from ._log import about, logger
from ._retry import poll_delay
from ._stream import EventStream
from ._transport import Answer
from .errors import (
    DifyError,
    NotFound,
    RunInterrupted,
    RunNotFound,
    RunStateUnknown,
    ServerError,
    TooManyRequests,
    TotalTimeout,
    TransportError,
)
from .events import Event
from .models import Recovered, RunDetail


GRACE = 5.0
"""Seconds after which an unknown run is really unknown: the server's worker writes it
a moment after the start (specification, section 1.5)."""

ATTACHABLE = (1, 14)
"""The first version whose runs can be attached to again (specification, 1.7)."""


async def wait_for_end(api: Api, run_id: str, *, timeout: float | None) -> RunDetail:
    """Read the run again and again until it has ended, or waits for a person.

    Args:
        api: the app's endpoints.
        run_id: the ``workflow_run_id``.
        timeout: seconds to wait in all; None: for ever.

    Raises:
        RunNotFound: the app has no such run.
        TotalTimeout: it still runs.
    """
    scope = asyncio.timeout(timeout)
    missing: list[RunNotFound] = []
    try:
        async with scope:
            return await _poll(api, run_id, scope.when(), missing)
    except TimeoutError:
        if not scope.expired():
            raise  # a request's own
    if missing:
        raise missing[-1]
    msg = f"the run had not ended after {timeout} s"
    raise TotalTimeout(msg, seconds=timeout, run_id=run_id)


async def _poll(
    api: Api, run_id: str, until: float | None, missing: list[RunNotFound]
) -> RunDetail:
    """Read until the end; what was *missing* last is told should time be over."""
    now = asyncio.get_running_loop().time
    start = now()
    attempt = 0
    while True:
        attempt += 1
        try:
            detail = await api.get_run(run_id)
            if is_over(detail):
                return detail
            missing.clear()
        except RunNotFound as error:
            if now() - start >= GRACE:
                raise
            missing[:] = [error]
        pause = poll_delay(attempt)
        if until is not None:  # look once more shortly before
            pause = min(pause, max(0.05, (until - now()) / 2))
        await asyncio.sleep(pause)


def is_over(detail: RunDetail) -> bool:
    """True if nothing more comes by itself."""
    return detail.is_terminal or detail.status == "paused"


class Mender:
    """Mends the stream of one run.

    Args:
        api: the app's endpoints.
        call: what was asked for.
        events: what is known of the run, which begins now.

    Attributes:
        recovered: what was done so far; None if the stream never broke.
        deadline: where ``Timeouts.total`` ends, by the loop's clock.
    """

    def __init__(self, api: Api, call: Call, events: EventStream) -> None:
        self.recovered: Recovered | None = None
        self._api = api
        self._call = call
        self._events = events
        self._loop = asyncio.get_running_loop()
        now, total = self._loop.time(), call.timeouts.total
        self.deadline = None if total is None else now + total
        self._can_attach = True
        # Since when, and how often, nothing new was heard of the run.
        self._attempt = 0
        self._since = now
        self._heard = -1
        # Since when nothing but pings came.
        self._silent_since = now
        self._seen = -1

    # -- a stream that breaks --------------------------------------------------------

    async def mend(self, broken: RunInterrupted, answer: Answer) -> Answer | Event:
        """Open the stream again, or learn how the run ended.

        Args:
            broken: what to raise if neither can be done within ``Timeouts.recovery``.
            answer: the one that broke.

        Raises:
            RunInterrupted: *broken*.
            TotalTimeout: the call's own time limit is over.
        """
        began = self._loop.time()
        version = _protocol.server_version(answer.headers)
        if version is not None and version < ATTACHABLE:
            self._can_attach = False
        if self._events.events_seen != self._heard:
            self._heard = self._events.events_seen
            self._attempt, self._since = 0, began
        if self._call.timeouts.recovery == 0:
            raise broken
        logger.info(
            "look for run %s: %s", broken.run_id, broken.message, extra=about(broken)
        )
        while True:
            if self._attempt:
                await self._pause(broken)
            self._attempt += 1
            found = await self._find(broken)
            if found is not None:
                self._note(began, found)
                return found

    async def _find(self, broken: RunInterrupted) -> Answer | Event | None:
        """The stream or the run's end; None if it may be tried again."""
        try:
            return await self._look_once(str(broken.run_id))
        except (TransportError, ServerError, TooManyRequests) as error:
            if isinstance(error, TotalTimeout) and self._is_late():
                raise
            logger.debug(
                "run %s is out of reach: %s", broken.run_id, error, extra=about(error)
            )
            return None
        except RunNotFound as error:
            if self._loop.time() - self._since >= GRACE:
                raise broken from error
            return None
        except DifyError as error:
            raise broken from error

    def _is_late(self) -> bool:
        return self.deadline is not None and self._loop.time() >= self.deadline

    async def _pause(self, broken: RunInterrupted) -> None:
        pause = poll_delay(self._attempt)
        then = self._loop.time() + pause
        if self.deadline is not None and then >= self.deadline:
            seconds = self._call.timeouts.total
            msg = f"the call took longer than {seconds} s; {broken.message}"
            raise TotalTimeout(msg, seconds=seconds, run_id=broken.run_id)
        recovery = self._call.timeouts.recovery
        if then - self._since > (math.inf if recovery is None else recovery):
            raise broken
        await asyncio.sleep(pause)

    async def _look_once(self, run_id: str) -> Answer | Event | None:
        """The stream, the run's end, or None if it goes on unheard."""
        if self._can_attach and self._attempt <= 1:
            try:
                return await self._attach(run_id)
            except RunNotFound:
                pass  # not this user's, or not written yet: the detail tells
            except NotFound:
                self._can_attach = False  # older than its version says
        if (event := await self._end_of(run_id)) is not None:
            return event
        # It goes on: after opening its stream brought nothing, that is tried again.
        return await self._attach(run_id) if self._can_attach else None

    async def _attach(self, run_id: str) -> Answer:
        request = _protocol.events_request(
            run_id,
            user=self._call.user,
            snapshot=True,
            continue_on_pause=not self._call.ends_on_pause,
        )
        timeouts = self._call.timeouts
        return await self._api.reopen_run(request, timeouts, self.deadline)

    async def _end_of(self, run_id: str) -> Event | None:
        """The event that the run ended with, as its detail tells; None if it goes on."""
        detail = await self._api.get_run(run_id)
        if not is_over(detail):
            return None
        if detail.status == "paused" and not self._call.ends_on_pause:
            return None
        return _protocol.event_of_detail(detail)

    def _note(self, began: float, found: Answer | Event) -> None:
        self._silent_since = self._loop.time()
        before = self.recovered or Recovered(breaks=0, seconds=0.0, how="")
        self.recovered = attrs.evolve(
            before,
            breaks=before.breaks + 1,
            seconds=before.seconds + self._loop.time() - began,
            how="read" if isinstance(found, Event) else "attached",
        )

    # -- a stream that says nothing --------------------------------------------------

    def is_due(self) -> bool:
        """True if only pings came for ``Timeouts.stall``, once for each such time."""
        seen, now = self._events.events_seen, self._loop.time()
        if seen != self._seen:
            self._seen, self._silent_since = seen, now
        stall = self._call.timeouts.stall
        if stall is None or now - self._silent_since < stall:
            return False
        self._silent_since = now
        return True

    async def look(self) -> Event | None:
        """The end of a run that its stream does not tell of, if it has ended.

        Raises:
            RunStateUnknown: not even the run's id came: there is nothing to look for.
        """
        run_id = self._events.workflow_run_id
        if run_id is None:
            msg = (
                f"only pings came for {self._call.timeouts.stall} s, and no run id. "
                "Look into the app's logs by user and time"
            )
            raise RunStateUnknown(msg)
        try:
            event = await self._end_of(run_id)
        except DifyError as error:
            logger.debug(
                "run %s is silent and out of reach: %s",
                run_id,
                error,
                extra=about(error),
            )
            return None
        if event is not None:
            self._note(self._loop.time(), event)
        return event
