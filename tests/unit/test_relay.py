"""What leaves for a browser, as values and bytes, without a socket."""

from __future__ import annotations

import inspect
import json

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dify_workflow_async import errors, models
from dify_workflow_async._originals import Originals
from dify_workflow_async._protocol import event_of_detail
from dify_workflow_async._stream import EventStream
from dify_workflow_async.events import (
    EVENTS,
    Error,
    HumanInputRequired,
    IterationStarted,
    LoopStarted,
    NodeFinished,
    NodeStarted,
    TextChunk,
    TextReplace,
    TtsMessage,
    UnknownEvent,
    WorkflowFinished,
    WorkflowStarted,
)
from dify_workflow_async.models import FormAction, RunResult
from dify_workflow_async.relay import (
    ALL,
    FIELDS,
    HEADERS,
    PING,
    Frames,
    Selection,
    error_object,
    sentence_of,
)
from dify_workflow_async.relay._ring import Ring
from dify_workflow_async.relay._selection import Projector

from ._recordings import STREAMS, Recording


RECORDINGS = [pytest.param(each, id=name) for name, each in STREAMS.items()]


def projected(*events, **selection):
    """Give what browsers get of events, decoded."""
    projector = Projector(Selection(**selection))
    found = [projector.project(event) for event in events]
    return [None if data is None else json.loads(data) for data in found]


def on_wire(name: str, /, **data):
    """Make an event as a server sends it."""
    obj = {"event": name, "workflow_run_id": "r1", "task_id": "t1", "data": data}
    (event,) = EventStream(1 << 20).feed(b"data: %b\n\n" % json.dumps(obj).encode())
    return event


# -- which events ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "sent"),
    [
        ({}, set(FIELDS)),
        ({"exclude": ["*"]}, set()),
        ({"exclude": ["tts_*"]}, set(FIELDS) - {"tts_message", "tts_message_end"}),
        ({"include": ["text_*"]}, {"text_chunk", "text_replace"}),
        ({"include": ["text_*"], "exclude": ["text_replace"]}, {"text_chunk"}),
        ({"include": ["agent_log"]}, {"agent_log"}),
        ({"include": [], "fields": {"agent_log": ["label"]}}, {"agent_log"}),
        ({"include": ["*"]}, set(EVENTS)),
    ],
)
def test_which_events_are_sent(selection, sent):
    """Those of the usual ones, or the included ones, that are not excluded."""
    chosen = Selection(**selection)
    assert {name for name in EVENTS if chosen.fields_of(name) is not None} == sent


@pytest.mark.parametrize(
    "wrong",
    [{"include": "text_*"}, {"exclude": "text_*"}, {"fields": {"text_chunk": "text"}}],
)
def test_one_text_for_a_list(wrong):
    """A text is a list of letters, and was never meant so."""
    with pytest.raises(errors.ConfigurationError, match="in a list"):
        Selection(**wrong)


def test_usual_fields_exist():
    """Every usual event is one of Dify's, and every usual field one of its class."""
    for name, fields in FIELDS.items():
        known = inspect.signature(EVENTS[name]).parameters
        assert set(fields) <= set(known), name


# -- which fields ----------------------------------------------------------------------


def test_nothing_of_the_inside_by_default():
    """No inputs, prompts, outputs of nodes, error texts, ids, or form tokens leave."""
    secret = {
        name: f"inside {name}"
        for name in (
            *("inputs", "process_data", "error", "node_id", "predecessor_node_id"),
            *("form_token", "form_id", "workflow_id", "created_by", "extras"),
            *("execution_metadata", "raw", "unheard_of"),
        )
    }
    events = [
        on_wire(name, **({"id": "inside id", "text": "ok"} | secret))
        for name in EVENTS
        if name not in {"ping", "error", "human_input_required"}
    ]
    for obj in projected(*events):
        assert "inside" not in json.dumps(obj)
    assert not {"inputs", "error"} & set(FIELDS["node_finished"])


@pytest.mark.parametrize("recording", RECORDINGS)
def test_no_id_of_a_recording_leaves(recording: Recording):
    """Of what real servers sent no id of a run, task, node or workflow is in it."""
    events = list(EventStream(1 << 24).feed(recording.body))
    ids = set()
    for obj in recording.objects:
        data = obj.get("data", {})
        ids |= {obj.get("task_id"), obj.get("workflow_run_id")}
        ids |= {data.get(k) for k in ("workflow_id", "form_token", "form_id")}
        if str(obj["event"]).startswith("node"):  # those of blocks are short words
            ids.add(data["id"])
    sent = json.dumps(projected(*events))
    assert not [found for found in ids - {None} if str(found) in sent]


