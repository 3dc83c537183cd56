"""A run's stream: bytes in, events out, and what they tell of the run."""

from __future__ import annotations

import json
import random
import types

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async import errors
from dify_workflow_async._stream import EventStream
from dify_workflow_async.errors import DifyError, TooLarge, UnexpectedAnswer
from dify_workflow_async.events import (
    EVENTS,
    Error,
    Event,
    NodeFinished,
    NodeStarted,
    Ping,
    TextChunk,
    TtsMessage,
    TtsMessageEnd,
    UnknownEvent,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from dify_workflow_async.models import RunRef, RunResult

from ._recordings import STREAMS, Recording


LIMIT = 1 << 20
PING = b"event: ping\n\n"


def frame(event: str | None = None, **fields: Any) -> bytes:
    obj = fields if event is None else {"event": event, **fields}
    return b"data: " + json.dumps(obj).encode() + b"\n\n"


def chunk_of(text: Any) -> bytes:
    return frame("text_chunk", data={"text": text})


def finished(status: str = "succeeded", **fields: Any) -> bytes:
    return frame("workflow_finished", data={"status": status}, **fields)


PAUSED = frame("workflow_paused", data={"status": "paused", "paused_nodes": ["n"]})
FAULT = frame("error", code="invalid_param", status=400, message="no")
SPEECH = frame("tts_message", audio="//uQ")
SPEECH_END = frame("tts_message_end", audio="")


def stream_of(*chunks: bytes, limit: int = LIMIT) -> tuple[EventStream, list[Event]]:
    stream = EventStream(limit)
    return stream, [event for chunk in chunks for event in stream.feed(chunk)]


# -- what real servers sent ----------------------------------------------------------


def assert_is(value: Any, hint: Any, sent: Any, path: str) -> None:
    """Hold a field's value against what was sent for it, by the field's type."""
    if isinstance(hint, types.UnionType):
        (hint,) = (each for each in get_args(hint) if each is not types.NoneType)
    kind = get_origin(hint) or hint
    if sent is None:
        assert value in {None, ""} if kind is str else value in (None, ()), path
    elif kind is datetime:
        assert value == datetime.fromtimestamp(sent, UTC), path
        assert value.tzinfo is UTC
    elif kind is Decimal:
        assert type(value) is Decimal, path
        assert value == Decimal(str(sent)), path
    elif kind is tuple:
        (item, _) = get_args(hint)
        assert len(value) == len(sent), path
        for i, each in enumerate(sent):
            assert_is(value[i], item, each, f"{path}[{i}]")
    elif attrs.has(kind):
        assert_is_model(value, kind, sent, path)
    else:
        assert value == sent, path
        if kind is not Any:
            assert isinstance(value, kind if kind is not Mapping else dict), path


def assert_is_model(value: Any, kind: type[Any], sent: Any, path: str) -> None:
    """Hold each field of a nested model against its key."""
    assert type(value) is kind
    hints = get_type_hints(kind)
    for field in attrs.fields(kind):
        if field.name == "raw":
            assert value.raw == sent
            continue
        key = "TYPE" if field.name == "type" and "TYPE" in sent else field.name
        of_field, hint = getattr(value, field.name), hints[field.name]
        assert_is(of_field, hint, sent.get(key), f"{path}.{field.name}")


def assert_is_event(event: Event, sent: dict[str, Any]) -> None:
    """Hold an event against the JSON that it came from, each key of it."""
    cls = type(event)
    assert cls is EVENTS[sent["event"]]
    assert event.raw == sent
    hints = get_type_hints(cls)
    envelope = {name: sent.get(name) for name in ("task_id", "workflow_run_id")}
    fields = {k: v for k, v in sent.items() if k not in {"event", "data", *envelope}}
    if cls.flat:
        assert "data" not in sent
    else:
        assert fields == {}
        fields = sent["data"]
        # A paused run's id stands in both.
        assert fields.get("workflow_run_id", event.workflow_run_id) == (
            event.workflow_run_id
        )
        fields = {k: v for k, v in fields.items() if k != "workflow_run_id"}
    assert set(fields) <= {field.name for field in attrs.fields(cls)} - {"raw"}
    for name, value in {**envelope, **fields}.items():
        assert_is(getattr(event, name), hints[name], value, f"{cls.__name__}.{name}")
    default = cls()
    for name in set(hints) & {f.name for f in attrs.fields(cls)} - {"raw", *envelope}:
        if name not in fields:
            assert getattr(event, name) == getattr(default, name), name


def assert_is_recording(events: list[Event], recording: Recording) -> None:
    pings = [i for i, each in enumerate(recording.frames) if each + b"\n\n" == PING]
    assert len(events) == len(recording.frames)
    assert [i for i, event in enumerate(events) if type(event) is Ping] == pings
    real = [event for event in events if type(event) is not Ping]
    for event, sent in zip(real, recording.objects, strict=True):
        assert_is_event(event, sent)


RECORDINGS = [pytest.param(each, id=name) for name, each in STREAMS.items()]
SHORT = [p for p in RECORDINGS if len(p.values[0].body) < 6000]


def test_there_are_recordings():
    """Both servers' streams are among the tables below."""
    assert len(RECORDINGS) >= 30
    assert len(SHORT) >= 16
    assert {name[:6] for name in STREAMS} == {"1.12.1", "1.14.2"}
    assert {e["event"] for r in STREAMS.values() for e in r.objects} >= {
        *("workflow_started", "workflow_finished", "workflow_paused", "error"),
        *("node_started", "node_finished", "node_retry", "text_chunk"),
        *("iteration_started", "iteration_next", "iteration_completed"),
        *("loop_started", "loop_next", "loop_completed"),
        *("human_input_required", "human_input_form_filled"),
    }


@pytest.mark.parametrize("recording", RECORDINGS)
def test_recording_in_one_piece(recording):
    """Each frame becomes one event with the values of its JSON, in the order sent."""
    stream, events = stream_of(recording.body)

    assert_is_recording(events, recording)
    assert stream.events_seen == len(recording.objects)
    assert stream.pending == len(recording.body.rpartition(b"\n\n")[2])
    assert stream.failure is None


@pytest.mark.parametrize("recording", RECORDINGS)
def test_recording_at_random_cuts(recording):
    """Cuts in the middle of lines and characters change nothing."""
    whole = stream_of(recording.body)[1]
    dice = random.Random(recording.name)
    body = recording.body

    for pieces in (2, 5, 20, 100):
        places = sorted(dice.randrange(len(body) + 1) for _ in range(pieces))
        chunks = map(slice, [0, *places], [*places, None])
        events = stream_of(*(body[chunk] for chunk in chunks))[1]
        assert events == whole
        assert [event.raw for event in events] == [event.raw for event in whole]


@pytest.mark.parametrize("recording", SHORT)
def test_recording_at_every_cut(recording):
    """A short stream is the same cut at any byte, and byte by byte."""
    body = recording.body
    whole = stream_of(body)[1]

    single = [body[i : i + 1] for i in range(len(body))]
    assert stream_of(*single)[1] == whole
    for place in range(len(body)):
        assert stream_of(body[:place], body[place:])[1] == whole, place


@pytest.mark.parametrize("recording", RECORDINGS)
def test_state_of_a_recording(recording):
    """Ids, text, failed node and outcome are what the JSON says."""
    stream, _ = stream_of(recording.body)
    sent = recording.objects
    last = sent[-1]

    run_ids = {e["workflow_run_id"] for e in sent if e.get("workflow_run_id")}
    task_ids = {e["task_id"] for e in sent if e.get("task_id")} - run_ids
    assert {stream.workflow_run_id} == (run_ids or {None})
    assert {stream.task_id} == (task_ids or {None})
    assert stream.text == "".join(
        e["data"]["text"] for e in sent if e["event"] == "text_chunk"
    )
    failed = [
        e["data"]["node_id"]
        for e in sent
        if e["event"] == "node_finished" and e["data"]["status"] == "failed"
    ]
    assert [stream.failed_node.node_id if stream.failed_node else None] == (
        failed[-1:] or [None]
    )
    ends = {"workflow_finished", "workflow_paused", "error"}
    if last["event"] in ends:
        assert stream.outcome.raw == last
        assert stream.may_be_spoken is (last["event"] == "workflow_finished")
    else:
        assert stream.outcome is None
    assert (stream.error() is not None) is (last["event"] == "error")


def state_of(stream: EventStream) -> dict[str, Any]:
    error = stream.error()
    return {
        "ids": (stream.task_id, stream.workflow_run_id),
        "text": stream.text,
        "outcome": stream.outcome,
        "failed_node": stream.failed_node,
        "seen": stream.events_seen,
        "speech": stream.may_be_spoken,
        "result": stream.result(),
        "stopped": stream.result(stopped=True),
        "error": error and (type(error), vars(error)),
    }


@pytest.mark.parametrize("recording", RECORDINGS)
def test_decode_only_keeps_the_state_complete(recording):
    """Whatever is wanted, the run's state is the same after each frame."""
    everything = EventStream(LIMIT)
    others = {
        None: EventStream(LIMIT),
        "node_started": EventStream(LIMIT),
        "text_chunk": EventStream(LIMIT),
    }
    for wanted, stream in others.items():
        stream.decode_only(lambda name, wanted=wanted: name == wanted)

    for each in recording.frames:
        all_events = list(everything.feed(each + b"\n\n"))
        for wanted, stream in others.items():
            events = list(stream.feed(each + b"\n\n"))
            assert state_of(stream) == state_of(everything)
            assert events in ([], all_events)
            if wanted in {event.event_name for event in all_events}:
                assert events == all_events


# -- ids -----------------------------------------------------------------------------


def test_ids_are_learnt_from_the_first_event_that_has_them():
    """The first ids stay, whatever later events say, and who waits for them is told."""
    stream = EventStream(LIMIT)
    calls = []
    stream.on_id = lambda: calls.append((stream.task_id, stream.workflow_run_id))

    list(stream.feed(PING + frame("workflow_started", data={})))
    assert (stream.task_id, stream.workflow_run_id, calls) == (None, None, [])
    list(stream.feed(frame("x", task_id="t")))
    list(stream.feed(frame("x", task_id="t", workflow_run_id="r")))
    list(stream.feed(frame("x", task_id="u", workflow_run_id="s")))

    assert (stream.task_id, stream.workflow_run_id) == ("t", "r")
    assert calls == [("t", None), ("t", "r")]


@pytest.mark.parametrize(
    ("frames", "task_id", "run_id"),
    [
        ([{"task_id": "r", "workflow_run_id": "r"}], None, "r"),
        ([{"task_id": "r", "workflow_run_id": "r"}, {"task_id": "t"}], "t", "r"),
        ([{"workflow_run_id": "r"}, {"task_id": "r"}], None, "r"),
        ([{"task_id": "t"}, {"workflow_run_id": "r"}], "t", "r"),
        (
            [{"task_id": "t", "workflow_run_id": None}, {"workflow_run_id": "r"}],
            "t",
            "r",
        ),
        ([{"task_id": 5, "workflow_run_id": ["r"]}], None, None),
        ([{"task_id": None}, {"task_id": "t"}], "t", None),
        ([{"data": {"task_id": "t", "workflow_run_id": "r"}}], None, None),
    ],
    ids=repr,
)
def test_ids(frames, task_id, run_id):
    """Each id is learnt by itself; the run's id is never taken for the task's."""
    stream, _ = stream_of(*(frame("x", **fields) for fields in frames))

    assert (stream.task_id, stream.workflow_run_id) == (task_id, run_id)


def test_the_result_has_no_task_id_that_is_the_runs():
    """A finished run that is looked at again has no task to be stopped by."""
    stream, _ = stream_of(STREAMS["1.14.2-events_finished"].body)

    assert stream.outcome.task_id == stream.workflow_run_id
    assert stream.task_id is None
    assert stream.result().task_id is None
    assert stream.result().workflow_run_id == stream.workflow_run_id


# -- text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wants",
    [None, lambda _: False, lambda _: True],
    ids=["as it is", "none", "all"],
)
@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([], ""),
        ([chunk_of("a"), chunk_of(""), chunk_of("你\n")], "a你\n"),
        ([chunk_of("a"), frame("text_replace", data={"text": "b"})], "b"),
        (
            [chunk_of("a"), frame("text_replace", data={"text": "b"}), chunk_of("c")],
            "bc",
        ),
        ([chunk_of("a"), frame("text_replace", data={})], ""),
        ([chunk_of(None), chunk_of(5), chunk_of(["a"]), chunk_of("b")], "b"),
        ([frame("text_chunk"), frame("text_chunk", data="a"), chunk_of("b")], "b"),
        ([frame("reasoning_chunk", data={"reasoning": "no"}), chunk_of("a")], "a"),
        ([chunk_of("\r\n"), chunk_of("\r")], "\r\n\r"),
    ],
    ids=lambda x: ascii(x)[:80],
)
def test_text(frames, text, wants):
    """Pieces add up, a replacement begins anew; the same if nobody wants the events."""
    stream = EventStream(LIMIT)
    stream.decode_only(wants)

    for each in frames:
        list(stream.feed(each))

    assert stream.text == text


