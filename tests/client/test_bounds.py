"""What never ends, or grows on its way, is given up: time and memory have bounds."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib

from collections.abc import Callable

import pytest

from dify_workflow_async import Limits, RetryPolicy, Timeouts, errors


KB, MB = 1 << 10, 1 << 20
ONCE = RetryPolicy(attempts=1)

# An eighth of what the servers here would send: what is kept must not grow with that.
LIMITS = Limits(max_event_bytes=MB, max_body_bytes=MB, max_error_bytes=64 * KB)
ENOUGH = 32 * MB
# The limit; its copy, whole; and what the server, which is in this process, holds.
MEMORY = 4 * MB


@pytest.fixture
def peak() -> Callable[[], int]:
    """Give a function that tells how many bytes were held at most since it began."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


async def pour(peer, piece: bytes) -> None:
    """Send the same for ever, or nearly."""
    for _ in range(ENOUGH // len(piece)):
        await peer.write(piece)
    pytest.fail("the client took all of it")


def chunk(data: bytes) -> bytes:
    """Write a chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


# -- streams ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"x" * 64 * KB, id="line"),
        pytest.param(b": comment\n" * 6400, id="comments"),
        pytest.param(b"data: x\n" * 8000, id="lines of data"),
        pytest.param(b"\xff" * 64 * KB, id="rubbish"),
    ],
)
async def test_an_event_that_never_ends(piece, wild, connect, peak, in_use):
    """It is refused at its limit, and the connection is closed."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await pour(peer, chunk(piece))

    server = await wild(script)
    client = connect(server, limits=LIMITS)
    with pytest.raises(errors.TooLarge, match="max_event_bytes") as caught:
        await client.run()
    assert caught.value.run_id is not None
    assert peak() < MEMORY
    assert in_use(client) == 0
    assert len(server.starts) == 1


async def test_events_without_end_take_no_memory(wild, connect, peak):
    """Each is within its limit, and none is kept: what counts is what one takes."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        for _ in range(100):
            await peer.event("node_started", inputs={"text": "x" * 256 * KB})
        await peer.event("workflow_finished", status="succeeded", outputs={})
        await peer.gone()

    client = connect(await wild(script), limits=LIMITS)
    seen = 0
    async with client.stream() as run:
        async for _ in run:
            seen += 1
    assert seen == 102
    assert peak() < 8 * MB  # of 25


async def test_an_event_in_tiny_pieces(wild, connect, peak, until):
    """Its pieces cost no more than the event, although each is an object."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        for _ in range(10):
            await peer.write(chunk(b"xy") * 2000)
        await arrived.wait()
        await peer.gone()

    arrived = asyncio.Event()
    client = connect(await wild(script), limits=LIMITS, timeouts=Timeouts(recovery=0))
    async with client.stream() as run:
        await anext(run)
        before = peak()
        reading = asyncio.ensure_future(anext(run, None))
        await until(lambda: run._events.pending >= 40_000)
        assert peak() - before < MB // 2
        reading.cancel()
        arrived.set()


async def test_a_chunk_size_that_never_ends(wild, connect, peak):
    """What the parser of HTTP swallows is silence, and is given up as such."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.write(b"1")
        while True:
            await peer.write(b";" + b"x" * KB)

    server = await wild(script)
    client = connect(server, timeouts=Timeouts(idle=0.1, recovery=0))
    with pytest.raises(errors.RunInterrupted):
        await client.run()
    assert peak() < MEMORY


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_stream_that_explodes(encoding, wild, connect, peak):
    """Although a stream is asked for as it is, a proxy may have its own ideas."""

    async def script(peer) -> None:
        await peer.begin(**{"Content-Encoding": encoding})
        await peer.send(squeezed(encoding, b"data: ", ENOUGH))
        await peer.gone()

    client = connect(await wild(script), limits=LIMITS)
    with pytest.raises(errors.TooLarge):
        await client.run()
    assert peak() < MEMORY


def squeezed(encoding: str, start: bytes, size: int) -> bytes:
    """Compress very many bytes, without having them all at once."""
    window = 31 if encoding == "gzip" else 15
    compressor = zlib.compressobj(9, zlib.DEFLATED, window)
    parts = [compressor.compress(start)]
    parts += [compressor.compress(b"x" * MB) for _ in range(size // MB)]
    return b"".join([*parts, compressor.flush()])


# -- heads -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        pytest.param(b"HTTP/1.1 200 ", b"O" * 16 * KB, id="reason"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 16 * KB, id="value"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX", b"x" * 16 * KB, id="name"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 2000, id="headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n", b"X: %s\r\n" % (b"y" * 8000), id="large headers"
        ),
    ],
)
@pytest.mark.parametrize("verb", ["run", "get_run"])
async def test_a_head_that_never_ends(verb, start, piece, wild, connect, peak, in_use):
    """It is given up early, and who had asked for a run does not know of any."""

    async def script(peer) -> None:
        await peer.write(start)
        await pour(peer, piece)

    server = await wild(script)
    client = connect(server, timeouts=Timeouts(first_byte=1), retry=ONCE)
    error = errors.RunStateUnknown if verb == "run" else errors.TransportError
    with pytest.raises(error):
        await getattr(client, verb)(*["r1"] * (verb == "get_run"))
    assert peak() < MEMORY
    assert in_use(client) == 0
    assert len(server.requests) == 1


async def test_a_head_that_comes_byte_by_byte(wild, connect):
    """The time for the first byte is the time for the head."""

    async def script(peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await peer.write(b"x")
            await asyncio.sleep(0.01)  # more often than any time limit

    client = connect(await wild(script), timeouts=Timeouts(first_byte=0.2), retry=ONCE)
    with pytest.raises(errors.FirstByteTimeout):
        await client.get_run("r1")


# -- bodies ----------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [b"x" * 64 * KB, b"x" * 100], ids=["large", "small"])
@pytest.mark.parametrize("verb", ["get_run", "run_blocking"])
async def test_a_body_that_never_ends(verb, piece, wild, connect, peak, in_use):
    """An answer is read to its limit, and asked for once."""

    async def script(peer) -> None:
        await peer.write(HEAD % 200 + CHUNKED)
        await pour(peer, chunk(piece) * (64 * KB // len(piece)))

    server = await wild(script)
    client = connect(server, limits=LIMITS)
    with pytest.raises(errors.TooLarge, match="Limits"):
        await getattr(client, verb)(*["r1"] * (verb == "get_run"))
    assert peak() < MEMORY
    assert in_use(client) == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 429, 500, 302])
async def test_an_error_body_that_never_ends(status, wild, connect, peak, in_use):
    """The status has to do: the error is the same, and comes soon."""

    async def script(peer) -> None:
        await peer.write(HEAD % status + CHUNKED)
        await pour(peer, chunk(b"x" * 64 * KB))

    client = connect(await wild(script), limits=LIMITS, retry=ONCE)
    with pytest.raises(errors.DifyError) as caught:
        await client.run()
    assert caught.value.status == status
    assert peak() < MEMORY
    assert in_use(client) == 0


async def test_an_error_body_that_comes_byte_by_byte(wild, connect, in_use):
    """It has the time of a whole request, and no more, however alive it looks."""

    async def script(peer) -> None:
        await peer.write(HEAD % 500 + CHUNKED)
        while True:
            await peer.write(chunk(b"x"))
            await asyncio.sleep(0.01)  # more often than any time limit

    client = connect(await wild(script), timeouts=Timeouts(request=0.2))
    async with asyncio.timeout(10):
        with pytest.raises(errors.ServerError) as caught:
            await client.run()
    assert caught.value.status == 500
    assert in_use(client) == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_that_explodes(status, encoding, wild, connect, peak):
    """32 MB that came as 32 KB are not unpacked but for the limit's worth."""
    bomb = squeezed(encoding, b'{"a": "', ENOUGH)
    assert len(bomb) < 64 * KB

    async def script(peer) -> None:
        await peer.answer(status, bomb, Content_Encoding=encoding)

    client = connect(await wild(script), limits=LIMITS, retry=ONCE)
    error = errors.TooLarge if status == 200 else errors.ServerError
    with pytest.raises(error):
        await client.get_run("r1")
    assert peak() < MEMORY


async def test_a_body_that_explodes_twice(wild, connect, peak):
    """Compressed and compressed again is unpacked once, and then makes no sense."""
    bomb = gzip.compress(squeezed("gzip", b"{", ENOUGH))
    script = [lambda peer: peer.answer(200, bomb, Content_Encoding="gzip, gzip")]
    client = connect(await wild(*script), limits=LIMITS)
    with pytest.raises(errors.ProtocolError):
        await client.get_run("r1")
    assert peak() < MEMORY


async def test_a_body_that_is_deep(wild, connect):
    """Brackets in brackets are an error of ours, not of the interpreter's stack."""
    deep = b"[" * MB
    client = connect(await wild(lambda peer: peer.answer(200, deep)))
    with pytest.raises(errors.UnexpectedAnswer):
        await client.get_run("r1")


# -- redirects -------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["to itself", "on and on"])
async def test_too_many_redirects(how, wild, connect):
    """A file that is always elsewhere is given up after ten places."""

    async def script(peer) -> None:
        where = "/f" if how == "to itself" else f"/{len(server.requests)}"
        await peer.answer(302, b"", Location=where)

    server = await wild(script)
    with pytest.raises(errors.UnexpectedAnswer, match="more than 10 redirects"):
        await connect(server).download("/f").read()
    assert len(server.requests) == 11


# -- reading as it is asked for --------------------------------------------------------


async def test_nothing_is_read_ahead(wild, connect, until):
    """While the consumer is at work, no more comes in than aiohttp's buffer takes."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        for _ in range(16 * 16):
            await peer.event("node_started", inputs={"text": "x" * 64 * KB})
            sent.append(1)
        await peer.event("workflow_finished", status="succeeded", outputs={})
        await peer.gone()

    sent: list[int] = []
    client = connect(await wild(script))
    async with client.stream() as run:
        await anext(run)
        content = run._pump._reader._answer._response.content
        await until(lambda: content._protocol._reading_paused)
        for _ in range(100):
            await asyncio.sleep(0)
        assert content.total_bytes < MB
        assert len(sent) < 16 * 16
        assert (await run.result()).is_success
