"""Exported apps on the engine send what real servers were recorded to send for them.

What differs, and why, is listed in docs/explanation/fidelity.md.
"""

from __future__ import annotations

import json
import re

from typing import Any

import pytest

from .._shapes import outline
from ._masks import masked


pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTES = "héllo wörld\nline 2".encode()

STREAMS = [
    ("1.12.1", "hello"),
    ("1.12.1", "llm"),
    ("1.12.1", "iteration"),
    ("1.12.1", "loop"),
    ("1.12.1", "parallel"),
    ("1.12.1", "failing_code"),
    ("1.12.1", "partial_default"),
    ("1.12.1", "retry_ok"),
    ("1.14.2", "hello"),
    ("1.14.2", "llm"),
    ("1.14.2", "iteration"),
    ("1.14.2", "loop"),
    ("1.14.2", "parallel"),
    ("1.14.2", "failing_code"),
    ("1.14.2", "partial_default"),
]

# Nodes that show more as their inputs than they did: all their settings, or the
# variables of a prompt.
TALKATIVE = {"assign", "llm"}

BRANCHES = {"b1", "b2", "b3"}  # of `parallel`


def texts(events: list[Any]) -> list[tuple[tuple[str, ...], str]]:
    """Tell the pieces of text, with where each is from."""
    return [
        (tuple(event["data"]["from_variable_selector"]), event["data"]["text"])
        for event in events
        if event["event"] == "text_chunk"
    ]


def values(events: list[Any]) -> dict[tuple[str, str, Any], list[Any]]:
    """Tell what nodes and containers got and gave, by event, node and lap."""
    told: dict[tuple[str, str, Any], list[Any]] = {}
    for event in events:
        data = event["data"]
        if event["event"] in ("node_finished", "iteration_completed", "loop_completed"):
            lap = json.dumps(
                {
                    key: value
                    for key, value in (data["execution_metadata"] or {}).items()
                    if key.endswith("_index")
                }
            )
            key = (event["event"], data["node_id"], lap)
            told[key] = masked(
                [
                    *(data["inputs"], data["outputs"], data["status"], data["error"]),
                    data.get("process_data"),
                ]
            )
    return told


def in_order(events: list[Any]) -> list[Any]:
    """Outline events; those of branches side by side may come in any order."""
    sides = [
        number
        for number, event in enumerate(events)
        if event["data"].get("node_id") in BRANCHES
    ]
    lines = outline(events)
    if not sides:
        return lines
    # Nothing else comes in between, and each node begins before it ends.
    assert sides == list(range(sides[0], sides[0] + 2 * len(BRANCHES)))
    begun = [events[number]["data"]["id"] for number in sides]
    assert all(begun.count(execution) == 2 for execution in begun)
    first, last = sides[0], sides[-1] + 1
    return [*lines[:first], *sorted(map(str, lines[first:last])), *lines[last:]]


def recorded_inputs(recorded: Any, version: str, name: str) -> dict[str, Any]:
    """Read what a recorded run was started with."""
    request = recorded.path(version, name).with_suffix(".req").read_bytes()
    inputs: dict[str, Any] = json.loads(request.partition(b"\r\n\r\n")[2])["inputs"]
    return inputs


def without_pings(events: list[Any]) -> list[Any]:
    """Leave the pings out."""
    return [event for event in events if event != "ping"]


@pytest.mark.parametrize(("version", "name"), STREAMS)
async def test_stream_is_like_recorded(version, name, apps, servers, play, recorded):
    """Events have the recorded order, keys and types, nodes the recorded values."""
    recording = f"run_{name}_streaming"
    known = without_pings(recorded.stream(recorded.path(version, recording)))
    inputs = recorded_inputs(recorded, version, recording)
    sent = await play(servers[version], apps[name], inputs)

    assert in_order(sent) == in_order(known)
    recorded.hold_against(version, sent)
    assert masked(texts(sent)) == masked(texts(known))
    ends = [masked(event["data"]["outputs"]) for event in (sent[-1], known[-1])]
    assert ends[0] == ends[1]
    ours, theirs = values(sent), values(known)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        first = 1 if key[1] in TALKATIVE else 0
        assert ours[key][first:] == value[first:], key


@pytest.mark.parametrize("version", ["1.12.1", "1.14.2"])
async def test_files_are_like_recorded(version, apps, servers, play, upload, recorded):
    """A run with files tells them, and reads them, as recorded."""
    known = without_pings(recorded.stream(recorded.path(version, "run_file_streaming")))
    server, app = servers[version], apps["file"]
    notes = await upload(server, app, "notes.txt", "text/plain", NOTES)
    dot = await upload(server, app, "dot.png", "image/png", bytes(69))
    files = [
        {"transfer_method": "local_file", "upload_file_id": file["id"], "type": kind}
        for file, kind in ((notes, "document"), (dot, "image"))
    ]
    sent = await play(server, app, {"doc": files[0], "more": files[::-1]})

    recorded.hold_against(version, sent)
    assert outline(sent) == outline(known)
    ours, theirs = values(sent), values(known)
    assert ours == theirs
    links = re.compile(r"\(http[^)]*/files/")
    pieces = [
        [(selector, links.split(text)[0]) for selector, text in texts(events)]
        for events in (sent, known)
    ]
    assert pieces[0] == pieces[1]


BLOCKING = [
    ("1.12.1", "hello"),
    ("1.12.1", "inputs"),
    ("1.12.1", "failing_code"),
    ("1.12.1", "large_template"),
    ("1.12.1", "llm"),
    ("1.14.2", "hello"),
    ("1.14.2", "human"),
]
TOLD = ("status", "outputs", "error", "total_tokens", "total_steps", "paused_nodes")