# -- what is wanted ------------------------------------------------------------------


def test_decode_only_passes_over_what_nobody_wants():
    """What is not wanted is not made; what the run's state needs is."""
    stream = EventStream(LIMIT)
    started = frame("node_started", data={}) + frame("node_retry", data={})
    stream.decode_only(lambda name: name == "node_started")

    assert list(stream.feed(started + chunk_of("a"))) == [NodeStarted()]
    assert list(stream.feed(finished())) == [WorkflowFinished(status="succeeded")]
    assert stream.events_seen == 4


@pytest.mark.parametrize(
    ("data", "found"),
    [
        # Known by their first bytes, so that the rest may be what it likes.
        (b'{"event":"node_started","data":{', []),
        (b'{"event": "node_started","data":{', []),
        (b'{"event":"iteration_next","x"', []),
        (b'{"event":"loop_next","x"', []),
        (b'{"event":"agent_log",', []),
        (b'{"event": "agent_log"', []),
        (b'{"event":"text_chunk"', []),
        (b'{"event":"node_finished","outputs_truncated":false', []),
        # Decoded, since they are not.
        (b'{"data":{},"event":"node_started"}', []),
        (b'{ "event":"node_started"}', []),
        (b'{"event":"node_started_by_you"}', ["node_started_by_you"]),
        (b'{"event":"node_star"}', ["node_star"]),
        (b'{"event":"x"}', ["x"]),
        (
            b'{"event":"workflow_finished","data":{"status":"succeeded"}}',
            ["workflow_finished"],
        ),
        (b'{"event":"error","message":"m"}', ["error"]),
        (b'{"event":"node_finished",\ndata: "data":{}}', []),
    ],
)
def test_what_nobody_wants_is_known_by_its_first_bytes(data, found):
    """Only what is surely not needed stays undecoded."""
    stream = EventStream(LIMIT, keeps_text=False)
    stream.decode_least()
    list(stream.feed(frame("ping", workflow_run_id="r", task_id="t")))
    before = stream.events_seen

    events = list(stream.feed(b"data: " + data + b"\n\n"))

    names = [getattr(event, "name", event.event_name) for event in events]
    assert names == found
    assert stream.events_seen == before + 1
    assert stream.failure is None


