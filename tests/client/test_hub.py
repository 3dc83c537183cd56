"""Runs that are relayed to several browsers, and to those that come back."""

from __future__ import annotations

import asyncio
import json
import logging

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Self

import pytest

from dify_workflow_async import Dispatcher, errors
from dify_workflow_async.events import Event, NodeFinished, TextChunk
from dify_workflow_async.local import App, ErrorEvent, Node, Scenario, Sleep
from dify_workflow_async.relay import ALL, RelayHub, Selection


END = Node(type="end", outputs={"answer": "42"})
LLM = Node(type="llm", text=["Hello", ", ", "world"])
FOREVER = Node(type="llm", text=["..."], delay=3600)
MANY = Node(type="llm", text=[f"{n} " for n in range(2000)])


@pytest.fixture
async def hub_of(connect) -> AsyncIterator[Callable[..., RelayHub]]:
    """Give a function that makes a hub of a client, which is closed before it."""
    async with AsyncExitStack() as stack:

        def make(client, **settings) -> RelayHub:
            hub = RelayHub(client, **settings)
            stack.push_async_callback(hub.aclose)
            return hub

        yield make


def frames_in(data: bytes) -> list[tuple[int, dict]]:
    """Decode frames, with their numbers."""
    found = []
    for frame in data.split(b"\n\n"):
        if frame and not frame.startswith(b":"):
            number, _, rest = frame.partition(b"\ndata: ")
            found.append((int(number[4:]), json.loads(rest)))
    return found


async def watch(hub, run_id, last_event_id=None) -> list[tuple[int, dict]]:
    """View a run to its end."""
    return frames_in(b"".join([x async for x in hub.view(run_id, last_event_id)]))


def text_of(frames) -> str:
    """Put the texts together, as a page does."""
    text = ""
    for _, obj in frames:
        if obj["event"] == "text_replace":
            text = obj["data"]["text"]
        elif obj["event"] == "text_chunk":
            text += obj["data"]["text"]
    return text


# -- viewing ---------------------------------------------------------------------------


async def test_a_run_that_is_viewed(serve, connect, hub_of):
    """The viewer gets all of it, numbered, and no id of the server."""
    server = await serve(LLM, END)
    hub = hub_of(connect(server))
    run_id = await hub.start({"secret": "inside"}, user="u2")
    frames = await watch(hub, run_id)
    assert [number for number, _ in frames] == list(range(1, len(frames) + 1))
    assert text_of(frames) == "Hello, world"
    assert frames[-1][1]["event"] == "workflow_finished"
    assert server.starts[0]["user"] == "u2"
    assert run_id not in {server.runs[0].id, server.runs[0].task_id}
    assert server.runs[0].id not in json.dumps(frames)


async def test_several_viewers(serve, connect, hub_of):
    """All get the same, whenever they come."""
    server = await serve(MANY, Sleep(seconds=0.05), END)
    hub = hub_of(connect(server))
    run_id = await hub.start()
    first, second = await asyncio.gather(watch(hub, run_id), watch(hub, run_id))
    late = await watch(hub, run_id)
    assert first == second == late
    assert text_of(first) == "".join(MANY.text)
    assert len(server.runs) == 1


@pytest.mark.parametrize("leave_after", [1, 2, 5, 100])
async def test_a_viewer_that_comes_back(leave_after, serve, connect, hub_of):
    """It misses nothing, and gets nothing twice."""
    server = await serve(Node(type="llm", text=MANY.text[:200], chunk_delay=0.001), END)
    hub = hub_of(connect(server))
    run_id = await hub.start()
    got = b""
    async with aclosing(aiter(hub.view(run_id))) as frames:
        async for data in frames:
            got += data
            if len(frames_in(got)) >= leave_after:
                break
    last = frames_in(got)[-1][0]
    rest = await watch(hub, run_id, str(last))
    numbers = [number for number, _ in frames_in(got) + rest]
    assert numbers == list(range(1, len(numbers) + 1))
    assert text_of(frames_in(got) + rest) == "".join(MANY.text[:200])


@pytest.mark.parametrize("odd", ["", "x", "-1", "1.5", "²", "9" * 40, "1\r\n"])
async def test_an_id_that_is_none_of_ours(odd, serve, connect, hub_of):
    """Who comes with it gets everything."""
    server = await serve(LLM, END)
    hub = hub_of(connect(server))
    run_id = await hub.start()
    assert (await watch(hub, run_id, odd))[0][0] == 1


