"""A run whose stream breaks is found again, and nobody notices more than must be."""

from __future__ import annotations

import asyncio

import pytest

from dify_workflow_async import Dispatcher, Timeouts, errors
from dify_workflow_async.events import NodeFinished, WorkflowFinished, WorkflowPaused
from dify_workflow_async.local import Node, Sleep
from dify_workflow_async.local.faults import Drop, ErrorPage, HangUp, Stall


OLD, NEW = "1.12.1", "1.14.2"
TIMES = Timeouts(idle=5.0, recovery=10.0)
FOREVER = Sleep(seconds=600)
STEPS = [Node(type="start"), Node(type="code", delay=0.2), Node(type="end")]
EVENTS = "*/events"
RUN = "*/workflows/run"
DETAIL = "*/workflows/run/*"


async def test_the_loop_goes_on(serve, connect):
    """After attaching again each event comes once, and the end is the server's own."""
    server = await serve(*STEPS, version=NEW)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    async with connect(server, timeouts=TIMES).stream() as run:
        events = [event async for event in run]
        result = await run.result()
    names = [event.event_name for event in events]
    assert names == [event["event"] for event in server.runs[0].events]
    finished = [event.id for event in events if isinstance(event, NodeFinished)]
    assert len(finished) == len(set(finished)) == 3
    assert result.is_success
    assert result.recovered is not None
    assert (result.recovered.how, result.recovered.breaks) == ("attached", 1)
    assert not result.text_complete
    assert len(server.starts) == 1


async def test_the_end_is_read(serve, connect):
    """An old server is asked for the run; its end comes as the event of one."""
    server = await serve(*STEPS, version=OLD)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    heard: list[WorkflowFinished] = []
    dispatcher = Dispatcher()
    dispatcher.on(WorkflowFinished)(heard.append)
    async with connect(server, timeouts=TIMES).stream(dispatcher=dispatcher) as run:
        events = [event async for event in run]
        result = await run.result()
    assert [type(event) for event in events[-1:]] == [WorkflowFinished]
    assert heard == events[-1:]
    assert (result.status, result.outputs) == (server.runs[0].status, {})
    assert result.recovered is not None
    assert result.recovered.how == "read"
    assert result.workflow_run_id == server.runs[0].id


async def test_breaks_again_and_again(serve, connect):
    """As long as something new comes, it may break as often as it likes."""
    nodes = [Node(type="code", delay=0.05) for _ in range(6)]
    server = await serve(*nodes, version=NEW)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    server.server.fail_next(Drop(after_events=5), path=EVENTS)
    server.server.fail_next(Drop(after_events=9), path=EVENTS)
    result = await connect(server, timeouts=TIMES).run()
    assert result.is_success
    assert result.recovered is not None
    assert result.recovered.breaks == 3
    assert result.recovered.seconds >= 0


async def test_a_server_that_is_away_for_a_while(serve, connect):
    """Neither refusals nor broken connections end the search before its time."""
    server = await serve(*STEPS, version=NEW)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    server.server.fail_next(HangUp(), path=EVENTS, times=5)
    server.server.fail_next(ErrorPage(status=502), path=DETAIL, times=9)
    assert (await connect(server, timeouts=TIMES).run()).is_success
    assert len(server.starts) == 1


async def test_a_server_that_stays_away(serve, connect):
    """In the end it is told which run may still be going, and it is not stopped."""
    server = await serve(Node(type="start"), FOREVER, version=NEW)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    server.server.fail_next(HangUp(), path=EVENTS, times=None)
    server.server.fail_next(HangUp(), path=DETAIL, times=None)
    client = connect(server, timeouts=Timeouts(recovery=0.4))
    with pytest.raises(errors.RunInterrupted) as caught:
        await client.run()
    assert caught.value.run_id == server.runs[0].id
    assert caught.value.may_be_running
    assert caught.value.events_seen == 2
    await client.aclose()
    assert server.stops == []