@pytest.mark.parametrize("space", ["", " "])
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"status": "failed"}, "failed_node"),
        ({"outputs_truncated": True, "node_type": "end"}, "truncated"),
        ({"execution_metadata": {"total_price": "0.5"}}, "total_price"),
    ],
)
def test_what_an_end_of_a_node_tells_is_not_passed_over(fields, told, space):
    """It is decoded for a failure, for outputs that were cut, and for a price."""
    event = {"event": "node_finished", "workflow_run_id": "r", "task_id": "t"}
    event["data"] = {"id": "1", "status": "succeeded", "outputs": {}} | fields
    text = json.dumps(event, separators=("," + space, ":" + space))
    stream = EventStream(LIMIT, known=RunRef(workflow_run_id="r", task_id="t"))
    stream.decode_least()

    list(stream.feed(f"data: {text}\n\n".encode() + finished()))

    result = stream.result()
    assert {
        "failed_node": result.failed_node is not None,
        "truncated": stream.truncated,
        "total_price": result.total_price == Decimal("0.5"),
    } == {key: key == told for key in ("failed_node", "truncated", "total_price")}


def test_text_that_nobody_can_ask_for():
    """It is not kept."""
    stream = EventStream(LIMIT, keeps_text=False)
    stream.decode_least()

    list(stream.feed(chunk_of("a") + finished()))

    assert stream.text == ""
    assert stream.result().is_success