async def test_a_viewer_that_has_all(serve, connect, hub_of):
    """It is told so, that its browser need not come again; others are not."""
    server = await serve(LLM, Sleep(seconds=0.05), END)
    hub = hub_of(connect(server))
    run_id = await hub.start()
    assert not hub.view(run_id, "999").is_complete  # it is not over
    frames = await watch(hub, run_id)
    last = frames[-1][0]
    assert hub.view(run_id, str(last)).is_complete
    assert not hub.view(run_id, str(last - 1)).is_complete
    assert await watch(hub, run_id, str(last)) == []


async def test_a_late_viewer_of_a_long_run(serve, connect, hub_of):
    """What is older than the ring comes as text, in one event that tells it."""
    server = await serve(MANY, END)
    hub = hub_of(connect(server), max_bytes=10_000)
    run_id = await hub.start()
    await watch(hub, run_id)
    frames = await watch(hub, run_id)
    assert frames[0][1]["event"] == "text_replace"
    assert frames[0][1]["missed"] == frames[0][0] > 1000
    assert text_of(frames) == "".join(MANY.text)


async def test_a_late_viewer_of_a_run_without_text(serve, connect, hub_of):
    """It gets no text that nobody chose, and the events that are left."""
    nodes = [Node(type="code", id=f"n{n}", title="N") for n in range(50)]
    server = await serve(*nodes, LLM, END)
    selection = Selection(exclude=["text_*"])
    hub = hub_of(connect(server), max_bytes=1000, selection=selection)
    run_id = await hub.start()
    await watch(hub, run_id)
    frames = await watch(hub, run_id)
    assert not [x for _, x in frames if x["event"].startswith("text")]
    assert frames[0][0] > 1
    assert frames[-1][1]["event"] == "workflow_finished"


async def test_pings(serve, connect, hub_of):
    """Silence is broken by comments, for each viewer."""
    server = await serve(Node(type="llm", text=["a"], delay=0.3), END)
    hub = hub_of(connect(server), ping=0.05)
    run_id = await hub.start()
    pieces = [data async for data in hub.view(run_id)]
    assert pieces.count(b": ping\n\n") >= 3


async def test_what_was_chosen(serve, connect, hub_of):
    """Events and fields are those of the hub's selection."""
    server = await serve(LLM, END)
    hub = hub_of(connect(server), selection=Selection(include=["text_chunk"]))
    frames = await watch(hub, await hub.start())
    assert {obj["event"] for _, obj in frames} == {"text_chunk"}


async def test_a_stream_of_any_kind(serve, connect, hub_of):
    """A run that was started elsewhere may be relayed as well."""
    server = await serve(Sleep(seconds=0.1), LLM, END)
    client = connect(server)
    hub = hub_of(client)
    ref = await client.start()
    frames = await watch(hub, await hub.relay(client.attach(ref)))
    assert text_of(frames) == "Hello, world"


async def test_a_stream_that_keeps_no_bytes():
    """One that is no `RunStream` need not: its events are encoded."""

    class Stream:
        async def __aiter__(self) -> AsyncIterator[Event]:
            yield TextChunk(text="a")

        async def stop(self) -> None:
            raise AssertionError

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None: ...

    selection = Selection(fields={"text_chunk": ALL}, ids=True)
    async with RelayHub(None, selection=selection) as hub:
        assert text_of(await watch(hub, await hub.relay(Stream()))) == "a"


# -- viewers that are slow, or gone ----------------------------------------------------


async def test_a_viewer_that_stops_reading(serve, connect, hub_of):
    """It slows nobody, and is dropped when the frames that it needs are gone."""
    server = await serve(Sleep(seconds=0.05), MANY, END)
    hub = hub_of(connect(server), max_bytes=10_000)
    run_id = await hub.start()
    slow = hub.view(run_id)
    dropped = asyncio.Event()
    slow.on_drop = dropped.set
    async with aclosing(aiter(slow)) as frames:
        got = await anext(frames)
        others = await watch(hub, run_id)
        assert others[-1][1]["event"] == "workflow_finished"
        assert dropped.is_set()
        assert slow.dropped
        assert [data async for data in frames] == []
    last = frames_in(got)[-1][0]
    back = await watch(hub, run_id, str(last))
    assert text_of(frames_in(got) + back) == "".join(MANY.text)


async def test_a_viewer_that_is_dropped_without_a_word(serve, connect, hub_of):
    """Nobody need be told of it."""
    server = await serve(Sleep(seconds=0.05), MANY, END)
    hub = hub_of(connect(server), max_bytes=10_000)
    run_id = await hub.start()
    slow = hub.view(run_id)
    async with aclosing(aiter(slow)) as frames:
        await anext(frames)
        await watch(hub, run_id)
        assert slow.dropped


