"""Streams of runs that were begun before: what they carry, and when they end."""

import asyncio

import aiohttp
import pytest

from dify_workflow_async.local import (
    App,
    Disconnect,
    ErrorEvent,
    Iteration,
    LocalServer,
    Loop,
    Node,
    Parallel,
    Pause,
    Raw,
    Replay,
    Scenario,
    Sleep,
)


BOTH = {"include_state_snapshot": "true", "continue_on_pause": "true"}
END = Node(type="end", outputs={"a": 1})


def names(frames) -> list[str]:
    return [one if one == "ping" else one["event"] for one in frames]


async def read_until(response, end: bytes) -> bytes:
    """Read a stream until it has said something."""
    body = b""
    while end not in body:
        chunk = await response.content.readany()
        assert chunk, "the stream ended"
        body += chunk
    return body


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/workflow/{run}/events", 400),
        ("/workflow/{run}/events?user=", 400),
        ("/workflow/{run}/events?user=u2", 404),
        ("/workflow/{task}/events?user=u1", 404),
        ("/workflow/nope/events?user=u1", 500),
        ("/workflows/{run}/events?user=u1", None),
    ],
)
async def test_only_the_user_who_began_a_run_joins_it(path, status, begin, http):
    """The user is needed and must be the same, and the id must be the run's."""
    app = App(Scenario(steps=[END]))
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        url = server.base_url + path.format(run=run.id, task=run.task_id)
        headers = {"Authorization": f"Bearer {app.key}"}
        async with http.get(url, headers=headers) as response:
            if status is None:
                assert response.content_type == "text/html"
            else:
                assert (await response.json())["status"] == response.status == status


async def test_run_of_another_app_is_not_joined(begin, ask):
    """Neither with the key of another app nor with that of another kind of app."""
    app, other, chat = (App(Scenario()) for _ in range(3))
    chat.mode = "chat"
    async with LocalServer([app, other, chat]) as server:
        run = await begin(server, app)
        path = f"/workflow/{run.id}/events?user=u1"
        assert (await ask(server, other, "GET", path))[0] == 404
        status, error = await ask(server, chat, "GET", path)
        chat.mode = "advanced-chat"  # the one other kind that has runs
        assert (await ask(server, chat, "GET", path))[0] == 404
    assert (status, error["code"]) == (400, "not_workflow_app")


@pytest.mark.parametrize("version", ["1.12.1", "1.13.3"])
async def test_old_servers_know_no_joining(version, begin, http):
    """Before 1.14 both the stream and the forms are an HTML 404 like any other."""
    app = App(Scenario(steps=[END]))
    headers = {"Authorization": f"Bearer {app.key}"}
    async with LocalServer([app], version=version) as server:
        run = await begin(server, app)
        for path in (f"/workflow/{run.id}/events?user=u1", "/form/human_input/x"):
            async with http.get(server.base_url + path, headers=headers) as response:
                assert response.status == 404
                assert response.content_type == "text/html"


@pytest.mark.parametrize(
    ("step", "status"),
    [
        (END, "succeeded"),
        (Node(type="code", status="failed", error="é"), "failed"),
        (ErrorEvent(message="é"), "failed"),
    ],
)
@pytest.mark.parametrize("query", [{}, BOTH])
async def test_finished_run_is_told_at_once(query, step, status, stream, join):
    """Of a run that is over the end is told, whatever was asked; ASCII only."""
    app = App(Scenario(steps=[step]))
    async with LocalServer([app], close_delay=0, error_silence=0) as server:
        await stream(server, app)
        async with join(server, app, server.runs[0], **query) as response:
            body = await response.read()
    assert body.startswith(b'data: {"event": "workflow_finished", "task_id": ')
    assert f'"status": "{status}"'.encode() in body
    assert body.count(b"\n\n") == 1
    assert body.isascii()


async def test_reader_of_paused_run_waits_in_silence(begin, join, parse_frames):
    """Without a snapshot nothing but one ping comes, until the server gives up."""
    app = App(Scenario(steps=[Pause()]))
    async with LocalServer([app], ping_interval=0.001, idle_limit=0.05) as server:
        run = await begin(server, app)
        async with join(server, app, run) as response:
            assert parse_frames(await response.read()) == ["ping"]


