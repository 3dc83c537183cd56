"""The list of runs: what is selected, in which order, and what is refused."""

import pytest

from dify_workflow_async.local import (
    App,
    ErrorEvent,
    LocalServer,
    Node,
    Pause,
    Scenario,
    Sleep,
)


@pytest.fixture
def run(post_run):
    """Give a function that runs an app, and returns the run."""

    async def blocking(server, app, **body):
        async with post_run(server, app, response_mode="blocking", **body) as response:
            assert response.status == 200
            return server.runs[-1]

    return blocking


@pytest.fixture
async def listed(run, ask):
    """Give a server with four runs, and a function that lists their ``n``."""
    app = App(Scenario(steps=[Node(type="end", outputs={"said": "Ünïque {n}"})]))
    async with LocalServer([app, App(Scenario())]) as server:
        runs = [
            await run(server, app, inputs={"n": n}, user=f"user-{n % 2}")
            for n in range(4)
        ]
        for n, begun in enumerate((0, 1_000_000_000, 1_500_000_000, 2_000_000_000)):
            runs[n].created_at = begun
        await run(server, server.apps[1])

        async def ask_for(query: str) -> list[int]:
            status, answer = await ask(server, app, "GET", f"/workflows/logs?{query}")
            assert status == 200
            by_id = {one.id: one.inputs["n"] for one in runs}
            return [by_id[entry["workflow_run"]["id"]] for entry in answer["data"]]

        yield server, app, runs, ask_for


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [3, 2, 1, 0]),
        ("unknown=1", [3, 2, 1, 0]),
        ("limit=3", [3, 2, 1]),
        ("limit=3&page=2", [0]),
        ("limit=3&page=3", []),
        ("page=99999&limit=100", []),
        ("status=succeeded", [3, 2, 1, 0]),
        ("status=failed", []),
        ("keyword=Ünïque", [3, 2, 1, 0]),
        ("keyword=ünÏQUE 2", [2]),
        ("keyword=USER-1", [3, 1]),
        ('keyword="n": 3', [3]),
        ("keyword=%25", []),
        ("keyword=Ünïque 1" + "x" * 30, []),
        ("keyword=" + "x" * 40, []),
        ("created_by_end_user_session_id=user-0", [2, 0]),
        ("created_by_end_user_session_id=USER-0", []),
        ("created_at__after=2001-09-09T01:46:40Z", [3, 2, 1]),
        ("created_at__before=2001-09-09T01:46:40", [1, 0]),
        ("created_at__before=2001-09-09T03:46:40%2B02:00", [1, 0]),
        ("created_at__after=2001-09-09T01:46:41&created_at__before=2020-01-01", [2]),
        ("created_at__after=&created_at__before=", [3, 2, 1, 0]),
        ("keyword=ünïque&created_by_end_user_session_id=user-1&limit=1", [3]),
    ],
)
async def test_queries_select(query, found, listed):
    """Each parameter selects, all of them together, and the newest come first."""
    _, _, _, ask_for = listed
    assert await ask_for(query) == found


async def test_keyword_may_be_the_id_of_a_run(listed):
    """The whole id finds its run."""
    _, _, runs, ask_for = listed
    assert await ask_for(f"keyword={runs[2].id.upper()}") == [2]


async def test_pages_are_counted(listed, ask):
    """The totals are those of all that was selected."""
    server, app, _, _ = listed
    path = "/workflows/logs?created_by_end_user_session_id=user-1&limit=1&page={}"
    for page, more in ((1, True), (2, False), (3, False)):
        _, answer = await ask(server, app, "GET", path.format(page))
        told = {key: answer[key] for key in ("page", "limit", "total", "has_more")}
        assert told == {"page": page, "limit": 1, "total": 2, "has_more": more}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("page=0", "greater than or equal to 1 [type=greater_than_equal"),
        ("page=100000", "less than or equal to 99999 [type=less_than_equal"),
        ("limit=0", "greater than or equal to 1"),
        ("limit=x", "unable to parse string as an integer [type=int_parsing"),
        ("status=running", "be 'succeeded', 'failed' or 'stopped' [type=literal_error"),
        ("status=", "[type=literal_error, input_value='', input_type=str]"),
        ("status=x&limit=0", "2 validation errors for WorkflowLogQuery\nstatus\n"),
        ("created_at__before=yesterday", "for int() with base 10: b'yest'"),
        ("created_at__after=2020-99-99", "Unused components in ISO string"),
        ("created_by_account=a@b.c", "Account not found: a@b.c"),
    ],
)
async def test_wrong_queries_are_refused(query, message, ask):
    """Values out of their range are errors, also statuses that runs have."""
    app = App(Scenario())
    async with LocalServer([app]) as server:
        status, error = await ask(server, app, "GET", f"/workflows/logs?{query}")
    assert (status, error["code"]) == (400, "invalid_param")
    assert message in error["message"]


async def test_app_without_runs_has_an_empty_list(ask):
    """Any app may ask, also one that is no workflow."""
    app = App(Scenario(), mode="advanced-chat")
    async with LocalServer([app]) as server:
        status, answer = await ask(server, app, "GET", "/workflows/logs")
    assert (status, answer["total"], answer["data"]) == (200, 0, [])


@pytest.mark.parametrize(
    ("version", "step", "told"),
    [
        ("1.14.2", Sleep(seconds=3600), ("running", 0, None)),
        ("1.14.2", Pause(), ("paused", 1, None)),
        ("1.14.2", ErrorEvent(message="m"), ("failed", 0, "m")),
        ("1.12.1", Node(type="x", status="exception"), ("partial-succeeded", 1, None)),
    ],
)
async def test_runs_of_every_status_are_listed(version, step, told, post_run, ask):
    """Also those are listed that no filter can ask for."""
    app = App(Scenario(steps=[step]))
    async with (
        LocalServer([app], version=version) as server,
        post_run(server, app) as response,
    ):
        await response.content.readany()
        (run,) = server.runs
        if told[0] != "running":
            await run.settled(pause_counts=True)
        _, answer = await ask(server, app, "GET", "/workflows/logs")
    (entry,) = answer["data"]
    row = entry["workflow_run"]
    assert (row["status"], row["total_steps"], row["error"]) == told
    assert row["version"] == app.workflow_version
    assert entry["created_by_end_user"]["session_id"] == "u1"


@pytest.mark.parametrize(
    ("version", "status"), [("1.12.1", "running"), ("1.14.2", "stopped")]
)
async def test_stopped_runs_of_old_servers_are_listed_as_running(
    version, status, post_run, ask
):
    """The list is made from the same records as the run detail."""
    app = App(Scenario(steps=[Sleep(seconds=3600)]))
    options = {"version": version, "close_delay": 0}
    async with (
        LocalServer([app], **options) as server,
        post_run(server, app) as response,
    ):
        (run,) = server.runs
        await response.content.readany()
        run.stop()
        await response.read()
        _, answer = await ask(server, app, "GET", "/workflows/logs")
        _, of_stopped = await ask(server, app, "GET", "/workflows/logs?status=stopped")
    assert answer["data"][0]["workflow_run"]["status"] == status
    assert of_stopped["total"] == (status == "stopped")