async def test_the_time_of_the_call(serve, connect):
    """Looking for a run takes no longer than its caller would wait."""
    server = await serve(Node(type="start"), FOREVER, version=OLD)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    began = asyncio.get_running_loop().time()
    with pytest.raises(errors.TotalTimeout) as caught:
        await connect(server, timeouts=TIMES).run(timeout=0.6)
    assert asyncio.get_running_loop().time() - began < 5
    assert caught.value.seconds == 0.6
    assert caught.value.run_id == server.runs[0].id


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_cancelled_while_it_is_looked_for(version, serve, connect, until):
    """Who is cancelled meanwhile stops the run, once, as at any other time."""
    server = await serve(Node(type="start"), FOREVER, version=version)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    server.server.fail_next(ErrorPage(status=503), path=EVENTS, times=None)
    client = connect(server, timeouts=TIMES)
    task = asyncio.create_task(client.run())
    await until(lambda: any(x.path.count("run/") for x in server.server.requests))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.aclose()
    assert len(server.stops) == 1


async def test_closed_while_it_is_looked_for(serve, connect, until):
    """Closing the client ends the search, and says so."""
    server = await serve(Node(type="start"), FOREVER, version=OLD)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    client = connect(server, timeouts=TIMES)
    task = asyncio.create_task(client.run())
    await until(lambda: any(x.path.count("run/") for x in server.server.requests))
    await client.aclose()
    with pytest.raises(errors.ClientClosed):
        await task


async def test_a_handler_that_fails_while_it_is_looked_for(serve, connect, until):
    """A concurrent handler's failure is not kept waiting for the search."""
    server = await serve(Node(type="start"), FOREVER, version=OLD)
    server.server.fail_next(Drop(after_events=2), path=RUN)
    dispatcher, fail = Dispatcher(), asyncio.Event()

    @dispatcher.on("node_started", concurrent=True)
    async def handle(_) -> None:
        await fail.wait()
        msg = "mine"
        raise KeyError(msg)

    client = connect(server, timeouts=TIMES)
    task = asyncio.create_task(client.run(dispatcher=dispatcher))
    await until(lambda: any(x.path.count("run/") for x in server.server.requests))
    fail.set()
    with pytest.raises(KeyError, match="mine"):
        await task


async def test_a_pause_that_nobody_tells(serve, connect):
    """A run that waits for a person and only pings is found out, also when it is old."""
    server = await serve(Node(type="start"), FOREVER, version=OLD, ping_interval=0.02)
    client = connect(server, timeouts=Timeouts(stall=0.2))
    async with client.stream() as run:
        await anext(run)
        server.runs[0].status = "paused"
        events = [event async for event in run]
        result = await run.result()
    assert isinstance(events[-1], WorkflowPaused)
    assert result.status == "paused"
    assert server.stops == []


async def test_a_stall_that_ends(serve, connect):
    """A run that thinks for long is looked at, and left in peace."""
    server = await serve(
        Node(type="start"),
        Node(type="code", delay=0.5),
        version=OLD,
        ping_interval=0.02,
    )
    result = await connect(server, timeouts=Timeouts(stall=0.1)).run()
    assert result.is_success
    assert result.recovered is None
    assert sum("run/" in x.path for x in server.server.requests) >= 2


async def test_a_stall_while_nobody_answers(serve, connect):
    """If the run cannot be read either, the stream is read on."""
    server = await serve(
        Node(type="start"),
        Node(type="code", delay=0.4),
        version=OLD,
        ping_interval=0.02,
    )
    server.server.fail_next(ErrorPage(status=503), path=DETAIL, times=None)
    result = await connect(server, timeouts=Timeouts(stall=0.1)).run()
    assert result.is_success


async def test_an_idle_stream(serve, connect):
    """Silence is a break like any other."""
    server = await serve(*STEPS, version=NEW)
    server.server.fail_next(Stall(after_events=2), path=RUN)
    result = await connect(server, timeouts=Timeouts(idle=0.1)).run()
    assert result.is_success
    assert result.recovered is not None
