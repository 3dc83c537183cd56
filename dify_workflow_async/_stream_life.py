"""How the stream of a run is entered and left, and what becomes of the run then."""

from __future__ import annotations

import asyncio
import logging

from abc import abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ._api import Api
from ._call import Call, OnCancel
from ._log import about, known, logger
from ._opening import status_without_end
from ._protocol import Request
from ._pump import Pump
from ._reader import RunReader
from ._recovery import Mender
from ._stream import EventStream
from ._transport import Answer
from .errors import (
    ClientClosed,
    DifyError,
    RunInterrupted,
    RunStateUnknown,
    TotalTimeout,
    UsageError,
)


if TYPE_CHECKING:  # imported late: most runs are observed by nobody
    from ._observed import ObservedRun


class StreamLife:
    """The life of a `RunStream`."""

    _mender: Mender
    _request: Request
    _observed: ObservedRun | None = None  # most are not

    def __init__(self, api: Api, call: Call) -> None:
        self._api = api
        self._call = call
        self._on_cancel: OnCancel = call.on_cancel
        self._events = EventStream(
            api.limits.max_event_bytes,
            known=call.known,
            ends_on_pause=call.ends_on_pause,
            keeps_text=call.keeps_text,
        )
        self._pump = Pump(
            self._events, self, call.dispatcher, call.timeouts.tail, call.row
        )
        self._entered = False
        self._holds_slot = False
        self._stop_asked = False

    async def __aenter__(self) -> Self:
        """Send the request and wait until the stream begins.

        Raises:
            DifyError: the class for what went wrong; see `errors`.
        """
        if self._entered:
            msg = "a stream is entered once: ask the client for another"
            raise UsageError(msg)
        self._entered = True
        lifetime = self._api.lifetime
        lifetime.check()
        if self._api.observers or logger.isEnabledFor(logging.DEBUG):
            self._observe()
        opener = self._call.opening
        try:
            if self._call.known is None:  # it is to be a run more
                await lifetime.acquire()
                self._holds_slot = True
            self._request = await opener.prepare(self._api)
        except BaseException as error:
            self._do_not_begin(error)
            raise
        # Cancelling a POST under way would leave a run that nobody can stop: its task
        # goes on, and _abandon() takes the answer.
        self._mender = Mender(self._api, self._call, self._events)
        if self._observed is None:
            opening = lifetime.begin(opener.open(self._api, self._request))
        else:
            self._request = self._observed.with_headers(self._request)
            with self._observed.sending():  # which the task takes over
                opening = lifetime.begin(opener.open(self._api, self._request))
        try:
            if self._mender.deadline is None:
                answer = await lifetime.outlived_by(opening)
            else:
                answer = await self._in_time(opening, self._mender.deadline)
            self._begin(answer)
        except (asyncio.CancelledError, TotalTimeout) as error:
            lifetime.give_up(opening)
            lifetime.leave(self._abandon(opening, error))
            self._pump.tell_end()
            if opening.cancelled():  # by aclose(), not the caller
                raise closed() from None
            raise
        except BaseException as error:
            self._do_not_begin(error)
            raise
        lifetime.on_close.add(self._on_close)
        return self

    async def _in_time(self, opening: asyncio.Task[Answer], deadline: float) -> Answer:
        """The answer, if it comes before ``Timeouts.total`` is over."""
        time = asyncio.timeout_at(deadline)
        try:
            async with time:
                return await self._api.lifetime.outlived_by(opening)
        except TimeoutError:
            if not time.expired():
                raise  # the request's own
        raise self._api.too_late(self._request, self._call.timeouts)

    def _begin(self, answer: Answer) -> None:
        self._pump.begin(answer, self._request, self._api, self._mender)

    def _release(self) -> None:
        """Let the next run begin; once."""
        if self._holds_slot:
            self._holds_slot = False
            self._api.lifetime.release()

    def _do_not_begin(self, error: BaseException) -> None:
        self._release()
        self._pump.tell_end()
        self._tell_observers(error, begun=False)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for concurrent handlers, and stop the run if it is left early."""
        try:
            await self._pump.leave_scope(failed=exc is not None)
        except BaseException as error:
            self._leave(error, left_early)
            raise
        self._leave(exc, left_early)

    def _on_close(self) -> None:
        """Leave the run, since the client is being closed."""
        self._leave(None, closed)

    def _leave(
        self, exc: BaseException | None, failure: Callable[[], DifyError]
    ) -> None:
        """Stop the run if it has not ended, or let it go; once.

        Whoever reads on, or has read without an end, gets the *failure*.
        """
        lifetime = self._api.lifetime
        if self.left:
            return
        lifetime.ended(self._on_close)
        reader = self._pump.reader
        broke = self._what_broke(reader)
        reader.leave(failure)
        if self._events.outcome is not None or _is_interruption(broke):
            reader.close()
            self._release()
            self._tell_observers(broke)
        else:
            # Owned and not awaited: the caller's cancellation passes at once.
            logger.debug("left early (%r): %s", exc, self, extra=self._ids())
            lifetime.leave(self._abandon(None, broke))

    def _what_broke(self, reader: RunReader) -> DifyError | None:
        """Why the stream broke, if it did.

        A concurrent handler that failed breaks the stream, too, to be heard.
        """
        scope = self._pump.scope
        if scope is not None and scope.failure is not None:
            return None
        return reader.failure

    async def _abandon(
        self, opening: asyncio.Task[Answer] | None, why: BaseException | None = None
    ) -> None:
        """Stop a run that is left early, or let it go; then free its connection."""
        begun = False
        try:
            if opening is not None:
                answer = await opening
                answer.lift_deadline()  # from here on it is Timeouts.stop that counts
                self._begin(answer)
            begun = True
            await self._stop_or_let_go()
        except DifyError as error:
            # Refused, most likely: then there is nothing to stop.
            why = error
            unknown = isinstance(error, RunStateUnknown | TotalTimeout)
            level = logging.WARNING if unknown and self._stops else logging.DEBUG
            logger.log(
                level,
                "the run left at its entry did not begin: %s",
                error,
                extra=about(error),
            )
        except asyncio.CancelledError:
            if opening in self._api.lifetime.cut_off and self._call.known is None:
                msg = "the client was closed before the server answered"
                why = RunStateUnknown(msg)
            raise
        finally:
            self._release()
            self._tell_observers(why, begun=begun)

    async def _stop_or_let_go(self) -> None:
        try:
            if self._stops:
                async with asyncio.timeout(self._call.timeouts.stop):
                    await self.stop()
        except (DifyError, TimeoutError) as error:
            known_of = about(error) if isinstance(error, DifyError) else {}
            logger.warning(
                "the run left early was not stopped: %s",
                error,
                extra=known_of | self._ids(),
            )
        finally:
            self._pump.reader.shut()

    @property
    def _stops(self) -> bool:
        """True if leaving early is to stop the run."""
        return self._on_cancel == "stop" and not self._stop_asked

    @abstractmethod
    async def stop(self) -> None:
        """Ask the server to stop the run."""

    # -- who is told -----------------------------------------------------------------

    def _observe(self) -> None:
        """Have it followed by observers, and the log."""
        from ._observed import ObservedRun

        start = self._call.opening.start(self._api.base_url)
        self._observed = ObservedRun(self._api.observers, start)
        self._pump.watch(self._observed.add, self._observed.heeds)

    def _tell_observers(
        self, error: BaseException | None, *, begun: bool = True
    ) -> None:
        """Tell observers how it ended, or that it is not followed any more."""
        if self._observed is None:
            return
        events = self._events
        why = error if isinstance(error, DifyError) else events.error()
        result = None
        if events.outcome is not None:
            result = events.result(
                stopped=self._stop_asked,
                user=self._call.user,
                recovered=self._mender.recovered,
            )
            status = result.status or "unknown"
        else:
            stopped = begun and self._stop_asked
            status = "stopped" if stopped else status_without_end(why, begun=begun)
        self._observed.end(
            status,
            result=result,
            error=why,
            workflow_run_id=events.workflow_run_id,
            task_id=events.task_id,
        )

    def _ids(self) -> dict[str, object]:
        """What a record tells of it."""
        events = self._events
        return known(workflow_run_id=events.workflow_run_id, task_id=events.task_id)

    @property
    def left(self) -> bool:
        """True if it was left, or never entered."""
        return self._on_close not in self._api.lifetime.on_close


def _is_interruption(failure: DifyError | None) -> bool:
    """True if the stream broke: such a run is recovered by its id, not stopped."""
    return isinstance(failure, RunInterrupted | RunStateUnknown)


def left_early() -> UsageError:
    return UsageError("the stream was left before the run's end")


def closed() -> ClientClosed:
    return ClientClosed("the client was closed")
