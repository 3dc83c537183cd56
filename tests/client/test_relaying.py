"""Runs that are relayed to one browser: what it gets, when, and what goes wrong."""

# ruff: noqa: PT012, SIM117 - a stream is entered and read where it fails

from __future__ import annotations

import asyncio
import json

from contextlib import aclosing
from pathlib import Path

import pytest

from dify_workflow_async import Dispatcher, errors
from dify_workflow_async.events import EVENTS, NodeFinished
from dify_workflow_async.local import Disconnect, ErrorEvent, Node, Sleep, Speech
from dify_workflow_async.relay import ALL, RelayHub, Selection

from .test_recordings import body_of


END = Node(type="end", outputs={"answer": "42"})
LLM = Node(type="llm", text=["Hello", ", ", "world"])
FOREVER = Node(type="llm", text=["..."], delay=3600)


def objects_in(data: bytes) -> list[dict]:
    """Decode frames, and see that they are numbered from 1 without a gap."""
    frames = [x for x in data.split(b"\n\n") if x and not x.startswith(b":")]
    ids = [int(frame.partition(b"\n")[0][4:]) for frame in frames]
    assert ids == list(range(1, len(ids) + 1))
    return [json.loads(frame.partition(b"\ndata: ")[2]) for frame in frames]


async def relayed(run, **options) -> list[dict]:
    """Relay a run to its end."""
    return objects_in(b"".join([data async for data in run.relay(**options)]))


async def test_a_run_from_beginning_to_end(serve, connect):
    """A browser sees what a page shows, and the result is there as well."""
    server = await serve(LLM, Speech(audio=[b"ID3"]), END)
    async with connect(server).stream({"secret": "inside"}) as run:
        objects = await relayed(run)
        assert (await run.result()).outputs == {"answer": "42"}
    names = [obj["event"] for obj in objects]
    assert names[:2] == ["workflow_started", "node_started"]
    assert names[-1] == "workflow_finished"
    assert names.count("tts_message") == 1
    texts = [x["data"]["text"] for x in objects if x["event"] == "text_chunk"]
    assert "".join(texts) == "Hello, world"
    assert objects[-1]["data"]["outputs"] == {"answer": "42"}
    shown = json.dumps(objects)
    for inside in ("inside", server.runs[0].id, server.runs[0].task_id, server.app.key):
        assert inside not in shown


async def test_what_was_chosen(serve, connect):
    """Events and fields are those that were asked for."""
    server = await serve(LLM, END)
    async with connect(server).stream({"a": 1}) as run:
        objects = await relayed(
            run,
            include=["workflow_*"],
            exclude=["workflow_finished"],
            fields={"workflow_started": ["inputs"]},
            ids=True,
        )
    (obj,) = objects
    assert obj["data"]["inputs"]["a"] == 1
    assert obj["workflow_run_id"] == server.runs[0].id


def datas_in(data: bytes) -> list[bytes]:
    """Give the JSON of frames, as it stands there."""
    return [line[6:] for line in data.split(b"\n") if line.startswith(b"data: ")]


RECORDED = Path(__file__).parent.parent / "recordings/dify-1.14.2"
WHOLE = dict.fromkeys(EVENTS, ALL)
ODD = b'{"event":"odd","data":{"a":"\\u00e9","b":1.0E-2,"c":%d}}' % 10**30


@pytest.mark.parametrize("by_hub", [False, True])
@pytest.mark.parametrize("name", ["run_file_streaming", "run_iteration_streaming"])
async def test_events_that_are_sent_whole(name, by_hub, wild, connect):
    """They are the bytes that the server sent, whoever relays them."""
    body = body_of(RECORDED / f"{name}.http")
    body = body.replace(b"\n\n", b"\n\ndata: %b\n\n" % ODD, 1)

    async def recorded(peer):
        await peer.begin()
        await peer.send(body)
        await peer.end()

    client = connect(await wild(recorded))
    fields = WHOLE | {"odd": ALL}
    if by_hub:
        async with RelayHub(
            client, selection=Selection(fields=fields, ids=True)
        ) as hub:
            sent = b"".join([data async for data in hub.view(await hub.start())])
    else:
        async with client.stream() as run:
            frames = run.relay(fields=fields, ids=True)
            sent = b"".join([data async for data in frames])
    assert datas_in(sent) == datas_in(body)
    assert ODD in datas_in(sent)


async def test_events_that_were_met_ahead(wild, connect, frame):
    """Who looked for the run's id first gets all of the same, in other bytes."""

    async def odd(peer):
        await peer.begin()
        await peer.send(b"data: %b\n\n" % ODD + frame("workflow_started"))
        await peer.send(frame("workflow_finished", status="succeeded"))
        await peer.end()

    async with connect(await wild(odd)).stream() as run:
        assert run.originals() == run.originals()
        await run.begun()
        first, *others = await relayed(run, fields=WHOLE | {"odd": ALL}, ids=True)
    assert first == {"event": "odd", "data": {"a": "é", "b": 0.01, "c": 1e30}}
    assert [x["event"] for x in others] == ["workflow_started", "workflow_finished"]


