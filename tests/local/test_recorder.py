"""Answers are recorded on their way, and play back as they were."""

import aiohttp
import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.errors import GatewayError
from dify_workflow_async.local import (
    App,
    Iteration,
    LocalServer,
    Node,
    Recorder,
    Replay,
    Scenario,
)
from dify_workflow_async.local.faults import Drop


KEY = "app-Z9x8c7v6b5n4m3a2s1d0"
SCENARIO = Scenario(
    steps=[
        Node(type="start"),
        Node(type="llm", text=["a", "é\u2028", "c"], chunk_delay=0.02),
        Iteration(items=("x", "y"), steps=[Node(type="code", outputs={"r": "{item}"})]),
        Node(type="end", outputs={"text": "{llm.text}"}),
    ]
)


@pytest.fixture
async def real():
    """Serve what is recorded, as a real server would."""
    app = App(SCENARIO, key=KEY)
    async with LocalServer([app], close_delay=0) as server:
        yield server


@pytest.fixture
async def recorder(real, tmp_path):
    """Record it."""
    async with Recorder(real.base_url.removesuffix("/v1"), tmp_path / "r") as it:
        yield it


async def test_recording_replays(real, recorder, tmp_path):
    """A run, a blocking run and a detail replay as they were."""
    async with WorkflowClient(KEY, recorder.base_url, "u") as client:
        result = await client.run({"q": 1})
        blocking = await client.run_blocking({"q": 2})
        detail = await client.get_run(result.workflow_run_id)
    assert [path.name.split("-", 1)[1] for path in recorder.written] == [
        "post-workflows-run.http",
        "post-workflows-run.http",
        f"get-workflows-run-{result.workflow_run_id}.http",
    ]
    app = App(Replay(tmp_path / "r"))
    async with (
        LocalServer([app]) as server,
        WorkflowClient(app.key, server.base_url, "u") as client,
    ):
        again = await client.run({"q": 1})
        assert (again.outputs, again.workflow_run_id) == (
            result.outputs,
            result.workflow_run_id,
        )
        assert (await client.run_blocking({"q": 2})).outputs == blocking.outputs
        told = await client.get_run(result.workflow_run_id)
        assert told.outputs == detail.outputs


async def test_secrets_are_not_written_down(real, recorder, tmp_path):
    """Neither the key, nor cookies, nor a key in a body are in any file."""
    headers = {"Authorization": f"Bearer {KEY}", "Cookie": "session=geheim"}
    run = {"inputs": {"key": KEY}, "user": "u", "response_mode": "streaming"}
    url = f"{recorder.base_url}/workflows/run"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=run) as response,
    ):
        assert KEY.encode() in await response.read()  # to the client it came
    files = sorted((tmp_path / "r").iterdir())
    assert {path.suffix for path in files} == {".http", ".req", ".timing"}
    for path in files:
        data = path.read_bytes()
        assert KEY.encode() not in data
        assert b"geheim" not in data
    assert b"Authorization: Bearer app-EXAMPLE" in files[1].read_bytes()


async def test_upload_is_passed_on_but_not_kept(real, recorder, tmp_path):
    """The file arrives; its bytes are in no recording."""
    source = tmp_path / "a.txt"
    source.write_bytes(b"secret bytes")
    async with WorkflowClient(KEY, recorder.base_url, "u") as client:
        file = await client.upload(source)
    assert real.files[0].id == file.id
    assert real.files[0].path.read_bytes() == b"secret bytes"
    for path in (tmp_path / "r").iterdir():
        assert b"secret bytes" not in path.read_bytes()


async def test_answer_that_breaks_off(real, recorder, tmp_path):
    """What breaks off is broken off for the client, and in the recording."""
    real.fail_next(Drop(after_events=2), path="*/run")
    headers = {"Authorization": f"Bearer {KEY}"}
    run = {"inputs": {}, "user": "u", "response_mode": "streaming"}
    url = f"{recorder.base_url}/workflows/run"
    async with aiohttp.ClientSession(headers=headers) as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.post(url, json=run) as response:
                await response.read()
    (path,) = recorder.written
    assert path.read_bytes().count(b"data: {") == 2
    assert not path.read_bytes().endswith(b"0\r\n\r\n")


async def test_server_that_is_not_there(tmp_path):
    """Without an answer the client gets one that says so, and nothing is recorded."""
    async with (
        Recorder("http://127.0.0.1:9", tmp_path) as recorder,
        WorkflowClient(KEY, recorder.base_url, "u") as client,
    ):
        with pytest.raises(GatewayError):
            await client.run()
    assert recorder.written == []


async def test_numbers_go_on(real, tmp_path):
    """Another recorder adds to a folder, and overwrites nothing."""
    for _ in range(2):
        async with (
            Recorder(f"{real.base_url}/", tmp_path) as recorder,
            WorkflowClient(KEY, recorder.base_url, "u") as client,
        ):
            await client.info()
    assert [path.name for path in sorted(tmp_path.glob("*.http"))] == [
        "001-get-info.http",
        "002-get-info.http",
    ]


def test_base_url_that_is_none(tmp_path):
    """A base URL must be one."""
    with pytest.raises(ValueError, match="not a base URL"):
        Recorder("dify.example", tmp_path)