async def test_a_run_that_nobody_watches_is_stopped(serve, connect, hub_of, until):
    """After some time, if the hub was told so: nobody came, or the last one left."""
    server = await serve(LLM, FOREVER)
    hub = hub_of(connect(server), unwatched="stop", grace=0.05)
    await hub.start()
    await until(lambda: server.runs[0].status == "stopped")
    run_id = await hub.start()
    async with aclosing(aiter(hub.view(run_id))) as frames:
        await anext(frames)
        async with aclosing(aiter(hub.view(run_id))) as others:
            await anext(others)
        await asyncio.sleep(0.15)
        assert server.runs[1].status == "running"
    await until(lambda: server.runs[1].status == "stopped")


async def test_a_viewer_that_comes_back_in_time(serve, connect, hub_of):
    """A moment without a viewer stops nothing."""
    server = await serve(LLM, Sleep(seconds=0.3), END)
    hub = hub_of(connect(server), unwatched="stop", grace=0.2)
    run_id = await hub.start()
    async with aclosing(aiter(hub.view(run_id))) as frames:
        data = await anext(frames)
    rest = await watch(hub, run_id, str(frames_in(data)[-1][0]))
    assert rest[-1][1]["data"]["status"] == "succeeded"


async def test_a_run_that_nobody_watches_finishes(serve, connect, hub_of, until):
    """That is how it is, unless the hub was told otherwise."""
    server = await serve(LLM, END)
    hub = hub_of(connect(server), grace=0.0)
    await hub.start()
    await until(lambda: server.runs[0].status == "succeeded")
    assert not server.stops


async def test_a_stop_that_fails_is_logged(wild, connect, hub_of, until, caplog):
    """A run that nobody watches and that cannot be stopped runs on, and that is said."""
    gone = asyncio.Event()

    async def goes_on(peer):
        await peer.begin()
        await peer.event("workflow_started")
        await gone.wait()

    async def refuses(peer):
        await peer.answer(400, {"code": "invalid_param", "message": "no"})

    server = await wild(goes_on, stop=refuses)
    hub = hub_of(connect(server), unwatched="stop", grace=0.01)
    await hub.start()
    await until(lambda: "nobody watches was not stopped" in caplog.text)
    gone.set()


# -- ends ------------------------------------------------------------------------------


async def test_a_run_that_is_refused(serve, connect, hub_of):
    """Who starts it is told, and there is nothing to view."""
    server = await serve(END)
    hub = hub_of(connect(server, api_key="app-wrong"))
    with pytest.raises(errors.Unauthorized):
        await hub.start()


async def test_inputs_that_cannot_be_sent(serve, connect, hub_of):
    """They are refused before anything is sent."""
    server = await serve(END)
    with pytest.raises(errors.InvalidInputs):
        await hub_of(connect(server)).start({"n": float("nan")})
    assert not server.starts


async def test_an_error_in_mid_run(serve, connect, hub_of, caplog):
    """Viewers get a sentence as the last event, and the log has the error."""
    server = await serve(LLM, ErrorEvent(message="inside", code="invalid_param"))
    hub = hub_of(connect(server))
    frames = await watch(hub, await hub.start())
    assert frames[-1][1]["event"] == "error"
    assert "inside" not in json.dumps(frames)
    assert "inside" in caplog.text


