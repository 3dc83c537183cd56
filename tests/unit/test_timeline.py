"""Where the time of a run went, made from events alone."""

from __future__ import annotations

import json

from datetime import timedelta
from itertools import groupby

import attrs
import pytest

from dify_workflow_async._wire import structure_event
from dify_workflow_async.events import (
    Error,
    IterationStarted,
    LoopStarted,
    NodeFinished,
    NodeStarted,
    TextChunk,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from dify_workflow_async.timeline import Timeline
from dify_workflow_async.timeline._clock import Clock

from ._recordings import HOME, STREAMS, VERSIONS
from ._told import BEGAN, RUN, Told, everything, parallel_rounds


def after(seconds):
    return BEGAN + timedelta(seconds=seconds)


def rows(timeline):
    """Each bar as its row, its depth and its title."""
    return [(x.lane, x.depth, x.state.title) for x in timeline.bars]


def times(timeline):
    """When each bar begins and ends, by the id of its execution."""
    return {x.state.id: (round(x.start, 6), round(x.end, 6)) for x in timeline.bars}


# -- when ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([0, 0, 2, 2, 5], [0, 0, 1, 1, 5]),
        ([0, None, 1], [0, 0, 0]),
        ([7, 3, 9], [0, 0, 2]),
        ([0.25, 1.5, 1.75], [0, 1.25, 1.5]),
    ],
    ids=["whole", "untold", "backwards", "exact"],
)
def test_moments_alone(told, found):
    """An event is never more than a second off, and never before the first."""
    clock = Clock()
    moments = [None if x is None else after(x) for x in told]
    assert [clock.at(moment) for moment in moments] == pytest.approx(found, abs=1)
    assert clock.at(None) == pytest.approx(max(found), abs=1)


@pytest.mark.parametrize("phase", [0.0, 0.2, 0.55, 0.9])
def test_nodes_one_after_another(phase):
    """Whole seconds and what each took give the times of all, without a gap."""
    run, at = Told(phase), 0.0
    took = [0.02, 0.4, 1.7, 0.001, 2.25, 0.6]
    for number, seconds in enumerate(took):
        run.node(f"n{number}", at, seconds)
        at += seconds
    bars = Timeline.of(run.done(at).events).bars
    assert [bar.seconds for bar in bars] == pytest.approx(took)
    assert [bar.start for bar in bars] == pytest.approx(
        [sum(took[:n]) for n in range(len(took))], abs=0.01
    )


def test_nodes_at_the_same_time():
    """What began before the other's end is not put behind it."""
    run = Told().node("a", 0, 3).node("b", 0.1, 1).node("c", 3.1, 1).done(4.1)
    found = times(Timeline.of(run.events))
    assert found == {"e1": (0, 3), "e2": (0, 1), "e3": (3, 4)}


def test_a_summary_of_nodes_at_the_same_time():
    """Where events come in another order than their times, their seconds count."""
    first = Told().node("n", 0, 10).events
    second = [attrs.evolve(x, id="e2", node_id="m") for x in first[1:]]
    found = times(Timeline.of([*first, *second]))
    assert found["e1"] == (0, 10)
    assert found["e2"][0] <= 1


def test_a_node_that_waits_for_a_person():
    """It is as long as it took, although the server counts only what it did itself."""
    begun = NodeStarted(id="e1", node_id="ask", created_at=after(0))
    ended = NodeFinished(
        id="e1", status="succeeded", elapsed_time=0.02, finished_at=after(60)
    )
    paused = WorkflowPaused(elapsed_time=0.1)
    again = WorkflowStarted(reason="resumption", created_at=after(60), **RUN)
    timeline = Timeline.of([WorkflowStarted(created_at=BEGAN), begun, paused])
    assert (timeline.status, timeline.bars[0].state.status) == ("paused", "paused")
    timeline.add(again)
    assert timeline.status == "running"
    timeline.add(begun)
    timeline.add(ended)
    assert times(timeline)["e1"] == (0, pytest.approx(60, abs=1))


