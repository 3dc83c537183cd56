"""Runs that took too long before they told their id: they are stopped all the same."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dify_workflow_async import Timeouts, WorkflowClient, errors
from dify_workflow_async.local import Node, Sleep
from dify_workflow_async.local.faults import SlowHeaders


LATE = 0.1
END = Node(type="end")
FOREVER = Sleep(seconds=3600)


async def iterate(client: WorkflowClient) -> None:
    async with client.stream(timeout=LATE) as run:
        async for _ in run:
            pass


VERBS = {
    "run": lambda client: client.run(timeout=LATE),
    "start": lambda client: client.start(timeout=LATE),
    "stream": iterate,
}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [x.message for x in caplog.records if x.levelno >= logging.WARNING]


@pytest.mark.parametrize("when", ["before the headers", "before the first event"])
@pytest.mark.parametrize("verb", VERBS)
async def test_no_event_in_time(verb, when, wild, connect, until, ids, caplog, in_use):
    """The caller is told in time; the owner reads on to the task id, and stops it."""

    async def script(peer) -> None:
        if when == "before the first event":
            await peer.begin()
            await peer.send(b"event: ping\n\n")
        await late.wait()
        if when == "before the headers":
            await peer.begin()
        await peer.event("workflow_started")
        await peer.gone()

    late = asyncio.Event()
    server = await wild(script)
    client = connect(server)
    with pytest.raises(errors.TotalTimeout) as caught:
        await VERBS[verb](client)
    assert (caught.value.seconds, caught.value.safe_to_repeat) == (LATE, False)
    assert caught.value.request == f"POST {server.base_url}/workflows/run"
    assert (server.stops, server.open) == ([], 1)
    late.set()
    await until(lambda: server.stops)
    await client.aclose()
    assert server.stops == [{"user": "u1"}]
    assert server.requests[-1][1] == f"/v1/workflows/tasks/{ids.task}/stop"
    assert len(server.starts) == 1
    assert warnings(caplog) == []
    assert in_use(client) == 0


@pytest.mark.parametrize("when", ["before the headers", "before the first event"])
async def test_no_event_for_much_longer(when, wild, connect, until, caplog, in_use):
    """The owner gives up after `Timeouts.stop`, says so, and frees the connection."""

    async def script(peer) -> None:
        if when == "before the first event":
            await peer.begin()
        await peer.gone()

    server = await wild(script)
    client = connect(server, timeouts=Timeouts(stop=0.2))
    began = asyncio.get_running_loop().time()
    with pytest.raises(errors.TotalTimeout):
        await client.run(timeout=LATE)
    assert server.open == 1
    await until(lambda: server.open == 0)
    assert 0.28 < asyncio.get_running_loop().time() - began < 2
    await client.aclose()
    assert server.stops == []
    assert len(warnings(caplog)) == 1
    assert in_use(client) == 0


@pytest.mark.parametrize("when", ["before the headers", "before the first event"])
async def test_left_to_itself(when, wild, connect, until, caplog):
    """A run that is to go on is not stopped, and its connection is freed."""

    async def script(peer) -> None:
        if when == "before the first event":
            await peer.begin()
        await late.wait()
        if when == "before the headers":
            await peer.begin()
        await peer.gone()

    late = asyncio.Event()
    server = await wild(script)
    client = connect(server)
    with pytest.raises(errors.TotalTimeout):
        await client.run(timeout=LATE, on_cancel="detach")
    late.set()
    await until(lambda: server.open == 0)
    assert server.stops == []
    assert warnings(caplog) == []


async def test_whoever_reads_on_is_told_the_same(wild, connect, frame):
    """In the stream, and when it was left, every reading says that it took too long."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.gone()

    client = connect(await wild(script), timeouts=Timeouts(stop=LATE))
    async with client.stream(timeout=LATE) as run:
        for _ in range(2):
            with pytest.raises(errors.TotalTimeout):
                await anext(run)
    with pytest.raises(errors.TotalTimeout):
        await run.result()


async def test_a_real_server_that_is_slow_to_begin(serve, connect, until):
    """A run of the local server that was late is stopped once, by its own user."""
    server = await serve(FOREVER, END)
    server.server.fail_next(SlowHeaders(interval=0.05))
    with pytest.raises(errors.TotalTimeout):
        await connect(server).run(timeout=LATE, user="u7")
    await until(lambda: server.runs and server.runs[0].is_over)
    assert server.runs[0].status == "stopped"
    assert server.stops == [{"user": "u7"}]


async def test_going_back_takes_too_long(wild, connect, until):
    """A run that was attached to, to be stopped if left, is stopped likewise."""

    async def script(peer) -> None:
        await late.wait()
        await peer.begin()
        await peer.event("node_started", id="n")
        await peer.gone()

    late = asyncio.Event()
    server = await wild(script)
    with pytest.raises(errors.TotalTimeout) as caught:
        async with connect(server).attach("r1", timeout=LATE, on_cancel="stop"):
            pytest.fail("it did not begin")
    assert caught.value.run_id == "r1"
    assert "is not known" not in str(caught.value)
    late.set()
    await until(lambda: server.stops)


# -- between two tries -----------------------------------------------------------------


@pytest.mark.parametrize("when", ["while it waits", "while it asks"])
async def test_cancelled_between_two_tries(when, wild, connect, until, caplog):
    """A run whose caller has left is not asked for again, nor waited for."""

    async def busy(peer) -> None:
        if when == "while it asks":
            await answering.wait()
        await peer.answer(429, {"code": "too_many_requests"}, Retry_After="20")

    answering = asyncio.Event()
    retries: list[object] = []
    server = await wild(busy)
    client = connect(server, on_retry=retries.append)
    task = asyncio.create_task(client.run())
    await until(lambda: retries if when == "while it waits" else server.starts)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answering.set()
    async with asyncio.timeout(2):  # less than Timeouts.stop
        await client.aclose()
    assert len(server.starts) == 1
    assert server.stops == []
    assert warnings(caplog) == []
