"""The pytest plugin: its fixtures here, and in test files of their own."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import sys

from pathlib import Path

import pytest

from dify_workflow_async.errors import ClientClosed
from dify_workflow_async.local import (
    App,
    DslError,
    FormRefused,
    Node,
    Pause,
    Replay,
    Scenario,
    StubModel,
    StubReply,
    Workflow,
)
from dify_workflow_async.local.faults import Drop, ErrorPage
from dify_workflow_async.testing import DifyServer


TESTS = Path(__file__).parents[1]
DSL = TESTS / "dsl"
RECORDINGS = TESTS / "recordings/dify-1.14.2"
PAGE = Path(__file__).parents[2] / "docs/howto/test-your-app.md"
ECHO = Scenario(
    steps=[Node(type="start"), Node(type="end", outputs={"text": "{name}"})]
)
ASKING = Scenario(
    steps=[
        Pause(inputs=[{"output_variable_name": "comment", "type": "paragraph"}]),
        Node(type="end", outputs={"said": "{human.comment}"}),
    ]
)


async def test_app_as_it_is_given(dify_client, dify_server):
    """The app of the plugin ends at once; its run, and the request, can be seen."""
    result = await dify_client.run({"a": 1})
    assert (result.status, result.outputs) == ("succeeded", {})
    run = dify_server.assert_ran_once({"a": 1})
    assert run.user == "test"
    assert [one.path for one in dify_server.requests] == ["/v1/workflows/run"]


async def test_another_behaviour(dify_client, dify_app):
    """What the app does may be replaced while it is served."""
    dify_app.behaviour = ECHO
    assert (await dify_client.run({"name": "Ada"})).outputs == {"text": "Ada"}


async def test_more_apps(dify_client, dify_server):
    """Another app is served under its key."""
    app = dify_server.add(App(ECHO))
    other = dify_client.with_options(api_key=app.key)
    assert (await other.run({"name": "x"})).outputs == {"text": "x"}


async def test_faults(dify_client, dify_server):
    """Answers are spoiled on request; a run that was found again ran once."""
    dify_server.fail_next(Drop(after_events=1), path="*/run")
    result = await dify_client.run()
    assert result.recovered
    dify_server.assert_ran_once()
    dify_server.fail_next(ErrorPage(status=502), times=None)
    dify_server.heal()
    assert (await dify_client.info()).mode == "workflow"


async def test_a_person_answers(dify_client, dify_app, dify_server):
    """The test answers a form, and the run goes on."""
    dify_app.behaviour = ASKING
    async with dify_client.stream() as stream:
        async for _ in stream:
            pass
    with pytest.raises(FormRefused, match="Invalid action"):
        dify_server.answer("never")
    dify_server.answer("approve", {"comment": "fine"})
    result = await dify_client.wait(dify_server.runs[0].id)
    assert result.outputs == {"said": "fine"}
    with pytest.raises(AssertionError, match="no run waits"):
        dify_server.answer("approve")


async def test_runs_that_are_not_one(dify_client, dify_server):
    """No run, two runs and other inputs are told apart."""
    with pytest.raises(AssertionError, match="0 runs, not one; there were: none"):
        dify_server.assert_ran_once()
    await dify_client.run({"a": 1})
    await dify_client.run({"a": 2})
    with pytest.raises(AssertionError, match="2 runs, not one"):
        dify_server.assert_ran_once()
    with pytest.raises(AssertionError, match=r"0 runs with {'a': 3}"):
        dify_server.assert_ran_once({"a": 3})
    assert dify_server.assert_ran_once({"a": 2}).inputs == {"a": 2}


@pytest.mark.skipif(
    importlib.util.find_spec("graphon") is None,
    reason="graphon needs Python 3.12 or 3.13 (extra engine)",
)
class TestExportedApp:
    """``dify_app`` gives an app that Dify exported."""

    @pytest.fixture
    def dify_app(self):
        """Give the app, with a stub for its model."""
        model = StubModel(replies=[StubReply(text=["Good ", "day."])])
        return App.from_dsl(DSL / "llm.yml", model=model)

    async def test_run(self, dify_client, dify_app, dify_server):
        """It runs on the engine, and the plugin sees its run."""
        assert isinstance(dify_app.behaviour, Workflow)
        async with dify_client.stream({"query": "hello"}) as stream:
            result = await stream.result()
        assert (result.status, result.outputs["text"]) == ("succeeded", "Good day.")
        assert stream.text.startswith("Good day.")
        run = dify_server.assert_ran_once({"query": "hello"})
        assert (run.id, run.status) == (result.workflow_run_id, "succeeded")


class TestRecording:
    """``dify_app`` gives the answers of a real server."""

    @pytest.fixture
    def dify_app(self):
        """Give a recording of a run."""
        return App(Replay(RECORDINGS / "run_hello_streaming.http"))

    async def test_run(self, dify_client, dify_server):
        """It is replayed for each run, and a second run is seen as one."""
        result = await dify_client.run({"query": "world"})
        assert result.outputs == {"text": "Hello, world!"}
        run = dify_server.assert_ran_once({"query": "world"})
        assert (run.id, run.status) == (result.workflow_run_id, "succeeded")
        await dify_client.run({"query": "world"})
        with pytest.raises(AssertionError, match="2 runs"):
            dify_server.assert_ran_once()


@pytest.mark.parametrize("dify_server_options", [{"version": "1.12.1"}])
async def test_options(dify_client, dify_server):
    """The options are those of the local server."""
    await dify_client.run()
    assert (await dify_client.server_info()).server_version == "1.12.1"


def test_without_a_loop(dify_server):
    """Tests that are no coroutines use the server as well, with what they like."""
    assert dify_server.base_url.startswith("http://127.0.0.1:")
    assert dify_server.api_key == dify_server.app.key


def test_client_is_of_one_loop(dify_client):
    """The client closes with the loop of its first use."""
    asyncio.run(dify_client.run())
    with pytest.raises(ClientClosed):
        asyncio.run(dify_client.run())


async def test_client_that_is_closed_by_hand(dify_client):
    """Closing it oneself does no harm."""
    async with dify_client:
        await dify_client.run()


def test_server_that_cannot_start():
    """A server that cannot start leaves no thread behind, and says why."""
    broken = App(Workflow(dsl="kind: app"))
    server = DifyServer(broken, engine_processes=1)
    with pytest.raises(DslError):
        server.start()
    assert not server._thread.is_alive()


SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        ([*SCOPE, "-o", "asyncio_mode=auto"], ""),
        ([*SCOPE, "-o", "asyncio_mode=strict"], "pytest.mark.asyncio"),
        (["-p", "no:asyncio"], "pytest.mark.anyio"),
    ],
    ids=["asyncio auto", "asyncio strict", "anyio"],
)
def test_documented_file(tmp_path, options, mark):
    """The file of the page passes as it stands, with each of the libraries."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    text = code[1]
    if mark:
        text += f"\n\npytestmark = {mark}\n"
    if "anyio" in mark:
        text += "\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    (tmp_path / "test_greeting.py").write_text(text, "utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error"),
            *("-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={tmp_path}"),
            *options,
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr
