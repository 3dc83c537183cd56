"""A stream as its consumer sees it: what is read, when, by whom, and what ends it."""

# ruff: noqa: PT012 - a stream is entered and read where it fails

from __future__ import annotations

import asyncio
import gc
import weakref

from contextlib import aclosing

import pytest

from dify_workflow_async import Dispatcher, Timeouts, errors
from dify_workflow_async._pump import Pump
from dify_workflow_async.events import (
    Ping,
    TextChunk,
    TextReplace,
    TtsMessage,
    TtsMessageEnd,
    UnknownEvent,
    WorkflowFinished,
    WorkflowStarted,
)
from dify_workflow_async.local import ErrorEvent, Node, Raw, Sleep, Speech
from dify_workflow_async.local import Ping as SendPing


OLD, NEW = "1.12.1", "1.14.2"
END = Node(type="end", outputs={"answer": "42"})
LLM = Node(type="llm", text=["Hello", ", ", "world"])
SPOKEN = [Speech(audio=[b"a"], tail=[b"b", b"c"]), END]


# -- what is known ---------------------------------------------------------------------


async def test_nothing_is_sent_before_it_is_entered(serve, connect):
    """A stream that is only made does not reach the server."""
    server = await serve(END)
    run = connect(server).stream()
    assert (run.task_id, run.workflow_run_id, run.status, run.text) == (
        None,
        None,
        None,
        "",
    )
    assert repr(run) == "<RunStream run=None status=None>"
    assert not server.server.requests


async def test_ids_status_and_text_grow(serve, connect):
    """Ids come with the first event, text with its chunks, the status with the end."""
    server = await serve(LLM, END)
    texts = []
    async with connect(server).stream() as run:
        async for event in run:
            assert run.task_id == server.runs[0].task_id
            assert run.workflow_run_id == server.runs[0].id
            if isinstance(event, TextChunk):
                texts.append(run.text)
            if not isinstance(event, WorkflowFinished):
                assert run.status == "running"
    assert texts == ["Hello", "Hello, ", "Hello, world"]
    assert run.status == "succeeded"
    assert repr(run) == f"<RunStream run={server.runs[0].id} status=succeeded>"