@pytest.mark.parametrize(
    ("end", "found"),
    [
        ({}, 3),
        ({"elapsed_time": 2.5}, 2.5),
        ({"elapsed_time": -1.0}, 0),
        ({"elapsed_time": 1.7e308}, 1e8),
        ({"finished_at": after(3)}, 3),
        ({"finished_at": after(-5)}, 0),
        ({"elapsed_time": 2.5, "finished_at": after(2)}, 2.5),
        ({"elapsed_time": 0.1, "finished_at": after(60)}, 60),
    ],
    ids=str,
)
def test_ends_that_tell_little_or_nonsense(end, found):
    """An end is told by what there is, and is never before the beginning."""
    timeline = Timeline.of(
        [
            WorkflowStarted(created_at=BEGAN),
            NodeStarted(id="e1", created_at=BEGAN),
            NodeStarted(id="e2", created_at=after(3)),
            NodeFinished(id="e1", status="succeeded", **end),
        ]
    )
    assert timeline.bars[0].start == 0
    assert timeline.bars[0].seconds == pytest.approx(found, abs=1)


def test_an_end_without_a_beginning():
    """It has the time that it tells."""
    timeline = Timeline.of([NodeFinished(id="e1", elapsed_time=2, created_at=BEGAN)])
    assert times(timeline) == {"e1": (0, 2)}


def test_what_came_before():
    """Events that come again change nothing."""
    events = everything().events
    once = Timeline.of(events)
    twice = Timeline.of([x for event in events for x in (event, event)])
    assert times(twice) == times(once)
    assert rows(twice) == rows(once)


# -- the run ---------------------------------------------------------------------------


def test_nothing_yet():
    """A timeline without events is there, and empty."""
    timeline = Timeline()
    assert timeline.bars == ()
    assert (timeline.status, timeline.workflow_run_id, timeline.seconds) == (
        None,
    ) * 2 + (0,)
    assert repr(timeline) == "<Timeline 0 bars, 0.000 s, run=None>"


def test_what_tells_nothing():
    """Texts are no part of it, and need not be decoded for it."""
    timeline = Timeline.of([TextChunk(text="hello", **RUN)])
    assert timeline.status is None
    assert not Timeline.heeds("text_chunk")
    assert all(map(Timeline.heeds, ["workflow_started", "node_retry", "loop_next"]))


def test_a_run_that_goes_on():
    """What runs is as long as the last event tells."""
    run = Told().node("a", 0, 1).node("b", 1, 9, ends=False).node("c", 4, 1)
    timeline = Timeline.of(run.events)
    assert timeline.status == "running"
    assert timeline.workflow_run_id == "run-1"
    assert {x.state.title: x.state.is_running for x in timeline.bars} == {
        "a": False,
        "b": True,
        "c": False,
    }
    assert times(timeline)["e2"] == (1, 5)
    assert timeline.seconds == 5


@pytest.mark.parametrize(
    ("end", "status", "seconds"),
    [
        (WorkflowFinished(status="stopped", elapsed_time=4.25), "stopped", 4.25),
        (WorkflowFinished(elapsed_time=4.25, finished_at=after(4)), "failed", 4.25),
        (WorkflowFinished(status="succeeded"), "succeeded", 0),
        (WorkflowPaused(elapsed_time=1.5), "paused", 1.5),
        (Error(message="no"), "failed", 0),
    ],
    ids=["stopped", "without-status", "without-time", "paused", "error"],
)
def test_the_end_of_a_run(end, status, seconds):
    """What still ran has the status of the run, and ends with it."""
    begun = NodeStarted(id="e1", created_at=BEGAN)
    timeline = Timeline.of([WorkflowStarted(created_at=BEGAN), begun, end])
    assert timeline.status == status
    assert timeline.seconds == seconds
    (bar,) = timeline.bars
    assert (bar.state.status, bar.end) == (status, seconds)


def test_only_the_end_of_a_run():
    """A run that had ended when its stream was opened tells how long it took."""
    end = WorkflowFinished(status="succeeded", elapsed_time=3.5, finished_at=after(9))
    assert Timeline.of([end]).seconds == 3.5


def test_a_run_that_was_joined_late():
    """The time before is in no bar: only the run itself tells of it."""
    run = Told().node("a", 0, 5).node("b", 5.1, 1).done(6.2)
    joined = Timeline.of(run.events[3:])
    assert times(joined) == {"e2": (0, 1)}
    assert joined.seconds == pytest.approx(1, abs=1)