def form_of(reason: dict[str, Any]) -> list[Any]:
    """Tell a form, in the order of its keys, without what is of one run."""
    own = ("form_id", "form_token", "expiration_time")
    return [(key, None if key in own else value) for key, value in reason.items()]


@pytest.mark.parametrize(("version", "name"), BLOCKING)
async def test_blocking_answer_is_like_recorded(
    version, name, apps, servers, call, recorded
):
    """A blocking run answers with the recorded outputs, error, counts and forms."""
    recording = "human_blocking" if name == "human" else f"run_{name}_blocking"
    known = recorded.json(version, recording)
    body = {
        "inputs": recorded_inputs(recorded, version, recording),
        "response_mode": "blocking",
        "user": "u1",
    }
    server = servers[version]
    _, sent = await call(server, apps[name], "POST", "/workflows/run", json=body)

    assert [*sent] == [*known]
    assert [*sent["data"]] == [*known["data"]]
    ours, theirs = (
        {key: masked(one["data"].get(key)) for key in TOLD} for one in (sent, known)
    )
    assert ours == theirs
    forms = [one["data"].get("reasons", []) for one in (sent, known)]
    assert [*map(form_of, forms[0])] == [*map(form_of, forms[1])]


async def test_pause_and_answer_are_like_recorded(
    apps, servers, play, call, start, recorded, session, parse_frames
):
    """A form is told, and its answer followed to the end, as recorded."""
    version = "1.14.2"
    server, app = servers[version], apps["human"]
    known = without_pings(recorded.stream(recorded.path(version, "human_streaming")))
    sent = await play(server, app, {"query": "please"})
    recorded.hold_against(version, sent)
    assert outline(sent) == outline(known)
    required, known_required = sent[-2]["data"], known[-2]["data"]
    for key in ("form_content", "inputs", "actions", "resolved_default_values"):
        assert required[key] == known_required[key]
    assert [*required["inputs"][0]] == [*known_required["inputs"][0]]

    run_id = sent[0]["workflow_run_id"]
    headers = {"Authorization": f"Bearer {app.key}"}
    url = f"{server.base_url}/workflow/{run_id}/events"
    async with session.get(url, headers=headers, params={"user": "u1"}) as response:
        path = f"/form/human_input/{required['form_token']}"
        answer = {"comment": "no", "level": "low"}
        body = {"inputs": answer, "action": "reject", "user": "u1"}
        assert await call(server, app, "POST", path, json=body) == (200, {})
        rest = without_pings(parse_frames(await response.read()))
    known = without_pings(
        recorded.stream(recorded.path(version, "events_after_submit"))
    )
    recorded.hold_against(version, rest)
    assert outline(rest) == outline(known)
    assert values(rest) == values(known)
    assert texts(rest) == texts(known)
    assert rest[2]["data"] == known[2]["data"]


async def test_parameters_are_like_recorded(apps, servers, call, recorded):
    """The form of the inputs and the features are those of the exported app."""
    server = servers["1.14.2"]
    _, sent = await call(server, apps["inputs"], "GET", "/parameters")
    assert sent == recorded.json("1.14.2", "parameters_inputs")


async def test_running_detail_is_like_recorded(
    apps, servers, call, start, until, recorded
):
    """A run that goes on has the recorded detail, and its inputs."""
    server, app = servers["1.14.2"], apps["slow"]
    async with start(server, app, {"seconds": 20}) as response:
        await until(response, "node_started")
        run = server.runs[-1]
        _, sent = await call(server, app, "GET", f"/workflows/run/{run.id}")
        path = f"/workflows/tasks/{run.task_id}/stop"
        await call(server, app, "POST", path, json={"user": "u1"})
        await response.read()
    known = recorded.json("1.14.2", "detail_running")
    own = {"id", "workflow_id", "created_at", "inputs"}
    assert [*sent] == [*known]
    assert sent | dict.fromkeys(own) == known | dict.fromkeys(own)


async def test_stopped_stream_is_like_recorded(
    apps, servers, call, start, until, parse_frames, recorded
):
    """A stop ends the stream with the recorded event; its last node stays open."""
    server, app = servers["1.14.2"], apps["slow"]
    known = without_pings(
        recorded.stream(recorded.path("1.14.2", "stop_slow_streaming"))
    )
    async with start(server, app, {"seconds": 20}) as response:
        while (await until(response, "node_started"))["data"]["node_id"] != "http":
            pass
        path = f"/workflows/tasks/{server.runs[-1].task_id}/stop"
        await call(server, app, "POST", path, json={"user": "u1"})
        await response.read()
    sent = server.runs[-1].events
    assert outline(sent) == outline(known)
    recorded.hold_against("1.14.2", sent)
    assert sent[-1]["data"]["error"] == known[-1]["data"]["error"]


async def test_running_snapshot_is_like_recorded(
    apps, servers, call, start, until, session, recorded
):
    """Who joins a run that goes on is first told the recorded snapshot."""
    server, app = servers["1.14.2"], apps["slow_steps"]
    known = recorded.stream(recorded.path("1.14.2", "events_running_snapshot"))[1:7]
    async with start(server, app, {"seconds": 1}) as response:
        while (await until(response, "node_started"))["data"]["node_id"] != "step2":
            pass
        run = server.runs[-1]
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}/workflow/{run.id}/events"
        query = {"user": "u1", "include_state_snapshot": "true"}
        async with session.get(url, headers=headers, params=query) as joined:
            snapshot = [await until(joined, event["event"]) for event in known]
        path = f"/workflows/tasks/{run.task_id}/stop"
        await call(server, app, "POST", path, json={"user": "u1"})
        await response.read()
    assert outline(snapshot) == outline(known)
