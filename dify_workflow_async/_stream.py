"""A run's stream: bytes in, events out; and what is known of the run so far.

``_sse`` cuts the bytes into frames, ``_wire`` makes events of them; here is what they
mean for the run: its ids, its text, and what ends it.
"""

from __future__ import annotations

import io

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ._convert import is_object
from ._protocol import result_of
from ._refusal import error_of_event
from ._repeats import Repeats
from ._sse import SSEDecoder
from ._wanted import HEAD, RARE, Decoding, everything, holds, least, only
from ._wire import (
    DecodeError,
    broken_json,
    decode,
    unknown_event,
)
from .errors import APIError, DifyError, UnexpectedAnswer
from .events import (
    Error,
    Event,
    HumanInputRequired,
    NodeFinished,
    NodeStarted,
    Ping,
    TextChunk,
    TextReplace,
    TtsMessageEnd,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from .models import Recovered, RunRef, RunResult


if TYPE_CHECKING:
    from ._originals import Originals

_PING = Ping()
_LF = 10


class EventStream:
    """Decodes the stream of one run.

    Attributes:
        task_id: learnt from the first event that has it.
        workflow_run_id: likewise.
        ids_missing: True until both are known.
        outcome: the event that ended the run's stream, else None.
        failed_node: the node that failed last.
        forms: those that the run came to wait for, since it last went on.
        truncated: True if an event said that it did not carry the outputs whole.
        events_seen: how many events came, pings not counted.
        may_be_spoken: False once ``tts_message_end`` or a pause or error came.
        failure: why `feed` cannot go on.
        rejoined: True once the stream broke and was opened again, so that events may
            come again which came before.
        on_id: called when one of the ids becomes known.
        originals: keeps the data of the event that came last, if that was asked for.
    """

    def __init__(
        self,
        max_event_bytes: int,
        *,
        known: RunRef | None = None,
        ends_on_pause: bool = True,
        keeps_text: bool = True,
    ) -> None:
        self.task_id = known.task_id if known else None
        self.workflow_run_id = known.workflow_run_id if known else None
        self.outcome: Event | None = None
        self.failed_node: NodeFinished | None = None
        self.forms: tuple[HumanInputRequired, ...] = ()
        self.truncated = False
        self.events_seen = 0
        self.may_be_spoken = True
        self.failure: DifyError | None = None
        self.rejoined = False
        self.on_id: Callable[[], None] | None = None
        self.originals: Originals | None = None
        self._max_event_bytes = max_event_bytes
        self._ends_on_pause = ends_on_pause
        self._keeps_text = keeps_text
        # What is None is made when it is needed: while many runs wait for their answers,
        # each object makes the garbage collector slower.
        self._decoder: SSEDecoder | None = None
        self._decoding: Decoding = everything()
        self.ids_missing = self.task_id is None or self.workflow_run_id is None
        self._complete = False
        self._text = io.StringIO()
        self._repeats: Repeats | None = None
        # What executions of nodes cost, as the server wrote it, in which currency.
        self._prices: list[tuple[object, object]] | None = None

    @property
    def text(self) -> str:
        """All text so far."""
        return self._text.getvalue()

    @property
    def pending(self) -> int:
        """How many bytes of an event wait for its end."""
        return 0 if self._decoder is None else self._decoder.pending

    def decode_only(self, wants: Callable[[str], bool] | None) -> None:
        """Pass over events that *wants* does not want by name; None: decode all.

        Unknown ones, and rare ones that the run's own state is made of, are decoded
        in any case.
        """
        if wants is None or self.rejoined:
            self._decoding = everything()
        else:
            self._decoding = only(wants, keeps_text=self._keeps_text)

    def decode_least(self) -> None:
        """Pass over all events, but for the exceptions of `decode_only`."""
        self._decoding = (
            everything() if self.rejoined else least(keeps_text=self._keeps_text)
        )

    def go_on(self) -> None:
        """Take the bytes of another answer for the same run, whose pause is over."""
        self._decoder = None
        self.outcome = self.failure = None
        self.may_be_spoken, self._complete = True, False
        self.forms = ()

    def rejoin(self) -> None:
        """Take the bytes of another answer for the same run, after the first broke.

        It begins with a summary, in reduced events, of what ran before (specification,
        section 1.7): what came before is passed over.
        """
        self.go_on()
        self.rejoined = True
        self._decoding = everything()

    def end(self, event: Event) -> None:
        """Take note of an end that was learnt elsewhere."""
        self.failure = None
        self._note(event)
        self.may_be_spoken, self._complete = False, True

    @property
    def is_complete(self) -> bool:
        """True if nothing that matters can come any more."""
        return self._complete

    def feed(self, chunk: bytes) -> Iterator[Event]:  # noqa: C901, PLR0912, PLR0915
        """Decode the events that *chunk* completes.

        The iterator must be exhausted before the next call. Pings are events, too. An
        event that is over its limit, or no JSON object, ends it and is `failure`.
        """
        if self.is_complete:
            return
        data: bytes | None = None
        if self._decoder is None:
            self._decoder = SSEDecoder(self._max_event_bytes)
        decoder = self._decoder
        hooks, passed = self._decoding
        frames: Iterable[bytes] = decoder.cut(chunk)
        if self.originals is not None:
            frames = self.originals.frames(frames)
        try:
            # One loop and few calls: whatever is in it is done 200,000 times, and
            # a function more for each event costs as much as the loop itself.
            for frame in frames:
                if passed and (head := frame[:HEAD]) in passed and not self.ids_missing:
                    rest, telling = passed[head]
                    if (not rest or frame.startswith(rest, HEAD)) and not (
                        telling and holds(frame, telling)
                    ):
                        self.events_seen += 1
                        continue
                name = "message"
                if frame[:6] == b"data: " and _LF not in frame:
                    data = frame[6:]
                elif (found := decoder.interpret(frame)) is None:
                    continue
                else:
                    name, data = found
                    if data is None:
                        if name == "ping":
                            yield _PING
                        continue
                obj = decode(data)
                self.events_seen += 1
                if self.ids_missing:
                    self._learn(obj)
                try:
                    event = hooks[obj["event"]](obj)
                except (KeyError, TypeError):
                    event = self._odd(name, obj)
                if event is None:
                    continue  # nobody wants it
                kind = event.__class__
                if kind is TextChunk:
                    self._text.write(event.text)
                elif kind is str:  # of a text that nobody wants
                    self._text.write(event)
                    continue
                elif kind is tuple:  # what a node cost whose end nobody wants
                    self._charge(event)
                    continue
                elif kind in _TELLING and not self._note(event):
                    continue  # it came before
                yield event
                if self._complete:
                    return
                hooks, passed = self._decoding  # a handler may have asked for more
            if decoder.failure is not None:
                raise decoder.failure
        except (DecodeError, DifyError) as error:
            if self.outcome is not None:
                # Rubbish behind the end: the result stands, and nobody waits for more.
                self.may_be_spoken, self._complete = False, True
                return
            if isinstance(error, DecodeError):
                error = broken_json(data or b"", error)
            error.run_id, error.task_id = self.workflow_run_id, self.task_id
            self.failure = error

    def _odd(self, frame_name: str, obj: Any) -> Any:
        """An event of a name that is not one of ours, or not where Dify puts it.

        The frame may tell the name instead, as the standard has it.
        """
        if not is_object(obj):
            msg = f"the server sent {type(obj).__name__} instead of an event"
            raise UnexpectedAnswer(msg)
        name = obj.get("event", "" if frame_name == "message" else frame_name)
        if isinstance(name, str) and name in self._decoding.hooks:
            return self._decoding.hooks[name](obj)
        return unknown_event(obj, name if isinstance(name, str) else "")

    def _learn(self, obj: Any) -> None:
        """Take the ids from the first object that has them."""
        if not is_object(obj):
            return
        run_id, task_id = obj.get("workflow_run_id"), obj.get("task_id")
        before = self.workflow_run_id, self.task_id
        if self.workflow_run_id is None and isinstance(run_id, str):
            self.workflow_run_id = run_id
        # Snapshots and finished runs have the run's id for the task's: no use.
        if self.task_id is None and task_id != self.workflow_run_id:
            self.task_id = task_id if isinstance(task_id, str) else None
        if before == (self.workflow_run_id, self.task_id):
            return
        self.ids_missing = self.workflow_run_id is None or self.task_id is None
        if self.on_id is not None:
            self.on_id()

    def _charge(self, price: tuple[object, object]) -> None:
        """Keep what a node's execution cost, in which currency."""
        if self._prices is None:
            self._prices = []
        self._prices.append(price)

    def _note(self, event: Event) -> bool:
        """Take what the event tells of the run; False if it came before."""
        if self._came_before(event):
            self.events_seen -= 1
            return False
        match event:
            case TextReplace(text=text):
                self._text = io.StringIO()
                self._text.write(text)
            case NodeFinished():
                if event.status == "failed":
                    self.failed_node = event
                if event.node_type == "end" and event.outputs_truncated:
                    self.truncated = True
                if (cost := event.execution_metadata) is not None:
                    self._charge((cost.total_price, cost.currency))
            case HumanInputRequired():
                self.forms += (event,)
            case TtsMessageEnd():
                self.may_be_spoken = False
                self._complete = self.outcome is not None
            case WorkflowFinished() | WorkflowPaused() | Error():
                self._note_end(event)
            case _:
                pass
        return True

    def _came_before(self, event: Event) -> bool:
        if self._repeats is None:
            self._repeats = Repeats()
        return self._repeats.knows(event, rejoined=self.rejoined)

    def _note_end(self, event: WorkflowFinished | WorkflowPaused | Error) -> None:
        if isinstance(event, WorkflowPaused) and not self._ends_on_pause:
            return
        data = event.raw.get("data")
        if is_object(data) and data.get("outputs_truncated") is True:
            self.truncated = True  # no server was seen to say so here
        if self.outcome is None:
            self.outcome = event
            if not isinstance(event, WorkflowFinished):
                self.may_be_spoken = False
            self._complete = not self.may_be_spoken

    def result(
        self,
        *,
        stopped: bool = False,
        user: str | None = None,
        recovered: Recovered | None = None,
    ) -> RunResult:
        """What the run has produced.

        Args:
            stopped: True if we asked for a stop.
            user: for whom it was run.
            recovered: how its end was learnt, if the stream broke.
        """
        return result_of(
            self.outcome,
            stopped=stopped,
            user=user,
            recovered=recovered,
            text_complete=recovered is None,
            # There is no sum if executions were not heard of.
            prices=() if self.rejoined else self._prices or (),
            task_id=self.task_id,
            workflow_run_id=self.workflow_run_id,
            failed_node=self.failed_node,
        )

    def error(self) -> APIError | None:
        """The error that an ``error`` event stands for, if one ended the stream."""
        if not isinstance(self.outcome, Error):
            return None
        error = error_of_event(self.outcome)
        error.run_id, error.task_id = self.workflow_run_id, self.task_id
        return error.with_result(self.result())


# Events that tell something about the run itself, and those that a server may repeat.
_TELLING = RARE | {WorkflowStarted, NodeStarted, NodeFinished}