async def test_pings_of_ones_own(serve, connect):
    """Silence is broken by comments, whatever the server sends meanwhile."""
    server = await serve(Node(type="llm", text=["a"], delay=0.3), END)
    pieces = []
    async with connect(server).stream() as run:
        async for data in run.relay(ping=0.05):
            pieces.append(data)  # noqa: PERF401 - what comes when, read below
    assert pieces.count(b": ping\n\n") >= 3
    assert "workflow_finished" in [x["event"] for x in objects_in(b"".join(pieces))]


@pytest.mark.parametrize("ping", [0, -1])
async def test_pings_that_cannot_be(ping, serve, connect):
    """A time that is none is refused."""
    server = await serve(END)
    async with connect(server).stream() as run:
        with pytest.raises(errors.ConfigurationError, match="ping"):
            await relayed(run, ping=ping)


async def test_an_error_event(serve, connect):
    """It is the last, a sentence for people, and still raised to who asks."""
    error = ErrorEvent(message="inside", code="provider_quota_exceeded")
    server = await serve(LLM, error)
    async with connect(server).stream() as run:
        objects = await relayed(run)
        with pytest.raises(errors.ProviderQuotaExceeded):
            await run.result()
    assert objects[-1]["event"] == "error"
    assert objects[-1]["code"] == "provider_quota_exceeded"
    assert "inside" not in json.dumps(objects)


async def test_a_stream_that_breaks_for_good(wild, connect, frame):
    """That is an error like others; what came before was relayed."""

    async def breaks(peer):
        await peer.begin()
        await peer.send(frame("workflow_started") + frame("text_chunk", text="a"))
        peer.reset()

    async with connect(await wild(breaks)).stream() as run:
        objects = await relayed(run, tell=lambda error: type(error).__name__)
    assert [x["event"] for x in objects] == ["workflow_started", "text_chunk", "error"]
    assert objects[-1]["message"] == "RunInterrupted"


async def test_a_stream_that_is_found_again(serve, connect):
    """A break that was mended is not seen by the browser."""
    server = await serve(LLM, Disconnect(), Sleep(seconds=0.05), END)
    async with connect(server).stream() as run:
        objects = await relayed(run)
    names = [x["event"] for x in objects]
    assert names.count("workflow_started") == 1
    assert names[-1] == "workflow_finished"


async def test_a_handler_that_fails(serve, connect):
    """The browser gets a sentence, and the program its own exception."""
    server = await serve(LLM, END)
    dispatcher = Dispatcher()

    @dispatcher.on(NodeFinished)
    def fail(event: NodeFinished) -> None:
        raise KeyError(event.node_id)

    pieces = []
    async with connect(server).stream(dispatcher=dispatcher) as run:
        with pytest.raises(KeyError, match="llm"):
            async for data in run.relay():
                pieces.append(data)  # noqa: PERF401 - it fails on the way
    assert objects_in(b"".join(pieces))[-1]["event"] == "error"


async def test_a_browser_that_leaves(serve, connect, until):
    """Leaving the stream stops the run, as anywhere."""
    server = await serve(LLM, FOREVER)
    async with connect(server).stream() as run:
        async with aclosing(run.relay()) as frames:
            await anext(frames)
    await until(lambda: server.runs[0].status == "stopped")


async def test_the_result_after_a_browser_left(serve, connect):
    """A run whose browser left may be read to its end."""
    server = await serve(LLM, Sleep(seconds=0.05), END)
    async with connect(server).stream() as run:
        async for _ in run.relay():
            break
        assert (await run.result()).is_success


async def test_a_browser_that_does_not_read(serve, connect, until):
    """The run is read no further than a little ahead of it."""
    text = ["x" * 1024] * 4096
    server = await serve(Node(type="llm", text=text), END)
    async with connect(server).stream() as run:
        async with aclosing(run.relay()) as frames:
            first = await anext(frames)
            await until(lambda: server.runs[0].status != "running")
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(run.text) < 1_000_000
            rest = b"".join([data async for data in frames])
    texts = [
        x["data"]["text"]
        for x in objects_in(first + rest)
        if x["event"] == "text_chunk"
    ]
    assert texts == text


async def test_a_relay_beside_a_loop(serve, connect):
    """It is a second consumer, which is an error of the program, not of the run."""
    server = await serve(LLM, FOREVER)
    async with connect(server).stream() as run:
        async with aclosing(run.relay()) as frames:
            await anext(frames)
            with pytest.raises(errors.StreamBusy):
                await relayed(run)
