"""What is seen of a run, made from events alone."""

from __future__ import annotations

import random

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dify_workflow_async import errors
from dify_workflow_async._stream import EventStream
from dify_workflow_async.events import (
    Error,
    IterationCompleted,
    IterationNext,
    IterationStarted,
    LoopCompleted,
    LoopNext,
    LoopStarted,
    NodeFinished,
    NodeRetry,
    NodeStarted,
    TextChunk,
    TtsMessage,
    TtsMessageEnd,
    WorkflowFinished,
    WorkflowPaused,
)
from dify_workflow_async.models import ExecutionMetadata
from dify_workflow_async.views import Nodes, NodeState, Pace, Usage, decode_speech

from ._recordings import STREAMS, Recording


BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RECORDINGS = [pytest.param(each, id=name) for name, each in STREAMS.items()]
ENDED = datetime(2026, 1, 2, 3, 4, 7, tzinfo=UTC)


def cost(tokens: int | None = None, price: str | None = None, **more):
    """Say what an execution cost."""
    total = None if price is None else Decimal(price)
    return ExecutionMetadata(
        total_tokens=tokens, total_price=total, currency="USD", **more
    )


def nodes_of(*events):
    """Add the events up."""
    nodes = Nodes()
    for event in events:
        nodes.add(event)
    return nodes


def start(key: str, node: str = "llm", **more):
    """Start a node."""
    return NodeStarted(id=key, node_id=node, node_type=node, title=node.upper(), **more)


def end(key: str, node: str = "llm", status: str | None = "succeeded", **more):
    """End a node."""
    return NodeFinished(
        id=key, node_id=node, node_type=node, title=node.upper(), status=status, **more
    )


# -- nodes -----------------------------------------------------------------------------


def test_a_node_that_runs():
    """What its start tells is known, and it runs."""
    nodes = nodes_of(start("e1", created_at=BEGAN))
    assert dict(nodes) == {
        "e1": NodeState(
            id="e1", node_id="llm", node_type="llm", title="LLM", started_at=BEGAN
        )
    }
    assert nodes["e1"].is_running
    assert repr(nodes) == "<Nodes 1: 1 run>"


def test_a_node_that_has_ended():
    """Its end adds how, when, and at what cost."""
    nodes = nodes_of(
        start("e1", created_at=BEGAN),
        end(
            "e1",
            finished_at=ENDED,
            elapsed_time=2.5,
            execution_metadata=cost(7, "0.5"),
            error="odd",
        ),
    )
    assert nodes["e1"] == NodeState(
        id="e1",
        node_id="llm",
        node_type="llm",
        title="LLM",
        status="succeeded",
        started_at=BEGAN,
        finished_at=ENDED,
        elapsed_time=2.5,
        total_tokens=7,
        total_price=Decimal("0.5"),
        currency="USD",
        error="odd",
    )
    assert not nodes["e1"].is_running


def test_what_an_event_was_of():
    """Adding tells which execution there is news of; none, if it came before."""
    nodes = Nodes()
    assert nodes.add(start("e1")) is nodes["e1"]
    assert nodes.add(end("e1")) is nodes["e1"]
    assert nodes.add(end("e1")) is None
    assert nodes.add(LoopStarted(node_id="loop")) is nodes["loop"]
    assert nodes.add(LoopNext(node_id="loop", index=1)) is nodes["loop"]
    assert nodes.add(LoopCompleted(node_id="loop")) is nodes["loop"]
    assert nodes.add(WorkflowFinished(status="succeeded")) is None
    assert nodes.add(TextChunk(text="hello")) is None


def test_an_end_without_a_beginning():
    """Events may be lost: the end alone makes a state."""
    nodes = nodes_of(end("e1", status="failed", created_at=BEGAN))
    assert (nodes["e1"].status, nodes["e1"].started_at) == ("failed", BEGAN)


def test_an_end_without_a_status():
    """An end that does not say how is no failure."""
    assert nodes_of(end("e1", status=None))["e1"].status == "succeeded"


def test_events_that_come_again():
    """What has ended does not begin again, and is not paid twice."""
    events = [
        start("e1"),
        NodeRetry(id="e1", retry_index=1, execution_metadata=cost(3)),
        end("e1", execution_metadata=cost(7)),
    ]
    assert dict(nodes_of(*events, *events)) == dict(nodes_of(*events))
    again = nodes_of(events[0], events[1], events[1], events[2])
    assert again["e1"].total_tokens == 10


def test_events_in_another_order():
    """A start after the end changes nothing."""
    nodes = nodes_of(end("e1"), start("e1"))
    assert nodes["e1"].status == "succeeded"


@pytest.mark.parametrize("kind", [NodeStarted, NodeFinished, NodeRetry, LoopStarted])
def test_an_event_without_ids(kind):
    """What cannot be told apart is passed over."""
    assert not nodes_of(kind())


