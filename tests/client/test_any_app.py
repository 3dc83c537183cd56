"""The client does the same with scripted, replayed and engine-served apps.

Each app is one that a real Dify exported (tests/dsl): its script, the answers that a
real server gave for it (tests/recordings), and itself, on Dify's own engine.
"""

from __future__ import annotations

import importlib.util
import json
import socket

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.errors import RunFailed, RunNotFound, RunPaused
from dify_workflow_async.events import NodeStarted, WorkflowFinished, WorkflowPaused
from dify_workflow_async.local import App, Node, Pause, Replay, Scenario, Variable
from dify_workflow_async.local.faults import Drop
from dify_workflow_async.testing import DifyServer


VERSION = "1.14.2"
HERE = Path(__file__).parent
DSL = HERE.parent / "dsl"
RECORDINGS = HERE.parent / "recordings" / f"dify-{VERSION}"

KINDS = [
    "scripted",
    "replayed",
    pytest.param(
        "engine",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("graphon") is None,
            reason="graphon needs Python 3.12 or 3.13 (extra engine)",
        ),
    ),
]

# What was recorded of each app; answers to anything else are the local server's.
RECORDED = {
    "hello": ["run_hello_streaming", "run_hello_blocking"],
    "failing_code": ["run_failing_code_streaming"],
    "inputs": ["parameters_inputs"],
    "slow": ["stop_slow_streaming", "stop_slow"],
    "human": ["human_streaming", "events_after_submit", "form_submit"],
}

# The recorded run that was rejected is another than the one that was seen to pause.
REJECTED = b"43998b14-9e54-4cf2-a05e-6e4c933d30dd"
PAUSED = b"18452066-4868-4054-be8b-d3915cfd487d"
ANSWER = {"comment": "no", "level": "low"}

START = Node(type="start", title="Start")
SCRIPTED = {
    "hello": Scenario(
        inputs=[Variable(variable="query", required=True, max_length=256)],
        steps=[
            START,
            Node(
                type="template-transform",
                id="tpl",
                title="Template",
                inputs={"query": "{query}"},
                text="Hello, {query}!",
                text_output="output",
            ),
            Node(
                type="end",
                title="End",
                inputs={"text": "{tpl.output}"},
                outputs={"text": "{tpl.output}"},
            ),
        ],
    ),
    "failing_code": Scenario(
        steps=[
            START,
            Node(
                type="code",
                id="boom",
                title="Boom",
                status="failed",
                error="ValueError: boom: {query}",
            ),
        ]
    ),
    "inputs": Scenario(
        inputs=[
            Variable(variable="name", required=True, max_length=10),
            Variable(variable="para", type="paragraph"),
            Variable(variable="color", type="select", options=["red", "green", "blue"]),
            Variable(variable="n", type="number"),
            Variable(variable="flag", type="checkbox"),
            Variable(variable="obj", type="json_object"),
        ]
    ),
    "slow": Scenario(
        steps=[
            START,
            Node(type="http-request", id="http", title="Slow call", delay=3600),
        ]
    ),
    "human": Scenario(
        steps=[
            START,
            Pause(
                title="Approve",
                form_content="Please review: {query}",
                inputs=[
                    {"output_variable_name": "comment", "type": "paragraph"},
                    {
                        "output_variable_name": "level",
                        "type": "select",
                        "option_source": {
                            "type": "constant",
                            "selector": [],
                            "value": ["low", "high"],
                        },
                    },
                ],
                actions=[
                    {"id": "approve", "title": "Approve", "button_style": "primary"},
                    {"id": "reject", "title": "Reject", "button_style": "default"},
                ],
            ),
            Node(
                type="template-transform",
                id="t_no",
                text="rejected: {human.comment}",
                text_output="output",
            ),
            Node(type="end", id="end_no", outputs={"text": "{t_no.output}"}),
        ]
    ),
}


@pytest.fixture(scope="module")
def dify() -> Iterator[DifyServer]:
    """Serve all apps from a thread, as the engine takes seconds to start."""
    options = {"version": VERSION, "close_delay": 0.0, "engine_processes": 1}
    server = DifyServer(App(Scenario()), **options)
    server.start()
    yield server
    server.close()