def test_ids_are_read_from_events_that_nobody_wants():
    """They are decoded until both are known."""
    stream = EventStream(LIMIT)
    stream.decode_least()

    list(stream.feed(frame("node_started", workflow_run_id="r", data={})))
    assert (stream.workflow_run_id, stream.task_id) == ("r", None)
    list(stream.feed(frame("node_started", task_id="t", data={})))

    assert (stream.workflow_run_id, stream.task_id) == ("r", "t")
    list(stream.feed(b'data: {"event":"node_started"\n\n'))
    assert stream.failure is None


def test_decode_only_can_be_changed_on_the_way():
    """A handler that comes later gets its events from then on; None wants all."""
    stream = EventStream(LIMIT)

    stream.decode_only(lambda _: False)
    assert list(stream.feed(chunk_of("a"))) == []
    stream.decode_only(None)
    assert list(stream.feed(chunk_of("b"))) == [TextChunk(text="b")]
    stream.decode_only(lambda _: False)
    assert list(stream.feed(PING)) == [Ping()]
    assert stream.text == "ab"


# -- outcomes ------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [chunk_of("x"), finished(), PING, b"data: {\n\n"])
@pytest.mark.parametrize("end", [PAUSED, FAULT], ids=["paused", "error"])
def test_nothing_follows_a_pause_or_an_error(end, tail):
    """After these two the server may be silent or chatter: it is all the same."""
    stream = EventStream(LIMIT)

    (event,) = stream.feed(end + tail + tail)

    assert stream.outcome is event
    assert stream.may_be_spoken is False
    assert stream.events_seen == 1
    assert stream.text == ""
    assert stream.failure is None