def test_what_it_used():
    """Tokens and prices are those of the nodes."""
    usage = Timeline.of(everything().events).usage
    assert usage.total_tokens == 1810
    assert str(usage.prices["USD"]) == "0.014"


# -- where -----------------------------------------------------------------------------


def test_rows_of_nodes():
    """Each node has a row, those of an iteration below it, and its rounds beside another."""
    assert rows(Timeline.of(everything().events)) == [
        (0, 0, "Start"),
        (1, 0, "Classify"),
        (2, 0, "Search"),
        (3, 0, "Fetch"),
        (4, 0, "Each"),
        (5, 1, "Write"),
        (5, 1, "Write"),
        (6, 1, "Clean"),
        (6, 1, "Clean"),
        (7, 0, "Sum"),
        (8, 0, "Answer"),
    ]


def test_rounds_and_tries():
    """A bar has the state of its execution."""
    bars = {x.state.id: x for x in Timeline.of(everything().events).bars}
    assert bars["e4"].state.attempts == 3
    assert [bars[key].state.round for key in ("e5", "e7")] == [0, 1]
    assert {bars[key].parent for key in ("e5", "e6", "e7", "e8")} == {"Each"}
    assert [key for key, bar in bars.items() if bar.is_block] == ["Each"]


def test_rounds_at_the_same_time():
    """Bars of one row never overlap, and the rows of a node are next to each other."""
    timeline = Timeline.of(parallel_rounds(40).events)
    assert len(timeline.bars) == 201
    last = {}
    for bar in timeline.bars:
        assert bar.start >= last.get(bar.lane, 0)
        last[bar.lane] = bar.end
    titles = {bar.lane: bar.state.title for bar in timeline.bars}
    assert [title for title, _ in groupby(titles.values())] == ["Each", *"abcde"]
    assert max(last) < 1 + 5 * 8


def nested(**more):
    """Tell of a loop in an iteration; no event tells that it is in there."""
    run = Told().block("iteration", "outer", 0, 9, rounds=3)
    for index in range(3):
        at = 0.01 + 3 * index
        run.node("plan", at, 0.7, inside=("iteration", "outer"), index=index)
        run.block("loop", "inner", at + 0.71, 2.1, rounds=2, **more)
        for turn in range(2):
            start = at + 0.72 + turn
            run.node("write", start, 0.9, inside=("loop", "inner"), index=turn + 1)
    return run


def test_a_loop_in_an_iteration():
    """It lies in the iteration, which waits for it."""
    timeline = Timeline.of(nested().node("end", 9.1, 0.1).done(9.3).events)
    assert sorted(set(rows(timeline))) == [
        (0, 0, "outer"),
        (1, 1, "plan"),
        (2, 1, "inner"),
        (3, 2, "write"),
        (4, 0, "end"),
    ]
    assert len(timeline.bars) == 1 + 3 + 3 + 6 + 1
    inner = [bar for bar in timeline.bars if bar.state.title == "inner"]
    assert [bar.state.id for bar in inner] == ["inner", "inner#2", "inner#3"]
    assert {bar.parent for bar in inner} == {"outer"}
    assert {x.parent for x in timeline.bars if x.state.title == "write"} == {
        *("inner", "inner#2", "inner#3")
    }


def test_a_loop_in_an_iteration_that_goes_on():
    """It is in there before it has ended, too."""
    events = nested().events
    begun = next(n for n, event in enumerate(events) if isinstance(event, LoopStarted))
    depths = {
        title: depth for _, depth, title in rows(Timeline.of(events[: begun + 3]))
    }
    assert depths == {"outer": 0, "plan": 1, "inner": 1, "write": 2}


def test_iterations_in_one_another_without_end():
    """A server may begin as many as it likes."""
    begun = [IterationStarted(id=f"e{x}", node_id=f"n{x}") for x in range(1200)]
    timeline = Timeline.of([WorkflowStarted(created_at=BEGAN), *begun])
    assert len(timeline.bars) == 1200


