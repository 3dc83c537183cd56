"""The tree of executions, as rows of text."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dify_workflow_async.cli._tree import ASCII, UNICODE, Tree
from dify_workflow_async.events import (
    IterationCompleted,
    IterationNext,
    IterationStarted,
    LoopNext,
    LoopStarted,
    NodeFinished,
    NodeRetry,
    NodeStarted,
)
from dify_workflow_async.models import ExecutionMetadata
from dify_workflow_async.views import Nodes, Usage


TREE = Tree(signs=ASCII, seconds=lambda state: 7.0)


def started(number, **more):
    return NodeStarted(
        id=f"e{number}", node_id=f"n{number}", title=f"N{number}", **more
    )


def ended(number, status="succeeded", **more):
    return NodeFinished(id=f"e{number}", status=status, elapsed_time=1.5, **more)


def rows(*events, room=100, tree=TREE):
    nodes = Nodes()
    for event in events:
        nodes.add(event)
    return [text.plain for text in tree.rows(nodes.values(), room)]


def test_nothing():
    """A run that has just begun has no rows."""
    assert rows() == []


def test_nodes():
    """Each tells how it stands, for how long, and what it cost."""
    cost = ExecutionMetadata(
        total_tokens=1200, total_price=Decimal("0.5"), currency="USD"
    )
    free = ExecutionMetadata(total_tokens=0, total_price=Decimal(0), currency="USD")

    assert rows(
        *(started(1), ended(1, execution_metadata=cost)),
        *(started(2), ended(2, "failed", error="no\nluck\x1b[31m")),
        *(started(3), ended(3, "exception", execution_metadata=free)),
        *(started(4), NodeRetry(id="e4", retry_index=1, error="busy")),
        started(5),
    ) == [
        "|- + N1  1.5 s · 1,200 tokens, 0.500000 USD",
        "|- x N2  1.5 s  no luck�[31m",
        "|- x N3  exception · 1.5 s",
        "|- | N4  try 2 · 7.0 s  busy",
        "`- | N5  7.0 s",
    ]


def test_a_node_without_a_title():
    """It is called by its type, and else by its id."""
    typed = NodeStarted(id="a", node_type="llm")
    assert rows(typed, NodeStarted(id="b")) == ["|- | llm  7.0 s", "`- | b  7.0 s"]


def test_rounds():
    """Rounds that are over are one row, with the last three that failed."""
    events = [
        IterationStarted(
            node_id="it", title="Each", metadata={"iteration_length": 1000}
        )
    ]
    for number in range(900):
        events.append(IterationNext(node_id="it", index=number))
        events.append(started(number, iteration_id="it"))
        status = "failed" if number % 200 == 0 else "succeeded"
        cost = ExecutionMetadata(
            total_tokens=2, total_price=Decimal("0.01"), currency="USD"
        )
        if number < 899:
            events.append(ended(number, status, execution_metadata=cost))

    assert rows(*events) == [
        "`- | Each  900/1,000 rounds · 7.0 s",
        "   |- x 899 rounds, 899 nodes  5 failed · 1,798 tokens, 8.99 USD",
        "   |- x N400  1.5 s · 2 tokens, 0.010000 USD",
        "   |- x N600  1.5 s · 2 tokens, 0.010000 USD",
        "   |- x N800  1.5 s · 2 tokens, 0.010000 USD",
        "   `- round 899",
        "      `- | N899  7.0 s",
    ]


def test_a_round_between_two_nodes():
    """The newest round stays open although none of its nodes runs just now."""
    assert rows(
        LoopStarted(node_id="loop", title="Until"),
        LoopNext(node_id="loop", index=1),
        started(1, loop_id="loop"),
        ended(1),
        started(9),
    ) == [
        "|- | Until  1 rounds · 7.0 s",
        "|  `- round 1",
        "|     `- + N1  1.5 s",
        "`- | N9  7.0 s",
    ]


def test_an_iteration_that_has_ended():
    """All of its rounds are one row."""
    assert rows(
        IterationStarted(node_id="it", title="Each"),
        IterationNext(node_id="it", index=0),
        started(1, iteration_id="it"),
        ended(1),
        IterationCompleted(
            node_id="it", title="Each", status="succeeded", elapsed_time=2
        ),
    ) == ["`- + Each  1 rounds · 2.0 s", "   `- + 1 round, 1 node"]


def test_a_round_whose_number_nobody_told():
    """It is a round all the same."""
    assert rows(
        IterationStarted(node_id="it", title="Each"), started(1, iteration_id="it")
    ) == ["`- | Each  0 rounds · 7.0 s", "   `- a round", "      `- | N1  7.0 s"]


def test_a_node_of_an_iteration_that_nobody_heard_of():
    """It is at the root, and not lost."""
    assert rows(started(1, iteration_id="gone")) == ["`- | N1  7.0 s"]


def test_too_many_rows():
    """What runs stays longest, then what failed, then what ended last."""
    events = [started(number) for number in range(50)]
    events += [ended(number) for number in range(45) if number != 7]
    events += [ended(7, "failed")]

    assert rows(*events, room=9) == [
        ":  42 more rows",
        "|- x N7  1.5 s",
        "|- + N43  1.5 s",
        "|- + N44  1.5 s",
        *(f"|- | N{number}  7.0 s" for number in range(45, 49)),
        "`- | N49  7.0 s",
    ]
    assert rows(*events, room=1) == [":  50 more rows"]
    assert len(rows(*events, room=50)) == 50


@pytest.mark.parametrize(
    ("status", "usage", "text"),
    [
        (None, Usage(), "⠋ starting  3.0 s"),
        (
            "running",
            Usage(running=1, finished=2),
            "⠋ running  3.0 s · 1 of 3 nodes running",
        ),
        (
            "failed",
            Usage(
                finished=1,
                failed=1,
                total_tokens=5,
                prices={"USD": Decimal("0.1"), "RMB": Decimal(0)},
            ),
            "✗ failed  3.0 s · 1 node · 1 failed · 5 tokens, 0.100000 USD",
        ),
        ("paused", Usage(), "■ paused  3.0 s"),
    ],
    ids=str,
)
def test_the_run_itself(status, usage, text):
    """One row has the run's status, time, nodes and cost."""
    tree = Tree(signs=UNICODE, seconds=lambda state: 0.0)
    assert tree.head(status, 3.0, usage).plain == text


def test_spinners_turn():
    """The frame chooses the sign, round and round."""
    signs = [UNICODE.of("running", frame)[0] for frame in range(20)]
    assert signs[:10] == signs[10:] == list(UNICODE.spinner)