@pytest.mark.parametrize("end", [PAUSED, FAULT], ids=["paused", "error"])
def test_nothing_follows_in_a_later_chunk(end):
    """Whatever is fed after a pause or an error brings no event and changes nothing."""
    stream, (event,) = stream_of(end)

    assert list(stream.feed(chunk_of("x") + finished())) == []
    assert stream.outcome is event
    assert stream.text == ""


def test_speech_may_follow_the_end():
    """Servers before 1.13 speak after ``workflow_finished``, up to the speech's end."""
    stream, events = stream_of(
        finished(), SPEECH, SPEECH, SPEECH_END + chunk_of("too late")
    )

    assert [type(event) for event in events] == [
        *(WorkflowFinished, TtsMessage, TtsMessage, TtsMessageEnd)
    ]
    assert stream.outcome is events[0]
    assert stream.may_be_spoken is False


def test_speech_goes_on_until_its_end():
    """Between the run's end and the speech's there may be more of it."""
    stream, _ = stream_of(finished(), SPEECH)

    assert stream.may_be_spoken is True


def test_speech_that_ended_before_the_run():
    """After ``tts_message_end`` there is no speech to wait for, whatever ended first."""
    stream, events = stream_of(SPEECH, SPEECH_END)
    assert stream.may_be_spoken is False
    assert stream.outcome is None

    events = list(stream.feed(finished() + SPEECH))

    assert [type(event) for event in events] == [WorkflowFinished]
    assert stream.may_be_spoken is False


