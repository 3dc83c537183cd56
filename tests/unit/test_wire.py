"""JSON becomes events and models; what is missing, null or odd becomes a default."""

from __future__ import annotations

import json
import types

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import attrs
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async import _wire, models
from dify_workflow_async.errors import (
    UnexpectedAnswer,
)
from dify_workflow_async.events import (
    EVENTS,
    Ping,
    TextChunk,
    TtsMessage,
    UnknownEvent,
    WorkflowPaused,
)

from ._objects import kind_of, make


NOT_FROM_THE_WIRE = {models.Recovered, models.RunRef, models.RunResult}
MODELS = [
    value
    for name in models.__all__
    if attrs.has(value := getattr(models, name)) and value not in NOT_FROM_THE_WIRE
]
# Fields that also take what is no value of their type (test_type_drift.py).
MORE_FORMS = {
    (models.LogEntry, "created_by_account"),
    (models.UploadedFile, "created_by"),
}
CLASSES: list[type[Any]] = [*EVENTS.values(), *MODELS]
MOMENT = 1705407629
MOMENT_AS_DATETIME = datetime(2024, 1, 16, 12, 20, 29, tzinfo=UTC)


FIELDS = [
    pytest.param(cls, field.name, id=f"{cls.__name__}.{field.name}")
    for cls in CLASSES
    for field in attrs.fields(cls)
    if field.name != "raw"
]

# What can stand for a type, and what that is then.
GOOD: dict[Any, tuple[Any, Any]] = {
    str: ("text", "text"),
    bool: (True, True),
    int: (7, 7),
    float: (0.875, 0.875),
    Decimal: ("0.0000310", Decimal("0.0000310")),
    datetime: (MOMENT, MOMENT_AS_DATETIME),
    Mapping: ({"a": [None]}, {"a": [None]}),
    Any: ([1, None], [1, None]),
}
BAD: dict[Any, list[Any]] = {
    str: [5, 1.5, True, [], ["a"], {}],
    bool: [0, 1, "true", [], {}],
    int: [1.5, "x", "", True, [], [1], {}],
    float: ["x", "", True, [], [1.5], {}],
    Decimal: ["x", "", True, [], {}],
    datetime: ["x", "", 1e300, True, [], {}],
    Mapping: ["x", "", "{", "[1]", 5, True, [], [{}]],
    tuple: ["x", 5, 1.5, True, {}, {"a": 1}],
    Any: [],
}


def bad_values(kind: Any) -> list[Any]:
    return ["x", 5, 1.5, True, [], [{}]] if attrs.has(kind) else BAD[kind]


def defaults(cls: type[Any]) -> Any:
    made = cls()
    for field in attrs.fields(cls):
        value = getattr(made, field.name)
        kind = kind_of(cls, field.name)
        if kind is tuple:
            assert value == ()
        elif field.name in {"text", "title", "reasoning", "audio"}:
            assert value in {"", None}
        elif field.name not in {"raw", "outputs", "tool_icons"}:
            assert value is None
    return made


# -- every field of every class ------------------------------------------------------


@pytest.mark.parametrize(("cls", "name"), FIELDS)
def test_good_value(cls, name):
    """A field takes the wire's value of its own name and type."""
    kind = kind_of(cls, name)
    if kind is tuple:
        (item, _) = get_args(get_type_hints(cls)[name])
        inner = GOOD.get(item, ({"id": "1"}, None))
        sent, expected = [inner[0], None, inner[0]], (inner[1],) * 2
        if attrs.has(item):
            expected = (_wire.structure({"id": "1"}, item),) * 2
    elif attrs.has(kind):
        sent, expected = {"id": "1"}, _wire.structure({"id": "1"}, kind)
    else:
        sent, expected = GOOD[kind]

    made = make(cls, {name: sent})

    assert getattr(made, name) == expected
    assert attrs.evolve(made, **{name: getattr(cls(), name)}) == cls()


@pytest.mark.parametrize(("cls", "name"), FIELDS)
def test_null(cls, name):
    """A null is what a missing field is: the default, and never 'None'."""
    assert make(cls, {name: None}) == defaults(cls)


@pytest.mark.parametrize(
    ("cls", "name"), [x for x in FIELDS if x.values not in MORE_FORMS]
)
def test_wrong_type(cls, name):
    """A value of a wrong type is the default, and stays as sent in ``raw``."""
    for value in bad_values(kind_of(cls, name)):
        assert make(cls, {name: value}) == defaults(cls), value