async def test_text_replace(wild, connect):
    """`text_replace` takes the place of all text before it."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("text_chunk", text="one")
        await peer.event("text_replace", text="two")
        await peer.event("text_chunk", text=" three")
        await peer.event("workflow_finished", status="succeeded")
        await peer.gone()

    client = connect(await wild(script))
    async with client.stream() as run:
        texts = [(type(event), run.text) async for event in run]
    assert texts[:3] == [
        (TextChunk, "one"),
        (TextReplace, "two"),
        (TextChunk, "two three"),
    ]
    async with client.stream() as run:
        await run.result()
        assert run.text == "two three"


async def test_pings_are_not_yielded(serve, connect):
    """Pings never come out of a loop, whatever their place."""
    server = await serve(SendPing(), LLM, SendPing(), END, version=NEW)
    async with connect(server).stream() as run:
        events = [event async for event in run]
    assert events
    assert not [event for event in events if isinstance(event, Ping)]


async def test_unknown_events_are_yielded(serve, connect):
    """What the server sends tomorrow comes out, with all that it holds."""
    server = await serve(Raw(event={"event": "of_tomorrow", "x": [1]}), END)
    async with connect(server).stream() as run:
        events = [event async for event in run if isinstance(event, UnknownEvent)]
    assert [(event.name, event.raw["x"]) for event in events] == [("of_tomorrow", [1])]


# -- reading ---------------------------------------------------------------------------


async def test_a_second_loop_goes_on(serve, connect):
    """After `break`, another loop has the events that the first one left."""
    server = await serve(LLM, END)
    client = connect(server)
    async with client.stream() as run:
        whole = [type(event) async for event in run]
    async with client.stream() as run:
        seen = []
        for stop_at in (1, 3, 4, 100):
            async for event in run:
                seen.append(type(event))
                if len(seen) == stop_at:
                    break
        assert seen == whole
        assert [event async for event in run] == []
        assert (await run.result()).is_success


async def test_anext(serve, connect):
    """`anext(run)` gives one event after the other, then its default."""
    server = await serve(END)
    async with connect(server).stream() as run:
        assert isinstance(await anext(run), WorkflowStarted)
        rest = [event async for event in run]
        assert isinstance(rest[-1], WorkflowFinished)
        assert await anext(run, None) is None
        with pytest.raises(StopAsyncIteration):
            await anext(run)


@pytest.mark.parametrize("read", [0, 1, 3, 100])
async def test_result_after_some_events(read, serve, connect):
    """`result()` reads what is left, and may be asked for twice."""
    server = await serve(LLM, END)
    async with connect(server).stream() as run:
        for _ in range(read):
            if await anext(run, None) is None:
                break
        first, second = await run.result(), await run.result()
        assert [event async for event in run] == []
    assert first == second
    assert first.outputs == {"answer": "42"}
    assert run.text == "Hello, world"
    assert await run.result() == first


async def test_result_within_a_loop(serve, connect):
    """The consumer itself may ask for the result; the loop has nothing more then."""
    server = await serve(LLM, END)
    seen = 0
    async with connect(server).stream() as run:
        async for _ in run:
            seen += 1
            assert (await run.result()).is_success
    assert seen == 1


@pytest.mark.parametrize("verb", ["loop", "anext", "result"])
async def test_a_second_task_gets_stream_busy(verb, serve, connect):
    """One task reads a stream; another one beside it is told so."""
    server = await serve(END, Sleep(seconds=60))
    client = connect(server)

    async def read(run) -> object:
        if verb == "loop":
            return [event async for event in run]
        return await (anext(run) if verb == "anext" else run.result())

    async with client.stream() as run:
        async for _ in run:
            with pytest.raises(errors.StreamBusy):
                await asyncio.create_task(read(run))
            break


async def test_another_task_may_go_on(serve, connect, until):
    """A stream whose consumer has ended, or was cancelled, takes another one."""
    server = await serve(END, Sleep(seconds=60))
    client = connect(server)

    async def first(run) -> None:
        await anext(run)

    async def all_of(run) -> None:
        seen.extend([event async for event in run])

    seen: list = []
    async with client.stream() as run:
        await asyncio.create_task(first(run))
        task = asyncio.create_task(run.result())
        await until(lambda: run._pump._reader._turn.holder is not None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.runs[0].stop()
        await asyncio.create_task(all_of(run))
    assert run.status == "stopped"


async def test_entering_twice(serve, connect):
    """A stream is one run: it is entered once."""
    server = await serve(END)
    async with connect(server).stream() as run:
        with pytest.raises(errors.UsageError, match="once"):
            await run.__aenter__()
    with pytest.raises(errors.UsageError, match="once"):
        async with run:
            pass
    assert len(server.starts) == 1


@pytest.mark.parametrize("verb", ["loop", "anext", "result", "stop"])
async def test_use_before_entering(verb, serve, connect):
    """A stream that was not entered says what to do."""
    server = await serve(END)
    run = connect(server).stream()
    with pytest.raises(errors.UsageError, match="async with"):
        if verb == "loop":
            async for _ in run:
                pass
        elif verb == "anext":
            await anext(run)
        else:
            await getattr(run, verb)()
    assert not server.server.requests


# -- ends, and speech after them -------------------------------------------------------


async def test_a_loop_hears_speech_after_the_end(serve, connect):
    """Old servers speak after `workflow_finished`: a loop goes on to the last word."""
    server = await serve(*SPOKEN, version=OLD, close_delay=60)
    async with connect(server).stream() as run:
        names = [event.event_name async for event in run]
    after = names[names.index("workflow_finished") + 1 :]
    assert after == ["tts_message", "tts_message", "tts_message_end"]


async def test_new_servers_do_not_speak_after_the_end(serve, connect):
    """From 1.13 on the end is the end, however long the server keeps the stream."""
    server = await serve(*SPOKEN, version=NEW, close_delay=60)
    client = connect(server, timeouts=Timeouts(tail=60))
    async with asyncio.timeout(5), client.stream() as run:
        names = [event.event_name async for event in run]
    assert names[-1] == "workflow_finished"


@pytest.mark.parametrize("version", [OLD, None], ids=["old", "no version"])
async def test_silence_after_the_end(version, wild, connect):
    """Who iterates waits `Timeouts.tail` for speech, where the server may speak."""

    async def script(peer) -> None:
        await peer.begin(version)
        await peer.event("workflow_finished", status="succeeded")
        await peer.gone()

    client = connect(await wild(script), timeouts=Timeouts(tail=0.1))
    started = asyncio.get_running_loop().time()
    async with client.stream() as run:
        events = [event async for event in run]
        assert asyncio.get_running_loop().time() - started >= 0.1
        assert (await run.result()).is_success
    assert len(events) == 1


async def test_pings_do_not_lengthen_the_tail(wild, connect):
    """The tail is short however busy the server pings."""

    async def script(peer) -> None:
        await peer.begin(OLD)
        await peer.event("workflow_finished", status="succeeded")
        while True:
            await peer.send(b"event: ping\n\n")
            await asyncio.sleep(0)

    client = connect(await wild(script), timeouts=Timeouts(tail=0.1))
    async with asyncio.timeout(5), client.stream() as run:
        assert len([event async for event in run]) == 1


@pytest.mark.parametrize("how", ["hang_up", "reset", "end"])
async def test_the_server_leaves_in_the_tail(how, wild, connect):
    """However the connection ends after the run's end, the result is known."""

    async def script(peer) -> None:
        await peer.begin(OLD)
        await peer.event("workflow_finished", status="succeeded")
        await read.wait()
        if how == "end":
            await peer.end()
        else:
            getattr(peer, how)()

    read = asyncio.Event()
    client = connect(await wild(script), timeouts=Timeouts(tail=60))
    async with client.stream() as run:
        async for event in run:
            assert isinstance(event, WorkflowFinished)
            read.set()
        assert (await run.result()).is_success