def test_texts():
    """Most events are texts: the text is there, and nothing else."""
    event = on_wire("text_chunk", text='a "é"\n', from_variable_selector=["n", "text"])
    assert projected(event, TextReplace(text="b")) == [
        {"event": "text_chunk", "data": {"text": 'a "é"\n'}},
        {"event": "text_replace", "data": {"text": "b"}},
    ]


def test_small_numbers_stand_for_ids():
    """The same number each time, so that a page can tell what belongs together."""
    sent = projected(
        IterationStarted(id="it", node_id="it", title="Each"),
        NodeStarted(id="e1", node_id="n", iteration_id="it", title="N"),
        NodeFinished(id="e1", node_id="n", iteration_id="it", status="succeeded"),
        NodeStarted(id="e2", loop_id="lo"),
        LoopStarted(id="lo"),
    )
    ids = [(x["data"]["id"], x["data"].get("iteration_id")) for x in sent]
    assert ids[0][0] == ids[1][1] == ids[2][1] == 1
    assert ids[1][0] == ids[2][0] == 2
    assert sent[3]["data"]["loop_id"] == sent[4]["data"]["id"]
    assert ids[3] == (3, None)


def test_ids_if_asked_for():
    """They are those of the server, in Dify's own shape."""
    event = on_wire("node_started", id="e1", node_id="n1", title="N")
    text = on_wire("text_chunk", text="x")
    first, second = projected(event, text, ids=True)
    assert (first["workflow_run_id"], first["task_id"]) == ("r1", "t1")
    assert first["data"]["id"] == "e1"
    assert second == {
        "event": "text_chunk",
        "workflow_run_id": "r1",
        "task_id": "t1",
        "data": {"text": "x"},
    }


def test_fields_of_ones_own():
    """They take the place of the usual ones, of that event alone."""
    event = on_wire("workflow_started", inputs={"a": 1}, created_at=5)
    (obj,) = projected(event, fields={"workflow_started": ["inputs", "nonsense"]})
    assert obj["data"] == {"inputs": {"a": 1}, "nonsense": None}
    text = on_wire("text_chunk", text="x", from_variable_selector=["n", "text"])
    (obj,) = projected(text, fields={"text_chunk": ["from_variable_selector"]})
    assert obj["data"] == {"from_variable_selector": ["n", "text"]}


@pytest.mark.parametrize("recording", RECORDINGS)
def test_all_fields(recording: Recording):
    """An event that is sent whole is as it came, in the same order."""
    events = list(EventStream(1 << 24).feed(recording.body))
    whole = dict.fromkeys(EVENTS, ALL)
    sent = projected(*events, fields=whole, ids=True)
    came = {json.dumps(obj) for obj in recording.objects if obj["event"] != "error"}
    assert {json.dumps(obj) for obj in sent if obj is not None} == came


NUMBERS = b'{"event":"text_chunk","data":{"text":"\\u00e9","n":1.0E-2,"m":%d}}' % 10**30


def test_an_event_as_it_came():
    """Its bytes are sent, if they are one line, and all of it is to be sent."""
    (event,) = EventStream(1 << 20).feed(b"data: %b\n\n" % NUMBERS)
    whole = Frames(Selection(fields={"text_chunk": ALL}, ids=True), sentence_of)
    assert whole.of_event(event, NUMBERS) == b"id: 1\ndata: %b\n\n" % NUMBERS
    lines = NUMBERS.replace(b",", b",\n")
    assert whole.of_event(event, lines).count(b"\n") == 3
    assert NUMBERS not in whole.of_event(event)
    usual = Frames(Selection(), sentence_of)
    assert NUMBERS not in usual.of_event(event, NUMBERS)
    without_ids = Frames(Selection(fields={"text_chunk": ALL}), sentence_of)
    assert NUMBERS not in without_ids.of_event(event, NUMBERS)


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        (b"data: {}", b"{}"),
        (b"id: 1\nevent: x\ndata:{}", b"{}"),
        (b'data: {"a":\ndata: 1}', b'{"a":\n1}'),
    ],
)
def test_the_data_of_the_last_event(frame, data):
    """It is what the frame of that very event brought."""
    originals = Originals()
    first, last = TextChunk(text="a"), TextChunk(text="a")
    frames = originals.frames([frame, b": a comment"])
    assert originals.of(first) is None
    made = originals.events(each for _, each in zip(frames, [first, last], strict=True))
    assert next(made) is first
    assert originals.of(first) == data
    assert originals.of(last) is None
    assert next(made) is last
    assert originals.of(first) is None


