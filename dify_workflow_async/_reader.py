"""Reads one run's stream to its end, and says what a broken one means."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Iterator
from typing import NoReturn

from ._api import Api
from ._protocol import Request, speaks_after_end
from ._recovery import Mender
from ._stream import EventStream
from ._transport import Answer
from ._turn import Claim, Turn
from .errors import (
    ConnectionLost,
    DifyError,
    IdleTimeout,
    RunInterrupted,
    RunStateUnknown,
    TooLarge,
    TotalTimeout,
)
from .events import Event


class RunReader:
    """Reads an answer into an `EventStream`, chunk by chunk, as it is asked to.

    Args:
        answer: the stream, as it begins.
        events: what decodes it.
        request: what was asked, for errors.
        api: explains them.
        tail: seconds to wait for speech after the run's end.
        mender: opens the stream again when it breaks.

    Attributes:
        pending: the events of the chunk that was read last, decoded as they are taken.
        over: True when there is nothing more to read.
        failure: the error that ended the stream; it is raised again at every reading.
        going_on: what opens the stream anew after a pause, if that was asked for.
    """

    def __init__(
        self,
        answer: Answer,
        events: EventStream,
        *,
        request: Request,
        api: Api,
        tail: float,
        mender: Mender,
    ) -> None:
        self.pending: Iterator[Event] = iter(())
        self.over = False
        self.failure: DifyError | None = None
        self.going_on: asyncio.Task[None] | None = None
        self._answer = answer
        self._events = events
        self._request = request
        self._api = api
        self._tail = tail
        self._mender = mender
        self._turn = Turn()
        self._left: Callable[[], DifyError] | None = None
        self._mending: asyncio.Task[Answer | Event] | None = None
        self._tail_ends: float | None = None
        # Events that read_to_ids() met on its way.
        self._ahead: list[Event] = []
        self._looking: asyncio.Future[None] | None = None
        self._news: asyncio.Event | None = None

    async def read_on(self, *, listen: bool) -> bool:
        """Read the next chunk into `pending`, which must be exhausted.

        Args:
            listen: wait for speech after the run's end, where servers send it there.

        Returns:
            False at the end of what there is to read.

        Raises:
            APIError: an ``error`` event ended the stream.
            RunInterrupted: the stream broke, and the run was not found again.
            RunStateUnknown: the stream broke before the run's id came.
            TotalTimeout: the call took too long.
            TooLarge: an event is over its limit.
        """
        if self._ahead:
            self.pending, self._ahead = iter(self._ahead), []
            return True
        if self.failure is not None:
            self._fail(self.failure)
        if failure := self._events.failure:
            return await self._mend(failure)
        if self.over or self._is_at_end(listen=listen):
            return await self._end()
        if self._mender.is_due() and (event := await self._look()):
            return self._take(event)
        self._turn.is_reading = True
        try:
            chunk = await self._read_chunk()
        except (ConnectionLost, IdleTimeout) as error:
            if self.failure is not None:
                raise self.failure from None  # it was us who closed
            return await self._mend(error)
        except DifyError as error:
            self._fail(error)
        finally:
            self._turn.is_reading = False
        if not chunk:
            return await self._end()
        pending, originals = self._events.feed(chunk), self._events.originals
        self.pending = pending if originals is None else originals.events(pending)
        return True

    async def _look(self) -> Event | None:
        """What the run's detail tells that the stream does not."""
        try:
            return await self._mender.look()
        except RunStateUnknown as error:
            self._fail(error)

    def go_on(self, answer: Answer, request: Request) -> None:
        """Read this answer from now on."""
        self._answer.close()
        self._answer, self._request = answer, request
        self.over, self.failure, self._tail_ends = False, None, None

    async def settled(self) -> None:
        """Wait for a form that is under way, whose sender was cancelled.

        Also for who reads ahead to the run's ids, for a moment.
        """
        if self.going_on is not None and not self.going_on.done():
            await asyncio.wait([self.going_on])
        while self._looking is not None:
            await asyncio.wait([self._looking])

    def _take(self, event: Event) -> bool:
        """Let this event be the last one."""
        self._events.end(event)
        self.pending = iter((event,))
        return True

    async def read_to_ids(self) -> None:
        """Read on until the run's ids are known, or the stream ends without them.

        The events on the way are kept for the next `read_on`. If another task reads,
        this waits for what it meets.
        """
        if self._turn.is_elsewhere:
            while self._ids_may_come() and not self.over:
                await self._learnt()
            return
        ahead, self._ahead = self._ahead, []
        self._looking = looking = asyncio.get_running_loop().create_future()
        try:
            ahead += self.pending
            while self._ids_may_come():
                await self.read_on(listen=False)
                ahead += self.pending
        except DifyError:
            pass  # the next reading says so again, after what came before
        finally:
            self._ahead, self._looking = ahead, None
            looking.set_result(None)

    async def read_to_task_id(self) -> str | None:
        """The task id, as soon as it is known; None if the stream ends without one."""
        if self._turn.is_elsewhere:
            while self._events.task_id is None and not self.over:
                await self._learnt()
        elif self._events.task_id is None:
            await self.read_to_ids()
        return self._events.task_id

    def _ids_may_come(self) -> bool:
        return self._events.ids_missing and self._events.outcome is None

    async def _learnt(self) -> None:
        """Wait until whoever reads learns another id, or the end."""
        if self._news is None:
            self._news = asyncio.Event()
            self._events.on_id = self._tell
        await self._news.wait()

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def shut(self) -> None:
        """Close what was left; whoever reads gets the failure that `leave` was told."""
        if not self.over:
            self.failure = self._told_to_leave()
            self.close()

    def close(self) -> None:
        """Give the connection back; harmless when that was done before."""
        if self.over:
            return
        self.over = True
        if self._mending is not None:
            self._mending.cancel()  # whoever waits for it learns why
        self._answer.close()
        self._tell()

    # -- who reads -------------------------------------------------------------------

    def claimed(self) -> Claim:
        """Be the one who reads, within the block.

        Raises:
            StreamBusy: another task is, and has not ended.
        """
        if self._left is not None and self._events.outcome is None:
            raise self.failure or self._left()
        return self._turn.claimed()

    def leave(self, failure: Callable[[], DifyError]) -> None:
        """Let nobody begin to read any more; they get the *failure*.

        After a time-out before the run's task id came, its owner may read on.
        """
        self._turn.drop()
        self._left = failure
        if self.failure is not None and not self.over:
            late, self.failure = self.failure, None
            self._left = lambda: late
            self._answer.lift_deadline()

    # -- ends ------------------------------------------------------------------------

    def _is_at_end(self, *, listen: bool) -> bool:
        """True if the run's end was seen, and no speech is to be waited for."""
        if self._events.outcome is None:
            return False
        if not (
            listen
            and self._events.may_be_spoken
            and speaks_after_end(self._answer.headers)
        ):
            return True
        if self._tail_ends is None:
            self._tail_ends = asyncio.get_running_loop().time() + self._tail
        return False

    async def _read_chunk(self) -> bytes:
        if self._tail_ends is None:
            return await self._answer.read_chunk()
        try:
            async with asyncio.timeout_at(self._tail_ends):
                return await self._answer.read_chunk()
        except (TimeoutError, ConnectionLost):
            return b""  # no more speech; the result is known

    async def _end(self) -> bool:
        """Close; there is more to read only if the stream has to be mended."""
        if self._events.outcome is None:
            return await self._mend(None)
        self.close()
        if error := self._events.error():
            self._fail(error)
        return False

    async def _mend(self, cause: DifyError | None) -> bool:
        """Go on although the stream broke; *cause* is None if it just ended.

        Raises:
            RunInterrupted, RunStateUnknown: it cannot be mended.
        """
        error = self._what_broke(cause)
        if not isinstance(error, RunInterrupted) or self.over or self._left:
            self._fail(error)
        self._explain(error)
        self._answer.close()
        self._mending = asyncio.ensure_future(self._mender.mend(error, self._answer))
        try:
            found = await self._mending
        except DifyError as failure:
            self._fail(failure)
        except asyncio.CancelledError:
            if not self._was_closed_by_another():
                raise
            self._fail(self._told_to_leave() or error)
        finally:
            self._mending = None
        if isinstance(found, Event):
            return self._take(found)
        self._events.rejoin()
        self.go_on(found, self._request)
        return True

    def _told_to_leave(self) -> DifyError | None:
        return None if self._left is None else self._left()

    def _was_closed_by_another(self) -> bool:
        task = asyncio.current_task()
        return self.over and not (task and task.cancelling())

    def _what_broke(self, cause: DifyError | None) -> DifyError:
        if isinstance(cause, TooLarge):
            return cause  # it would be as large the next time
        events = self._events
        how = cause.message if cause else "the server closed"
        if events.pending:
            how += f" after {events.pending} bytes of an unfinished event"
        if events.workflow_run_id is None:
            error: DifyError = RunStateUnknown(
                f"the stream broke before the run's id came: {how}. Look into the "
                "app's logs by user and time"
            )
        else:
            error = RunInterrupted(
                f"the stream broke before the run's end: {how}",
                events_seen=events.events_seen,
            )
        error.__cause__ = cause
        return error

    def _explain(self, error: DifyError) -> None:
        error.run_id = error.run_id or self._events.workflow_run_id
        error.task_id = error.task_id or self._events.task_id
        self._api.explain(error, self._request, self._answer)

    def _fail(self, error: DifyError) -> NoReturn:
        self._explain(error)
        self.failure = error
        # After a time-out its owner has to read on to the task id, to stop it.
        if not isinstance(error, TotalTimeout) or self._events.task_id is not None:
            self.close()
        raise error
