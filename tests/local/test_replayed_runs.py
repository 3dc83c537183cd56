"""What a recording tells of a run is a run of the server, for each start one."""

import json

import pytest

from dify_workflow_async import local
from dify_workflow_async.local import App, LocalServer, Replay


TEXT = {"text": "Hello, world!"}

# The run of the form that was rejected, and the one that was seen to pause.
REJECTED = b"43998b14-9e54-4cf2-a05e-6e4c933d30dd"
PAUSED = b"18452066-4868-4054-be8b-d3915cfd487d"


@pytest.mark.parametrize("name", ["run_hello_streaming", "run_hello_blocking"])
async def test_every_start_of_a_recording_counts(name, recordings, post_run, get):
    """Two runs of one recording are two, though both have its id."""
    app = App(Replay(recordings / "dify-1.14.2" / f"{name}.http"))
    async with LocalServer([app]) as server:
        for number in (1, 2):
            async with post_run(server, app, inputs={"marker": number}) as response:
                await response.read()
        assert [run.inputs["marker"] for run in server.runs] == [1, 2]
        assert server.starts == {"1": 1, "2": 1}
        assert len({run.id for run in server.runs}) == 1
        assert len({run.task_id for run in server.runs}) == 1
        detail = await get(server, app, f"/workflows/run/{server.runs[0].id}")
    assert json.loads(detail["inputs"])["marker"] == 2
    assert (detail["status"], detail["outputs"]) == ("succeeded", TEXT)


async def test_paused_blocking_answer_is_a_run_that_waits(recordings, post_run):
    """A recorded blocking answer that waits for a person is a paused run."""
    app = App(Replay(recordings / "dify-1.14.2" / "human_blocking.http"))
    async with LocalServer([app]) as server:
        async with post_run(server, app) as response:
            await response.read()
        (run,) = server.runs
    assert (run.id, run.status) == ("43136357-7347-4e1f-b685-8d34a85394c8", "paused")


async def test_refusal_of_a_recording_starts_nothing(recordings, post_run):
    """A recorded answer without a run is no start."""
    app = App(Replay(recordings / "dify-1.12.1" / "err_429_blocking.http"))
    async with LocalServer([app]) as server:
        async with post_run(server, app) as response:
            await response.read()
        assert (server.runs, server.starts) == ([], {})


async def test_old_starts_of_a_recording_are_forgotten(
    recordings, post_run, get, monkeypatch
):
    """Of many starts the last are kept, and the run can still be read."""
    monkeypatch.setattr(local._run_store, "MAX_KEPT_RUNS", 2)
    app = App(Replay(recordings / "dify-1.14.2" / "run_hello_streaming.http"))
    async with LocalServer([app]) as server:
        for number in range(4):
            async with post_run(server, app, inputs={"n": number}) as response:
                await response.read()
        assert [run.inputs["n"] for run in server.runs] == [2, 3]
        detail = await get(server, app, f"/workflows/run/{server.runs[0].id}")
    assert detail["status"] == "succeeded"


async def test_apps_with_one_recording_have_runs_of_their_own(
    recordings, post_run, get
):
    """Each of two apps finds its run by the id that both have."""
    path = recordings / "dify-1.14.2" / "run_hello_streaming.http"
    both = [App(Replay(path)), App(Replay(path))]
    async with LocalServer(both) as server:
        for app in both:
            async with post_run(server, app, inputs={"key": app.key}) as response:
                await response.read()
        run_id = server.runs[0].id
        details = [await get(server, app, f"/workflows/run/{run_id}") for app in both]
    keys = [json.loads(one["inputs"])["key"] for one in details]
    assert keys == [app.key for app in both]


async def test_stream_that_is_joined_is_no_start(recordings, tmp_path, http):
    """A recorded run that goes on after a pause is one run, of the same user."""
    for name in ("human_streaming", "events_after_submit"):
        for ending in (".http", ".req"):
            data = (recordings / "dify-1.14.2" / f"{name}{ending}").read_bytes()
            (tmp_path / f"{name}{ending}").write_bytes(data.replace(REJECTED, PAUSED))
    app = App(Replay(tmp_path))
    headers = {"Authorization": f"Bearer {app.key}"}
    joining, asked = (one.request for one in app.behaviour._recordings)
    async with LocalServer([app]) as server:
        url = server.base_url
        joined = f"{url.removesuffix('/v1')}{joining.target}"
        async with http.get(joined, headers=headers) as response:
            await response.read()
        assert (server.runs, server.starts) == ([], {})
        async with http.post(
            f"{url}/workflows/run", json=asked.body, headers=headers
        ) as response:
            await response.read()
        assert [run.status for run in server.runs] == ["paused"]
        async with http.get(joined, headers=headers) as response:
            await response.read()
        (run,) = server.runs
        assert (run.status, run.user) == ("succeeded", asked.body["user"])
        assert run.inputs == asked.body["inputs"]
        assert server.starts == {"": 1}