def test_an_event_before_frames_of_no_event():
    """What comes behind an event without one does not take its place."""
    originals = Originals()
    stream = EventStream(1 << 20)
    stream.originals = originals
    chunk = b"data: %b\n\n: a comment\n\n" % NUMBERS
    (event,) = originals.events(stream.feed(chunk))
    assert originals.of(event) == NUMBERS


def test_all_fields_without_ids():
    """What tells the run and the task is left out, in the data as well."""
    event = on_wire("node_started", id="e1", workflow_run_id="r1", odd=[1])
    (obj,) = projected(event, fields={"node_started": ALL})
    assert obj == {"event": "node_started", "data": {"id": 1, "odd": [1]}}


def test_files_among_the_outputs():
    """A page can show and fetch them; whose they are, and where, stays inside."""
    recording = STREAMS["1.12.1-run_file_streaming"]
    events = list(EventStream(1 << 24).feed(recording.body))
    (sent,) = [x for x in projected(*events) if x and x["event"] == "workflow_finished"]
    assert sent["data"]["files"]
    for file in sent["data"]["files"]:
        assert set(file) == {
            *("type", "filename", "extension", "mime_type", "size", "url")
        }
        assert file["filename"] in {"notes.txt", "dot.png"}
    assert "tenant_id" not in json.dumps(sent)
    assert "related_id" not in json.dumps(sent)
    whole = projected(*events, fields={"workflow_finished": ALL})[-1]
    assert "tenant_id" in json.dumps(whole)


def test_what_an_iteration_tells_of_itself():
    """Only how many rounds there are."""
    told = {"iteration_length": 3, "inside": 1}
    odd = on_wire("loop_started", metadata="inside")
    first, second = projected(on_wire("iteration_started", metadata=told), odd)
    assert first["data"]["metadata"] == {"iteration_length": 3}
    assert second["data"]["metadata"] == {}


@pytest.mark.parametrize("selection", [{}, {"fields": {"workflow_finished": ALL}}])
@pytest.mark.parametrize("ids", [False, True])
def test_outputs_that_are_nested_too_deep(selection, ids):
    """They are cut where JSON cannot be written any more; nothing fails."""
    deep: object = "end"
    for n in range(300):
        deep = [deep] if n % 2 else {"a": deep}
    event = on_wire("workflow_finished", status="succeeded", outputs={"deep": deep})
    (obj,) = projected(event, ids=ids, **selection)
    assert obj["data"]["status"] == "succeeded"
    found, depth = obj["data"]["outputs"]["deep"], 0
    while found is not None:
        found = found[0] if isinstance(found, list) else found["a"]
        depth += 1
    assert depth > 100


def test_an_event_whose_fields_are_flat():
    """Speech has its fields beside its name, as Dify has it."""
    assert projected(TtsMessage(audio="aGk=")) == [
        {"event": "tts_message", "audio": "aGk="}
    ]


def test_events_that_have_no_class():
    """They leave only by their name, and with fields that were named."""
    event = on_wire("brand_new", a=1, b=2)
    assert isinstance(event, UnknownEvent)
    assert projected(event) == [None]
    assert projected(event, include=["brand_*"]) == [{"event": "brand_new", "data": {}}]
    assert projected(event, fields={"brand_new": ["a"]}) == [
        {"event": "brand_new", "data": {"a": 1}}
    ]


def test_an_error_is_never_the_servers():
    """What a server says of an error stays inside, whatever is selected."""
    assert projected(Error(message="inside"), include=["*"]) == [None]


