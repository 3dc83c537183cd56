"""The examples, served from the command line and used by the client."""

from __future__ import annotations

import asyncio
import importlib.util
import sys

from collections import Counter
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


@pytest.fixture
async def clients():
    """Serve all examples in one process, and give a client for each."""
    files = [str(EXAMPLES / f"{name}.yml") for name in NAMES]
    keys = [part for name in NAMES for part in ("--key", f"app-{name}")]
    stub = ["--llm-stub", str(EXAMPLES / "classify.stub.yml")]
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--port", "0", *keys, *stub, *files),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told = (await process.stdout.readline()).decode().split("=")
    assert told[0] == "export DIFY_BASE_URL", (await process.stderr.read()).decode()
    async with WorkflowClient("app-none", told[1].strip(), "u") as client:
        yield {name: client.with_options(api_key=f"app-{name}") for name in NAMES}
    process.terminate()
    _, errors = await process.communicate()
    assert (process.returncode, faults(errors)) == (0, "")


@NEEDS_ENGINE
async def test_examples(clients, flaky):
    """Each example does what its description says."""
    greeted = await clients["greeting"].run({"name": "Ada"})
    assert greeted.outputs == {"text": "Hello, Ada!"}

    complaint = await clients["classify"].run({"message": "it is broken"})
    assert complaint.outputs["kind"] == "complaint"
    question = await clients["classify"].run({"message": "what is it?"})
    assert question.outputs["text"] == "Thank you for asking: what is it?"

    each = await clients["each"].run({"lines": "one\n\n two\n"})
    assert each.outputs == {"lines": ["1. one", "2. two"]}

    called = await clients["call-api"].run({"url": flaky})
    assert (called.status, called.outputs["status"]) == ("partial-succeeded", 200)
    assert called.outputs["body"] == '{"ok": true}'

    asking = clients["approve"]
    with pytest.raises(RunPaused) as paused:
        await asking.run({"answer": "Yes."})
    (reason,) = paused.value.result.reasons
    async with asking.resume(
        paused.value.result.workflow_run_id,
        reason.form_token,
        action="drop",
        inputs={"remark": "too short"},
    ) as stream:
        result = await stream.result()
    assert result.outputs == {"text": "not sent: too short"}

    info = await asking.info()
    assert info.description == "Sends an answer after a person has approved it"


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
