"""A stream as people see it: its text, its nodes, its speech."""

# ruff: noqa: PT012, SIM117 - a stream is entered and read where it fails

from __future__ import annotations

import asyncio

from contextlib import aclosing
from itertools import pairwise

import pytest

from dify_workflow_async import Dispatcher, errors
from dify_workflow_async.events import NodeFinished, NodeStarted, TextChunk
from dify_workflow_async.local import (
    Disconnect,
    ErrorEvent,
    Iteration,
    Node,
    Raw,
    Sleep,
    Speech,
)


OLD, NEW = "1.12.1", "1.14.2"
END = Node(type="end", outputs={"answer": "42"})
LLM = Node(type="llm", text=["Hello", ", ", "world"], tokens=7, price="0.5")
FOREVER = Node(type="llm", text=["..."], delay=3600)
EACH = Iteration(
    items=("a", "b"), steps=[Node(type="code", id="line", outputs={"x": "{item}"})]
)
SPOKEN = [Speech(audio=[b"ID3", b"one"], tail=[b"two"]), END]


# -- nodes and usage -------------------------------------------------------------------


async def test_nodes_in_a_loop(serve, connect):
    """Each event has been counted in when the loop gets it."""
    server = await serve(LLM, EACH, END)
    async with connect(server).stream() as run:
        nodes = run.nodes
        assert not nodes
        async for event in run:
            if isinstance(event, NodeStarted):
                assert nodes[event.id].is_running
            elif isinstance(event, NodeFinished):
                assert nodes[event.id].status == "succeeded"
        assert run.nodes is nodes
    assert [x.title for x in nodes.children()] == ["llm", "Iteration", "end"]
    assert [x.round for x in nodes.children("iteration")] == [0, 1]
    assert nodes["iteration"].rounds == 2
    assert run.usage.total_tokens == 7
    assert run.usage.prices == {"USD": pytest.approx(0.5)}


async def test_nodes_of_a_result(serve, connect):
    """They are there as well when nothing but the result was asked for."""
    server = await serve(LLM, EACH, END)
    async with connect(server).stream() as run:
        nodes = run.nodes
        await run.result()
    assert [x.status for x in nodes.values()] == ["succeeded"] * 5
    assert run.usage.finished == 5


async def test_nodes_and_a_handler(serve, connect):
    """A handler of other events gets what it wants, and the nodes are there."""
    server = await serve(LLM, END)
    dispatcher = Dispatcher()
    texts = []

    @dispatcher.on(TextChunk)
    def note(event: TextChunk) -> None:
        texts.append(event.text)

    async with connect(server).stream(dispatcher=dispatcher) as run:
        nodes = run.nodes
        await run.result()
    assert texts == ["Hello", ", ", "world"]
    assert len(nodes) == 2


@pytest.mark.parametrize("read", ["loop", "result"])
async def test_nodes_asked_for_too_late(read, serve, connect):
    """What passed unasked is not kept, and that is said."""
    server = await serve(LLM, END)
    async with connect(server).stream() as run:
        if read == "loop":
            await anext(run)
        else:
            await run.result()
        for ask in (lambda: run.nodes, lambda: run.usage):
            with pytest.raises(errors.UsageError, match="before the run is read"):
                ask()


async def test_nodes_after_the_ids(serve, connect):
    """Waiting for the run's ids reads nothing away."""
    server = await serve(LLM, END)
    async with connect(server).stream() as run:
        await run.begun()
        nodes = run.nodes
        await run.result()
    assert len(nodes) == 2


async def test_nodes_of_a_run_that_broke(serve, connect):
    """What is told again after a break is not counted again."""
    server = await serve(LLM, Disconnect(), Sleep(seconds=0.05), EACH, END)
    async with connect(server).stream() as run:
        nodes = run.nodes
        result = await run.result()
    assert result.recovered
    assert run.usage.total_tokens == 7
    assert not run.usage.running
    llm = [x for x in nodes.values() if x.node_id == "llm"]
    assert [x.total_tokens for x in llm] == [7]


async def test_a_second_loop_misses_no_node(serve, connect):
    """A loop that is left and gone on with counts each event once."""
    server = await serve(LLM, EACH, END)
    async with connect(server).stream() as run:
        nodes = run.nodes
        async for _ in run:
            async for _ in run:
                break
    assert len(nodes) == 5
    assert not run.usage.running


# -- text ------------------------------------------------------------------------------


async def test_text_stream(serve, connect):
    """The pieces come as they were sent, and nothing else."""
    server = await serve(LLM, END)
    async with connect(server).stream() as run:
        pieces = [piece async for piece in run.text_stream]
        assert pieces == ["Hello", ", ", "world"]
        assert (await run.result()).is_success