def test_events_that_were_made_here():
    """Values that JSON has no form for are written as Dify writes them."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    events = [
        WorkflowStarted(created_at=moment),
        WorkflowFinished(status="succeeded", outputs={"n": Decimal("0.1")}),
        HumanInputRequired(
            actions=(FormAction(id="yes", title="Yes", button_style="primary"),),
            form_token="inside",
        ),
    ]
    started, finished, form = projected(*events)
    assert started["data"]["created_at"] == int(moment.timestamp())
    assert finished["data"]["outputs"] == {"n": "0.1"}
    assert form["data"]["actions"] == [
        {"id": "yes", "title": "Yes", "button_style": "primary"}
    ]
    assert "inside" not in json.dumps(form)


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("fields", [{}, {"workflow_finished": ALL}])
def test_an_end_that_the_runs_detail_told(fields, ids):
    """It is sent as if the stream had told it."""
    detail = models.RunDetail(
        id="r1", status="succeeded", outputs={"a": 1}, raw={"status": "succeeded"}
    )
    (obj,) = projected(event_of_detail(detail), fields=fields, ids=ids)
    assert obj["event"] == "workflow_finished"
    assert (obj["data"]["status"], obj["data"]["outputs"]) == ("succeeded", {"a": 1})
    assert "raw" not in obj["data"]


def test_data_that_is_no_object():
    """An event of a server to come may have any data: nothing fails."""
    event = UnknownEvent(name="odd", raw={"event": "odd", "data": [1]})
    assert projected(event, include=["odd"]) == [{"event": "odd", "data": {}}]


# -- frames ----------------------------------------------------------------------------


def test_frames_are_numbered():
    """From 1, without a gap for what is not sent; an error is the last."""
    frames = Frames(Selection(), sentence_of)
    assert frames.of_event(TextChunk(text="a")) == (
        b'id: 1\ndata: {"event":"text_chunk","data":{"text":"a"}}\n\n'
    )
    assert frames.of_event(Error()) is None
    assert frames.of_event(TextChunk(text="b")).startswith(b"id: 2\n")
    assert frames.of_error(errors.ClientClosed()).startswith(b"id: 3\ndata: {")
    assert frames.last_id == 3
    assert PING == b": ping\n\n"
    assert HEADERS["Content-Type"].startswith("text/event-stream")


def test_a_text_of_many_lines_is_one_line():
    """Whatever breaks lines is escaped, so that a frame cannot be broken."""
    frames = Frames(Selection(), sentence_of)
    data = frames.of_event(TextChunk(text="a\nb\rc\u2028d\n\ndata: e"))
    assert data.count(b"\n") == 3
    assert b"\r" not in data


# -- sentences -------------------------------------------------------------------------

_RESULT = RunResult(error="inside", workflow_run_id="inside")
_MADE = {
    errors.RunFailed: lambda: errors.RunFailed(_RESULT),
    errors.RunStopped: lambda: errors.RunStopped(_RESULT),
    errors.RunPaused: lambda: errors.RunPaused(_RESULT),
    errors.OutputsMismatch: lambda: errors.OutputsMismatch(["inside"]),
    errors.InvalidInputs: lambda: errors.InvalidInputs(["inside"]),
    errors.JournalTooNew: lambda: errors.JournalTooNew(2, 1),
    errors.JournalMismatch: lambda: errors.JournalMismatch({"inside": ("a", "b")}),
}
_CLASSES = sorted(
    {
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.DifyError)
    },
    key=lambda found: found.__name__,
)


@pytest.mark.parametrize("cls", _CLASSES)
def test_a_sentence_for_each_error(cls):
    """It is one for people, and tells nothing of the inside."""
    make = _MADE.get(cls, lambda: cls("inside", run_id="inside", request="inside"))
    obj = error_object(make())
    assert "inside" not in json.dumps(obj)
    assert obj["message"][0].isupper()
    assert obj["message"].endswith(".")
    assert obj["code"] == cls.__name__


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.TooManyRequests("x"), "too much to do"),
        (errors.QuotaExceeded("x"), "no quota"),
        (errors.TotalTimeout("x"), "too long"),
        (errors.ConnectionFailed("x"), "cannot be reached"),
        (errors.ClientClosed("x"), "restarted"),
        (errors.RunInterrupted("x"), "may still be running"),
        (errors.RunFailed(_RESULT), "failed"),
        (errors.OutputsMismatch(["x"]), "failed"),
        (KeyError("x"), "went wrong"),
    ],
)
def test_sentences_tell_what_to_do(error, words):
    """The most fitting one is taken; there is one for whatever else happens."""
    assert words in sentence_of(error)


def test_an_error_with_more_to_tell():
    """Dify's word for it, and how long to wait, are told; a foreign one has no word."""
    error = errors.TooManyRequests("x", code="too_many_requests", retry_after=2.5)
    assert error_object(error, lambda e: type(e).__name__) == {
        "event": "error",
        "code": "too_many_requests",
        "message": "TooManyRequests",
        "retry_after": 2.5,
    }
    assert error_object(KeyError("inside"))["code"] is None


# -- the ring --------------------------------------------------------------------------


