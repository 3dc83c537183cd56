"""Runs on the engine: stopped, failed, logged, of several apps, and with files."""

from __future__ import annotations

import asyncio

import pytest

from dify_workflow_async.local import App

from . import _dsl as dsl
from ._outside import PIXEL


pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_stop_reaches_the_engine(apps, server, call, start, until, outside):
    """A run that is stopped begins no further node, and its stream ends at once."""
    app = apps["slow_steps"]
    outside.seen.clear()
    async with start(server, app, {"seconds": 0.5}) as response:
        while (await until(response, "node_started"))["data"]["node_id"] != "step1":
            pass
        run = server.runs[-1]
        path = f"/workflows/tasks/{run.task_id}/stop"
        await call(server, app, "POST", path, json={"user": "u1"})
        await response.read()
    assert run.status == "stopped"
    (process,) = server._backend.engines._processes
    assert run.id not in process.runs
    # Whatever was under way has ended by then; nothing follows it.
    await asyncio.sleep(1)
    assert outside.seen in (["/sleep?s=0.5"], [])


async def test_failed_retries_are_told(apps, server, play):
    """A node that fails for good tells each attempt; the run counts them."""
    events = await play(server, apps["retry_fail"])
    names = [event["event"] for event in events]
    assert names.count("node_retry") == 2
    end = events[-1]["data"]
    assert (end["status"], end["total_steps"], end["exceptions_count"]) == (
        "failed",
        4,
        3,
    )
    assert "Connection refused" in end["error"]


async def test_failed_request_fails_the_run(apps, server, play):
    """Without retry or another strategy, a request that fails is the run's end."""
    events = await play(server, apps["failing_http"])
    told = [(event["event"], event["data"].get("status")) for event in events[-2:]]
    assert told == [("node_finished", "failed"), ("workflow_finished", "failed")]
    assert events[-1]["data"]["error"] == "[Errno 111] Connection refused"


async def test_empty_end(apps, server, play):
    """An End node without outputs gives none."""
    events = await play(server, apps["empty_end"])
    assert events[-1]["data"]["outputs"] == {}
    assert events[-1]["data"]["status"] == "succeeded"


async def test_file_that_a_node_made_can_be_downloaded(apps, server, play, session):
    """The file of an HTTP answer has a signed link, which gives its bytes."""
    events = await play(server, apps["http_file"])
    (file,) = events[-1]["data"]["outputs"]["files"]
    assert events[-1]["data"]["files"] == [file]
    assert file["transfer_method"] == "tool_file"
    assert (file["mime_type"], file["extension"]) == ("image/png", ".png")
    assert file["url"].startswith(f"{server.base_url.removesuffix('/v1')}/files/tools/")
    async with session.get(file["url"]) as response:
        assert (response.status, await response.read()) == (200, PIXEL)
    async with session.get(file["url"].replace("sign=", "sign=x")) as response:
        assert response.status == 404


async def test_file_value_passes_through(apps, servers, play, upload):
    """An uploaded file comes out of a run as it went in, in each version's shape."""
    for server in servers.values():
        app = apps["file_echo"]
        file = await upload(server, app, "a.txt", "text/plain", b"abc")
        reference = {
            "transfer_method": "local_file",
            "upload_file_id": file["id"],
            "type": "document",
        }
        events = await play(server, app, {"doc": reference})
        begun, ended = events[0]["data"]["inputs"]["doc"], events[-1]["data"]["outputs"]
        assert [*ended["doc"]] == [*begun]
        assert ended["doc"] | {"url": ""} == begun | {"url": ""}


async def test_inputs_are_checked(apps, server, call):
    """Wrong inputs are refused as Dify does, before the engine sees them."""
    body = {"inputs": {}, "user": "u", "response_mode": "blocking"}
    status, answer = await call(
        server, apps["hello"], "POST", "/workflows/run", json=body
    )
    assert (status, answer["message"]) == (400, "query is required in input form")


async def test_runs_are_logged(apps, server, play, call):
    """What runs on the engine can be read and is listed like any run."""
    app = apps["hello"]
    events = await play(server, app, {"query": "log"})
    run_id = events[0]["workflow_run_id"]
    _, detail = await call(server, app, "GET", f"/workflows/run/{run_id}")
    assert detail["status"] == "succeeded"
    assert detail["outputs"] == {"text": "Hello, log!"}
    _, logs = await call(server, app, "GET", f"/workflows/logs?keyword={run_id}")
    assert [one["workflow_run"]["id"] for one in logs["data"]] == [run_id]


async def test_several_apps_have_keys(apps, server, play):
    """Apps of one server run side by side, each by its key."""
    hello, loop = await asyncio.gather(
        play(server, apps["hello"], {"query": "x"}), play(server, apps["loop"])
    )
    assert hello[-1]["data"]["outputs"] == {"text": "Hello, x!"}
    assert loop[-1]["data"]["outputs"] == {"num": 3}


async def test_environment_and_branches(apps, server, play):
    """Environment variables are known, and only the branch that was taken runs."""
    condition = {
        "id": "c",
        "variable_selector": ["start", "q"],
        "comparison_operator": "is",
        "value": "yes",
    }
    case = {"case_id": "true", "logical_operator": "and", "conditions": [condition]}
    app = server.add(
        App.from_dsl(
            dsl.app(
                dsl.start(dsl.text_input("q")),
                dsl.node("if", "if-else", cases=[case]),
                dsl.template("a", "{{ greeting }} you", greeting="env.greeting"),
                dsl.template("b", "no"),
                dsl.end("end_a", text="a.output"),
                dsl.end("end_b", text="b.output"),
                edges=["start>if", "if:true>a", "if:false>b", "a>end_a", "b>end_b"],
                environment_variables=[
                    {"name": "greeting", "value": "Hi", "value_type": "string"}
                ],
            )
        )
    )
    yes = await play(server, app, {"q": "yes"})
    assert yes[-1]["data"]["outputs"] == {"text": "Hi you"}
    assert "b" not in {event["data"].get("node_id") for event in yes}
    no = await play(server, app, {"q": "never"})
    assert no[-1]["data"]["outputs"] == {"text": "no"}
