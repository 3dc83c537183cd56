"""Events are values that cannot be changed, one class for each name on the wire."""

from __future__ import annotations

import copy
import pickle

import attrs
import pytest

from dify_workflow_async import events, models
from dify_workflow_async._wire import structure_event
from dify_workflow_async.events import EVENTS, Event, NodeFinished, UnknownEvent


CLASSES = [*EVENTS.values(), UnknownEvent]

# Section 3.4 of the specification, without the events of chat apps.
NAMES = {
    *("workflow_started", "node_started", "node_finished", "workflow_finished"),
    *("text_chunk", "text_replace", "error", "ping"),
    *("iteration_started", "iteration_next", "iteration_completed"),
    *("tts_message", "tts_message_end"),
    *("parallel_branch_started", "parallel_branch_finished"),
    *("node_retry", "agent_log"),
    *("loop_started", "loop_next", "loop_completed"),
    *("workflow_paused", "human_input_required", "human_input_form_filled"),
    *("human_input_form_timeout", "reasoning_chunk"),
}


def test_every_event_of_the_specification_has_a_class():
    """The registry has the names of the specification and no others."""
    assert set(EVENTS) == NAMES


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_names(name):
    """A class is registered under its own name, and exported under the same words."""
    cls = EVENTS[name]

    assert cls.event_name == name
    assert cls.__name__ == "".join(word.capitalize() for word in name.split("_"))
    assert getattr(events, cls.__name__) is cls
    assert cls.__name__ in events.__all__


def test_chat_events_have_no_class():
    """Names that only chat apps send become unknown events."""
    for name in ("message", "message_end", "message_file", "agent_thought"):
        assert type(structure_event({"event": name})) is UnknownEvent


@pytest.mark.parametrize("cls", CLASSES)
def test_frozen(cls):
    """No field can be set, and none added."""
    event = cls()

    for field in attrs.fields(cls):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(event, field.name, None)
    with pytest.raises(AttributeError):
        event.surprise = 1
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("cls", CLASSES)
def test_fields_are_keywords_with_defaults(cls):
    """An event can be made by hand from any of its fields, by name only."""
    assert cls() == cls()
    with pytest.raises(TypeError):
        cls("t")
    assert all(field.kw_only for field in attrs.fields(cls))


@pytest.mark.parametrize("cls", CLASSES)
def test_equal_by_value(cls):
    """Two events of one class with the same fields are equal, whatever ``raw``."""
    one = cls(task_id="t", workflow_run_id="r", raw={"a": 1})

    assert one == cls(task_id="t", workflow_run_id="r", raw={"b": 2})
    assert one != cls(task_id="u", workflow_run_id="r", raw={"a": 1})
    assert [other for other in CLASSES if one == other(task_id="t")] == []


@pytest.mark.parametrize("cls", CLASSES)
def test_each_field_counts_for_equality(cls):
    """A difference in any field but ``raw`` makes two events different."""
    for field in attrs.fields(cls):
        different = attrs.evolve(cls(), **{field.name: {"something": "else"}})
        assert (different == cls()) is (field.name == "raw"), field.name


@pytest.mark.parametrize("cls", CLASSES)
def test_hash_by_identity(cls):
    """Events hash although they hold dicts, and two equal ones are two in a set."""
    one, two = cls(raw={"a": 1}), cls(raw={"a": 1})

    assert hash(one) == object.__hash__(one)
    assert one == two
    assert len({one, two}) == 2
    assert cls.__hash__ is object.__hash__


@pytest.mark.parametrize("cls", CLASSES)
def test_raw_is_not_in_repr(cls):
    """The repr does not show ``raw``, which has all fields once more."""
    assert repr(cls(raw={"secret": 1})) == f"{cls.__name__}()"


def test_repr_shows_what_is_set():
    """Most fields of an event are not set, and would hide those that are."""
    event = NodeFinished(task_id="t", title="LLM", index=0)

    assert repr(event) == "NodeFinished(task_id='t', title='LLM', index=0)"


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(cls, protocol):
    """Events go to other processes, ``raw`` included."""
    event = structure_event({"event": cls.event_name or "x", "data": {"id": "1"}})

    again = pickle.loads(pickle.dumps(event, protocol))

    assert type(again) is cls
    assert again == event
    assert again.raw == event.raw


@pytest.mark.parametrize("cls", CLASSES)
def test_copy(cls):
    """A copy shares ``raw``, a deep one does not; both are equal to the original."""
    event = cls(task_id="t", raw={"data": {}})
    shallow, deep = copy.copy(event), copy.deepcopy(event)

    assert shallow == deep == event
    assert shallow.raw is event.raw
    assert deep.raw == event.raw
    assert deep.raw is not event.raw


def test_match_by_class_and_field():
    """Events are made for ``match``."""
    event = NodeFinished(node_type="llm", title="LLM", outputs={"text": "hi"})

    match event:
        case NodeFinished(node_type="llm", outputs={"text": text}):
            assert text == "hi"
        case _:
            pytest.fail("no match")


def test_by_hand_with_nested_models():
    """Events that are made by hand hold models as those from the wire do."""
    file = models.File(id="1", size=3)
    obj = {"event": "node_finished", "data": {"files": [{"id": "1", "size": 3}]}}

    assert structure_event(obj) == NodeFinished(files=(file,))


def test_base_class():
    """The base of all events has no name, and no class but ours derives from it."""
    assert Event.event_name == ""
    assert UnknownEvent.event_name == ""
    assert all(issubclass(cls, Event) for cls in CLASSES)


def test_the_table_of_contents_has_what_is_imported_late():
    """``dir()`` tells the rare events, too, and no other name is made up."""
    assert set(events.__all__) <= set(dir(events))
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchEvent'"):
        _ = events.NoSuchEvent


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


@pytest.mark.parametrize("cls", EVENTS.values())
def test_versions(cls):
    """An event came before it went, and none of its fields came before it."""
    assert len(version(cls.since)) == 3
    assert not cls.gone or version(cls.since) < version(cls.gone)
    for field in attrs.fields(cls):
        since, gone = (field.metadata.get(key, "") for key in ("since", "gone"))
        assert not since or version(since) >= version(cls.since), field.name
        assert not gone or version(gone) > version(since or cls.since), field.name


def test_versions_of_fields():
    """A field that came later, or went, tells so; its default is as any other's."""
    fields = attrs.fields_dict(events.WorkflowStarted)

    assert fields["reason"].metadata == {"since": "1.13.0", "gone": ""}
    assert fields["sequence_number"].metadata == {"since": "", "gone": "1.4.2"}
    assert fields["inputs"].metadata == {}
    assert events.WorkflowStarted().reason is None
    assert events.TextChunk().from_variable_selector == ()