def numbered(count: int, *, size: int = 100):
    """Make a ring that holds ten frames of texts, and put in so many."""
    frames = Frames(Selection(), sentence_of)
    ring = Ring(10 * size)
    for n in range(count):
        text = f"{n} ".ljust(size - len(b'id: 1\ndata: {"event":"text_chunk"}'), ".")
        ring.put(frames.of_event(TextChunk(text=text)))
    return ring


def ids_in(data: bytes) -> list[int]:
    """Give the numbers of frames."""
    lines = data.split(b"\n")
    return [int(line[4:]) for line in lines if line.startswith(b"id: ")]


def test_a_ring_that_has_all():
    """A viewer gets what comes after the frame that it has."""
    ring = numbered(5)
    assert (ring.first, ring.last) == (1, 5)
    assert ids_in(ring.since(0)) == [1, 2, 3, 4, 5]
    assert ids_in(ring.since(3)) == [4, 5]
    assert ring.since(5) == ring.since(9) == b""


def test_an_empty_ring():
    """There is nothing to give."""
    assert Ring(10).since(0) == b""


@pytest.mark.parametrize("count", [11, 12, 30, 400])
def test_a_ring_that_is_full(count):
    """Older frames go; who misses them gets their text in one, and how many they were."""
    ring = numbered(count)
    assert ring.last == count
    assert ring.first > 1
    data = ring.since(0)
    assert ids_in(data) == list(range(ring.first - 1, count + 1))
    first, *others = [
        json.loads(frame.partition(b"data: ")[2])
        for frame in data.split(b"\n\n")
        if frame
    ]
    assert first["event"] == "text_replace"
    assert first["missed"] == ring.first - 1
    text = first["data"]["text"] + "".join(x["data"]["text"] for x in others)
    assert [int(word) for word in text.replace(".", "").split()] == list(range(count))


@pytest.mark.parametrize("number", range(35))
def test_a_full_ring_from_anywhere(number):
    """Whatever a viewer has, what it gets goes on from there."""
    ring = numbered(30)
    found = ids_in(ring.since(number))
    if number >= 30:
        assert found == []
    elif number + 1 >= ring.first:
        assert found == list(range(number + 1, 31))
    else:
        assert found[0] == ring.first - 1
        assert found[1:] == list(range(ring.first, 31))


def test_a_ring_tells_that_frames_went():
    """Whoever is behind must be looked for then."""
    ring = Ring(10)
    small = [b'id: %d\ndata: {"event":"x"}\n\n' % n for n in (1, 2)]
    assert not ring.put(small[0])
    assert ring.put(small[1])
    assert ring.since(1) == small[1]


def test_a_text_that_was_replaced_and_went():
    """What it replaced does not come back; frames without a text add nothing."""
    frames = Frames(Selection(fields={"text_chunk": ["odd"]}), sentence_of)
    ring = Ring(1)
    plain = Frames(Selection(), sentence_of)
    ring.put(plain.of_event(TextChunk(text="a")))
    ring.put(plain.of_event(TextReplace(text="b")))
    ring.put(plain.of_event(TtsMessage(audio="")))
    ring.put(frames.of_event(TextChunk(text="c")))
    ring.put(frames.of_event(TextReplace(text="d")).replace(b'"d"', b"null"))
    ring.put(plain.of_event(TextChunk(text="e")))
    first = json.loads(ring.since(0).split(b"\n\n")[0].partition(b"data: ")[2])
    assert first["data"]["text"] == "b"


def test_a_ring_that_lost_no_text():
    """Who comes late gets no event that nobody chose: only a comment tells of the loss."""
    frames = Frames(Selection(), sentence_of)
    ring = Ring(1)
    for _ in range(3):
        ring.put(frames.of_event(TtsMessage(audio="")))
    ring.put(frames.of_event(TextChunk(text="a")))
    data = ring.since(1)
    assert data.startswith(b": 2 frames are gone\n\nid: 4\n")
    assert ids_in(data) == [4]


def test_a_ring_that_lost_a_text_that_was_taken_back():
    """An empty text is one, too: what a page still shows is to go."""
    frames = Frames(Selection(), sentence_of)
    ring = Ring(1)
    for event in (TextChunk(text="a"), TextReplace(text=""), TtsMessage(audio="")):
        ring.put(frames.of_event(event))
    first = json.loads(ring.since(0).split(b"\n\n")[0].partition(b"data: ")[2])
    assert first == {"event": "text_replace", "data": {"text": ""}, "missed": 2}