@pytest.mark.parametrize("cls", CLASSES)
def test_everything_missing_null_or_wrong(cls):
    """An object with no field, all fields null, or all wrong gives the defaults."""
    names = [field.name for field in attrs.fields(cls) if field.name != "raw"]
    wrong = {
        name: bad_values(kind_of(cls, name))
        for name in names
        if (cls, name) not in MORE_FORMS
    }

    assert make(cls, {}) == defaults(cls)
    assert make(cls, dict.fromkeys(names)) == defaults(cls)
    for i in range(max(map(len, wrong.values()), default=0)):
        fields = {name: bad[i % len(bad)] for name, bad in wrong.items() if bad}
        assert make(cls, fields) == defaults(cls)


@pytest.mark.parametrize("cls", CLASSES)
def test_equal_to_one_made_by_hand(cls):
    """What the wire makes has all that the class's own ``__init__`` sets."""
    made = make(cls, {})

    assert made == cls()
    assert repr(made) == repr(cls())
    assert [getattr(made, field.name) is not None for field in attrs.fields(cls)] == [
        getattr(cls(), field.name) is not None for field in attrs.fields(cls)
    ]


@pytest.mark.parametrize("cls", CLASSES)
def test_objects_are_never_shared(cls):
    """Two defaults that can be changed are two objects."""
    one, two = make(cls, {}), make(cls, {})

    for field in attrs.fields(cls):
        value = getattr(one, field.name)
        assert (
            value is None or value in ("", ()) or value is not getattr(two, field.name)
        )


@pytest.mark.parametrize("cls", [c for c in EVENTS.values() if not c.flat])
@pytest.mark.parametrize("data", [None, "text", 5, True, [], [{"id": "1"}]], ids=repr)
def test_data_that_is_no_object(cls, data):
    """An event whose ``data`` is no object still has its ids and its class."""
    obj = {"event": cls.event_name, "task_id": "t", "data": data}

    event = _wire.structure_event(obj)

    assert event == cls(task_id="t")
    assert event.raw is obj


def test_the_fields_of_data_and_of_the_envelope_are_apart():
    """Ids stand beside ``data``, fields in it: neither is taken from elsewhere."""
    obj = {"event": "workflow_paused", "status": "x", "data": {"task_id": "y"}}

    assert _wire.structure_event(obj) == WorkflowPaused()


def test_flat_events_have_their_fields_beside_the_name():
    """Speech and errors have no ``data``, and do not look into one."""
    obj = {"event": "tts_message", "audio": "//uQ", "data": {"audio": "no"}}

    assert _wire.structure_event(obj) == TtsMessage(audio="//uQ")


@pytest.mark.parametrize("cls", CLASSES)
def test_unknown_keys_stay_in_raw(cls):
    """A key that a later server adds changes nothing but ``raw``."""
    made = make(cls, {"added_tomorrow": {"a": 1}})

    assert made == cls()
    if hasattr(cls, "raw"):
        assert "added_tomorrow" in json.dumps(made.raw)


# -- unknown events ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "event"),
    [
        ({}, UnknownEvent()),
        ({"event": None}, UnknownEvent()),
        ({"event": 5}, UnknownEvent()),
        ({"event": ["node_started"]}, UnknownEvent()),
        ({"event": "message", "answer": "Hi"}, UnknownEvent(name="message")),
        (
            {"event": "new", "task_id": "t", "workflow_run_id": "r", "data": 5},
            UnknownEvent(name="new", task_id="t", workflow_run_id="r"),
        ),
        (
            {"event": "new", "task_id": 5, "workflow_run_id": []},
            UnknownEvent(name="new"),
        ),
        ({"event": "Node_Started"}, UnknownEvent(name="Node_Started")),
    ],
    ids=repr,
)
def test_unknown_event(obj, event):
    """An event that nobody knows keeps its name, its ids and all of itself."""
    made = _wire.structure_event(obj)

    assert made == event
    assert made.raw is obj
    assert _wire.event_hook("whatever")(obj) == event


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_event_hooks(name):
    """The functions by name make what `structure_event` makes."""
    obj = {"event": name, "task_id": "t", "data": {}}

    assert _wire.event_hooks()[name](obj) == _wire.structure_event(obj)
    assert type(_wire.event_hook(name)(obj)) is EVENTS[name]
    assert set(_wire.event_hooks()) == set(EVENTS)


