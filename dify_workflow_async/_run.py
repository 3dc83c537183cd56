"""`RunStream`: one run, from the sending of its request to its result."""

from __future__ import annotations

import asyncio
import logging

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from ._api import Api
from ._call import Call
from ._reader import RunReader
from ._stream import EventStream
from ._transport import Answer
from .dispatcher import Dispatcher, Scope
from .errors import (
    CannotStop,
    ClientClosed,
    DifyError,
    RunInterrupted,
    RunStateUnknown,
    UsageError,
)
from .events import Event, Ping, TtsMessage, TtsMessageEnd
from .models import RunResult


logger = logging.getLogger("dify_workflow_async")

_SPEECH = (TtsMessage.event_name, TtsMessageEnd.event_name)


class RunStream:
    """The stream of one run: an async context manager and an async iterator.

    Nothing is sent before ``async with``. Iterating yields typed events as they come
    and ends by itself at ``workflow_finished``, ``workflow_paused`` or ``error``,
    whether or not the server closes; an ``error`` event is yielded, and then raised.
    Leaving early stops the run, or lets it go on, as ``on_cancel`` says.

    Made by `WorkflowClient.stream`, not directly. One task consumes it: another one
    beside it gets `StreamBusy`.
    """

    def __init__(self, api: Api, call: Call) -> None:
        self._api = api
        self._call = call
        self._events = EventStream(api.limits.max_event_bytes)
        self._reader: RunReader | None = None
        self._scope: Scope | None = None
        self._entered = False
        self._stop_asked = False

    # -- what is known of the run ----------------------------------------------------

    @property
    def task_id(self) -> str | None:
        """By which the run is stopped; None until the first event."""
        return self._events.task_id

    @property
    def workflow_run_id(self) -> str | None:
        """By which the run is read; None until the first event that has it."""
        return self._events.workflow_run_id

    @property
    def text(self) -> str:
        """All text so far, as the ``text_chunk`` events brought it."""
        return self._events.text

    @property
    def status(self) -> str | None:
        """``running`` once the first event came, then how the run ended."""
        if self._events.outcome is not None:
            return self._events.result(stopped=self._stop_asked).status
        return "running" if self._events.events_seen else None

    def __repr__(self) -> str:
        return f"<RunStream run={self.workflow_run_id} status={self.status}>"

    # -- life ------------------------------------------------------------------------

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
        await lifetime.acquire()
        # Cancelling a POST under way would leave a run that nobody can stop: its task
        # goes on, and _abandon() takes the answer.
        opening = lifetime.own(
            self._api.open_run(self._call.request, self._call.timeouts)
        )
        try:
            self._begin(await asyncio.shield(opening))
        except asyncio.CancelledError:
            lifetime.leave(self._abandon(opening))
            self._tell_end()
            if opening.cancelled():  # by aclose(), not the caller
                raise _closed() from None
            raise
        except BaseException:
            lifetime.release()
            self._tell_end()
            raise
        lifetime.on_close.add(self._on_close)
        return self

    def _begin(self, answer: Answer) -> RunReader:
        reader = self._reader = RunReader(
            answer,
            self._events,
            request=self._api.describe(self._call.request),
            tail=self._call.timeouts.tail,
        )
        if self._call.dispatcher is not None:
            # A concurrent handler that fails wakes a read that waits for the server.
            self._scope = self._call.dispatcher.scope(
                self, on_failure=lambda _: reader.close()
            )
        return reader

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for concurrent handlers, and stop the run if it is left early."""
        try:
            await self._leave_scope(failed=exc is not None)
        except BaseException as error:
            self._leave(error, _left())
            raise
        self._leave(exc, _left())

    async def _leave_scope(self, *, failed: bool) -> None:
        scope = self._scope
        if scope is None:
            return
        try:
            if not failed:
                await scope.drain()
        finally:
            await scope.cancel()
            self._tell_end()

    def _tell_end(self) -> None:
        """Tell whoever waits for an event of this run that none will come."""
        if self._call.dispatcher is not None:
            self._call.dispatcher.run_ended(self, run_id=self.workflow_run_id)

    def _on_close(self) -> None:
        """Leave the run, since the client is being closed."""
        self._leave(None, _closed())

    def _leave(self, exc: BaseException | None, failure: DifyError) -> None:
        """Stop the run if it has not ended, or let it go; once.

        Whoever reads on, or has read without an end, gets *failure*.
        """
        lifetime = self._api.lifetime
        if self._on_close not in lifetime.on_close:
            return
        lifetime.on_close.remove(self._on_close)
        reader = self._opened()
        reader.leave(failure)
        if self._events.outcome is not None or self._is_interrupted(reader):
            reader.close()
            lifetime.release()
        else:
            # Owned and not awaited: the caller's cancellation passes at once.
            logger.debug("left early (%r): %s", exc, self)
            lifetime.leave(self._abandon(None))

    def _is_interrupted(self, reader: RunReader) -> bool:
        """True if the stream broke: such a run is recovered by its id, not stopped.

        A concurrent handler that failed breaks the stream, too, to be heard.
        """
        if self._scope is not None and self._scope.failure is not None:
            return False
        return isinstance(reader.failure, RunInterrupted | RunStateUnknown)

    async def _abandon(self, opening: asyncio.Task[Answer] | None) -> None:
        """Stop a run that is left early, or let it go; then free its connection."""
        try:
            if opening is not None:
                self._begin(await opening)
        except DifyError as error:
            # Refused, most likely: then there is nothing to stop.
            logger.debug("the run left at its entry did not begin: %s", error)
            self._api.lifetime.release()
            return
        except BaseException:
            self._api.lifetime.release()
            raise
        try:
            if self._call.on_cancel == "stop" and not self._stop_asked:
                async with asyncio.timeout(self._call.timeouts.stop):
                    await self.stop()
        except (DifyError, TimeoutError) as error:
            logger.warning("the run left early was not stopped: %s", error)
        finally:
            self._opened().shut()
            self._api.lifetime.release()

    # -- reading ---------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events as they come; after ``break``, a second loop goes on."""
        return self._iterate()

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            StopAsyncIteration: there is none.
        """
        async with aclosing(self._iterate()) as events:
            async for event in events:
                return event
        raise StopAsyncIteration

    async def result(self) -> RunResult:
        """Read on to the run's end, dispatching, and tell what it produced.

        Returns:
            The result, whatever its status; see `RunResult.raise_for_status`.

        Raises:
            APIError: an ``error`` event ended the stream; ``.result`` has what came
                before it.
            RunInterrupted: the stream broke.
        """
        reader = self._opened()
        if not reader.over or self._events.outcome is None:
            with reader.claimed():
                await self._drain(reader)
        if self._scope is not None:
            await self._scope.drain()
        if reader.failure is not None:
            raise reader.failure
        return self._events.result(stopped=self._stop_asked)

    async def _drain(self, reader: RunReader) -> None:
        """Read to the end; only what a handler wants is decoded into events."""
        scope, dispatcher = self._scope, self._call.dispatcher
        version, listen = None, False
        self._events.decode_least()
        while True:
            if dispatcher is not None and version != dispatcher.version:
                version, listen = self._heed(dispatcher)
            for event in reader.pending:
                if scope is None or dispatcher is None or not scope.interested(event):
                    continue
                await scope.dispatch(event)
                if version != dispatcher.version:  # the handler asked for more
                    version, listen = self._heed(dispatcher)
            if not await self._read_on(reader, listen=listen):
                return

    def _heed(self, dispatcher: Dispatcher) -> tuple[int, bool]:
        """Decode what is wanted now; give the version, and if speech is asked for."""
        self._events.decode_only(dispatcher.wants)
        listen = any(dispatcher.asked_for(name) for name in _SPEECH)
        return dispatcher.version, listen

    async def _iterate(self) -> AsyncGenerator[Event]:
        # All state is kept outside, so that another iteration may go on.
        reader, scope = self._opened(), self._scope
        with reader.claimed():
            self._events.decode_only(None)
            while True:
                for event in reader.pending:
                    if scope is not None and scope.interested(event):
                        await scope.dispatch(event)
                    if event.__class__ is not Ping:
                        yield event
                if not await self._read_on(reader, listen=True):
                    return

    async def _read_on(self, reader: RunReader, *, listen: bool) -> bool:
        """Read on, unless a concurrent handler failed, whose own exception is raised."""
        failure: BaseException | None = None
        more = False
        try:
            more = await reader.read_on(listen=listen)
        except DifyError as error:
            failure = error
        if self._scope is not None and self._scope.failure is not None:
            failure = self._scope.failure
        if failure is not None:
            raise failure
        if not more:
            self._tell_end()
        return more

    def _opened(self) -> RunReader:
        if self._reader is None:
            msg = "enter the stream first: async with client.stream(...) as run"
            raise UsageError(msg)
        return self._reader

    # -- stopping --------------------------------------------------------------------

    async def stop(self) -> None:
        """Ask the server to stop the run; `result` then tells how it ended.

        A run that ended before is left as it is. If the task id is not known yet,
        this waits for the first event that has it.

        Raises:
            CannotStop: the stream ended without a task id.
            DifyError: the request failed.
        """
        reader = self._opened()
        if self._events.outcome is not None:
            return
        task_id = self.task_id or await self._await_task_id(reader)
        if task_id is None:
            msg = "no event told the run's task id: it cannot be stopped"
            raise CannotStop(msg, run_id=self.workflow_run_id)
        self._stop_asked = True
        try:
            await self._api.stop(task_id, user=self._call.user)
        except BaseException:
            self._stop_asked = False  # leaving may try again
            raise

    async def _await_task_id(self, reader: RunReader) -> str | None:
        if reader.is_read_elsewhere:
            return await reader.wait_for_task_id()
        return await reader.read_to_task_id()


def _left() -> UsageError:
    return UsageError("the stream was left before the run's end")


def _closed() -> ClientClosed:
    return ClientClosed("the client was closed")