def test_events_go_on_after_speech_that_ended_early():
    """The speech's end is not the run's."""
    stream, events = stream_of(SPEECH_END + chunk_of("a") + finished())

    assert [type(e) for e in events] == [TtsMessageEnd, TextChunk, WorkflowFinished]
    assert stream.text == "a"


def test_the_first_outcome_counts():
    """A second end, which no server should send, does not replace the first."""
    stream, events = stream_of(finished("succeeded"), finished("failed"), FAULT)

    assert stream.outcome is events[0]
    assert stream.result().status == "succeeded"
    assert stream.error() is None


def test_failed_node_is_the_last_one():
    """Of the nodes that failed the last is kept; those that were dealt with are not."""
    nodes = [("a", "failed"), ("b", "failed"), ("c", "exception"), ("d", "succeeded")]
    stream, events = stream_of(
        *(
            frame("node_finished", data={"node_id": name, "status": status})
            for name, status in nodes
        ),
        frame("node_retry", data={"node_id": "e", "status": "retry"}),
    )

    assert stream.failed_node is events[1]
    assert stream.result().failed_node == NodeFinished(node_id="b", status="failed")


def test_result():
    """The result has what the end told, and the ids that the stream told."""
    started = frame("workflow_started", task_id="t", workflow_run_id="r", data={})
    stream, _ = stream_of(started, finished("failed"))

    assert stream.result() == RunResult(
        status="failed", task_id="t", workflow_run_id="r"
    )
    assert stream.result(stopped=True).status == "stopped"
    assert stream.result().raw["event"] == "workflow_finished"


def test_result_before_the_end():
    """A stream that broke has no status: it is never taken for a success."""
    stream, _ = stream_of(frame("x", task_id="t", workflow_run_id="r"))

    result = stream.result()
    assert result == RunResult(task_id="t", workflow_run_id="r")
    assert not result.is_success
    assert not result.is_terminal


def test_result_of_a_pause():
    """A pause is an outcome of its own."""
    stream, _ = stream_of(PAUSED)

    assert type(stream.outcome) is WorkflowPaused
    assert stream.result() == RunResult(status="paused", paused_nodes=("n",))


def test_error():
    """An ``error`` event ends in its class, with ids and the partial result."""
    stream, _ = stream_of(
        frame("workflow_started", task_id="t", workflow_run_id="r", data={}), FAULT
    )

    error = stream.error()

    assert type(error) is errors.InvalidParam
    assert (error.status, error.code, error.message) == (400, "invalid_param", "no")
    assert (error.run_id, error.task_id) == ("r", "t")
    assert error.safe_to_repeat is False
    assert error.result == stream.result()
    assert error.result.status == "failed"
    assert type(stream.outcome) is Error


def test_error_before_the_run():
    """The bare error of newer servers has no code and no ids."""
    stream, events = stream_of(STREAMS["1.14.2-err_missing_required_streaming"].body)

    error = stream.error()

    assert [type(event) for event in events] == [Ping, Error]
    assert type(error) is errors.ServerError
    assert error.message == "query is required in input form"
    assert (error.status, error.code, error.run_id, error.task_id) == (500, *[None] * 3)