async def test_run_returns_at_the_end(wild, connect, in_use):
    """`run()` waits for no speech that nobody asked for, and for no closing."""

    async def script(peer) -> None:
        await peer.begin(OLD)
        await peer.event("workflow_finished", status="succeeded")
        await peer.gone()

    client = connect(await wild(script), timeouts=Timeouts(tail=60))
    everything = Dispatcher()
    heard = []
    everything.on_any()(heard.append)
    async with asyncio.timeout(5):
        assert (await client.run()).is_success
        assert (await client.run(dispatcher=everything)).is_success
    assert len(heard) == 1
    assert in_use(client) == 0


@pytest.mark.parametrize("what", [TtsMessage, "tts_message", "tts_*"])
async def test_run_waits_for_speech_that_a_handler_asked_for(what, serve, connect):
    """By class, name or pattern: a handler of speech hears all of it."""
    server = await serve(*SPOKEN, version=OLD)
    dispatcher, heard = Dispatcher(), []

    @dispatcher.on(what)
    def hear(event) -> None:
        heard.append(event)

    result = await connect(server).run(dispatcher=dispatcher)
    assert result.is_success
    pieces = [event.audio for event in heard if isinstance(event, TtsMessage)]
    assert len(pieces) == 3


async def test_a_handler_of_the_last_word_is_heard(wild, connect):
    """A handler of `tts_message_end` alone listens for speech, too."""

    async def script(peer) -> None:
        await peer.begin(OLD)
        await peer.event("workflow_finished", status="succeeded")
        await finished.wait()
        await peer.event("tts_message_end", audio="")
        await peer.gone()

    dispatcher, heard, finished = Dispatcher(), [], asyncio.Event()

    @dispatcher.on(WorkflowFinished)
    def finish(_: WorkflowFinished) -> None:
        finished.set()

    dispatcher.on(TtsMessageEnd)(heard.append)
    client = connect(await wild(script))
    assert (await client.run(dispatcher=dispatcher)).is_success
    assert len(heard) == 1