def replace(text: str) -> Raw:
    """Replace the text, as old servers did."""
    return Raw(event={"event": "text_replace", "data": {"text": text}})


async def test_text_stream_of_a_server_that_replaces(serve, connect):
    """A text that grows gives what is new, another one what comes after it."""
    longer, other = replace("Hello, world!"), replace("no")
    more = Node(type="llm", id="more", text=["?"])
    server = await serve(LLM, longer, other, more, END)
    async with connect(server).stream() as run:
        pieces = [piece async for piece in run.text_stream]
        assert pieces == ["Hello", ", ", "world", "!", "?"]
        assert run.text == "no?"


async def test_snapshots_are_not_more_often_than_asked(serve, connect):
    """Many pieces make one snapshot, the last has all, and time is between them."""
    text = [f"{n} " for n in range(40)]
    server = await serve(Node(type="llm", text=text, chunk_delay=0.01), END)
    loop = asyncio.get_running_loop()
    seen, times = [], []
    async with connect(server).stream() as run:
        async for snapshot in run.snapshots(every=0.1):
            seen.append(snapshot)
            times.append(loop.time())
        result = await run.result()
    assert result.is_success
    assert seen[-1] == "".join(text)
    assert 3 <= len(seen) <= 10
    assert all(b.startswith(a) and a != b for a, b in pairwise(seen))
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) >= 0.099


async def test_a_snapshot_does_not_wait_for_the_next_text(serve, connect):
    """Text that came too early is shown when its time comes, though nothing comes."""
    server = await serve(Node(type="llm", text=["a", "b"], chunk_delay=0.01), FOREVER)
    async with connect(server).stream() as run:
        async with aclosing(run.snapshots(every=0.1)) as snapshots:
            async with asyncio.timeout(5):
                assert (await anext(snapshots))[0] == "a"
                assert await anext(snapshots) == "ab"


async def test_the_run_is_read_while_a_snapshot_is_used(serve, connect, until):
    """A loop that takes its time does not stop the run from being read."""
    server = await serve(LLM, END)
    async with connect(server).stream() as run:
        async for _ in run.snapshots(every=0):
            await until(lambda: run.status == "succeeded")
        assert run.text == "Hello, world"


async def test_snapshots_honour_a_replacement(serve, connect):
    """A text that was replaced is shown as it is now."""
    server = await serve(LLM, replace("no"), END)
    async with connect(server).stream() as run:
        assert [x async for x in run.snapshots(every=0.05)][-1] == "no"


async def test_no_text_no_snapshot(serve, connect):
    """A run without text shows none."""
    server = await serve(END)
    async with connect(server).stream() as run:
        assert [x async for x in run.snapshots(every=0)] == []


async def test_snapshots_of_a_run_that_fails(serve, connect):
    """An error is raised after the last text."""
    server = await serve(LLM, ErrorEvent(message="no", code="invalid_param"))
    seen = ""
    async with connect(server).stream() as run:
        with pytest.raises(errors.InvalidParam):
            async for snapshot in run.snapshots(every=0.02):
                seen = snapshot
    assert seen == "Hello, world"


async def test_snapshots_left_by_break(serve, connect, until):
    """The result can be had at once, and the stop of leaving works."""
    server = await serve(LLM, Sleep(seconds=0.05), END)
    client = connect(server)
    async with client.stream() as run:
        async for _ in run.snapshots(every=0):
            break
        assert (await run.result()).is_success
    server.app.behaviour = type(server.app.behaviour)(steps=[LLM, FOREVER])
    async with client.stream() as run:
        async for _ in run.snapshots(every=0):
            break
    await until(lambda: server.runs[-1].status == "stopped")


async def test_snapshots_that_nobody_takes(serve, connect):
    """Asking for them is no reading."""
    server = await serve(LLM, END)
    async with connect(server).stream() as run:
        run.snapshots()
        assert (await run.result()).is_success


async def test_the_result_beside_snapshots(serve, connect):
    """It would read, too."""
    server = await serve(LLM, FOREVER)
    async with connect(server).stream() as run:
        async for _ in run.snapshots(every=0):
            with pytest.raises(errors.StreamBusy):
                await run.result()
            break


async def test_snapshots_that_are_cancelled(serve, connect, until):
    """Cancelling who shows them passes at once, and stops the run."""
    server = await serve(LLM, FOREVER)
    client = connect(server)

    async def show() -> None:
        async with client.stream() as run:
            async for _ in run.snapshots(every=0):
                pass

    task = asyncio.create_task(show())
    await until(lambda: server.runs and server.runs[0].events)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: server.runs[0].status == "stopped")


