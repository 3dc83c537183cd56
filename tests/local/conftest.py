"""What the tests of the local server share: recordings, a client, mirrored apps."""

import json

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dify_workflow_async.local import (
    App,
    Iteration,
    LocalServer,
    Loop,
    Node,
    Parallel,
    Pause,
    Run,
    Scenario,
    Sleep,
    Variable,
)

from ._shapes import Recorded


RECORDINGS = Path(__file__).parent.parent / "recordings"

Frames = list[dict[str, Any] | str]
Stream = Callable[..., Awaitable[Frames]]


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Tell where the recordings of real servers are."""
    return RECORDINGS


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Open a plain HTTP client, which knows nothing of the API."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


@pytest.fixture
def post_run(http: aiohttp.ClientSession):
    """Give a function that starts a run and returns the open response."""

    def post(server: LocalServer, app: App, **body: Any):
        run = {"inputs": {}, "user": "u1", "response_mode": "streaming"} | body
        headers = {"Authorization": f"Bearer {app.key}"}
        return http.post(f"{server.base_url}/workflows/run", json=run, headers=headers)

    return post


@pytest.fixture
def stream(post_run) -> Stream:
    """Give a function that runs an app and returns all frames of the stream."""

    async def read(server: LocalServer, app: App, **body: Any) -> Frames:
        async with post_run(server, app, **body) as response:
            assert response.status == 200
            return parse_frames(await response.read())

    return read


@pytest.fixture
def begin(post_run):
    """Give a function that begins a run and waits until it is over or paused."""

    async def run(server: LocalServer, app: App) -> Run:
        async with post_run(server, app, response_mode="blocking"):
            return server.runs[-1]

    return run


@pytest.fixture
def get(http: aiohttp.ClientSession):
    """Give a function that reads a path with the key of an app."""

    async def read(server: LocalServer, app: App, path: str) -> Any:
        headers = {"Authorization": f"Bearer {app.key}"}
        async with http.get(f"{server.base_url}{path}", headers=headers) as response:
            return await response.json()

    return read


@pytest.fixture
def ask(http: aiohttp.ClientSession):
    """Give a function that asks with the key of an app: status and JSON."""

    async def send(
        server: LocalServer, app: App, method: str, path: str, **options: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}{path}"
        async with http.request(method, url, headers=headers, **options) as response:
            return response.status, await response.json()

    return send


@pytest.fixture
def join(http: aiohttp.ClientSession):
    """Give a function that joins the stream of a run, and returns it open."""

    def get(server: LocalServer, app: App, run: Run, **query: str):
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}/workflow/{run.id}/events"
        return http.get(url, headers=headers, params={"user": run.user} | query)

    return get


def parse_frames(body: bytes) -> Frames:
    """Take a body of server-sent events apart; a ping is the text ``ping``."""
    assert body.endswith(b"\n\n") or not body
    return [parse_frame(frame) for frame in body.split(b"\n\n")[:-1]]


def parse_frame(frame: bytes) -> dict[str, Any] | str:
    """Read one frame."""
    if frame == b"event: ping":
        return "ping"
    assert frame.startswith(b"data: {"), frame
    return json.loads(frame[6:])


@pytest.fixture(name="parse_frames", scope="session")
def parse_frames_fixture() -> Callable[[bytes], Frames]:
    """Give the function that takes a body apart."""
    return parse_frames


@pytest.fixture(scope="session")
def recorded(recordings, parse_frames) -> Recorded:
    """Give access to the recordings."""
    return Recorded(recordings, parse_frames)


@pytest.fixture
def mirrored() -> dict[str, tuple[App, dict[str, Any]]]:
    """Make apps that do what the recorded apps did, with the inputs of then."""
    start = Node(type="start", title="Start")
    made: dict[str, tuple[Scenario, dict[str, Any]]] = {
        "run_hello": (_hello(start), {"query": "world"}),
        "run_llm": (_llm(start), {"query": "hello there [n=8]"}),
        "run_iteration": (_iteration(start), {"items": "a, b, c"}),
        "run_loop": (_loop(start), {"stop": 4}),
        "run_parallel": (_parallel(start), {}),
        "run_failing_code": (_failing(start), {"query": "q"}),
        "run_partial_default": (_partial(start), {"query": None}),
        "run_retry_ok": (_retry(start), {"key": "k"}),
        "stop_slow": (_slow(start), {"seconds": 20}),
        "chain": (_chain(start), {"seconds": 2}),
        "human": (_human(start), {"query": "please"}),
    }
    return {name: (App(made), inputs) for name, (made, inputs) in made.items()}


def _hello(start: Node) -> Scenario:
    template = Node(
        type="template-transform",
        id="tpl",
        title="Template",
        inputs={"query": "{query}"},
        text="Hello, {query}!",
        text_output="output",
    )
    query = Variable(variable="query", required=True, max_length=256)
    end = Node(type="end", title="End", outputs={"text": "{tpl.output}"})
    return Scenario(inputs=[query], steps=[start, template, end])


def _llm(start: Node) -> Scenario:
    llm = Node(
        type="llm",
        inputs={"model_provider": "local/fake/fake", "model_name": "echo"},
        process_data={"model_mode": "chat"},
        text=["Echo: ", "hello", " w0 é你😀", ""],
        tokens=19,
        price="0.0000310",
    )
    end = Node(type="end", title="End", outputs={"text": "{llm.text}"})
    return Scenario(steps=[start, llm, end])


def _iteration(start: Node) -> Scenario:
    line = Node(
        type="template-transform",
        id="it_tpl",
        inputs={"item": "{item}", "i": "{index}"},
        outputs={"output": "item #{index} = {item}"},
    )
    split = Node(
        type="code",
        id="split",
        inputs={"items": "{items}"},
        outputs={"list": ["a", "b", "c"]},
    )
    each = Iteration(id="iter", items="{split.list}", steps=[line])
    end = Node(type="end", title="End", outputs={"items": "{iter.output}"})
    return Scenario(steps=[start, split, each, end])


def _loop(start: Node) -> Scenario:
    assign = Node(
        type="assigner",
        id="assign",
        title="Assigner",
        process_data={"num": 2, "__updated_variables": []},
    )
    loop = Loop(
        count=10, break_after=3, inputs={"num": 1}, outputs={"num": 4}, steps=[assign]
    )
    end = Node(type="end", title="End", outputs={"num": "{loop.num}"})
    return Scenario(steps=[start, loop, end])


def _parallel(start: Node) -> Scenario:
    branches = [[Node(type="http-request", id=name)] for name in ("b1", "b2", "b3")]
    aggregate = Node(
        type="template-transform", id="agg", text="a", text_output="output"
    )
    end = Node(type="end", title="End", outputs={"text": "{agg.output}"})
    return Scenario(steps=[start, Parallel(branches=branches), aggregate, end])


def _failing(start: Node) -> Scenario:
    boom = Node(type="code", id="boom", status="failed", error="error: boom: {query}")
    return Scenario(steps=[start, boom, Node(type="end")])


def _partial(start: Node) -> Scenario:
    call = Node(
        type="http-request",
        id="http",
        title="Call",
        status="exception",
        outputs={"body": "fallback", "status_code": 0},
    )
    end = Node(type="end", title="End", outputs={"body": "{http.body}"})
    return Scenario(steps=[start, call, end])


def _retry(start: Node) -> Scenario:
    flaky = Node(type="code", id="flaky", retries=2, error="no luck", outputs={"r": 1})
    end = Node(type="end", title="End", outputs={"r": "{flaky.r}"})
    return Scenario(steps=[start, flaky, end])


def _slow(start: Node) -> Scenario:
    slow = Node(type="http-request", id="http", title="Slow call", delay=3600)
    return Scenario(steps=[start, slow, Sleep(seconds=3600)])


def _chain(start: Node) -> Scenario:
    steps = [
        Node(type="http-request", id="step1", title="Step 1"),
        Node(type="http-request", id="step2", title="Step 2", delay=3600),
    ]
    return Scenario(steps=[start, *steps])


def _human(start: Node) -> Scenario:
    pause = Pause(
        title="Approve",
        form_content=(
            "Please review: {query}\n\n{{#$output.comment#}}\n{{#$output.level#}}"
        ),
        inputs=[
            {
                "output_variable_name": "comment",
                "type": "paragraph",
                "default": {"type": "constant", "selector": [], "value": "looks fine"},
            },
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
    )
    answer = Node(
        type="template-transform",
        id="t_no",
        text="rejected: {human.comment}",
        text_output="output",
    )
    end = Node(
        type="end", id="end_no", title="End no", outputs={"text": "{t_no.output}"}
    )
    return Scenario(steps=[start, pause, answer, end])