async def test_reader_with_snapshot_gets_pings_in_a_pause(begin, join):
    """With a snapshot, and if it goes on, a paused run's stream is kept alive."""
    app = App(Scenario(steps=[Pause()]))
    async with LocalServer([app], ping_interval=0.001) as server:
        run = await begin(server, app)
        async with join(server, app, run, **BOTH) as response:
            body = await read_until(response, b"event: ping\n\n" * 3)
    assert b'"workflow_paused"' in body


async def test_idle_limit_ends_pings_in_a_pause(begin, join, parse_frames):
    """The server's own pings do not count as something that was heard."""
    app = App(Scenario(steps=[Pause()]))
    options = {"ping_interval": 0.001, "idle_limit": 0.05}
    async with LocalServer([app], **options) as server:
        run = await begin(server, app)
        async with join(server, app, run, **BOTH) as response:
            frames = parse_frames(await response.read())
    assert names(frames)[-1] == "ping"
    assert names(frames).count("workflow_paused") == 1


async def test_pings_of_a_running_run_hold_the_stream(post_run, join):
    """A run that goes on pings through its worker, so nobody gives it up."""
    app = App(Scenario(steps=[Sleep(seconds=3600)]))
    options = {"ping_interval": 0.002, "idle_limit": 0.02}
    async with (
        LocalServer([app], **options) as server,
        post_run(server, app),
        join(server, app, server.runs[0]) as response,
    ):
        await read_until(response, b"event: ping\n\n" * 30)
        assert not response.content.at_eof()


@pytest.mark.parametrize(
    ("query", "closing"),
    [
        ({}, "workflow_paused"),
        ({"include_state_snapshot": "true"}, "workflow_paused"),
        (BOTH, "workflow_finished"),
        ({"continue_on_pause": "true"}, None),
        ({"continue_on_pause": "yes"}, "workflow_paused"),
    ],
)
async def test_what_closes_a_stream(query, closing, begin, join):
    """A pause closes unless it is told to go on; without a snapshot nothing does."""
    app = App(Scenario(steps=[Pause(id="one"), Pause(id="two"), END]))
    async with LocalServer([app], close_delay=0) as server:
        run = await begin(server, app)
        if closing == "workflow_paused" and "include_state_snapshot" in query:
            async with join(server, app, run, **query) as response:
                assert b"workflow_paused" in await response.read()
            return
        async with join(server, app, run, **query) as response:
            await read_until(response, b"ping")
            run.form.answer("approve", {})
            body = await read_until(response, b'"paused_nodes":["two"]')
            if closing == "workflow_paused":
                assert await response.content.read() == b""
                return
            run.form.answer("approve", {})
            body = await read_until(response, b"workflow_finished")
            assert b'"outputs":{"a":1}' in body
            if closing is not None:
                assert await response.content.read() == b""
            else:
                assert not response.content.at_eof()


@pytest.mark.parametrize("event", [END, ErrorEvent(message="m", code="c")])
async def test_what_closes_nothing_waits_for_the_limit(event, begin, join):
    """After an error, or an end that does not close, the stream ends by silence."""
    app = App(Scenario(steps=[Pause(), event]))
    query = {} if isinstance(event, ErrorEvent) else {"continue_on_pause": "true"}
    options = {"ping_interval": 0.001, "idle_limit": 0.05}
    async with LocalServer([app], **options) as server:
        run = await begin(server, app)
        async with join(server, app, run, **query) as response:
            run.form.answer("approve", {})
            body = await response.read()
    assert body.endswith(b"}\n\n")  # and no ping behind it


async def test_all_readers_read_the_same(begin, join, parse_frames):
    """Many readers of one run get every event, each on its own connection."""
    text = Node(type="llm", text=["{sys.user_id}"] * 20)
    app = App(Scenario(steps=[Pause(), text, END]))
    async with LocalServer([app], close_delay=0) as server:
        run = await begin(server, app)
        readers = [await join(server, app, run) for _ in range(20)]
        run.form.answer("approve", {})
        bodies = await asyncio.gather(*(reader.read() for reader in readers))
    assert len(set(bodies)) == 1
    assert names(parse_frames(bodies[0]))[:2] == ["ping", "workflow_started"]
    assert names(parse_frames(bodies[0])).count("text_chunk") == 20


