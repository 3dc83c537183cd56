"""What an app refuses to run, and what events do not show whole."""

import pytest

from dify_workflow_async.local import (
    App,
    LocalServer,
    Node,
    Pause,
    Scenario,
    Sleep,
    Variable,
)


MESSAGE = (
    "Too many requests. Please try again later. The current maximum concurrent "
    "requests allowed for {} is 2."
)
RUN = {"inputs": {}, "user": "u1", "response_mode": "blocking"}


@pytest.mark.parametrize(
    ("options", "status", "code", "retry_after"),
    [
        ({}, 400, "invalid_param", None),
        ({"retry_after": 7}, 400, "invalid_param", None),
        ({"busy_status": 429}, 429, "too_many_requests", None),
        ({"busy_status": 429, "retry_after": 7}, 429, "too_many_requests", "7"),
    ],
)
async def test_app_runs_only_so_many_at_once(
    options, status, code, retry_after, post_run
):
    """One run more is refused, in either mode; when one has ended, one may begin."""
    scenario = Scenario(steps=[Sleep(seconds=3600)])
    app = App(scenario, max_active_requests=2, **options)
    other = App(scenario)
    async with (
        LocalServer([app, other], close_delay=0) as server,
        post_run(server, other),
        post_run(server, app) as first,
        post_run(server, app),
    ):
        for mode in ("streaming", "blocking"):
            async with post_run(server, app, response_mode=mode) as refused:
                error = await refused.json()
                assert refused.headers.get("Retry-After") == retry_after
            assert (refused.status, error["code"]) == (status, code)
            assert error["message"] == MESSAGE.format(app.id)
        server.runs[1].stop()
        await first.read()
        async with post_run(server, app) as third:
            assert third.status == 200


@pytest.mark.parametrize(("version", "status"), [("1.12.1", 400), ("1.14.2", 200)])
async def test_paused_run_takes_a_place_on_old_servers(version, status, post_run):
    """A paused run is over for the API since 1.13, and goes on before."""
    app = App(Scenario(steps=[Pause()]), max_active_requests=1)
    async with (
        LocalServer([app], version=version) as server,
        post_run(server, app),
    ):
        await server.runs[0].settled(pause_counts=True)
        async with post_run(server, app) as response:
            assert response.status == status


async def test_quota_is_used_up(post_run, ask):
    """Each run takes one of the quota, those that are refused do not."""
    inputs = [Variable(variable="x", required=True)]
    app = App(Scenario(inputs=inputs), quota=2, retry_after=60)
    path = "/workflows/run"
    good = RUN | {"inputs": {"x": "y"}}
    async with LocalServer([app]) as server:
        for body, wanted in ((RUN, 400), (good, 200), (RUN, 400), (good, 200)):
            status, _ = await ask(server, app, "POST", path, json=body)
            assert status == wanted
        assert app.quota == 0
        async with post_run(server, app) as response:
            error = await response.json()
            assert response.headers["Retry-After"] == "60"
        app.quota = None
        assert (await ask(server, app, "POST", path, json=good))[0] == 200
    assert (response.status, error["code"]) == (429, "rate_limit_error")
    start = "Workflow execution quota limit reached for tenant "
    assert error["message"].startswith(start)


LONG = {
    "text": "x" * 20,
    "short": "y",
    "list": [1, 2, 3, {"deep": "z" * 11}] * 4,
    "n": 3,
}
CUT = {
    "text": "xxxxxxxxxx...",
    "short": "y",
    "list": [1, 2, 3, {"deep": "zzzzzzzzzz..."}] * 2 + [1, 2],
    "n": 3,
}


@pytest.mark.parametrize("version", ["1.12.1", "1.14.2"])
async def test_long_outputs_are_cut_in_events(version, stream, ask):
    """Events of a node that asks for it say that they are cut; records are whole."""
    app = App(
        Scenario(
            steps=[
                Node(type="code", outputs=LONG, process_data={"a": "a" * 11}),
                Node(type="end", outputs=LONG, truncate_at=10),
            ]
        )
    )
    async with LocalServer([app], version=version, close_delay=0) as server:
        frames = await stream(server, app)
        (run,) = server.runs
        _, detail = await ask(server, app, "GET", f"/workflows/run/{run.id}")
    code, end = [
        one["data"]
        for one in frames
        if one != "ping" and one["event"] == "node_finished"
    ]
    finished = frames[-1]["data"]
    assert (code["outputs"], code["outputs_truncated"]) == (LONG, False)
    assert (end["outputs"], end["outputs_truncated"]) == (CUT, True)
    assert (end["inputs"], end["inputs_truncated"]) == (CUT, True)
    assert (end["process_data"], end["process_data_truncated"]) == ({}, False)
    assert (finished["outputs"], finished["outputs_truncated"]) == (CUT, True)
    assert run.outputs == LONG
    if version == "1.14.2":
        assert detail["outputs"] == LONG


async def test_short_outputs_are_not_cut(stream):
    """What fits is not marked, and the end of the run has no key more."""
    app = App(Scenario(steps=[Node(type="end", outputs={"a": "b"}, truncate_at=1)]))
    async with LocalServer([app], close_delay=0) as server:
        frames = await stream(server, app)
    assert frames[-2]["data"]["outputs_truncated"] is False
    assert "outputs_truncated" not in frames[-1]["data"]


async def test_long_outputs_of_nodes_in_between_stay_whole_for_others(stream):
    """Only the events are cut: a later node gets all of it."""
    steps = [
        Node(type="code", outputs={"a": "abc"}, truncate_at=1),
        Node(type="end", outputs={"a": "{code.a}"}),
    ]
    app = App(Scenario(steps=steps))
    async with LocalServer([app], close_delay=0) as server:
        frames = await stream(server, app)
    assert frames[3]["data"]["outputs"] == {"a": "a..."}
    assert frames[-1]["data"]["outputs"] == {"a": "abc"}