async def test_a_handler_that_fails(serve, connect, hub_of, caplog):
    """So is what a program's own handlers raise, with its traceback."""
    server = await serve(LLM, END)
    dispatcher = Dispatcher()

    @dispatcher.on(NodeFinished)
    def fail(event: NodeFinished) -> None:
        raise KeyError(event.node_id)

    hub = hub_of(connect(server))
    frames = await watch(hub, await hub.start(dispatcher=dispatcher))
    assert frames[-1][1]["event"] == "error"
    (record,) = [x for x in caplog.records if x.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "KeyError" in caplog.text


async def test_stopping(serve, connect, hub_of):
    """Any holder of the id may stop the run; viewers see how it ends."""
    server = await serve(LLM, FOREVER)
    hub = hub_of(connect(server))
    run_id = await hub.start()
    watching = asyncio.create_task(watch(hub, run_id))
    await hub.stop(run_id)
    assert (await watching)[-1][1]["event"] == "workflow_finished"
    assert server.runs[0].status == "stopped"
    await hub.stop(run_id)  # which has ended
    assert len(server.stops) == 1


async def test_a_run_that_the_hub_does_not_know(serve, connect, hub_of):
    """Viewing and stopping it are errors of ours."""
    hub = hub_of(connect(await serve(END)))
    with pytest.raises(errors.NotRelayed):
        hub.view("no")
    with pytest.raises(errors.NotRelayed):
        await hub.stop("no")


async def test_ended_runs_are_forgotten(serve, connect, hub_of):
    """After a time, with whoever did not take the rest by then."""
    server = await serve(LLM, END)
    hub = hub_of(connect(server), keep=0.05)
    run_id = await hub.start()
    view = hub.view(run_id)
    async with aclosing(aiter(view)) as frames:
        await anext(frames)
        async with asyncio.timeout(5):
            while not view.dropped:  # noqa: ASYNC110 - a time is what is tested
                await asyncio.sleep(0.01)
    with pytest.raises(errors.NotRelayed):
        hub.view(run_id)


async def test_no_more_than_so_many_ended_runs_are_kept(serve, connect, hub_of):
    """The oldest goes first."""
    hub = hub_of(connect(await serve(END)), max_ended=2)
    ids = []
    for _ in range(3):
        ids.append(await hub.start())
        await watch(hub, ids[-1])
    with pytest.raises(errors.NotRelayed):
        hub.view(ids[0])
    assert hub.view(ids[1])
    assert hub.view(ids[2])


@pytest.mark.parametrize(
    "wrong", [{"unwatched": "kill"}, {"ping": 0}, {"max_bytes": 0}]
)
async def test_settings_that_cannot_be_meant(wrong, serve, connect):
    """They are refused by name."""
    client = connect(await serve(END))
    with pytest.raises(errors.ConfigurationError, match=next(iter(wrong))):
        RelayHub(client, **wrong)


# -- life ------------------------------------------------------------------------------


async def test_cancelling_a_start(wild, connect, hub_of, until):
    """A run whose id nobody will ever know is left, as the client's on_cancel says."""
    begin = asyncio.Event()

    async def late(peer):
        await begin.wait()
        await peer.begin()
        await peer.event("workflow_started")
        await peer.gone()

    server = await wild(late)
    hub = hub_of(connect(server))
    task = asyncio.create_task(hub.start())
    await until(lambda: server.starts)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    begin.set()
    await until(lambda: server.stops)


async def test_closing_lets_runs_end(serve, connect, until):
    """A hub that is drained starts no more, and its viewers get the rest."""
    server = await serve(LLM, Sleep(seconds=0.1), END)
    hub = RelayHub(connect(server))
    run_id = await hub.start()
    watching = asyncio.create_task(watch(hub, run_id))
    closing = asyncio.create_task(hub.aclose(drain=5))
    await asyncio.sleep(0)
    with pytest.raises(errors.ClientClosed):
        await hub.start()
    await closing
    assert (await watching)[-1][1]["event"] == "workflow_finished"
    await hub.aclose()


async def test_closing_at_the_deadline(serve, connect, until):
    """What has not ended then is left, and its viewers are told."""
    server = await serve(LLM, FOREVER)
    async with RelayHub(connect(server)) as hub:
        run_id = await hub.start()
        watching = asyncio.create_task(watch(hub, run_id))
        await until(lambda: server.runs[0].events)
        await hub.aclose(drain=0.05)
    last = (await watching)[-1][1]
    assert last["event"] == "error"
    assert "restarted" in last["message"]
    await until(lambda: server.runs[0].status == "stopped")


async def test_closing_while_a_run_is_started(wild, connect, until):
    """Who starts it learns that the hub is closed."""
    server = await wild(lambda peer: peer.gone())
    hub = RelayHub(connect(server))
    task = asyncio.create_task(hub.start())
    await until(lambda: server.starts)
    await hub.aclose()
    with pytest.raises(errors.ClientClosed):
        await task
    other = RelayHub(connect(server))
    task = asyncio.create_task(other.start())
    await asyncio.sleep(0)
    await other.aclose()
    with pytest.raises(errors.ClientClosed):
        await task


async def test_two_apps(serve, connect, hub_of):
    """A hub may relay runs of several clients."""
    server = await serve(LLM, END)
    other = server.server.add(App(Scenario(steps=[END]), key="app-0th3r"))
    client = connect(server)
    hub = hub_of(client)
    copy = client.with_options(api_key=other.key)
    frames = await watch(hub, await hub.relay(copy.stream()))
    assert text_of(frames) == ""
    assert frames[-1][1]["event"] == "workflow_finished"