# -- frames that are not Dify's way --------------------------------------------------


def test_pings():
    """A ping is an event, which is not counted; other names without data are none."""
    stream, events = stream_of(PING, b"event: other\n\n: comment\n\nid: 7\n\n", PING)

    assert events == [Ping(), Ping()]
    assert stream.events_seen == 0


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        (b'event: node_started\ndata: {"data": {"id": "1"}}', NodeStarted(id="1")),
        (b'event: new\ndata: {"task_id": "t"}', UnknownEvent(name="new", task_id="t")),
        (b"data: {}", UnknownEvent()),
        (b"event: message\ndata: {}", UnknownEvent()),
        (b'event: x\ndata: {"event": "ping"}', Ping()),
        (b'event: ping\ndata: {"event": "y"}', UnknownEvent(name="y")),
        (b'event: ping\ndata: {"event": null}', UnknownEvent()),
        (b'data: {"event": ["node_started"]}', UnknownEvent()),
        (b'data: {"event": {}}', UnknownEvent()),
        (b'data: {"event": "message", "answer": "Hi"}', UnknownEvent(name="message")),
    ],
    ids=repr,
)
def test_names(sent, event):
    """The name stands in the JSON, or else in the frame; ``raw`` is as it came."""
    stream, events = stream_of(sent + b"\n\n")

    assert events == [event]
    assert events[0].raw == json.loads(sent.partition(b"data: ")[2])
    assert stream.events_seen == 1


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("workflow_finished", {"data": {"status": "failed"}}),
        ("workflow_paused", {"data": {}}),
        ("error", {"message": "no"}),
        ("text_chunk", {"data": {"text": "a"}}),
        ("text_replace", {"data": {"text": "a"}}),
        ("node_finished", {"data": {"status": "failed"}}),
        ("tts_message_end", {"audio": ""}),
    ],
)
def test_a_name_in_the_frame_tells_as_much(name, fields):
    """An event that is named by its frame changes the run's state as any other."""
    named, events = stream_of(f"event: {name}\n".encode() + frame(**fields))
    plain, expected = stream_of(frame(name, **fields))

    assert events == expected
    assert state_of(named) == state_of(plain)


@pytest.mark.parametrize(
    "data",
    [*(b"", b"[]", b"null", b"5", b'"text"', b"true", b"{", b"[DONE]", b"{'a': 1}")],
)
@pytest.mark.parametrize("name", [b"", b"event: node_started\n"], ids=["", "named"])
def test_what_is_no_object_is_an_error(name, data):
    """A frame without a JSON object ends the stream; the error tells why."""
    stream = EventStream(LIMIT)
    sent = chunk_of("a") + name + b"data: " + data + b"\n\n" + chunk_of("b")

    assert list(stream.feed(sent)) == [TextChunk(text="a")]
    assert isinstance(stream.failure, UnexpectedAnswer)
    assert stream.outcome is None
    assert stream.text == "a"


def test_too_large():
    """An event over the limit is an error that is kept, too."""
    stream = EventStream(70)
    list(stream.feed(PING + frame("x", task_id="t", workflow_run_id="r")))

    assert list(stream.feed(chunk_of("x" * 70))) == []
    assert isinstance(stream.failure, TooLarge)
    assert (stream.failure.run_id, stream.failure.task_id) == ("r", "t")


def test_pending():
    """What waits for its end is counted."""
    stream, _ = stream_of(PING, b"data: {")

    assert stream.pending == 7


def test_raw_is_as_sent():
    """Raw line separators in JSON, escapes and unknown keys come through."""
    text = '{"event":"text_chunk","data":{"text":"a\u2028\u0085\\u4f60"},"x":1}'

    stream, (event,) = stream_of(f"data: {text}\n\n".encode())

    assert event.text == "a\u2028\u0085你"
    assert event.raw == json.loads(text)
    assert stream.text == event.text