def test_a_loop_beside_an_iteration():
    """One that goes on while nodes of the other begin is in another branch."""
    run = Told().block("iteration", "one", 0, 4).block("loop", "other", 0.1, 3)
    for at in range(3):
        run.node("a", at + 0.2, 0.7, inside=("iteration", "one"), index=0)
        run.node("b", at + 0.2, 0.5, inside=("loop", "other"), index=1)
    found = {title: depth for _, depth, title in rows(Timeline.of(run.events))}
    assert found == {"one": 0, "other": 0, "a": 1, "b": 1}


def test_a_loop_beside_a_node_of_an_iteration():
    """An iteration of which a node runs does not wait for a loop that begins."""
    run = Told().block("iteration", "one", 0, 4).block("loop", "other", 1, 1)
    run.node("a", 0.2, 3, inside=("iteration", "one"), index=0)
    run.node("b", 1.2, 0.5, inside=("loop", "other"), index=1)
    found = {title: depth for _, depth, title in rows(Timeline.of(run.events))}
    assert found == {"one": 0, "a": 1, "other": 0, "b": 1}


@pytest.mark.parametrize("parent", ["lost", "e1"])
def test_parents_that_make_no_sense(parent):
    """A parent that nobody heard of, or a node that is its own, is none."""
    told = NodeStarted(id="e1", node_id="n", iteration_id=parent, created_at=BEGAN)
    (bar,) = Timeline.of([told]).bars
    assert (bar.lane, bar.depth) == (0, 0)


# -- real servers ----------------------------------------------------------------------


def executions(objects):
    """The ids of the executions in a recorded stream, counted without the package."""
    found = set()
    for each in objects:
        name, data = each["event"], each.get("data") or {}
        if name.startswith("node_"):
            found.add(data["id"])
        elif name.startswith(("iteration_", "loop_")):
            found.add(data["node_id"])
    return found


@pytest.mark.parametrize("recording", STREAMS.values(), ids=lambda each: each.name)
def test_a_recorded_run(recording):
    """It has a bar for each execution, which lies in the run and in what is around it."""
    timeline = Timeline.of(map(structure_event, recording.objects))
    bars = {bar.state.id: bar for bar in timeline.bars}
    assert set(bars) == executions(recording.objects)
    for bar in bars.values():
        assert 0 <= bar.start <= bar.end <= timeline.seconds + 0.001
        if (around := bars.get(bar.parent or "")) is not None:
            assert around.depth == bar.depth - 1
            assert bar.start >= around.start
            assert bar.lane > around.lane
    for event in recording.objects:
        if event["event"] == "node_finished" and "snapshot" not in recording.name:
            took = event["data"]["elapsed_time"]
            assert bars[event["data"]["id"]].seconds >= took - 0.001


# Runs whose events came as they happened, and which began when the stream did.
HEARD = [
    *("run_hello", "run_iteration", "run_loop", "run_parallel", "run_llm"),
    *("run_failing_code", "run_file", "run_partial_default", "stop_slow"),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", HEARD)
def test_a_recorded_run_against_the_clock(version, name):
    """A bar ends when its event arrived, to much less than the second that it tells."""
    path = HOME / version / f"{name}_streaming.http"
    timeline, arrivals = Timeline(), {}
    for seconds, event in arrived(path):
        timeline.add(event)
        if event.event_name in {
            "node_finished",
            "iteration_completed",
            "loop_completed",
        }:
            arrivals[event.id] = seconds
    ended = [bar for bar in timeline.bars if bar.state.id in arrivals]
    off = [abs(bar.end - arrivals[bar.state.id]) for bar in ended]
    assert off
    # One server told that the first node took half a second, and sent it at once.
    assert max(off) < (0.6 if (version, name) == (VERSIONS[0], "run_llm") else 0.3)


def arrived(path):
    """The events of a recording, and when the last byte of each arrived."""
    got = json.loads(path.with_suffix(".timing").read_text())["recv"]
    raw, first, at = path.read_bytes(), None, 0
    while (at := raw.find(b"data: {", at)) >= 0:
        end = raw.index(b"\n\n", at)
        event = structure_event(json.loads(raw[at + 6 : end]))
        seconds = next(x for x, offset, length in got if offset + length >= end)
        first = seconds if first is None else first
        yield seconds - first, event
        at = end