def test_an_event_with_the_id_of_the_node_alone():
    """The node's id takes the place of an execution id that is missing."""
    nodes = nodes_of(NodeStarted(node_id="n1"), NodeFinished(node_id="n1"))
    assert list(nodes) == ["n1"]


def test_retries():
    """Each attempt counts, and costs."""
    nodes = nodes_of(
        start("e1"),
        NodeRetry(id="e1", retry_index=1, error="no", execution_metadata=cost(1, "1")),
        NodeRetry(id="e1", error="no!", execution_metadata=None),
    )
    assert (nodes["e1"].attempts, nodes["e1"].status) == (3, "running")
    assert nodes["e1"].error == "no!"
    nodes.add(end("e1", execution_metadata=cost(2, "0.25")))
    assert nodes["e1"].attempts == 3
    assert nodes["e1"].total_tokens == 3
    assert nodes["e1"].total_price == Decimal("1.25")
    assert nodes["e1"].error is None


# -- iterations and loops --------------------------------------------------------------


def test_an_iteration():
    """Its nodes know it, and their round, which counts from 0."""
    nodes = nodes_of(
        IterationStarted(
            id="it", node_id="it", title="Each", metadata={"iteration_length": 2}
        ),
        IterationNext(node_id="it", index=0),
        start("e1", iteration_id="it"),
        end("e1", iteration_id="it"),
        IterationNext(node_id="it", index=1),
        start("e2", iteration_id="it"),
        end("e2", iteration_id="it", execution_metadata=cost(iteration_index=1)),
        IterationCompleted(node_id="it", status="succeeded", steps=2, elapsed_time=1.0),
        start("e3"),
    )
    assert [x.id for x in nodes.children("it")] == ["e1", "e2"]
    assert [x.round for x in nodes.children("it")] == [0, 1]
    assert [x.id for x in nodes.children()] == ["it", "e3"]
    each = nodes["it"]
    assert (each.node_type, each.title, each.status) == (
        "iteration",
        "Each",
        "succeeded",
    )
    assert (each.rounds, each.expected_rounds, each.elapsed_time) == (2, 2, 1.0)


def test_rounds_side_by_side():
    """Where the end tells another round than was thought, it is right."""
    nodes = nodes_of(
        IterationStarted(node_id="it"),
        IterationNext(node_id="it", index=0),
        IterationNext(node_id="it", index=1),
        start("e1", iteration_id="it"),
        end("e1", iteration_id="it", execution_metadata=cost(iteration_index=0)),
    )
    assert nodes["e1"].round == 0


def test_a_loop():
    """Its rounds count from 1."""
    nodes = nodes_of(
        LoopStarted(node_id="lo", node_type="loop", metadata={"loop_length": "odd"}),
        LoopNext(node_id="lo", index=1),
        start("e1", loop_id="lo"),
        LoopNext(node_id="lo"),
        LoopNext(node_id="lo", index=2),
        start("e2", loop_id="lo"),
        LoopCompleted(node_id="lo", status="failed"),
        LoopCompleted(node_id="lo"),
    )
    assert [x.round for x in nodes.children("lo")] == [1, 2]
    assert (nodes["lo"].rounds, nodes["lo"].expected_rounds) == (2, None)
    assert nodes["lo"].status == "failed"


def test_a_loop_that_is_left_before_its_last_round():
    """Its end tells the most rounds that there might have been, not those that were."""
    nodes = nodes_of(
        LoopStarted(node_id="lo", metadata={"loop_length": 10}),
        LoopNext(node_id="lo", index=1),
        LoopNext(node_id="lo", index=2),
        LoopCompleted(node_id="lo", status="succeeded", steps=10),
    )
    assert (nodes["lo"].rounds, nodes["lo"].expected_rounds) == (2, 10)


def test_an_iteration_that_runs_again():
    """In a loop it begins anew each time: the second has an id of its own."""
    nodes = nodes_of(
        IterationStarted(node_id="it"),
        start("e1", iteration_id="it"),
        IterationCompleted(node_id="it"),
        IterationStarted(node_id="it"),
        IterationStarted(node_id="it"),  # which came again
        start("e2", iteration_id="it"),
        IterationCompleted(node_id="it", status="failed"),
    )
    assert nodes["e1"].parent == "it"
    assert nodes["e2"].parent == "it#2"
    assert [nodes[key].status for key in ("it", "it#2")] == ["succeeded", "failed"]
    assert len(nodes) == 4


def test_a_round_of_an_iteration_whose_start_was_lost():
    """It is made of what is known."""
    nodes = nodes_of(IterationNext(node_id="it"), LoopNext())
    assert (nodes["it"].rounds, nodes["it"].expected_rounds) == (1, None)
    assert "it" in nodes
    assert len(nodes) == 1


def test_a_node_in_an_iteration_that_nobody_told_of():
    """Its parent is named all the same."""
    assert nodes_of(start("e1", iteration_id="it"))["e1"].parent == "it"