FRAMES = st.lists(
    st.sampled_from(
        [
            *(PING, PAUSED, FAULT, SPEECH, SPEECH_END, finished(), chunk_of("a")),
            *(b"data: {\n\n", b"data: []\n\n", b'data: {"event": 5}\n\n', b": x\n\n"),
            *(frame(name, data={}) for name in EVENTS),
            *(frame(name, data=None, task_id=5) for name in EVENTS),
            *(frame(name, task_id="t", workflow_run_id="r") for name in EVENTS),
        ]
    )
    | st.binary(max_size=20),
    max_size=8,
)


@settings(deadline=None, max_examples=300)
@given(frames=FRAMES, wants=st.none() | st.sampled_from(sorted(EVENTS)))
def test_any_bytes_are_events_or_our_errors(frames, wants):
    """No stream, however odd, raises what is not ours, or ends without telling why."""
    stream = EventStream(LIMIT)
    if wants:
        stream.decode_only(lambda name: name == wants)
    for chunk in frames:
        for event in stream.feed(chunk):
            assert isinstance(event, Event)
        if stream.failure is not None:
            assert isinstance(stream.failure, DifyError)
            break
    assert isinstance(stream.result(), RunResult)
    assert (stream.error() is None) is not isinstance(stream.outcome, Error)
    assert type(stream.outcome) in {
        *(type(None), WorkflowFinished, WorkflowPaused, Error)
    }


def test_started_is_not_needed():
    """Newer servers may lose the first event: nothing waits for it."""
    stream, events = stream_of(finished(task_id="t", workflow_run_id="r"))

    assert WorkflowStarted not in map(type, events)
    assert stream.result().is_success
    assert (stream.task_id, stream.workflow_run_id) == ("t", "r")


@pytest.mark.parametrize("rubbish", [b"data: {broken\n\n", b"data: []\n\n"], ids=repr)
def test_rubbish_behind_the_end(rubbish):
    """Once the end is known, what cannot be decoded ends the speech and nothing else."""
    stream, events = stream_of(finished() + rubbish + SPEECH)

    assert [type(event) for event in events] == [WorkflowFinished]
    assert stream.failure is None
    assert stream.is_complete
    assert stream.may_be_spoken is False


# -- what a run cost ------------------------------------------------------------------


def cost(price: Any, currency: Any = "USD") -> bytes:
    """The end of a node's execution."""
    metadata = {"total_price": price, "currency": currency}
    return frame("node_finished", data={"execution_metadata": metadata})


@pytest.mark.parametrize("least", [True, False])
@pytest.mark.parametrize(
    ("nodes", "price", "currency"),
    [
        ([], None, None),
        ([frame("node_finished"), frame("node_finished", data=None)], None, None),
        ([cost("0.10"), cost(0.2), cost("0")], Decimal("0.30"), "USD"),
        ([cost("0.10"), cost(None), cost("much")], Decimal("0.10"), "USD"),
        ([cost("0.10"), cost("0.20", "RMB")], None, None),
        ([cost("0.10", ["USD"])], Decimal("0.10"), None),
    ],
    ids=["nothing", "no-cost", "sum", "no-prices", "two-currencies", "odd-currency"],
)
def test_price_of_a_run(nodes, price, currency, least):
    """It is the sum of what the executions cost, whether or not anybody wants events."""
    stream = EventStream(LIMIT)
    if least:
        stream.decode_least()
    for chunk in (*nodes, finished()):
        list(stream.feed(chunk))
    result = stream.result()
    assert (result.total_price, result.currency) == (price, currency)


def test_price_of_a_run_that_was_not_heard_whole():
    """Executions may have ended while nobody listened: no sum is better than a wrong one."""
    stream = EventStream(LIMIT)
    list(stream.feed(cost("0.10")))
    stream.rejoin()
    list(stream.feed(finished()))
    assert stream.result().total_price is None
