"""Runs that were started before: start and let go, attach, wait, read, stop."""

# ruff: noqa: PT012 - a stream is entered and read where it fails

from __future__ import annotations

import asyncio
import json
import pickle

import pytest

from dify_workflow_async import Dispatcher, Timeouts, errors
from dify_workflow_async.events import (
    HumanInputRequired,
    NodeFinished,
    NodeStarted,
    TextChunk,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from dify_workflow_async.local import ErrorEvent, Node, Pause, Sleep, Variable
from dify_workflow_async.models import RunRef


OLD, NEW = "1.12.1", "1.14.2"
NOBODY = "99999999-9999-4999-8999-999999999999"
END = Node(type="end", outputs={"answer": "42"})
FOREVER = Sleep(seconds=3600)


@pytest.fixture(params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    """Give the version of the server: one of each family."""
    return request.param


def say(run, name: str, **data) -> None:
    """Let a run of the local server that goes on for ever say something."""
    ids = {"workflow_run_id": run.id, "task_id": run.task_id}
    run.send({"event": name, **ids, "data": data})


def finish(run, status: str = "succeeded", **outputs) -> None:
    """End such a run, in its record and for all who listen."""
    run.status, run.outputs, run.finished_at = status, outputs, run.created_at + 1
    say(run, "workflow_finished", id=run.id, status=status, outputs=outputs)


async def cancelled(task: asyncio.Task) -> None:
    """Cancel a task, and see the cancellation come out of it."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def paths(server, ending: str) -> list[str]:
    """The requests to the local server whose path ends so."""
    return [x.path for x in server.server.requests if x.path.endswith(ending)]


# -- start -----------------------------------------------------------------------------


async def test_start_lets_the_run_go(version, serve, connect, until, in_use):
    """The run goes on behind its reference, which pickles, and nobody stops it."""
    server = await serve(Node(type="start"), FOREVER, version=version)
    client = connect(server)
    ref = await client.start({"query": "x"}, user="u7")
    run = server.runs[0]
    assert ref == RunRef(workflow_run_id=run.id, task_id=run.task_id, user="u7")
    assert pickle.loads(pickle.dumps(ref)) == ref
    await until(lambda: in_use(client) == 0)
    await client.aclose()
    assert (run.status, server.stops) == ("running", [])


async def test_start_of_a_run_that_is_over_at_once(version, serve, connect):
    """A run whose first bytes are its last ones has a reference, too."""
    server = await serve(END, version=version, close_delay=0)
    client = connect(server)
    ref = await client.start()
    assert ref.workflow_run_id == server.runs[0].id
    assert (await client.wait(ref)).outputs == {"answer": "42"}
    assert len(server.starts) == 1


async def test_start_that_is_refused(version, serve, connect):
    """What the server refuses is raised, in the stream or before it."""
    asks = [Variable(variable="query", required=True)]
    server = await serve(END, inputs=asks, version=version)
    async with asyncio.timeout(5):  # the server is silent for 300 s behind its event
        with pytest.raises(errors.APIError, match="query is required"):
            await connect(server).start()
    assert server.runs == []


async def test_start_of_a_run_that_fails_before_its_ids(wild, connect, in_use, until):
    """An `error` event without ids is raised, not awaited for 300 s."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await peer.send(b'data: {"event":"error","message":"no","status":400}\n\n')
        await peer.gone()

    server = await wild(script)
    client = connect(server)
    with pytest.raises(errors.BadRequest, match="no"):
        await client.start()
    await until(lambda: in_use(client) == 0)
    assert server.stops == []


async def test_start_of_a_stream_that_breaks_before_its_ids(wild, connect):
    """Nobody knows then if the run began, and it is not started again."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        peer.hang_up()

    server = await wild(script)
    with pytest.raises(errors.RunStateUnknown):
        await connect(server).start()
    assert len(server.starts) == 1


async def test_start_cancelled_before_the_ids(wild, connect, until):
    """A run that nobody has a reference of is stopped as soon as it can be."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await telling.wait()
        await peer.event("workflow_started")
        await peer.gone()

    telling = asyncio.Event()
    server = await wild(script)
    client = connect(server)
    task = asyncio.create_task(client.start())
    await until(lambda: server.starts)
    await cancelled(task)
    telling.set()
    await until(lambda: server.stops)
    assert server.stops == [{"user": "u1"}]


@pytest.mark.parametrize("chosen", ["client", "call"])
async def test_start_cancelled_and_detached(chosen, wild, connect, until):
    """`on_cancel="detach"` lets it go on, whoever says so."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.gone()

    server = await wild(script)
    options = {"on_cancel": "detach"}
    client = connect(server, **(options if chosen == "client" else {}))
    task = asyncio.create_task(client.start(**(options if chosen == "call" else {})))
    await until(lambda: server.starts)
    await cancelled(task)
    await until(lambda: server.open == 0)
    await client.aclose()
    assert server.stops == []


async def test_start_cancelled_after_the_ids(serve, connect, until):
    """Once the reference was returned, cancelling stops nothing."""

    async def work() -> None:
        refs.append(await client.start())
        await asyncio.Event().wait()

    refs: list[RunRef] = []
    server = await serve(FOREVER)
    client = connect(server)
    task = asyncio.create_task(work())
    await until(lambda: refs)
    await cancelled(task)
    await client.aclose()
    assert (server.runs[0].status, server.stops) == ("running", [])


async def test_start_in_a_full_client(serve, connect):
    """A run that was let go takes no place of `max_concurrent_runs`."""
    server = await serve(FOREVER)
    client = connect(server, max_concurrent_runs=1)
    async with asyncio.timeout(5):
        refs = [await client.start() for _ in range(3)]
        async with client.attach(refs[0]) as run:
            finish(server.runs[0])
            assert (await run.result()).is_success
    assert len({ref.workflow_run_id for ref in refs}) == 3


async def test_begun_twice(serve, connect):
    """Asking for the ids loses no event, however often, to who iterates then."""
    server = await serve(Node(type="start"), END)
    async with connect(server).stream() as run:
        refs = [await run.begun() for _ in range(3)]
        events = [event async for event in run]
        assert await run.begun() == refs[0]
    assert {ref.workflow_run_id for ref in refs} == {server.runs[0].id}
    assert [event.raw for event in events] == server.runs[0].events


async def test_begun_beside_a_reader(wild, connect, until, ids):
    """Who asks for the ids while another task reads takes no event from it."""

    async def script(peer) -> None:
        await peer.begin()
        await telling.wait()
        for name in ("workflow_started", "of_tomorrow", "workflow_finished"):
            await peer.event(name, status="succeeded")
        await peer.end()

    telling = asyncio.Event()
    server = await wild(script)
    async with connect(server).stream() as run:
        reading = asyncio.create_task(_names(run))
        await asyncio.sleep(0)
        asking = asyncio.create_task(run.begun())
        await asyncio.sleep(0)
        telling.set()
        names = await reading
        ref = await asking
    assert names == ["workflow_started", "of_tomorrow", "workflow_finished"]
    assert ref.workflow_run_id == ids.run


async def _names(run) -> list[str]:
    return [event.raw["event"] async for event in run]


async def test_start_with_a_dispatcher(serve, connect):
    """Handlers hear how the run begins."""
    dispatcher = Dispatcher()
    heard: list[str] = []
    dispatcher.on(WorkflowStarted)(lambda event: heard.append(event.workflow_run_id))
    server = await serve(FOREVER)
    ref = await connect(server).start(dispatcher=dispatcher)
    assert heard == [ref.workflow_run_id]


# -- attach ----------------------------------------------------------------------------


@pytest.mark.parametrize("snapshot", [False, True])
async def test_attach_to_a_finished_run(snapshot, serve, connect):
    """Its end is all there is, with the whole outputs."""
    server = await serve(Node(type="llm", text=["a", "b"]), END, close_delay=0)
    client = connect(server)
    ref = await client.start()
    await server.runs[0].settled(pause_counts=False)
    async with client.attach(ref, include_state_snapshot=snapshot) as run:
        events = [event async for event in run]
        result = await run.result()
    assert [type(event) for event in events] == [WorkflowFinished]
    assert (result.status, result.outputs) == ("succeeded", {"answer": "42"})
    assert result.ref == ref  # the event has the run's id for the task's
    assert server.stops == []


async def test_attach_by_id(serve, connect):
    """The run's id is enough; the user is the client's, or the one of the call."""
    server = await serve(END, close_delay=0)
    client = connect(server, user="u2")
    ref = await client.start()
    await server.runs[0].settled(pause_counts=False)
    other = connect(server, user="u1")
    for run in (
        client.attach(ref.workflow_run_id),
        other.attach(ref.workflow_run_id, user="u2"),
        other.attach(ref),
        other.attach(RunRef(workflow_run_id=ref.workflow_run_id), user="u2"),
    ):
        async with run:
            result = await run.result()
        assert (result.status, result.user) == ("succeeded", "u2")
        assert result.workflow_run_id == ref.workflow_run_id
        assert result.task_id in {None, ref.task_id}


async def test_attach_to_a_running_run(serve, connect):
    """What is said from now on comes, to the end, and not what was said before."""
    server = await serve(Node(type="llm", text=["lost"]), FOREVER)
    client = connect(server)
    ref = await client.start()
    async with client.attach(ref) as run:
        say(server.runs[0], "text_chunk", text="kept")
        finish(server.runs[0], answer="42")
        events = [event async for event in run]
        result = await run.result()
        assert run.text == "kept"
    assert [type(event) for event in events] == [TextChunk, WorkflowFinished]
    assert result.outputs == {"answer": "42"}
    assert result.ref == ref


async def test_attach_with_a_snapshot(serve, connect):
    """What ran before is told in reduced events, and then what comes."""
    server = await serve(Node(type="start"), Node(type="code"), FOREVER)
    client = connect(server)
    ref = await client.start()
    async with client.attach(ref, include_state_snapshot=True) as run:
        finish(server.runs[0])
        events = [event async for event in run]
    kinds = [WorkflowStarted, *[NodeStarted, NodeFinished] * 2, WorkflowFinished]
    assert [type(event) for event in events] == kinds
    assert [event.node_id for event in events[1:5:2]] == ["start", "code"]


@pytest.mark.parametrize("continues", [False, True])
async def test_attach_to_a_paused_run(continues, serve, connect):
    """Without a snapshot all is silent until somebody answers the form."""
    server = await serve(Pause(), END)
    client = connect(server)
    ref = await client.start()
    await server.runs[0].settled(pause_counts=True)
    async with client.attach(ref, continue_on_pause=continues) as run:
        server.runs[0].form.answer("approve", {})
        events = [event async for event in run]
        result = await run.result()
    assert events[0].reason == "resumption"
    assert result.outputs == {"answer": "42"}
    sent = server.runs[0].events
    assert [event.raw for event in events] == sent[-len(events) :]


async def test_attach_to_a_paused_run_with_a_snapshot(serve, connect):
    """A snapshot of it ends with the form, and the stream is `paused`."""
    server = await serve(Node(type="start"), Pause(form_content="Go on?"), END)
    client = connect(server)
    ref = await client.start()
    await server.runs[0].settled(pause_counts=True)
    async with client.attach(ref, include_state_snapshot=True) as run:
        events = [event async for event in run]
        result = await run.result()
        assert (run.status, result.status) == ("paused", "paused")
    assert [type(event) for event in events[-2:]] == [
        HumanInputRequired,
        WorkflowPaused,
    ]
    assert [x.form_token for x in result.reasons] == [server.runs[0].form.token]
    with pytest.raises(errors.RunPaused):
        result.raise_for_status()


@pytest.mark.parametrize("snapshot", [False, True])
async def test_attach_and_continue_on_pause(snapshot, serve, connect):
    """A pause is yielded and the stream goes on, as often as it happens."""
    server = await serve(Pause(id="one"), Pause(id="two"), END)
    client = connect(server)
    ref = await client.start()
    sent = server.runs[0]
    await sent.settled(pause_counts=True)
    options = {"include_state_snapshot": snapshot, "continue_on_pause": True}
    asked = []
    async with client.attach(ref, **options) as run:
        if not snapshot:  # nothing tells of the form
            sent.form.answer("approve", {})
        async for event in run:
            assert run.status in {"running", "succeeded"}
            if isinstance(event, HumanInputRequired):
                asked.append(event.node_id)
                sent.form.answer("approve", {})
        result = await run.result()
    assert asked == (["one", "two"] if snapshot else ["two"])
    assert result.outputs == {"answer": "42"}


async def test_attach_and_stay_where_the_server_never_closes(serve, connect, in_use):
    """The client ends the stream by itself: the server does not, for 300 s."""
    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start()
    async with asyncio.timeout(5):
        async with client.attach(ref, continue_on_pause=True) as run:
            finish(server.runs[0])
            assert (await run.result()).is_success
        assert in_use(client) == 0


@pytest.mark.parametrize("case", ["unknown", "other user", "other app"])
async def test_attach_to_no_run(case, serve, connect):
    """Whoever may not see the run is told that there is none."""
    server = await serve(END, close_delay=0)
    client = connect(server)
    ref = await client.start()
    await server.runs[0].settled(pause_counts=False)
    if case == "other app":
        client = connect(await serve(END))
    run_id = NOBODY if case == "unknown" else ref.workflow_run_id
    user = "u2" if case == "other user" else None
    with pytest.raises(errors.RunNotFound) as caught:
        async with client.attach(run_id, user=user):
            pass
    assert (caught.value.status, caught.value.run_id) == (404, run_id)
    async with asyncio.timeout(5):  # the connection was given back
        assert (await client.run()).is_success


async def test_attach_on_a_server_that_cannot(serve, connect):
    """It is told from a run that is not there, and says what may be wrong."""
    server = await serve(END, version=OLD)
    client = connect(server)
    ref = await client.start()
    with pytest.raises(errors.NotFound, match="new enough") as caught:
        async with client.attach(ref):
            pass
    assert type(caught.value) is errors.NotFound
    assert caught.value.server_version == OLD
    assert (await client.wait(ref)).is_success


async def test_leaving_an_attached_stream(serve, connect, until, in_use):
    """By default the run goes on, whatever the client does with its own runs."""
    server = await serve(FOREVER)
    client = connect(server, on_cancel="stop")
    ref = await client.start()
    async with client.attach(ref) as run:
        say(server.runs[0], "text_chunk", text="a")
        await anext(run)
    task = asyncio.create_task(_read(client.attach(ref)))
    await until(lambda: len(paths(server, "/events")) == 2)
    await cancelled(task)
    await until(lambda: in_use(client) == 0)
    await client.aclose()
    assert (server.runs[0].status, server.stops) == ("running", [])


async def _read(stream):
    async with stream as run:
        return await run.result()


@pytest.mark.parametrize("known", [True, False])
async def test_leaving_an_attached_stream_and_stopping(known, serve, connect, until):
    """With `on_cancel="stop"` it is stopped, once its task id is known."""
    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start()
    async with client.attach(ref if known else ref.workflow_run_id, on_cancel="stop"):
        pass
    if not known:
        await asyncio.sleep(0)
        assert server.stops == []
        say(server.runs[0], "text_chunk", text="a")
    await until(lambda: server.runs[0].is_over)
    assert server.runs[0].status == "stopped"
    assert server.stops == [{"user": "u1"}]


@pytest.mark.parametrize("snapshot", [False, True])
async def test_stopping_an_attached_run(snapshot, serve, connect):
    """The ids of a snapshot are no task ids: a live event is waited for."""
    server = await serve(Node(type="start"), FOREVER)
    client = connect(server)
    ref = await client.start()
    run_id = ref.workflow_run_id
    async with client.attach(run_id, include_state_snapshot=snapshot) as run:
        assert run.task_id is None
        stopping = asyncio.create_task(run.stop())
        for _ in range(20):
            await asyncio.sleep(0)
        assert server.stops == []
        say(server.runs[0], "text_chunk", text="a")
        await stopping
        assert run.task_id == ref.task_id
        assert (await run.result()).status == run.status == "stopped"
    assert paths(server, "/stop") == [f"/v1/workflows/tasks/{ref.task_id}/stop"]


async def test_stopping_an_attached_run_by_its_reference(serve, connect):
    """A `RunRef` has the task id: nothing is waited for."""
    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start(user="u3")
    async with client.attach(ref) as run:
        await run.stop()
        assert (await run.result()).status == "stopped"
    assert server.stops == [{"user": "u3"}]


async def test_stopping_an_attached_run_that_is_over(serve, connect):
    """A run whose end is all that is known is left as it is."""
    server = await serve(END, close_delay=0)
    client = connect(server)
    ref = await client.start()
    await server.runs[0].settled(pause_counts=False)
    async with client.attach(ref.workflow_run_id) as run:
        assert (await run.result()).is_success
        await run.stop()
    async with client.attach(ref.workflow_run_id) as run:
        with pytest.raises(errors.CannotStop):
            await run.stop()  # nothing was read yet, and no event tells the task
        assert (await run.result()).is_success
    assert server.stops == []


async def test_many_attached_at_once(serve, connect):
    """All of them hear the same, each at its own pace, and leave as they like."""
    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start()
    first, second, third = (client.attach(ref) for _ in range(3))
    async with first, second, third:
        say(server.runs[0], "text_chunk", text="a")
        await anext(third)
        await third.__aexit__(None, None, None)
        say(server.runs[0], "text_chunk", text="b")
        finish(server.runs[0])
        results = await asyncio.gather(first.result(), second.result())
        assert first.text == second.text == "ab"
    assert [result.status for result in results] == ["succeeded"] * 2


async def test_dispatcher_of_an_attached_run(serve, connect):
    """Handlers hear what comes, get the stream as `run`, and `wait_for` works."""
    dispatcher = Dispatcher()
    heard = []

    @dispatcher.on(TextChunk)
    async def hear(event, run) -> None:
        heard.append((event.text, run))

    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start()
    async with client.attach(ref, dispatcher=dispatcher) as run:
        waiting = dispatcher.wait_for(WorkflowFinished, run=run)
        say(server.runs[0], "text_chunk", text="a")
        finish(server.runs[0])
        await run.result()
        assert (await waiting).workflow_run_id == ref.workflow_run_id
    assert heard == [("a", run)]


async def test_handler_of_an_attached_run_that_fails(serve, connect):
    """Its exception comes out, and the run goes on: it is somebody else's."""
    dispatcher = Dispatcher()

    @dispatcher.on(TextChunk)
    def fail(event) -> None:
        raise KeyError(event.text)

    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start()
    with pytest.raises(KeyError):
        async with client.attach(ref, dispatcher=dispatcher) as run:
            say(server.runs[0], "text_chunk", text="a")
            await run.result()
    await client.aclose()
    assert (server.runs[0].status, server.stops) == ("running", [])


async def test_time_limit_of_an_attached_stream(serve, connect):
    """`timeout=` ends the following, not the run."""
    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start()
    with pytest.raises(errors.TotalTimeout) as caught:
        async with client.attach(ref, timeout=0.05) as run:
            await run.result()
    assert caught.value.run_id == ref.workflow_run_id
    await client.aclose()
    assert (server.runs[0].status, server.stops) == ("running", [])


@pytest.mark.parametrize("bad", [None, 5, {"workflow_run_id": "r"}])
async def test_what_is_no_run(bad, wild, connect):
    """A run is an id or a reference, and anything else is said before it is sent."""
    server = await wild()
    client = connect(server)
    with pytest.raises(errors.ConfigurationError, match="a run is given by"):
        client.attach(bad)
    for verb in (client.get_run, client.wait):
        with pytest.raises(errors.ConfigurationError, match="a run is given by"):
            await verb(bad)
    assert server.connections == 0


@pytest.mark.parametrize("bad", ["", ".", ".."])
async def test_what_is_no_id(bad, wild, connect):
    """An id that would make another path is refused before it is sent."""
    server = await wild()
    client = connect(server)
    with pytest.raises(errors.ConfigurationError, match="no run id"):
        client.attach(bad)
    with pytest.raises(errors.ConfigurationError, match="no run id"):
        await client.wait(bad)
    with pytest.raises(errors.ConfigurationError, match="no task id"):
        await client.stop(bad)
    assert server.connections == 0


async def test_ids_with_odd_characters(wild, connect):
    """Whatever an id holds stays within its part of the path."""

    async def script(peer) -> None:
        await peer.answer(404, {"code": "not_found", "message": "no", "status": 404})

    server = await wild(script)
    client = connect(server)
    with pytest.raises(errors.RunNotFound):
        async with client.attach("a/b?c#d%2F é", user="ü&user=x"):
            pass
    path = "/v1/workflow/a%2Fb%3Fc%23d%252F%20%C3%A9/events?user=%C3%BC%26user%3Dx"
    assert [x[1] for x in server.requests] == [path]


async def test_attach_without_a_user(wild, connect):
    """Re-attaching needs a user, and says so before anything is sent."""
    server = await wild()
    client = connect(server, user=None)
    with pytest.raises(errors.ConfigurationError, match="no user"):
        client.attach("r1")
    assert server.connections == 0


# -- wait ------------------------------------------------------------------------------


async def test_wait_until_the_end(version, serve, connect, until):
    """A run is read again until it has ended."""
    server = await serve(FOREVER, version=version)
    client = connect(server)
    ref = await client.start(user="u4")
    task = asyncio.create_task(client.wait(ref))
    await until(lambda: len(paths(server, ref.workflow_run_id)) >= 2)
    finish(server.runs[0], answer="42")
    result = await task
    assert (result.status, result.outputs) == ("succeeded", {"answer": "42"})
    assert result.ref == ref


async def test_wait_by_id(version, serve, connect):
    """The id is enough; whose run it is does not matter here."""
    server = await serve(END, version=version, close_delay=0)
    ref = await connect(server, user="u5").start()
    await server.runs[0].settled(pause_counts=False)
    result = await connect(server).wait(ref.workflow_run_id)
    assert (result.status, result.task_id) == ("succeeded", None)
    assert result.workflow_run_id == ref.workflow_run_id


async def test_wait_for_a_run_that_failed(version, serve, connect):
    """It raises as `run` does, or returns the result where nothing is checked."""
    broken = Node(type="code", status="failed", error="too hot")
    server = await serve(broken, version=version, close_delay=0)
    client = connect(server)
    ref = await client.start()
    with pytest.raises(errors.RunFailed, match="too hot") as caught:
        await client.wait(ref)
    assert caught.value.run_id == ref.workflow_run_id
    result = await client.wait(ref, check=False)
    assert (result.status, result.error) == ("failed", "too hot")


async def test_wait_for_a_run_that_was_stopped(serve, connect):
    """Newer servers write down that a run was stopped."""
    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start()
    await client.stop(ref)
    await server.runs[0].settled(pause_counts=False)
    with pytest.raises(errors.RunStopped):
        await client.wait(ref)


async def test_wait_for_a_run_that_waits(version, serve, connect):
    """A paused run is not waited for: nobody can know for how long."""
    server = await serve(Pause(), END, version=version, ping_interval=0.01)
    client = connect(server)
    ref = await client.start()
    await server.runs[0].settled(pause_counts=True)
    with pytest.raises(errors.RunPaused) as caught:
        await client.wait(ref)
    assert caught.value.result.ref == ref
    assert (await client.wait(ref, check=False)).status == "paused"


async def test_wait_no_longer_than_one_likes(version, serve, connect):
    """The time-out tells which run it was; the run goes on."""
    server = await serve(FOREVER, version=version)
    client = connect(server)
    ref = await client.start()
    async with asyncio.timeout(5):
        with pytest.raises(errors.TotalTimeout) as caught:
            await client.wait(ref, timeout=0.3)
    assert (caught.value.run_id, caught.value.seconds) == (ref.workflow_run_id, 0.3)
    assert isinstance(caught.value, TimeoutError)
    assert (server.runs[0].status, server.stops) == ("running", [])


async def test_wait_looks_a_last_time(wild, connect):
    """A run that ends within the time-out is not missed between two looks."""

    async def detail(peer) -> None:
        seconds = asyncio.get_running_loop().time() - began
        status = "succeeded" if seconds > 0.5 else "running"
        await peer.answer(200, {"id": "r1", "status": status, "outputs": {}})

    server = await wild(detail)
    began = asyncio.get_running_loop().time()
    assert (await connect(server).wait("r1", timeout=0.6)).is_success


async def test_wait_for_a_server_that_does_not_answer(wild, connect):
    """The time-out holds for the requests, too."""

    async def silent(peer) -> None:
        await peer.gone()

    server = await wild(silent)
    async with asyncio.timeout(5):
        with pytest.raises(errors.TotalTimeout):
            await connect(server).wait("r1", timeout=0.1)


async def test_wait_for_a_run_that_is_not_written_yet(wild, connect):
    """A 404 right after a start may mean that the server's worker is slow."""

    async def missing(peer) -> None:
        await peer.answer(404, {"code": "not_found", "message": "no", "status": 404})

    async def nulls(peer) -> None:
        await peer.answer(200, dict.fromkeys(("id", "status", "outputs")))

    async def done(peer) -> None:
        await peer.answer(200, {"id": "r1", "status": "succeeded", "outputs": {"a": 1}})

    server = await wild(missing, nulls, done)
    assert (await connect(server).wait("r1")).outputs == {"a": 1}
    assert len(server.requests) == 3


async def test_wait_for_a_run_that_never_was(version, serve, connect, monkeypatch):
    """It is looked for for some seconds, and then known not to be."""
    monkeypatch.setattr("dify_workflow_async._recovery.GRACE", 0.5)
    server = await serve(END, version=version)
    async with asyncio.timeout(4):  # less than the seconds
        with pytest.raises(errors.RunNotFound) as caught:
            await connect(server).wait(NOBODY)
    assert caught.value.run_id == NOBODY
    assert len(paths(server, NOBODY)) > 2


async def test_wait_no_time_for_a_run_that_never_was(serve, connect):
    """What ends first is told as what it is: no such run, rather than a slow one."""
    server = await serve(END)
    with pytest.raises(errors.RunNotFound) as caught:
        await connect(server).wait(NOBODY, timeout=0.3)
    assert caught.value.run_id == NOBODY


async def test_wait_no_time_for_a_run_that_was_late(wild, connect):
    """A run that was written after all, and goes on, is a slow one."""

    async def missing(peer) -> None:
        await peer.answer(404, {"code": "not_found", "message": "no", "status": 404})

    async def running(peer) -> None:
        await peer.answer(200, {"id": "r1", "status": "running"})

    server = await wild(missing, running)
    with pytest.raises(errors.TotalTimeout):
        await connect(server).wait("r1", timeout=0.4)
    assert len(server.requests) > 2


async def test_wait_at_a_wrong_address(wild, connect):
    """HTML is no word about the run: it is not asked for again and again."""

    async def script(peer) -> None:
        await peer.answer(404, b"<html>", "text/html")

    server = await wild(script)
    with pytest.raises(errors.NotFound) as caught:
        await connect(server).wait("r1")
    assert type(caught.value) is errors.NotFound
    assert len(server.requests) == 1


async def test_wait_cancelled(serve, connect, until):
    """Cancelling the waiting passes at once, and does nothing to the run."""
    server = await serve(FOREVER)
    client = connect(server, on_cancel="stop")
    ref = await client.start()
    task = asyncio.create_task(client.wait(ref))
    await until(lambda: paths(server, ref.workflow_run_id))
    await cancelled(task)
    await client.aclose()
    assert server.stops == []


# -- get_run, stop ---------------------------------------------------------------------


async def test_get_run_by_reference(version, serve, connect):
    """A reference is as good as its id."""
    server = await serve(END, version=version, close_delay=0)
    client = connect(server)
    ref = await client.start({"query": "x"})
    await server.runs[0].settled(pause_counts=False)
    detail = await client.get_run(ref)
    assert detail == await client.get_run(ref.workflow_run_id)
    assert (detail.id, detail.inputs["query"]) == (ref.workflow_run_id, "x")
    assert detail.outputs == {"answer": "42"}


async def test_stop_by_reference(version, serve, connect):
    """The task is stopped for the one who started it, if nobody else is named."""
    server = await serve(FOREVER, version=version)
    client = connect(server)
    refs = [await client.start(user="u6"), await client.start(user="u6")]
    await client.stop(refs[0])
    await client.stop(refs[1], user="u8")
    for run in server.runs:
        await run.settled(pause_counts=False)
    assert [run.status for run in server.runs] == ["stopped", "stopped"]
    assert server.stops == [{"user": "u6"}, {"user": "u8"}]


@pytest.mark.parametrize("ref", [RunRef(workflow_run_id="r1"), None, 5])
async def test_stop_without_a_task_id(ref, wild, connect):
    """The server would say success, and stop nothing."""
    server = await wild()
    with pytest.raises(errors.UsageError):
        await connect(server).stop(ref)
    assert server.connections == 0


async def test_error_event_of_an_attached_run(serve, connect):
    """An `error` event ends an attached stream as it does any other."""
    server = await serve(ErrorEvent(message="broken", code="invalid_param", status=400))
    client = connect(server, timeouts=Timeouts(idle=5))
    with pytest.raises(errors.InvalidParam):
        await client.run()
    run_id = server.runs[0].id
    async with client.attach(run_id) as run:
        result = await run.result()
    assert (result.status, result.error) == ("failed", "broken")


async def test_a_run_that_never_tells_its_id(wild, connect):
    """It ended well, and still nobody could find it again."""

    async def script(peer) -> None:
        await peer.begin()
        end = {"event": "workflow_finished", "data": {"status": "succeeded"}}
        await peer.send(b"data: " + json.dumps(end).encode() + b"\n\n")
        await peer.end()

    client = connect(await wild(script))
    async with client.stream() as run:
        with pytest.raises(errors.RunStateUnknown, match="without telling its id"):
            await run.begun()
