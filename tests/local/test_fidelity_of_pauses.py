"""What is told of paused runs, and of joined and listed ones, looks as recorded."""

import json
import re

import pytest

from dify_workflow_async.local import LocalServer

from ._shapes import VERSIONS, Shape, exchange, head_of, outline, shapes


NEW = "1.14.2"
ANSWER = {"action": "reject", "inputs": {"comment": "no", "level": "low"}, "user": "u1"}


@pytest.fixture
async def paused(mirrored, stream):
    """Give a server with a run that waits for a person, its app and the run."""
    app, inputs = mirrored["human"]
    async with LocalServer([app], close_delay=0) as server:
        await stream(server, app, inputs=inputs)
        (run,) = server.runs
        yield server, app, run


async def test_snapshot_of_paused_run_is_like_recorded(paused, join, recorded):
    """A reader of a paused run is told its nodes, its form and its pause, then EOF."""
    server, app, run = paused
    path = recorded.path(NEW, "events_paused_snapshot")
    async with join(server, app, run, include_state_snapshot="true") as response:
        sent = recorded.parse(await response.read())
    known = recorded.stream(path)
    assert sent[0] == "ping"
    assert outline(sent) == outline(known)
    for name, shape in shapes(known).items():
        assert not shape.faults(shapes(sent)[name]), name
    assert list(sent[1]["data"]["inputs"]) == list(known[1]["data"]["inputs"])
    assert {event["task_id"] for event in sent[1:]} == {run.task_id}
    assert "{query}" in sent[-2]["data"]["form_content"]  # as the workflow has it


async def test_snapshot_of_running_run_is_like_recorded(
    mirrored, post_run, join, ask, recorded
):
    """A reader of a running run is told its nodes, reduced, and then live events."""
    app, inputs = mirrored["chain"]
    async with (
        LocalServer([app], close_delay=0) as server,
        post_run(server, app, inputs=inputs) as original,
    ):
        body = b""
        while b'"title":"Step 2"' not in body:
            body += await original.content.readany()
        (run,) = server.runs
        async with join(server, app, run, include_state_snapshot="TRUE") as response:
            path = f"/workflows/tasks/{run.task_id}/stop"
            await ask(server, app, "POST", path, json={"user": "u"})
            sent = recorded.parse(await response.read())
    *snapshot, end = sent[1:]
    known = recorded.stream(recorded.path(NEW, "events_running_snapshot"))[1:7]
    assert outline(snapshot) == outline(known)
    for name, shape in shapes(known).items():
        assert not shape.faults(shapes(snapshot)[name]), name
    assert {event["task_id"] for event in snapshot} == {run.id}
    recorded.hold_against(NEW, [end])
    assert (end["event"], end["task_id"]) == ("workflow_finished", run.task_id)


async def test_resumed_run_is_like_recorded(paused, join, ask, recorded):
    """After its form was submitted a run goes on, and who joined it reads that."""
    server, app, run = paused
    path = recorded.path(NEW, "events_after_submit")
    async with join(server, app, run) as response:
        submit = f"/form/human_input/{run.form.token}"
        assert await ask(server, app, "POST", submit, json=ANSWER) == (200, {})
        sent = recorded.parse(await response.read())
    known = recorded.stream(path)
    assert outline(sent) == outline(known)
    recorded.hold_against(NEW, sent)
    filled = [event["data"] for event in (sent[3], known[3])]
    assert filled[0] == filled[1]


async def test_finished_run_is_like_recorded(paused, recorded):
    """Of a run that is over one frame is sent, in its own style and without ping."""
    server, app, run = paused
    run.form.answer(ANSWER["action"], ANSWER["inputs"])
    await run.settled(pause_counts=False)
    path = recorded.path(NEW, "events_finished")
    (known,) = recorded.stream(path)
    run.id = known["workflow_run_id"]
    server._backend.runs.add(run)
    raw = await exchange(server, path, app)
    assert head_of(raw) == head_of(path.read_bytes())
    framed = raw.partition(b"\r\n\r\n")[2]
    body = re.fullmatch(rb"\w+\r\n(.*)\r\n0\r\n\r\n", framed, re.DOTALL)
    (sent,) = recorded.parse(body[1])
    assert body[1] == f"data: {json.dumps(sent)}\n\n".encode()
    shape = shapes([known])["workflow_finished"]
    assert not shape.faults(shapes([sent])["workflow_finished"])
    assert sent["task_id"] == sent["workflow_run_id"] == run.id


async def test_forms_are_answered_as_recorded(paused, recorded):
    """Reading, a wrong answer, a right one and a second one get the recorded bytes."""
    server, app, run = paused
    run.form.token = "FMLHGuw70hWQNsfNIAzdRO"
    run.form.id = "01a2010b-ccb1-7e8a-9d25-41821a48224a"
    for name in (
        "form_get",
        "err_form_bad_action",
        "form_submit",
        "err_form_submit_twice",
    ):
        path = recorded.path(NEW, name)
        known = path.read_bytes()
        raw = await exchange(server, path, app)
        assert head_of(raw) == head_of(known)
        answers = [one.partition(b"\r\n\r\n")[2] for one in (raw, known)]
        sent, wanted = (re.sub(rb"\d{10}", b"0", answer) for answer in answers)
        assert sent == wanted


async def test_detail_of_paused_run_is_like_recorded(paused, ask, recorded):
    """The detail of a paused run has its steps, but no outputs and no end."""
    server, app, run = paused
    _, sent = await ask(server, app, "GET", f"/workflows/run/{run.id}")
    known = recorded.json(NEW, "detail_human_paused")
    inputs = [json.loads(detail.pop("inputs")) for detail in (sent, known)]
    assert list(inputs[0]) == list(inputs[1])
    own = {"id", "workflow_id", "created_at"}
    assert [*sent] == [*known]
    assert sent | dict.fromkeys(own) == known | dict.fromkeys(own)


@pytest.mark.parametrize("version", VERSIONS)
async def test_logs_are_like_recorded(version, mirrored, stream, ask, recorded):
    """The list of runs has the recorded keys and types, in the recorded order."""
    app, inputs = mirrored["run_hello"]
    async with LocalServer([app], version=version, close_delay=0) as server:
        await stream(server, app, inputs=inputs)
        await stream(server, app, inputs=inputs)
        _, answer = await ask(server, app, "GET", "/workflows/logs")
    known, sent = Shape(), Shape()
    known.see(recorded.json(version, "logs_default"))
    sent.see(answer)
    assert not known.faults(sent)


async def test_full_app_is_like_recorded(mirrored, post_run, recorded):
    """A run above the limit of an app is refused in the recorded words."""
    path = recorded.path("1.12.1", "err_429_blocking")
    app, inputs = mirrored["stop_slow"]
    app.id = "34b4845e-3255-44ca-a23b-72b488db8ce0"
    app.max_active_requests = 1
    async with (
        LocalServer([app], version="1.12.1") as server,
        post_run(server, app, inputs=inputs),
    ):
        raw = await exchange(server, path, app)
    known = path.read_bytes()
    assert head_of(raw) == head_of(known)
    assert raw.partition(b"\r\n\r\n")[2] == known.partition(b"\r\n\r\n")[2]