@pytest.fixture
def silence() -> Iterator[int]:
    """Give a port that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(params=KINDS)
def use(
    request: pytest.FixtureRequest,
    dify: DifyServer,
    connect: Callable[..., WorkflowClient],
    tmp_path: Path,
    silence: int,
) -> Callable[[str], WorkflowClient]:
    """Give a function that serves an app, anew, and gives a client for it."""

    def serve(name: str) -> WorkflowClient:
        match request.param:
            case "scripted":
                app = App(SCRIPTED[name])
            case "replayed":
                app = App(Replay(tape(name, tmp_path)))
            case _:
                text = (DSL / f"{name}.yml").read_text("utf-8")
                address = f"127.0.0.1:{silence}"
                app = App.from_dsl(text.replace("127.0.0.1:18080", address))
        return connect(dify, api_key=dify.add(app).key)

    return serve


def tape(name: str, folder: Path) -> Path:
    """Copy the recordings of an app, those of its form as if of one run."""
    for recording in RECORDED[name]:
        for ending in (".http", ".req"):
            data = (RECORDINGS / f"{recording}{ending}").read_bytes()
            data = data.replace(REJECTED, PAUSED)
            if (recording, ending) == ("form_submit", ".req"):
                body = {"inputs": ANSWER, "action": "reject", "user": "u1"}
                head = data.partition(b"\r\n\r\n")[0]
                data = head + b"\r\n\r\n" + json.dumps(body).encode()
            (folder / f"{recording}{ending}").write_bytes(data)
    return folder


HELLO = {"query": "world"}
NODES = ["node_started", "node_finished"]
STREAM = [
    *("workflow_started", *NODES, "node_started", "text_chunk", "node_finished"),
    *(*NODES, "workflow_finished"),
]


async def test_run(use):
    """A run gives its outputs and its counts."""
    result = await use("hello").run(HELLO)
    assert (result.status, result.outputs) == ("succeeded", {"text": "Hello, world!"})
    assert (result.total_steps, result.total_tokens) == (3, 0)
    assert not result.recovered


async def test_stream(use):
    """A stream has the same events in the same order, and ends with the result."""
    async with use("hello").stream(HELLO) as run:
        events = [event async for event in run]
        result = await run.result()
    assert [event.event_name for event in events] == STREAM
    nodes = [event.node_id for event in events if isinstance(event, NodeStarted)]
    assert nodes == ["start", "tpl", "end"]
    assert events[2].outputs == HELLO
    assert events[5].outputs == {"output": "Hello, world!"}
    assert run.text == "Hello, world!"
    assert result.outputs == events[-1].outputs == {"text": "Hello, world!"}
    assert {event.workflow_run_id for event in events} == {result.workflow_run_id}


async def test_events(use):
    """Events without a stream are the same."""
    names = [event.event_name async for event in use("hello").events(HELLO)]
    assert names == STREAM


async def test_blocking(use):
    """One answer tells the whole run."""
    result = await use("hello").run_blocking(HELLO)
    assert (result.status, result.outputs) == ("succeeded", {"text": "Hello, world!"})
    assert result.total_steps == 3


async def test_failure(use):
    """A run that fails raises the error of its node, and is read as failed."""
    client = use("failing_code")
    with pytest.raises(RunFailed, match="boom: q") as caught:
        await client.run({"query": "q"})
    assert caught.value.result.status == "failed"
    assert (await client.get_run(caught.value.result.ref)).status == "failed"


async def test_stop(use):
    """A run that is stopped in a node ends its stream as stopped."""
    async with use("slow").stream({"seconds": 20}) as run:
        async for event in run:
            if isinstance(event, NodeStarted) and event.node_id == "http":
                await run.stop()
        result = await run.result()
    assert result.status == "stopped"
    assert isinstance(event, WorkflowFinished)


async def test_a_run_is_read_and_logged(use):
    """What has run can be read by its id, and is in the log."""
    client = use("hello")
    result = await client.run(HELLO)
    detail = await client.get_run(result.ref)
    assert (detail.status, detail.outputs) == (result.status, result.outputs)
    assert detail.total_steps == 3
    logged = [entry async for entry in client.logs()]
    assert [one.workflow_run.id for one in logged] == [result.workflow_run_id]
    with pytest.raises(RunNotFound):
        await client.get_run("00000000-0000-4000-8000-000000000000")


async def test_a_run_is_followed(use):
    """Who has only the id of a run can wait for it, and attach to it."""
    client = use("hello")
    result = await client.run(HELLO)
    waited = await client.wait(result.workflow_run_id)
    assert (waited.status, waited.outputs) == (result.status, result.outputs)
    async with client.attach(result.ref) as run:
        events = [event async for event in run]
        assert (await run.result()).outputs == result.outputs
    assert [type(event) for event in events] == [WorkflowFinished]


async def test_a_broken_stream_is_found_again(use, dify):
    """A connection that breaks in mid-stream costs no event and no second run."""
    client, before = use("hello"), len(dify.requests)
    dify.fail_next(Drop(after_events=2), path="*/run")
    result = await client.run(HELLO)
    assert result.recovered
    assert result.outputs == {"text": "Hello, world!"}
    asked = [(one.method, one.path) for one in dify.requests[before:]]
    assert asked.count(("POST", "/v1/workflows/run")) == 1


async def test_a_person_is_asked(use):
    """A run that pauses tells its form; with the answer it goes on to its end."""
    client = use("human")
    with pytest.raises(RunPaused) as paused:
        await client.run({"query": "please"})
    (reason,) = paused.value.result.reasons
    assert reason.node_id == "human"
    assert [one.id for one in reason.actions] == ["approve", "reject"]
    async with client.resume(
        paused.value.result.ref, reason.form_token, action="reject", inputs=ANSWER
    ) as run:
        events = [event async for event in run]
        result = await run.result()
    assert result.outputs == {"text": "rejected: no"}
    assert not any(isinstance(event, WorkflowPaused) for event in events)


async def test_parameters(use):
    """The form of the app is read."""
    client = use("inputs")
    parameters = await client.parameters()
    form = parameters.user_input_form
    assert [(one.variable, one.type, one.required) for one in form] == [
        ("name", "text-input", True),
        ("para", "paragraph", False),
        ("color", "select", False),
        ("n", "number", False),
        ("flag", "checkbox", False),
        ("obj", "json_object", False),
    ]
    assert form[0].max_length == 10
    assert [*form[2].options] == ["red", "green", "blue"]
