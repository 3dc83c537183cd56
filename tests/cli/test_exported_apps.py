"""The examples, served from the command line and used by the client."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiohttp import web
from click.testing import CliRunner

from dify_workflow_async import WorkflowClient
from dify_workflow_async.cli._app import cli
from dify_workflow_async.errors import RunPaused

from ._stderr import faults


EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ["greeting", "classify", "each", "call-api", "approve"]
NEEDS_ENGINE = pytest.mark.skipif(
    importlib.util.find_spec("graphon") is None,
    reason="graphon needs Python 3.12 or 3.13 (extra engine)",
)
COMMAND = [sys.executable, "-W", "error", "-m", "dify_workflow_async.cli", "serve"]


@pytest.fixture
async def flaky():
    """Serve an API that fails twice before it answers."""
    hits = Counter()

    async def answer(request: web.Request) -> web.Response:
        hits[request.path] += 1
        if hits[request.path] <= 2:
            return web.Response(status=503)
        return web.json_response({"ok": True})

    application = web.Application()
    application.add_routes([web.get("/weather", answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/weather"
    await runner.cleanup()


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """Serve all examples in one process, as the engine takes seconds to start."""
    files = [str(EXAMPLES / f"{name}.yml") for name in NAMES]
    keys = [part for name in NAMES for part in ("--key", f"app-{name}")]
    stub = ["--llm-stub", str(EXAMPLES / "classify.stub.yml")]
    with served([*keys, *stub, *files]) as url:
        yield url


@contextmanager
def served(arguments: list[str], **environment: str) -> Iterator[str]:
    """Serve from the command line, and give the base URL; the end must be clean."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )
    try:
        told = process.stdout.readline().decode().split("=")
        assert told[0] == "export DIFY_BASE_URL", process.stderr.read().decode()
        yield told[1].strip()
    finally:
        process.terminate()
        _, errors = process.communicate()
    assert (process.returncode, faults(errors)) == (0, "")


@pytest.fixture
async def client(request, base_url):
    """Give a client for the example that a test is about."""
    key = f"app-{request.param}"
    async with WorkflowClient(key, base_url, "u") as it:
        yield it


def example(name: str) -> pytest.MarkDecorator:
    """Let the client of a test be one of an example."""
    return pytest.mark.parametrize("client", [name], indirect=True)


@NEEDS_ENGINE
@example("greeting")
async def test_greeting(client):
    """It greets whoever is named."""
    greeted = await client.run({"name": "Ada"})
    assert greeted.outputs == {"text": "Hello, Ada!"}


@NEEDS_ENGINE
@example("classify")
async def test_classify(client):
    """The stub tells complaints from questions, and each goes its way."""
    complaint = await client.run({"message": "it is broken"})
    assert complaint.outputs["kind"] == "complaint"
    question = await client.run({"message": "what is it?"})
    assert question.outputs["text"] == "Thank you for asking: what is it?"


@NEEDS_ENGINE
@example("each")
async def test_each(client):
    """Each line is handled, and empty ones are none."""
    each = await client.run({"lines": "one\n\n two\n"})
    assert each.outputs == {"lines": ["1. one", "2. two"]}


@NEEDS_ENGINE
@example("call-api")
async def test_call_api(client, flaky):
    """A call that fails twice is tried until it succeeds."""
    called = await client.run({"url": flaky})
    assert (called.status, called.outputs["status"]) == ("partial-succeeded", 200)
    assert called.outputs["body"] == '{"ok": true}'


@NEEDS_ENGINE
@example("approve")
async def test_approve(client):
    """A person is asked, and what is dropped is not sent."""
    with pytest.raises(RunPaused) as paused:
        await client.run({"answer": "Yes."})
    (reason,) = paused.value.result.reasons
    async with client.resume(
        paused.value.result.workflow_run_id,
        reason.form_token,
        action="drop",
        inputs={"remark": "too short"},
    ) as stream:
        result = await stream.result()
    assert result.outputs == {"text": "not sent: too short"}
    info = await client.info()
    assert info.description == "Sends an answer after a person has approved it"


@pytest.fixture
async def endpoint():
    """Serve a model that speaks OpenAI's chat completions, and keep what it is asked."""
    asked = []

    async def complete(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append((body["model"], request.headers.get("Authorization")))
        said = '{"category_id": "1", "category_name": "complaint"}'
        choice = {"delta": {"content": said}, "finish_reason": "stop"}
        lines = [f"data: {json.dumps({'choices': [choice]})}", "", "data: [DONE]", ""]
        return web.Response(text="\n".join(lines), content_type="text/event-stream")

    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", complete)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", asked
    await runner.cleanup()


@NEEDS_ENGINE
async def test_model_of_an_endpoint(endpoint):
    """An endpoint is asked for the model of the options, with the environment's key."""
    url, asked = endpoint
    options = ["--llm-url", url, "--llm-model", "x", "--key", "app-classify"]
    app = str(EXAMPLES / "classify.yml")
    with served([*options, app], OPENAI_API_KEY="sk-of-tests") as base_url:
        async with WorkflowClient("app-classify", base_url, "u") as client:
            result = await client.run({"message": "what is it?"})
    assert result.outputs["kind"] == "complaint"
    assert asked == [("x", "Bearer sk-of-tests")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["app.yml"], "node 'x': nodes of type 'agent' do not run here"),
        (["app.yml", "--llm-url", "u", "--llm-stub", "app.yml"], "exclude each other"),
    ],
    ids=["unsupported", "two models"],
)
def test_what_cannot_be_served(tmp_path, monkeypatch, arguments, says):
    """What cannot be served is said in one line, naming the node."""
    monkeypatch.chdir(tmp_path)
    nodes = "[{id: start, data: {type: start}}, {id: x, data: {type: agent}}]"
    lines = ["kind: app", "app: {mode: workflow}", "workflow:", "  graph:"]
    Path("app.yml").write_text("\n".join([*lines, f"    nodes: {nodes}"]))
    monkeypatch.setattr(
        "dify_workflow_async.local.engine._workflow.require_engine", lambda: None
    )
    result = CliRunner().invoke(cli, ["serve", *arguments])
    assert result.exit_code != 0
    assert says in result.output