async def test_the_last_word_ends_the_stream(wild, connect):
    """`tts_message_end` ends a stream that the server keeps open, without a tail."""

    async def script(peer) -> None:
        await peer.begin(OLD)
        await peer.event("workflow_finished", status="succeeded")
        await peer.event("tts_message", audio="YQ==")
        await peer.event("tts_message_end", audio="")
        await peer.event("tts_message", audio="never")
        await peer.gone()

    client = connect(await wild(script), timeouts=Timeouts(tail=60))
    async with asyncio.timeout(5), client.stream() as run:
        events = [event async for event in run]
    assert [event.event_name for event in events[1:]] == [
        "tts_message",
        "tts_message_end",
    ]


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_speech_that_ended_before_the_run(version, wild, connect):
    """No tail is waited for when the last word came before the run's end."""

    async def script(peer) -> None:
        await peer.begin(version)
        await peer.event("tts_message_end", audio="")
        await peer.event("workflow_finished", status="succeeded")
        await peer.gone()

    client = connect(await wild(script), timeouts=Timeouts(tail=60))
    async with asyncio.timeout(5), client.stream() as run:
        assert len([event async for event in run]) == 2
        assert (await run.result()).is_success


async def test_the_server_need_not_close(serve, connect, in_use):
    """A run's end ends the stream, and frees the connection, on its own."""
    server = await serve(END, version=NEW, close_delay=300)
    client = connect(server)
    async with asyncio.timeout(5):
        assert (await client.run()).is_success
        async with client.stream() as run:
            _ = [event async for event in run]
            assert in_use(client) == 0
        assert (await client.run()).is_success
    assert in_use(client) == 0


async def test_no_keep_alive_for_a_stream_that_was_left(serve, connect):
    """A stream whose body was not read to its end does not poison the next."""
    server = await serve(LLM, END, version=NEW, close_delay=0)
    client = connect(server)
    for _ in range(5):
        assert (await client.run()).outputs == {"answer": "42"}
    assert len(server.starts) == 5


# -- the plain generator ---------------------------------------------------------------


async def test_events(serve, connect):
    """`events()` yields what a stream yields, and ends."""
    server = await serve(LLM, END)
    client = connect(server)
    async with client.stream() as run:
        streamed = [type(event) async for event in run]
    assert [type(event) async for event in client.events()] == streamed
    assert server.stops == []


async def test_events_left_early(serve, connect, until):
    """A generator that is left stops its run, while the client is open."""
    server = await serve(END, Sleep(seconds=60))
    client = connect(server)
    async for _ in client.events():
        break
    await until(lambda: server.stops)
    await until(lambda: server.runs[0].is_over)


async def test_events_closed_at_once(serve, connect, until):
    """`aclosing` leaves the generator, and so the run, where the block ends."""
    server = await serve(END, Sleep(seconds=60))
    client = connect(server)
    async with aclosing(client.events()) as events:
        async for _ in events:
            break
    await client.aclose()
    assert server.stops == [{"user": "u1"}]
    await until(lambda: server.runs[0].is_over)


async def test_events_raises_what_a_stream_raises(serve, connect):
    """An error in the stream comes out of the generator."""
    server = await serve(ErrorEvent(message="no", code="app_unavailable", status=400))
    with pytest.raises(errors.AppUnavailable):
        _ = [event async for event in connect(server).events()]


@pytest.mark.parametrize("verb", ["run", "events"])
async def test_what_a_run_used_is_freed_when_it_ends(
    verb, serve, connect, until, monkeypatch
):
    """It does not wait for the collector, which would have to come all the time."""
    freed = []
    begin = Pump.begin

    def watched(pump, answer, *more):
        for each in (answer, pump, pump._events):
            weakref.finalize(each, freed.append, type(each))
        begin(pump, answer, *more)

    monkeypatch.setattr(Pump, "begin", watched)
    client = connect(await serve(END))
    gc.disable()
    try:
        if verb == "run":
            await client.run()
        else:
            async with aclosing(client.events()) as events:
                async for _ in events:
                    pass
        await until(lambda: len(freed) == 3)
    finally:
        gc.enable()
