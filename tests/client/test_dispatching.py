"""A dispatcher beside a run: who hears what, in which order, and what if it fails."""

# ruff: noqa: PT012 - a stream is entered and read where it fails

from __future__ import annotations

import asyncio

import pytest

from dify_workflow_async import Dispatcher, RunStream, Timeouts, errors
from dify_workflow_async.events import (
    Event,
    NodeFinished,
    NodeStarted,
    Ping,
    TextChunk,
    WorkflowFinished,
    WorkflowStarted,
)
from dify_workflow_async.local import Disconnect, Node, Sleep
from dify_workflow_async.local import Ping as SendPing


END = Node(type="end", outputs={"answer": "42"})
LLM = Node(type="llm", text=["Hello", ", ", "world"])
FOREVER = Sleep(seconds=3600)


class Mine(Exception):
    """An exception of the user's."""


async def read(client, verb: str, dispatcher: Dispatcher) -> list:
    """Run to the end by one of the ways; return the events that were yielded."""
    if verb == "run":
        await client.run(dispatcher=dispatcher, check=False)
        return []
    if verb == "events":
        return [event async for event in client.events(dispatcher=dispatcher)]
    async with client.stream(dispatcher=dispatcher) as run:
        if verb == "loop":
            return [event async for event in run]
        await run.result()
        return []


VERBS = ["run", "events", "loop", "result"]


@pytest.mark.parametrize("verb", VERBS)
async def test_handlers_hear_all(verb, serve, connect):
    """However a run is read, handlers hear its events in order, and the run."""
    server = await serve(LLM, END)
    dispatcher, heard, runs = Dispatcher(), [], set()

    @dispatcher.on_any()
    def plain(event: Event, run: RunStream) -> None:
        heard.append(event)
        runs.add((run.task_id, run.workflow_run_id))

    yielded = await read(connect(server), verb, dispatcher)
    sent = [event["event"] for event in server.runs[0].events]
    assert [event.event_name for event in heard] == sent
    assert yielded in ([], heard)
    assert runs == {(server.runs[0].task_id, server.runs[0].id)}


