"""A run's stream: bytes in, events out; and what is known of the run so far.

``_sse`` cuts the bytes into frames, ``_wire`` makes events of them; here is what they
mean for the run: its ids, its text, and what ends it.
"""

from __future__ import annotations

import io

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from ._convert import is_object
from ._protocol import result_of
from ._refusal import error_of_event
from ._sse import SSEDecoder
from ._wire import (
    DecodeError,
    broken_json,
    decode,
    event_hooks,
    unknown_event,
)
from .errors import APIError, DifyError, UnexpectedAnswer
from .events import (
    EVENTS,
    Error,
    Event,
    NodeFinished,
    Ping,
    TextChunk,
    TextReplace,
    TtsMessageEnd,
    WorkflowFinished,
    WorkflowPaused,
)
from .models import RunResult


_PING = Ping()

# What is made of an event: the event, None, or the object that it came as; see below.
_Hooks = Mapping[str, Callable[[dict[str, Any]], Any]]


class EventStream:
    """Decodes the stream of one run.

    Attributes:
        task_id: learnt from the first event that has it.
        workflow_run_id: likewise.
        outcome: the event that ended the run's stream, else None.
        failed_node: the node that failed last.
        events_seen: how many events came, pings not counted.
        may_be_spoken: False once ``tts_message_end`` or a pause or error came.
        failure: the error that `feed` raised.
        on_task_id: called when the task id becomes known.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self.task_id: str | None = None
        self.workflow_run_id: str | None = None
        self.outcome: Event | None = None
        self.failed_node: NodeFinished | None = None
        self.events_seen = 0
        self.may_be_spoken = True
        self.failure: DifyError | None = None
        self.on_task_id: Callable[[], None] | None = None
        self._decoder = SSEDecoder(max_event_bytes)
        self._hooks: _Hooks = event_hooks()
        self._ids_missing = True
        self._complete = False
        self._text = io.StringIO()
        self._write = self._text.write

    @property
    def text(self) -> str:
        """All text so far."""
        return self._text.getvalue()

    @property
    def pending(self) -> int:
        """How many bytes of an event wait for its end."""
        return self._decoder.pending

    def decode_only(self, wants: Callable[[str], bool] | None) -> None:
        """Pass over events that *wants* does not want by name; None: decode all.

        Unknown ones, and rare ones that the run's own state is made of, are decoded
        in any case.
        """
        if wants is None:
            self._hooks = event_hooks()
            return
        unwanted = _unwanted()
        self._hooks = {
            name: hook if wants(name) else unwanted[name]
            for name, hook in event_hooks().items()
        }

    def decode_least(self) -> None:
        """Pass over all events, but for the exceptions of `decode_only`."""
        self._hooks = _unwanted()

    @property
    def is_complete(self) -> bool:
        """True if nothing that matters can come any more."""
        return self._complete

    def feed(self, chunk: bytes) -> Iterator[Event]:  # noqa: C901, PLR0912 - see below
        """Decode the events that *chunk* completes.

        The iterator must be exhausted before the next call. Pings are events, too.

        Raises:
            TooLarge: an event is over its limit.
            UnexpectedAnswer: a frame's data is no JSON object.
        """
        if self.is_complete:
            return
        data: bytes | None = None
        try:
            # One loop and few calls: whatever is in it is done 200,000 times, and
            # a function more for each event costs as much as the loop itself.
            for name, data in self._decoder.feed(chunk):
                if data is None:
                    if name == "ping":
                        yield _PING
                    continue
                obj = decode(data)
                self.events_seen += 1
                if self._ids_missing:
                    self._learn(obj)
                try:
                    event = self._hooks[obj["event"]](obj)
                except (KeyError, TypeError):
                    event = self._odd(name, obj)
                if event is None:
                    continue  # nobody wants it
                kind = event.__class__
                if kind is TextChunk:
                    self._write(event.text)
                elif kind in _TELLING:
                    self._note(event)
                elif kind is dict:
                    self._take(event)
                    continue
                yield event
                if self._complete:
                    return
        except (DecodeError, DifyError) as error:
            if self.outcome is not None:
                # Rubbish behind the end: the result stands, and nobody waits for more.
                self.may_be_spoken, self._complete = False, True
                return
            if isinstance(error, DecodeError):
                error = broken_json(data or b"", error)
            raise self._failed(error) from None

    def _failed(self, error: DifyError) -> DifyError:
        error.run_id, error.task_id = self.workflow_run_id, self.task_id
        self.failure = error
        return error

    def _odd(self, frame_name: str, obj: Any) -> Any:
        """An event of a name that is not one of ours, or not where Dify puts it.

        The frame may tell the name instead, as the standard has it.
        """
        if not is_object(obj):
            msg = f"the server sent {type(obj).__name__} instead of an event"
            raise UnexpectedAnswer(msg)
        name = obj.get("event", "" if frame_name == "message" else frame_name)
        if isinstance(name, str) and name in self._hooks:
            return self._hooks[name](obj)
        return unknown_event(obj, name if isinstance(name, str) else "")

    def _learn(self, obj: Any) -> None:
        """Take the ids from the first object that has them."""
        if not is_object(obj):
            return
        run_id, task_id = obj.get("workflow_run_id"), obj.get("task_id")
        if self.workflow_run_id is None and isinstance(run_id, str):
            self.workflow_run_id = run_id
            self._ids_missing = self.task_id is None
        if self.task_id is not None or not isinstance(task_id, str):
            return
        # Snapshots and finished runs have the run's id for the task's: no use.
        if task_id != self.workflow_run_id:
            self.task_id = task_id
            self._ids_missing = self.workflow_run_id is None
            if self.on_task_id is not None:
                self.on_task_id()

    def _take(self, obj: dict[str, Any]) -> None:
        """Take from an event that nobody wants what the run's own state needs."""
        data = obj.get("data")
        if not is_object(data):
            return
        text = data.get("text")
        if isinstance(text, str):
            self._write(text)
        elif data.get("status") == "failed":
            self._note(event_hooks()["node_finished"](obj))

    def _note(self, event: Event | None) -> None:
        match event:
            case TextReplace(text=text):
                self._text = io.StringIO()
                self._write = self._text.write
                self._write(text)
            case NodeFinished(status="failed"):
                self.failed_node = event
            case TtsMessageEnd():
                self.may_be_spoken = False
                self._complete = self.outcome is not None
            case WorkflowFinished() | WorkflowPaused() | Error():
                if self.outcome is None:
                    self.outcome = event
                    if not isinstance(event, WorkflowFinished):
                        self.may_be_spoken = False
                    self._complete = not self.may_be_spoken
            case _:
                pass

    def result(self, *, stopped: bool = False) -> RunResult:
        """What the run has produced; *stopped* tells that we asked for a stop."""
        return result_of(
            self.outcome,
            task_id=self.task_id,
            workflow_run_id=self.workflow_run_id,
            failed_node=self.failed_node,
            stopped=stopped,
        )

    def error(self) -> APIError | None:
        """The error that an ``error`` event stands for, if one ended the stream."""
        if not isinstance(self.outcome, Error):
            return None
        error = error_of_event(self.outcome)
        error.run_id, error.task_id = self.workflow_run_id, self.task_id
        return error.with_result(self.result())


# Events that tell something about the run itself.
_TELLING = frozenset(
    {
        *(TextReplace, NodeFinished, TtsMessageEnd),
        *(WorkflowFinished, WorkflowPaused, Error),
    }
)


def _nobody(_: dict[str, Any]) -> None:
    """Make nothing of an event that nobody wants."""


def _as_it_is(obj: dict[str, Any]) -> Any:
    """Leave the object, from which the state takes what it needs."""
    return obj


@cache
def _unwanted() -> _Hooks:
    """What is made of events that nobody wants.

    Rare ones that tell something about the run are made all the same; from common
    ones the state takes what it needs.
    """
    rare = {
        name: hook if EVENTS[name] in _TELLING else _nobody
        for name, hook in event_hooks().items()
    }
    return {**rare, "text_chunk": _as_it_is, "node_finished": _as_it_is}