async def test_a_handler_that_fails_under_snapshots(serve, connect):
    """Its own exception is raised to who shows them."""
    server = await serve(LLM, END)
    dispatcher = Dispatcher()

    @dispatcher.on(NodeFinished)
    def fail(event: NodeFinished) -> None:
        raise KeyError(event.node_id)

    async with connect(server).stream(dispatcher=dispatcher) as run:
        with pytest.raises(KeyError, match="llm"):
            async for _ in run.snapshots(every=0):
                pass


async def test_snapshots_refuse_a_wrong_pace(serve, connect):
    """A negative time is an error when it is asked for."""
    server = await serve(END)
    async with connect(server).stream() as run:
        with pytest.raises(errors.ConfigurationError):
            run.snapshots(every=-1)
        await run.result()


# -- one consumer ----------------------------------------------------------------------


SECOND = {
    "loop": lambda run: run,
    "snapshots": lambda run: run.snapshots(every=0),
    "text": lambda run: run.text_stream,
    "audio": lambda run: run.audio(),
    "relay": lambda run: run.relay(),
}


@pytest.mark.parametrize("second", SECOND)
async def test_a_second_consumer_beside_snapshots(second, serve, connect):
    """While one reads, no other may, of whatever kind."""
    server = await serve(LLM, FOREVER)
    async with connect(server).stream() as run:
        async with aclosing(run.snapshots(every=0)) as snapshots:
            await anext(snapshots)
            with pytest.raises(errors.StreamBusy):
                async for _ in SECOND[second](run):
                    pass


@pytest.mark.parametrize("second", SECOND)
async def test_a_second_consumer_in_another_task(second, serve, connect):
    """While one task loops over the events, no other may read."""
    server = await serve(LLM, FOREVER)

    async def consume(run) -> None:
        async for _ in SECOND[second](run):
            pass

    async with connect(server).stream() as run:
        async for _ in run:
            with pytest.raises(errors.StreamBusy):
                await asyncio.create_task(consume(run))
            break


# -- speech ----------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "speech"), [(OLD, b"ID3onetwo"), (NEW, b"ID3one")])
async def test_audio(version, speech, serve, connect):
    """Pieces are decoded; without the end that new servers lose, it ends all the same.

    Old servers send a part of it after the run's end.
    """
    server = await serve(*SPOKEN, version=version)
    async with connect(server).stream() as run:
        pieces = [piece async for piece in run.audio()]
        assert b"".join(pieces) == speech
        assert (await run.result()).is_success


async def test_audio_that_is_no_base64(serve, connect):
    """One clear error, with the run's id; the run can be read on."""
    odd = Raw(event={"event": "tts_message", "audio": "???"})
    server = await serve(odd, END)
    async with connect(server).stream() as run:
        with pytest.raises(errors.UnexpectedAnswer, match="not base64"):
            async for _ in run.audio():
                pass
        assert (await run.result()).is_success


async def test_save_audio(serve, connect, tmp_path):
    """The file has all of it, and its place is told; a directory gets a name."""
    server = await serve(*SPOKEN, version=OLD)
    client = connect(server)
    async with client.stream() as run:
        path = await run.save_audio(tmp_path / "said.mp3")
    assert path == tmp_path / "said.mp3"
    assert path.read_bytes() == b"ID3onetwo"
    async with client.stream() as run:
        assert await run.save_audio(tmp_path) == tmp_path / "speech.mp3"


async def test_save_audio_of_an_app_that_does_not_speak(serve, connect, tmp_path):
    """No speech, no file; and the result is there."""
    server = await serve(LLM, END)
    async with connect(server).stream() as run:
        assert await run.save_audio(tmp_path / "said.mp3") is None
        assert (await run.result()).is_success
    assert not list(tmp_path.iterdir())


async def test_save_audio_that_fails(serve, connect, tmp_path):
    """A failure leaves no file, and what was there before stays."""
    path = tmp_path / "said.mp3"
    path.write_bytes(b"before")
    odd = Raw(event={"event": "tts_message", "audio": "???"})
    server = await serve(Speech(audio=[b"ID3"]), odd, END)
    async with connect(server).stream() as run:
        with pytest.raises(errors.UnexpectedAnswer):
            await run.save_audio(path)
        await run.result()
    assert [x.read_bytes() for x in tmp_path.iterdir()] == [b"before"]


async def test_save_audio_where_nobody_may_write(serve, connect, tmp_path):
    """The operating system's own error says why."""
    server = await serve(*SPOKEN)
    async with connect(server).stream() as run:
        with pytest.raises(FileNotFoundError):
            await run.save_audio(tmp_path / "no" / "said.mp3")
        await run.result()