async def test_handlers_run_before_the_event_is_yielded(serve, connect):
    """When the loop has an event, its handlers have had it."""
    client = connect(await serve(LLM, END))
    dispatcher, log = Dispatcher(), []

    @dispatcher.on_any()
    async def handle(event: Event) -> None:
        await asyncio.sleep(0)
        log.append(("handler", event))

    async with client.stream(dispatcher=dispatcher) as run:
        async for event in run:
            log.append(("loop", event))  # noqa: PERF401 - one by one is the point
    assert [who for who, _ in log] == ["handler", "loop"] * (len(log) // 2)
    assert [e for _, e in log[::2]] == [e for _, e in log[1::2]]


async def test_a_run_that_decodes_little_is_whole(serve, connect):
    """A handler of one kind of event costs neither the result nor the text."""
    failing = Node(type="code", id="boom", status="failed", error="too hot")
    server = await serve(LLM, failing)
    dispatcher, heard = Dispatcher(), []
    dispatcher.on(NodeFinished, node_type="llm")(heard.append)
    client = connect(server)
    result = await client.run(dispatcher=dispatcher, check=False)
    assert [event.node_id for event in heard] == ["llm"]
    assert (result.status, result.error) == ("failed", "too hot")
    assert result.failed_node.node_id == "boom"
    async with client.stream(dispatcher=dispatcher) as run:
        assert (await run.result()).status == "failed"
        assert run.text == "Hello, world"
    async with client.stream() as run:
        await run.result()
        assert run.text == "Hello, world"


async def test_a_handler_that_is_registered_on_the_way(serve, connect):
    """A handler that another one registers hears what comes from then on."""
    server = await serve(LLM, END)
    dispatcher, heard = Dispatcher(), []

    @dispatcher.on(NodeStarted, node_type="llm")
    def register(_: NodeStarted) -> None:
        dispatcher.on(TextChunk)(heard.append)

    await connect(server).run(dispatcher=dispatcher)
    assert heard


async def test_pings_go_to_handlers_only(serve, connect):
    """Who asks for pings gets them; loops, and handlers of all events, do not."""
    server = await serve(SendPing(), END, SendPing(), version="1.12.1")
    dispatcher, pings, others = Dispatcher(), [], []
    dispatcher.on(Ping)(pings.append)
    dispatcher.on_any()(others.append)
    client = connect(server)
    yielded = await read(client, "loop", dispatcher)
    assert len(pings) == 2
    assert not [x for x in (*yielded, *others) if isinstance(x, Ping)]
    await client.run(dispatcher=dispatcher)
    assert len(pings) == 4


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("verb", VERBS)
async def test_a_handler_that_fails(verb, concurrent, serve, connect, until):
    """A handler's exception is raised as it is, and the run is stopped."""
    server = await serve(END, FOREVER)
    client = connect(server)
    dispatcher, error = Dispatcher(), Mine("no")

    @dispatcher.on(WorkflowStarted, concurrent=concurrent)
    async def fail(_: WorkflowStarted) -> None:
        raise error

    with pytest.raises(Mine) as caught:
        async with asyncio.timeout(5):
            await read(client, verb, dispatcher)
    assert caught.value is error
    await client.aclose()
    assert server.stops == [{"user": "u1"}]
    await until(lambda: server.runs[0].is_over)


async def test_a_failure_wakes_a_stream_that_waits(serve, connect, until):
    """A concurrent handler that fails later wakes who waits for the server."""
    server = await serve(END, FOREVER)
    client = connect(server)
    dispatcher, waiting = Dispatcher(), asyncio.Event()

    @dispatcher.on(NodeFinished, concurrent=True)
    async def fail(_: NodeFinished) -> None:
        await waiting.wait()
        msg = "late"
        raise Mine(msg)

    task = asyncio.create_task(client.run(dispatcher=dispatcher))
    await until(lambda: server.runs and len(server.runs[0].events) == 3)
    for _ in range(50):
        await asyncio.sleep(0)
    waiting.set()
    with pytest.raises(Mine, match="late"):
        await task
    await client.aclose()
    assert server.stops == [{"user": "u1"}]


async def test_a_failure_while_the_consumer_works(serve, connect):
    """A handler that fails while the loop's body works is raised at the next read."""
    server = await serve(END, FOREVER)
    dispatcher, failed = Dispatcher(), asyncio.Event()
    error = Mine("meanwhile")

    @dispatcher.on(WorkflowStarted, concurrent=True)
    async def fail(_: WorkflowStarted) -> None:
        failed.set()
        raise error

    client = connect(server)
    with pytest.raises(Mine) as caught:
        async with client.stream(dispatcher=dispatcher) as run:
            async for _ in run:
                await failed.wait()
    assert caught.value is error
    await client.aclose()
    assert server.stops == [{"user": "u1"}]


async def test_run_waits_for_concurrent_handlers(serve, connect):
    """`run()` returns when all its handlers have ended."""
    client = connect(await serve(LLM, END))
    dispatcher, going, ended = Dispatcher(), asyncio.Event(), []

    @dispatcher.on(TextChunk, concurrent=True)
    async def work(event: TextChunk) -> None:
        await going.wait()
        ended.append(event.text)

    @dispatcher.on(WorkflowFinished)
    def go(_: WorkflowFinished) -> None:
        asyncio.get_running_loop().call_soon(going.set)

    await client.run(dispatcher=dispatcher)
    assert "".join(ended) == "Hello, world"


async def test_a_failure_after_the_end_is_raised(serve, connect):
    """A concurrent handler that fails after the run's end fails the call."""
    server = await serve(END)
    client = connect(server)
    dispatcher = Dispatcher()

    @dispatcher.on(WorkflowFinished, concurrent=True)
    async def fail(_: WorkflowFinished) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        msg = "at last"
        raise Mine(msg)

    for verb in VERBS:
        with pytest.raises(Mine, match="at last"):
            await read(client, verb, dispatcher)
    await client.aclose()
    assert server.stops == []


async def test_leaving_a_stream_waits_for_handlers(serve, connect):
    """Leaving a stream in peace waits for the handlers that still run."""
    client = connect(await serve(END, FOREVER))
    dispatcher, ended = Dispatcher(), []

    @dispatcher.on(WorkflowStarted, concurrent=True)
    async def work(_: WorkflowStarted) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        ended.append(1)

    async with client.stream(dispatcher=dispatcher) as run:
        await anext(run)
    assert ended == [1]


async def test_cancelling_ends_concurrent_handlers(serve, connect, until):
    """No handler outlives a run whose caller was cancelled."""
    server = await serve(END, FOREVER)
    client = connect(server)
    dispatcher, ended = Dispatcher(), []

    @dispatcher.on(WorkflowStarted, concurrent=True)
    async def work(_: WorkflowStarted) -> None:
        ended.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    task = asyncio.create_task(client.run(dispatcher=dispatcher))
    await until(lambda: ended)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["began", "ended"]
    await client.aclose()
    assert server.stops == [{"user": "u1"}]


async def test_a_broken_stream_ends_concurrent_handlers(serve, connect, until):
    """The handlers of a run whose stream broke are cancelled, the break is raised."""
    server = await serve(END, Disconnect(), FOREVER)
    client = connect(server, timeouts=Timeouts(recovery=0))
    dispatcher, ended = Dispatcher(), []

    @dispatcher.on(WorkflowStarted, concurrent=True)
    async def work(_: WorkflowStarted) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    with pytest.raises(errors.RunInterrupted):
        async with client.stream(dispatcher=dispatcher) as run:
            await anext(run)
            await until(lambda: run._pump.scope._tasks)
            for _ in range(5):
                await asyncio.sleep(0)
            await run.result()
    assert ended == [1]


async def test_back_pressure(serve, connect):
    """No more concurrent handlers run than may: the reading waits for them."""
    client = connect(await serve(Node(type="llm", text=["x"] * 20), END))
    dispatcher, running, most = Dispatcher(max_concurrent=3), [], []

    @dispatcher.on(TextChunk, concurrent=True)
    async def work(event: TextChunk) -> None:
        running.append(event)
        most.append(len(running))
        for _ in range(3):
            await asyncio.sleep(0)
        running.remove(event)

    await client.run(dispatcher=dispatcher)
    assert len(most) >= 20
    assert max(most) == 3


# -- wait_for --------------------------------------------------------------------------


async def test_wait_for_an_event_of_a_run(serve, connect):
    """Another task may wait for one event while the run is read."""
    client = connect(await serve(LLM, END))
    dispatcher = Dispatcher()
    waiter = dispatcher.wait_for(NodeFinished, node_type="llm")
    result = await client.run(dispatcher=dispatcher)
    event = await waiter
    assert event.node_id == "llm"
    assert event.workflow_run_id == result.workflow_run_id


async def test_wait_for_goes_by_the_run(serve, connect):
    """Of several runs with one dispatcher, `run=` chooses."""
    client = connect(await serve(END))
    dispatcher = Dispatcher()
    first = client.stream(dispatcher=dispatcher)
    second = client.stream(dispatcher=dispatcher)
    waiter = dispatcher.wait_for(WorkflowStarted, run=second)
    async with first, second:
        await first.result()
        await second.result()
    assert (await waiter).workflow_run_id == second.workflow_run_id
    assert first.workflow_run_id != second.workflow_run_id


@pytest.mark.parametrize("how", ["finished", "broken", "left", "failed"])
async def test_wait_for_a_run_that_ends(how, serve, connect):
    """However a run ends, who waits for its events is told, with the run's id."""
    steps = {"finished": [END], "broken": [END, Disconnect(), FOREVER]}
    server = await serve(*steps.get(how, [END, FOREVER]))
    dispatcher = Dispatcher()
    client = connect(server, timeouts=Timeouts(recovery=0))
    run = client.stream(dispatcher=dispatcher)
    waiter = dispatcher.wait_for("never_sent", run=run)
    try:
        async with run:
            await anext(run)
            if how == "failed":
                msg = "mine"
                raise Mine(msg)
            if how != "left":
                await run.result()
    except (Mine, errors.RunInterrupted):
        assert how in {"failed", "broken"}
    async with asyncio.timeout(5):
        with pytest.raises(errors.RunEnded) as caught:
            await waiter
        with pytest.raises(errors.RunEnded):
            await dispatcher.wait_for("never_sent", run=run)
    assert caught.value.run_id == server.runs[0].id


async def test_who_waits_is_told_at_the_end(serve, connect):
    """A waiter is told when the end was read, not only when the stream is left."""
    dispatcher = Dispatcher()
    async with connect(await serve(END)).stream(dispatcher=dispatcher) as run:
        waiter = dispatcher.wait_for("never_sent", run=run)
        await run.result()
        async with asyncio.timeout(5):
            with pytest.raises(errors.RunEnded):
                await waiter


async def test_wait_for_a_run_that_was_refused(serve, connect):
    """A run that never began has ended, too, for who waits for its events."""
    server = await serve(END)
    dispatcher = Dispatcher()
    run = connect(server, api_key="app-bad").stream(dispatcher=dispatcher)
    waiter = dispatcher.wait_for(WorkflowStarted, run=run)
    with pytest.raises(errors.Unauthorized):
        async with run:
            pass
    async with asyncio.timeout(2):
        with pytest.raises(errors.RunEnded):
            await waiter


async def test_wait_for_a_run_that_was_cancelled_at_its_entry(wild, connect, until):
    """A run whose caller gave up while it was sent has ended for who waits for it."""

    async def script(peer) -> None:
        await peer.gone()

    server = await wild(script)
    dispatcher = Dispatcher()
    run = connect(server, on_cancel="detach").stream(dispatcher=dispatcher)
    waiter = dispatcher.wait_for(WorkflowStarted, run=run)
    entering = asyncio.create_task(run.__aenter__())
    await until(lambda: server.starts)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    async with asyncio.timeout(2):
        with pytest.raises(errors.RunEnded):
            await waiter


async def test_a_handler_that_asks_for_more_in_the_same_chunk(wild, connect, frame):
    """What a handler registers or waits for is heard from the very next event on."""
    chunk = frame("workflow_started") + frame("node_started", node_id="n")
    chunk += frame("node_finished", node_id="n", status="succeeded")
    chunk += frame("workflow_finished", status="succeeded", outputs={})

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(chunk)
        await peer.gone()

    dispatcher, heard, waiters = Dispatcher(), [], []

    @dispatcher.on(NodeStarted)
    def ask(event: NodeStarted, run: RunStream) -> None:
        waiters.append(dispatcher.wait_for(NodeFinished, run=run))
        dispatcher.on(NodeFinished)(heard.append)

    await connect(await wild(script)).run(dispatcher=dispatcher)
    assert [event.node_id for event in heard] == ["n"]
    assert (await waiters[0]).node_id == "n"


async def test_what_is_no_dispatcher(serve, connect):
    """A wrong dispatcher is refused before a run is started."""
    server = await serve(END)
    with pytest.raises(errors.ConfigurationError, match="must be a Dispatcher"):
        await connect(server).run(dispatcher="x")
    assert server.starts == []