async def test_snapshot_has_containers_branches_and_retries(
    post_run, join, parse_frames
):
    """Containers are ordinary nodes in a snapshot, and the index counts."""
    line = Node(type="template-transform", id="line")
    steps = [
        Raw(event={"event": "of_tomorrow", "data": {"x": 1}}),
        Iteration(items=[1, 2], steps=[line]),
        Node(type="code", id="flaky", retries=1, error="no luck"),
        Loop(count=1, steps=[Node(type="code", id="slow", delay=3600)]),
    ]
    app = App(Scenario(steps=steps))
    async with LocalServer([app]) as server, post_run(server, app) as original:
        await read_until(original, b'"node_id":"slow"')
        run = server.runs[0]
        async with join(server, app, run, include_state_snapshot="true") as response:
            frames = parse_frames(await read_until(response, b'"node_id":"slow"'))
        async with join(server, app, run, include_state_snapshot="true") as response:
            again = parse_frames(await read_until(response, b'"node_id":"slow"'))
    told = [
        (one["event"], one["data"]["node_id"], one["data"]["index"])
        for one in frames[2:]
    ]
    assert told == [
        ("node_started", "iteration", 1),
        ("node_finished", "iteration", 1),
        ("node_started", "line", 2),
        ("node_finished", "line", 2),
        ("node_started", "line", 3),
        ("node_finished", "line", 3),
        ("node_started", "flaky", 4),
        ("node_finished", "flaky", 4),
        ("node_started", "loop", 5),
        ("node_started", "slow", 6),
    ]
    assert frames == again
    assert frames[5]["data"]["status"] == "succeeded"
    assert frames[2]["data"]["id"] != "iteration"


async def test_snapshot_has_all_forms_that_are_open(begin, join, parse_frames):
    """Each form that waits is told, and each that was answered is not."""
    branches = [[Pause(id="one")], [Pause(id="two")]]
    steps = [Pause(id="zero"), Parallel(branches=branches)]
    app = App(Scenario(steps=steps))
    async with LocalServer([app], close_delay=0) as server:
        run = await begin(server, app)
        async with join(server, app, run, continue_on_pause="true") as response:
            run.form.answer("approve", {})
            await read_until(response, b'"paused_nodes":["two"]')
        async with join(server, app, run, include_state_snapshot="true") as response:
            frames = parse_frames(await response.read())
    required = [one for one in frames[1:] if one["event"] == "human_input_required"]
    assert [one["data"]["node_id"] for one in required] == ["one", "two"]
    assert frames[-1]["data"]["paused_nodes"] == ["one", "two"]
    assert len(frames[-1]["data"]["reasons"]) == 2


async def test_disconnect_breaks_joined_streams_too(begin, join):
    """A connection that breaks in a script breaks for every reader."""
    app = App(Scenario(steps=[Pause(), Disconnect(), END]))
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        async with join(server, app, run) as response:
            run.form.answer("approve", {})
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_reader_who_leaves_is_missed_by_nobody(begin, join, parse_frames):
    """The run and the other readers go on when one has gone."""
    app = App(Scenario(steps=[Pause(), END]))
    async with LocalServer([app], close_delay=0) as server:
        run = await begin(server, app)
        async with join(server, app, run) as stays:
            async with join(server, app, run) as leaves:
                await read_until(leaves, b"ping")
            run.form.answer("approve", {})
            frames = parse_frames(await stays.read())
    assert names(frames)[-1] == "workflow_finished"


async def test_closing_ends_joined_streams(begin, join):
    """A server that closes leaves no reader behind."""
    app = App(Scenario(steps=[Pause()]))
    before = asyncio.all_tasks()
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        response = await join(server, app, run)
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()
    assert asyncio.all_tasks() == before


async def test_paused_run_of_a_recording_is_paused(recordings, stream, ask):
    """A recording that ends in a pause leaves a run that waits."""
    app = App(Replay(recordings / "dify-1.14.2" / "human_streaming.http"))
    async with LocalServer([app]) as server:
        await stream(server, app)
        (run,) = server.runs
        _, detail = await ask(server, app, "GET", f"/workflows/run/{run.id}")
    assert (detail["status"], detail["total_steps"]) == ("paused", 2)