# -- models by themselves ------------------------------------------------------------


@pytest.mark.parametrize("obj", [None, [], [{}], "{}", 5, 1.5, True], ids=repr)
@pytest.mark.parametrize("cls", MODELS)
def test_what_is_no_object_is_refused(cls, obj):
    """A model is made of an object, and of nothing else."""
    with pytest.raises(UnexpectedAnswer, match=type(obj).__name__):
        _wire.structure(obj, cls)


def test_lists_lose_what_is_no_item():
    """Nulls and values of a wrong type in a list are left out."""
    chunk = make(TextChunk, {"from_variable_selector": ["a", None, 5, "b", []]})

    assert chunk.from_variable_selector == ("a", "b")


# -- JSON ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 1.5, "\\u4f60", null, true]}', {"a": [1, 1.5, "你", None, True]}),
        ('{"a": "b\u2028c\u0085d"}'.encode(), {"a": "b\u2028c\u0085d"}),
        (b' {"a":1}\r\n', {"a": 1}),
        (b"null", None),
        (b"5", 5),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
    ids=["types", "raw line separators", "spaces", "null", "number", "twice"],
)
def test_loads(data, value):
    """JSON is decoded, whatever kind of value it is."""
    assert _wire.loads(data) == value


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"<html>", b"{'a': 1}", b"\xff", b'"\\ud800"', b"NaN", b"[1,]"),
        *(b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a": "\n"}', b"{}{}"),
    ],
    ids=lambda x: ascii(x)[:20],
)
def test_loads_refuses(data):
    """What is no JSON is an error of ours that quotes the beginning, and chains none."""
    with pytest.raises(UnexpectedAnswer, match="broken JSON") as caught:
        _wire.loads(data)

    assert repr(data[:80].decode("utf-8", "replace")) in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert len(str(caught.value)) < 500


@settings(deadline=None, max_examples=300)
@given(data=st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_loads_raises_nothing_else(data):
    """Any bytes are JSON or an `UnexpectedAnswer`."""
    try:
        value = _wire.loads(data)
    except UnexpectedAnswer:
        return
    # Python's own decoder agrees, but for integers of more than 64 bits.
    assert json.loads(data, parse_int=integer) == value


def integer(digits: str) -> int | float:
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(digits)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(['{"a": 1}', "{", "1e999", "Thu, 18 Jul 2024 03:17:40 -0000"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "TYPE", "size", "raw", "total_price", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


def objects(cls: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = [field.name for field in attrs.fields(cls)]
    return st.dictionaries(
        st.sampled_from([*names, "event", "TYPE", "unknown"]), VALUES, max_size=8
    )


@pytest.mark.parametrize("cls", [*EVENTS.values(), UnknownEvent])
@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_no_object_raises(cls, data):
    """Any JSON object is an event of the class that its name says."""
    fields = data.draw(objects(cls))
    name = cls.event_name or "unknown"
    obj = {**data.draw(st.just({}) | st.just(fields)), "event": name, "data": fields}

    event = _wire.structure_event(obj)

    assert type(event) is cls
    assert event.raw is obj
    assert_types(event)


@pytest.mark.parametrize("cls", MODELS)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_no_object_raises_as_a_model(cls, data):
    """Any JSON object is a model, whose fields are of the types that it says."""
    assert_types(_wire.structure(data.draw(objects(cls)), cls))


def assert_types(made: Any) -> None:
    """Hold every field against its annotation."""
    cls = type(made)
    for name, hint in get_type_hints(cls).items():
        if get_origin(hint) is ClassVar:
            continue
        value = getattr(made, name)
        kind = kind_of(cls, name)
        if value is None:
            assert hint is Any or types.NoneType in get_args(hint), name
        elif kind is tuple:
            (item, _) = get_args(hint)
            assert type(value) is tuple
            assert all(type(each) is item for each in value)
        elif kind is not Any:
            assert type(value) is (dict if kind is Mapping else kind), name
        if attrs.has(kind) and value is not None:
            assert_types(value)


def test_ping_with_data_is_a_ping():
    """Old servers and proxies may write the ping as JSON."""
    assert _wire.structure_event({"event": "ping"}) == Ping()
