"""Moves the events of a run from its answers to handlers, and to who iterates."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING

from ._api import Api
from ._protocol import Request
from ._reader import RunReader
from ._recovery import Mender
from ._stream import EventStream
from ._transport import Answer
from .errors import DifyError, UsageError
from .events import Event, Ping, TtsMessage, TtsMessageEnd, WorkflowPaused


if TYPE_CHECKING:
    from .dispatcher import Dispatcher, Scope

    Watch = tuple[Callable[[Event], object], Callable[[str], bool]]

_SPEECH = (TtsMessage.event_name, TtsMessageEnd.event_name)


class Pump:
    """Reads the stream of one run, and dispatches.

    Args:
        events: what is known of the run.
        run: what handlers get as ``run``.
        dispatcher: calls the handlers, if there are any.
        tail: seconds to wait for speech after the run's end.
        row: what handlers get as ``row``.

    Attributes:
        scope: what calls the handlers, if there are any.
        was_read: True once events were asked for.
    """

    def __init__(
        self,
        events: EventStream,
        run: object,
        dispatcher: Dispatcher | None,
        tail: float,
        row: object | None = None,
    ) -> None:
        self.scope: Scope | None = None
        self.was_read = False
        self._watching: tuple[Watch, ...] = ()
        self._events = events
        # A reference back keeps the run until the collector comes: only if it is used.
        self._run = None if dispatcher is None else run
        self._dispatcher = dispatcher
        self._tail = tail
        self._row = row
        self._reader: RunReader | None = None

    def begin(self, answer: Answer, request: Request, api: Api, mender: Mender) -> None:
        """Read this answer."""
        self._reader = RunReader(
            answer,
            self._events,
            request=request,
            api=api,
            tail=self._tail,
            mender=mender,
        )
        if self._dispatcher is not None:
            # A concurrent handler that fails wakes a read that waits for the server.
            self.scope = self._dispatcher.scope(
                self._run, self._row, on_failure=lambda _: self.reader.close()
            )

    @property
    def reader(self) -> RunReader:
        """What reads the answer of now.

        Raises:
            UsageError: there was none yet.
        """
        if self._reader is None:
            msg = "enter the stream first: async with client.stream(...) as run"
            raise UsageError(msg)
        return self._reader

    def watch(
        self, add: Callable[[Event], object], heeds: Callable[[str], bool]
    ) -> None:
        """Show each event that is read from now on, before its handlers get it.

        Several may watch.

        Args:
            add: is called with it.
            heeds: true of the names of events that have to be decoded for it.
        """
        self._watching += ((add, heeds),)

    def _heeds(self, name: str) -> bool:
        return any(heeds(name) for _, heeds in self._watching)

    # -- reading ---------------------------------------------------------------------

    def _pending(self, reader: RunReader) -> Iterator[Event]:
        """The events that were read last; nothing is done to them unasked."""
        if not self._watching:
            return reader.pending
        return _watched(reader.pending, self._watching)

    async def iterate(self) -> AsyncGenerator[Event]:
        """Dispatch and yield the events as they come.

        All state is kept outside, so that another iteration may go on.
        """
        reader, scope = self.reader, self.scope
        await reader.settled()
        with reader.claimed():
            self.was_read = True
            self._events.decode_only(None)
            while True:
                for event in self._pending(reader):
                    if scope is not None and scope.interested(event):
                        await scope.dispatch(event)
                    if event.__class__ is not Ping:
                        yield event
                if not await self._read_on(reader, listen=True):
                    return

    async def drain(self) -> None:
        """Read to the end and dispatch; only what a handler wants becomes an event."""
        reader = self.reader
        await reader.settled()
        if reader.over and self._events.outcome is not None:
            return
        with reader.claimed():
            await self._drain(reader)

    async def _drain(self, reader: RunReader) -> None:
        scope, dispatcher = self.scope, self._dispatcher
        version, listen = None, False
        self.was_read = True
        if not self._watching:
            self._events.decode_least()
        else:
            self._events.decode_only(self._heeds)
        while True:
            if dispatcher is not None and version != dispatcher.version:
                version, listen = self._heed(dispatcher)
            for event in self._pending(reader):
                if scope is None or dispatcher is None or not scope.interested(event):
                    continue
                await scope.dispatch(event)
                if version != dispatcher.version:  # the handler asked for more
                    version, listen = self._heed(dispatcher)
            if not await self._read_on(reader, listen=listen):
                return

    def _heed(self, dispatcher: Dispatcher) -> tuple[int, bool]:
        """Decode what is wanted now; give the version, and if speech is asked for."""
        heeds, wants = self._heeds, dispatcher.wants
        self._events.decode_only(
            (lambda name: heeds(name) or wants(name)) if self._watching else wants
        )
        listen = any(dispatcher.asked_for(name) for name in _SPEECH)
        return dispatcher.version, listen

    async def _read_on(self, reader: RunReader, *, listen: bool) -> bool:
        """Read on, unless a concurrent handler failed, whose own exception is raised."""
        failure: BaseException | None = None
        more = False
        try:
            more = await reader.read_on(listen=listen)
        except DifyError as error:
            failure = error
        if self.scope is not None and self.scope.failure is not None:
            failure = self.scope.failure
        if failure is not None:
            raise failure
        if not more and not isinstance(self._events.outcome, WorkflowPaused):
            self.tell_end()  # after a pause, the run may go on
        return more

    # -- the end ---------------------------------------------------------------------

    async def leave_scope(self, *, failed: bool) -> None:
        """Wait for concurrent handlers, or cancel them if something *failed*."""
        if self.scope is None:
            return
        try:
            if not failed:
                await self.scope.drain()
        finally:
            await self.scope.cancel()
            self.tell_end()

    def tell_end(self) -> None:
        """Tell whoever waits for an event of this run that none will come."""
        if self._dispatcher is not None:
            run_id = self._events.workflow_run_id
            self._dispatcher.run_ended(self._run, run_id=run_id)


def _watched(events: Iterator[Event], watching: tuple[Watch, ...]) -> Iterator[Event]:
    for event in events:  # which may be left, and gone on with
        for add, _ in watching:
            add(event)
        yield event