# -- the run's end ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (WorkflowFinished(status="stopped"), "stopped"),
        (WorkflowFinished(), "failed"),
        (WorkflowPaused(), "paused"),
        (Error(message="no"), "failed"),
    ],
)
def test_what_runs_when_the_run_ends(last, status):
    """Its end will not come: it has the run's status."""
    nodes = nodes_of(start("e1"), end("e2"), last)
    assert [state.status for state in nodes.values()] == [status, "succeeded"]


def test_going_on_after_a_pause():
    """A node that paused may run, and end."""
    nodes = nodes_of(start("e1"), WorkflowPaused())
    nodes.add(start("e1"))
    assert nodes["e1"].is_running
    nodes.add(WorkflowPaused())
    nodes.add(end("e1"))
    assert nodes["e1"].status == "succeeded"


def test_other_events():
    """Texts tell nothing of nodes, and need not be decoded for them."""
    assert not nodes_of(TextChunk(text="x"))
    assert Nodes.heeds("node_started")
    assert not Nodes.heeds("text_chunk")


# -- usage -----------------------------------------------------------------------------


def test_usage():
    """Tokens and prices add up, by currency."""
    other = ExecutionMetadata(total_price=Decimal("0.3"), currency="RMB")
    nodes = nodes_of(
        start("e1"),
        end("e2", execution_metadata=cost(2, "0.1")),
        end("e3", execution_metadata=cost(3, "0.2"), status="exception"),
        end("e4", execution_metadata=other, status="failed"),
        end("e5", execution_metadata=ExecutionMetadata(total_price=Decimal(1))),
    )
    assert nodes.usage == Usage(
        total_tokens=5,
        prices={"USD": Decimal("0.3"), "RMB": Decimal("0.3"), "": Decimal(1)},
        running=1,
        finished=4,
        failed=2,
    )


def test_usage_at_the_end():
    """What the run's end tells is right, even if events were lost."""
    nodes = nodes_of(end("e2", execution_metadata=cost(2)))
    nodes.add(WorkflowFinished(status="succeeded", total_tokens=40))
    assert nodes.usage.total_tokens == 40


@pytest.mark.parametrize("recording", RECORDINGS)
def test_recordings(recording: Recording):
    """Of what real servers sent all nodes are known, and none runs at the end."""
    stream = EventStream(1 << 24)
    events = list(stream.feed(recording.body))
    nodes = nodes_of(*events)
    started = {e.id for e in events if isinstance(e, NodeStarted)}
    blocks = {
        e.node_id for e in events if isinstance(e, IterationStarted | LoopStarted)
    }
    assert started | blocks <= nodes.keys()
    if stream.outcome is not None:
        assert not any(state.is_running for state in nodes.values())
    for state in nodes.values():
        assert state.parent is None or state.parent in nodes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("recording", RECORDINGS)
def test_recordings_in_any_order(recording: Recording, seed: int):
    """Nothing fails, whatever comes, in whatever order."""
    events = list(EventStream(1 << 24).feed(recording.body))
    random.Random(seed).shuffle(events)
    nodes = nodes_of(*events[: len(events) * 2 // 3])
    assert nodes.usage.finished <= len(nodes)


# -- text ------------------------------------------------------------------------------


def test_pace():
    """The first is due at once, the next after a while, and none comes twice."""
    pace = Pace(2.0)
    assert pace.wait(100.0) == 0
    assert not pace.show("", 100.0)
    assert pace.show("a", 100.0)
    assert pace.wait(101.5) == 0.5
    assert not pace.show("a", 103.0)
    assert pace.wait(103.0) == 0
    assert pace.show("ab", 103.0)
    assert pace.wait(103.0) == 2.0


@pytest.mark.parametrize("every", [-1, float("nan")])
def test_a_pace_that_is_none(every):
    """It is refused, by name."""
    with pytest.raises(errors.ConfigurationError, match="every must be"):
        Pace(every)


# -- speech ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "piece"),
    [
        (TtsMessage(audio="aGVsbG8="), b"hello"),
        (TtsMessage(), b""),
        (TtsMessageEnd(), b""),
        (TextChunk(text="x"), b""),
    ],
)
def test_speech(event, piece):
    """Base64 becomes bytes, and other events bring none."""
    assert decode_speech(event) == piece


@pytest.mark.parametrize("audio", ["a", "aGVsbG8", "aGVs bG8=", "é", "%%%%", "=aGVs"])
def test_speech_that_is_none(audio):
    """What is not base64 is an error of ours, with the run's ids."""
    event = TtsMessage(audio=audio, workflow_run_id="r1", task_id="t1")
    with pytest.raises(errors.UnexpectedAnswer, match="not base64") as caught:
        decode_speech(event)
    assert (caught.value.run_id, caught.value.task_id) == ("r1", "t1")
    assert caught.value.__cause__ is None
