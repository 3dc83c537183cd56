"""Sockets that misbehave: every failure is one of ours, and nothing is run twice."""

# ruff: noqa: PT012 - a stream is entered and read where it fails

from __future__ import annotations

import asyncio
import gzip
import socket
import time

from types import SimpleNamespace

import aiohttp
import pytest

from dify_workflow_async import Limits, RetryPolicy, Timeouts, WorkflowClient, errors
from dify_workflow_async._aiohttp import KEEPALIVE
from dify_workflow_async._watch import Watch


FINISHED = {"status": "succeeded", "outputs": {"answer": "42"}}
DETAIL = {"id": "r1", "status": "succeeded", "outputs": {"answer": "42"}}


async def good(peer) -> None:
    """Run to a good end."""
    await peer.begin()
    await peer.event("workflow_started")
    await peer.event("workflow_finished", **FINISHED)
    await peer.end()


async def silence(peer) -> None:
    """Say nothing."""
    await peer.gone()


def stalling(*pieces: bytes):
    """Begin a stream with these chunks, then say nothing."""

    async def script(peer) -> None:
        await peer.begin()
        for piece in pieces:
            await peer.send(piece)
        await peer.gone()

    return script


@pytest.fixture
def nobody() -> SimpleNamespace:
    """Give an address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return SimpleNamespace(base_url=f"http://127.0.0.1:{port}/v1")


# -- no connection ---------------------------------------------------------------------


async def test_connection_refused(nobody, connect, key):
    """Where nobody listens nothing was sent: it is tried again, then raised."""
    tries = []
    trace = aiohttp.TraceConfig()

    async def count(*_: object) -> None:
        tries.append(1)

    trace.on_connection_create_start.append(count)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        client = connect(
            nobody, session=session, retry=RetryPolicy(attempts=3, base=0.001)
        )
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.run()
    assert len(tries) == 3
    assert caught.value.safe_to_repeat
    assert caught.value.request == f"POST {nobody.base_url}/workflows/run"
    assert key not in str(caught.value)


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "a..invalid"])
@pytest.mark.filterwarnings("ignore:http.* is not encrypted")
async def test_a_host_that_no_dns_can_name(host, connect):
    """A host name that cannot be looked up is an error of ours."""
    with pytest.raises(errors.DifyError):
        await connect(SimpleNamespace(base_url=f"http://{host}/v1")).run()


@pytest.mark.parametrize("host", ["127.1", "a\\b.invalid"])
@pytest.mark.filterwarnings("ignore:http.* is not encrypted")
async def test_a_host_that_is_none(host, key):
    """A host that aiohttp refuses to take is a wrong setting, sooner or later."""
    with pytest.raises(errors.ConfigurationError):
        async with WorkflowClient(key, f"http://{host}/v1", "u1") as client:
            await client.run()


@pytest.mark.parametrize("total", [None, 60])
async def test_connect_timeout(total, wild, connect):
    """A handshake that never ends is given up, and may be tried again."""
    server = await wild(silence)
    client = connect(
        SimpleNamespace(base_url=server.base_url.replace("http:", "https:")),
        timeouts=Timeouts(connect=0.05),
        retry=RetryPolicy(attempts=2, base=0.001),
    )
    with pytest.raises(errors.ConnectTimeout) as caught:
        await client.run(timeout=total)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.safe_to_repeat
    assert caught.value.seconds == 0.05
    assert server.connections == 2
    assert server.requests == []


async def test_no_tls_where_tls_was_expected(connect):
    """A plain server behind https:// is a connection that was never made."""

    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = connect(SimpleNamespace(base_url=f"https://127.0.0.1:{port}/v1"))
        with pytest.raises(errors.ConnectionFailed):
            await client.run()
        await client.aclose()


# -- broken connections ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["hang_up", "reset"])
@pytest.mark.parametrize("verb", ["run", "run_blocking"])
async def test_a_post_that_is_never_answered(how, verb, wild, connect):
    """After a hang-up nobody knows whether a run began: it is not asked for again."""

    async def script(peer) -> None:
        getattr(peer, how)()

    server = await wild(script)
    with pytest.raises(errors.RunStateUnknown, match="app's logs") as caught:
        await getattr(connect(server), verb)()
    assert len(server.starts) == server.connections == 1
    assert not caught.value.safe_to_repeat
    assert isinstance(caught.value.__cause__, errors.ConnectionLost)
    assert caught.value.request == f"POST {server.base_url}/workflows/run"


async def test_a_post_on_a_stale_connection(wild, connect):
    """A kept connection that the server closed does not start a run twice either."""

    async def script(peer) -> None:
        await peer.answer(200, DETAIL)
        if await peer.receive():  # as if it closed just before this came
            posts.append(peer.json)
            peer.hang_up()

    posts = []
    server = await wild(script)
    client = connect(server)
    await client.get_run("r1")
    with pytest.raises(errors.RunStateUnknown):
        await client.run()
    assert len(posts) == server.connections == 1


@pytest.mark.parametrize("how", ["hang_up", "reset"])
async def test_a_get_that_is_never_answered(how, wild, connect):
    """Reading a run is repeated after a hang-up."""

    async def script(peer) -> None:
        getattr(peer, how)()

    async def detail(peer) -> None:
        await peer.answer(200, DETAIL)

    server = await wild(script, script, detail)
    run = await connect(server).get_run("r1")
    assert run.outputs == {"answer": "42"}
    assert len(server.requests) == 3


async def test_a_blocking_answer_that_breaks_off(wild, connect):
    """Half an answer does not tell whether the run succeeded."""

    async def script(peer) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
        await peer.write(head + b'{"data": ')
        peer.hang_up()

    server = await wild(script)
    with pytest.raises(errors.RunStateUnknown):
        await connect(server).run_blocking()
    assert len(server.starts) == 1


@pytest.mark.parametrize("how", ["hang_up", "reset", "end"])
@pytest.mark.parametrize("read_first", [True, False], ids=["read", "unread"])
async def test_a_stream_that_breaks(how, read_first, wild, connect, frame, ids, until):
    """What arrived before the break is yielded, then the break is raised."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(sent)
        await arrived.wait()
        if how == "end":
            await peer.end()
        else:
            getattr(peer, how)()
        broken.set()

    arrived, broken, events = asyncio.Event(), asyncio.Event(), []
    sent = frame("workflow_started") + frame("node_started")
    server = await wild(script)
    with pytest.raises(errors.RunInterrupted) as caught:
        async with connect(server).stream() as run:
            content = run._pump._reader._answer._response.content
            await until(lambda: content.total_bytes == len(sent))
            if not read_first:
                arrived.set()
                await broken.wait()
                await until(lambda: content.is_eof() or content.exception())
            async for event in run:
                events.append(event.event_name)
                arrived.set()
    assert events == ["workflow_started", "node_started"]
    assert caught.value.run_id == ids.run
    assert caught.value.events_seen == 2
    assert len(server.starts) == 1
    assert server.stops == []


async def test_a_stream_that_breaks_before_the_run_is_known(wild, connect):
    """Without a run id nobody can look after the run: `RunStateUnknown`."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\ndata: {")
        await peer.end()

    server = await wild(script)
    with pytest.raises(errors.RunStateUnknown, match="7 bytes") as caught:
        await connect(server).run()
    assert not caught.value.safe_to_repeat
    assert len(server.starts) == 1


@pytest.mark.parametrize("length", ["no length", "right", "too long"])
async def test_a_stream_without_chunks(length, wild, connect, frame):
    """Whichever way HTTP ends a body: an end too early is no success."""

    async def script(peer) -> None:
        body = frame("workflow_started")
        size = len(body) + (length == "too long")
        limit = b"" if length == "no length" else b"Content-Length: %d\r\n" % size
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        await peer.write(head + limit + b"Connection: close\r\n\r\n" + body)
        await begun.wait()
        peer.hang_up()

    begun = asyncio.Event()
    with pytest.raises(errors.RunInterrupted):
        async with connect(await wild(script)).stream() as run:
            assert (await anext(run)).event_name == "workflow_started"
            begun.set()
            await run.result()


async def test_the_failure_of_a_stream_stays(wild, connect, frame):
    """A broken stream raises the same error however often it is asked."""
    script = stalling(frame("workflow_started"), b"data: nonsense\n\n")
    async with connect(await wild(script)).stream() as run:
        found = []
        for call in (run.result, run.result, run.__anext__):
            with pytest.raises(errors.RunInterrupted, match="nonsense") as caught:
                await call()
            found.append(caught.value)
    assert found[0] is found[1] is found[2]


async def test_bad_json_comes_after_the_good(wild, connect, frame):
    """The events before a frame that makes no sense are yielded."""
    script = stalling(
        frame("workflow_started") + frame("node_started") + b"data: {\n\n"
    )
    events = []
    with pytest.raises(errors.RunInterrupted, match="broken JSON"):
        async with connect(await wild(script)).stream() as run:
            async for event in run:
                events.append(event.event_name)  # noqa: PERF401
    assert events == ["workflow_started", "node_started"]


# -- time ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "error"),
    [(b"zz\r\nx\r\n", errors.RunInterrupted), (b"", errors.RunInterrupted)],
    ids=["malformed chunk", "silence"],
)
async def test_idle_timeout(bad, error, wild, connect, frame, ids, in_use):
    """Silence ends a stream, also where aiohttp's parser waits for ever."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(frame("workflow_started"))
        await read.wait()
        await peer.write(bad)
        await peer.gone()

    read = asyncio.Event()
    server = await wild(script)
    client = connect(server, timeouts=Timeouts(idle=0.1))
    async with asyncio.timeout(5), client.stream() as run:
        await anext(run)
        read.set()
        with pytest.raises(error) as caught:
            await run.result()
    assert caught.value.run_id == ids.run
    if not bad:
        assert isinstance(caught.value.__cause__, errors.IdleTimeout)
        assert caught.value.__cause__.seconds == 0.1
    assert in_use(client) == 0


async def test_idle_timeout_of_other_answers(wild, connect):
    """A body that stops in the middle is given up, however the call asks."""

    async def script(peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await peer.gone()

    client = connect(
        await wild(script),
        timeouts=Timeouts(idle=0.05),
        retry=RetryPolicy(attempts=1),
    )
    with pytest.raises(errors.IdleTimeout):
        await client.get_run("r1")
    with pytest.raises(errors.RunStateUnknown):
        await client.run_blocking()


@pytest.mark.parametrize("how", ["awaiting", "blocking"])
async def test_a_slow_consumer_is_not_idle(how, wild, connect, frame):
    """A consumer may work for longer than `idle`: data waits, so the server does."""
    server = await wild(good)
    client = connect(server, timeouts=Timeouts(idle=0.1))
    seen = []
    async with client.stream() as run:
        async for event in run:
            seen.append(event.event_name)
            if how == "awaiting":
                await asyncio.sleep(0.25)  # the work, longer than idle
            else:
                time.sleep(0.25)  # noqa: ASYNC251 - a consumer that should not
    assert seen == ["workflow_started", "workflow_finished"]


async def test_idle_begins_when_the_consumer_waits(wild, connect, frame):
    """Time that the consumer took for itself is not counted as silence."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await worked.wait()
        await asyncio.sleep(0.05)  # less than idle, from here on
        await peer.event("workflow_finished", **FINISHED)
        await peer.gone()

    worked = asyncio.Event()
    client = connect(await wild(script), timeouts=Timeouts(idle=0.2))
    async with client.stream() as run:
        await anext(run)
        await asyncio.sleep(0.3)  # the work, longer than idle
        worked.set()
        assert (await run.result()).is_success


async def test_pings_feed_the_idle_timer(wild, connect):
    """A server that only pings is alive."""

    async def script(peer) -> None:
        await peer.begin()
        for _ in range(10):
            await peer.send(b"event: ping\n\n")
            await asyncio.sleep(0.05)  # ten times: longer than idle
        await peer.event("workflow_finished", **FINISHED)
        await peer.gone()

    client = connect(await wild(script), timeouts=Timeouts(idle=0.3))
    assert (await client.run()).is_success


async def test_no_idle_timeout(wild, connect):
    """`idle=None` waits for ever."""

    async def script(peer) -> None:
        await peer.begin()
        await asyncio.sleep(0.1)
        await peer.event("workflow_finished", **FINISHED)
        await peer.gone()

    client = connect(await wild(script), timeouts=Timeouts(idle=None))
    assert (await client.run()).is_success


async def pinging(peer) -> None:
    """Begin a run and ping for ever."""
    await peer.begin()
    await peer.event("workflow_started")
    while True:
        await peer.send(b"event: ping\n\n")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("given", ["client", "call"])
@pytest.mark.parametrize("idle", [None, 60])
async def test_total_timeout(given, idle, wild, connect, ids, until):
    """A run that takes longer than it may is given up, however busy, and stopped."""
    server = await wild(pinging)
    total = 0.1 if given == "client" else 60
    client = connect(server, timeouts=Timeouts(total=total, idle=idle))
    options = {} if given == "client" else {"timeout": 0.1}
    with pytest.raises(errors.TotalTimeout) as caught:
        await client.run(**options)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.seconds == 0.1
    assert caught.value.run_id == ids.run
    await until(lambda: server.stops)


async def test_total_timeout_in_silence(wild, connect, frame):
    """A total shorter than idle goes off while nothing comes."""
    client = connect(await wild(stalling(frame("workflow_started"))))
    with pytest.raises(errors.TotalTimeout):
        await client.run(timeout=0.1)


@pytest.mark.parametrize("idle", [None, 0.05])
async def test_total_timeout_while_the_consumer_works(idle, wild, connect, frame):
    """A consumer that took all the time is told so when it reads on."""
    script = stalling(frame("workflow_started"))
    client = connect(await wild(script), timeouts=Timeouts(idle=idle))
    async with client.stream(timeout=0.1) as run:
        await anext(run)
        await asyncio.sleep(0.2)  # the work, longer than the total
        with pytest.raises(errors.TotalTimeout):
            await anext(run)


async def test_total_timeout_covers_retries(wild, connect):
    """`timeout` is for the whole run, waits between tries included."""

    async def busy(peer) -> None:
        await peer.answer(429, {"code": "too_many_requests"}, Retry_After="20")

    client = connect(await wild(busy), timeouts=Timeouts(stop=0.1))
    async with asyncio.timeout(2):
        with pytest.raises((errors.TotalTimeout, errors.TooManyRequests)):
            await client.run(timeout=0.1)


async def test_first_byte_timeout(wild, connect, until):
    """A stream that does not begin is unknown, and not asked for again."""
    server = await wild(silence)
    client = connect(server, timeouts=Timeouts(first_byte=0.1))
    with pytest.raises(errors.RunStateUnknown) as caught:
        await client.run()
    assert isinstance(caught.value.__cause__, errors.FirstByteTimeout)
    assert caught.value.__cause__.seconds == 0.1
    assert len(server.starts) == 1
    await until(lambda: server.open == 0)


async def test_total_timeout_before_the_first_byte(wild, connect):
    """The total counts from the sending; a run may have begun meanwhile."""
    server = await wild(silence)
    for verb in ("run", "run_blocking"):
        with pytest.raises(errors.TotalTimeout, match="is not known") as caught:
            await getattr(connect(server), verb)(timeout=0.05)
        assert caught.value.seconds == 0.05
        assert not caught.value.safe_to_repeat
    assert len(server.starts) == 2


async def test_a_blocking_run_may_take_its_time(wild, connect):
    """A blocking answer begins when the run has ended: `first_byte` is not for it."""

    async def script(peer) -> None:
        await asyncio.sleep(0.15)  # longer than first_byte
        await peer.answer(200, {"workflow_run_id": "r1", "data": FINISHED})

    client = connect(await wild(script), timeouts=Timeouts(first_byte=0.05))
    assert (await client.run_blocking()).outputs == {"answer": "42"}


async def test_request_timeout(wild, connect):
    """`Timeouts.request` is for the whole call, and not for each of its tries."""
    server = await wild(silence)
    client = connect(server, timeouts=Timeouts(request=0.2))
    started = asyncio.get_running_loop().time()
    with pytest.raises(errors.Timeout):
        await client.get_run("r1")
    assert asyncio.get_running_loop().time() - started < 0.4


async def test_cancelling_at_the_same_time_as_a_timeout(wild, connect, frame, until):
    """Whoever is cancelled is cancelled, even if the time is over as well."""
    client = connect(
        await wild(stalling(frame("workflow_started"))), timeouts=Timeouts(idle=60)
    )
    async with client.stream(on_cancel="detach") as run:
        task = asyncio.create_task(run.result())
        await until(lambda: run.task_id)
        watch = run._pump._reader._answer._watch
        await until(lambda: watch._task is task)
        watch._since -= 60
        watch._on_timer()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# -- size ------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [b"x" * 500, b"data: x\n"], ids=["line", "lines"])
async def test_an_event_that_never_ends(piece, wild, connect, frame, until):
    """An event without an end is refused before it fills the memory."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(frame("workflow_started"))
        while True:
            await peer.send(piece)

    server = await wild(script)
    client = connect(server, limits=Limits(max_event_bytes=2000))
    with pytest.raises(errors.TooLarge, match="2000 bytes"):
        await client.run()
    await until(lambda: server.stops)


async def test_a_large_event_at_once(wild, connect, frame):
    """An event over the limit is refused although it is complete."""
    script = stalling(frame("workflow_started") + frame("text_chunk", text="x" * 3000))
    client = connect(await wild(script), limits=Limits(max_event_bytes=2000))
    with pytest.raises(errors.TooLarge):
        await client.run()


def endless(status: int):
    """Answer with a body that never ends."""

    async def script(peer) -> None:
        head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % status
        await peer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b'{"message": "' + b"x" * 1000)

    return script


@pytest.mark.parametrize("verb", ["run", "run_blocking"])
async def test_an_error_that_never_ends(verb, wild, connect, in_use):
    """Of an endless error body only so much is read; the status has to do."""
    client = connect(await wild(endless(500)), limits=Limits(max_error_bytes=2000))
    async with asyncio.timeout(5):
        with pytest.raises(errors.ServerError) as caught:
            await getattr(client, verb)()
    assert caught.value.status == 500
    assert in_use(client) == 0


@pytest.mark.parametrize("verb", ["get_run", "run_blocking"])
async def test_an_answer_that_never_ends(verb, wild, connect, in_use):
    """An endless answer is refused before it fills the memory."""
    server = await wild(endless(200))
    client = connect(server, limits=Limits(max_body_bytes=5000))
    arguments = ["r1"] if verb == "get_run" else []
    async with asyncio.timeout(5):
        with pytest.raises(errors.TooLarge, match="5000 bytes"):
            await getattr(client, verb)(*arguments)
    assert len(server.requests) == 1
    assert in_use(client) == 0


# -- odd answers -----------------------------------------------------------------------


async def test_a_compressed_error(wild, connect):
    """A proxy may compress what it answers."""

    async def script(peer) -> None:
        body = gzip.compress(b'{"code": "app_unavailable", "message": "no"}')
        await peer.answer(400, body, Content_Encoding="gzip")

    with pytest.raises(errors.AppUnavailable, match="no"):
        await connect(await wild(script)).run()


async def test_a_compressed_stream(wild, connect, frame):
    """A proxy that compresses a stream unasked is understood."""

    async def script(peer) -> None:
        await peer.begin(**{"Content-Encoding": "gzip"})
        events = frame("workflow_started") + frame("workflow_finished", **FINISHED)
        await peer.send(gzip.compress(events))
        await peer.end()

    server = await wild(script)
    assert (await connect(server).run()).outputs == {"answer": "42"}
    assert server.requests[0][2]["accept-encoding"] == "identity"


async def test_a_body_that_is_not_compressed_as_it_says(wild, connect):
    """Broken compression is a failure of ours, too."""

    async def script(peer) -> None:
        await peer.answer(200, b"not gzip at all", Content_Encoding="gzip")

    client = connect(await wild(script), retry=RetryPolicy(attempts=1))
    with pytest.raises(errors.TransportError):
        await client.get_run("r1")


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x15\x03\x01\x00\x02"],
)
async def test_an_answer_that_is_not_http(answer, wild, connect):
    """Something else than HTTP is told as such, and not run again."""

    async def script(peer) -> None:
        await peer.write(answer)
        peer.hang_up()

    server = await wild(script)
    with pytest.raises((errors.UnexpectedAnswer, errors.RunStateUnknown)):
        await connect(server).run()
    assert len(server.starts) == 1


async def test_a_redirect_is_not_followed(wild, connect):
    """The key goes to no other host, whatever the server says."""
    other = await wild(good)
    here = await wild(
        lambda peer: peer.answer(307, Location=f"{other.base_url}/workflows/run")
    )
    with pytest.raises(errors.UnexpectedAnswer, match="redirect"):
        await connect(here).run()
    with pytest.raises(errors.UnexpectedAnswer):
        await connect(here).get_run("r1")
    assert other.connections == 0
    assert len(here.requests) == 2


# -- trying again ----------------------------------------------------------------------


async def test_429_with_retry_after(wild, connect):
    """A server that is busy is waited for as long as it says, then runs once."""

    async def busy(peer) -> None:
        await peer.answer(429, {"code": "too_many_requests"}, Retry_After="0.1")

    server = await wild(busy, busy, good)
    started = asyncio.get_running_loop().time()
    assert (await connect(server).run()).is_success
    assert asyncio.get_running_loop().time() - started >= 0.2
    assert len(server.starts) == 3


async def test_retry_after_that_is_too_long(wild, connect):
    """A longer wait than allowed is left to the caller, with its length."""

    async def busy(peer) -> None:
        await peer.answer(429, {"code": "too_many_requests"}, Retry_After="3600")

    server = await wild(busy)
    with pytest.raises(errors.TooManyRequests) as caught:
        await connect(server).run()
    assert caught.value.retry_after == 3600
    assert caught.value.safe_to_repeat
    assert len(server.starts) == 1


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (429, "rate_limit_error", errors.QuotaExceeded),
        (500, "internal_server_error", errors.ServerError),
        (503, None, errors.GatewayError),
        (504, None, errors.GatewayError),
        (400, "invalid_param", errors.InvalidParam),
    ],
)
async def test_a_run_that_is_not_asked_for_again(status, code, error, wild, connect):
    """Whatever may have started a run, or will not help, is asked for once."""

    async def script(peer) -> None:
        await peer.answer(status, {"code": code, "message": "no"})

    server = await wild(script)
    for verb in ("run", "run_blocking"):
        with pytest.raises(error):
            await getattr(connect(server), verb)()
    assert len(server.starts) == 2


async def test_reads_are_repeated_after_5xx(wild, connect):
    """Reading a run, and stopping one, does no harm when it is done twice."""

    async def broken(peer) -> None:
        await peer.answer(503, b"<html>", "text/html")

    async def detail(peer) -> None:
        await peer.answer(200, DETAIL)

    server = await wild(broken, detail)
    assert (await connect(server).get_run("r1")).is_success
    assert len(server.requests) == 2


# -- proxies ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:http.* is not encrypted")
async def test_a_proxy(wild, connect):
    """Requests go to the proxy, with the server's whole URL."""
    proxy = await wild(good)
    client = connect(
        SimpleNamespace(base_url="http://dify.invalid/v1"),
        proxy=proxy.base_url.removesuffix("/v1"),
    )
    assert (await client.run()).is_success
    assert proxy.requests[0][1] == "http://dify.invalid/v1/workflows/run"


async def test_a_proxy_that_refuses(wild, connect, key):
    """A proxy that opens no way has passed nothing on: it is tried again."""
    proxy = await wild(lambda peer: peer.answer(403, b"no", "text/plain"))
    client = connect(
        SimpleNamespace(base_url="https://dify.invalid/v1"),
        proxy=proxy.base_url.removesuffix("/v1"),
        retry=RetryPolicy(attempts=2, base=0.001),
    )
    with pytest.raises(errors.ConnectionFailed, match="proxy") as caught:
        await client.run()
    assert caught.value.safe_to_repeat
    assert [x[0] for x in proxy.requests] == ["CONNECT", "CONNECT"]
    assert key not in str(proxy.requests)


@pytest.mark.filterwarnings("ignore:http.* is not encrypted")
async def test_a_proxy_that_is_not_there(nobody, connect):
    """A proxy that nobody runs is a connection that was never made."""
    client = connect(
        SimpleNamespace(base_url="http://dify.invalid/v1"),
        proxy=nobody.base_url,
    )
    with pytest.raises(errors.ConnectionFailed):
        await client.run()


@pytest.mark.parametrize(
    "proxy", ["nonsense", "ftp://127.0.0.1:1", "http://", "http://[::1", "http://h:x"]
)
async def test_a_proxy_that_is_none(proxy, wild, key):
    """A proxy's URL that is none is refused as a setting, before anything is sent."""
    server = await wild(good)
    with pytest.raises(errors.ConfigurationError):
        async with WorkflowClient(key, server.base_url, "u1", proxy=proxy) as client:
            await client.run()
    assert server.connections == 0


# -- sessions --------------------------------------------------------------------------


async def test_a_borrowed_session_stays_open(wild, connect):
    """The owner of a borrowed session closes it."""
    server = await wild(good)
    async with aiohttp.ClientSession() as session:
        async with connect(server, session=session) as client:
            assert (await client.run()).is_success
        assert not session.closed
        async with connect(server, session=session) as client:
            assert (await client.run()).is_success


async def test_a_borrowed_session_that_is_closed(wild, connect):
    """A session that its owner closed is an error of ours."""
    server = await wild(good)
    session = aiohttp.ClientSession()
    await session.close()
    with pytest.raises(errors.ClientClosed):
        await connect(server, session=session).run()
    assert server.connections == 0


async def test_the_own_session_is_made_late_and_closed(wild, connect, until):
    """No session before the first request, one for all, none after `aclose()`."""

    async def script(peer) -> None:
        await peer.answer(200, DETAIL)

    server = await wild(script)
    client = connect(server)
    assert client._api.transport._session is None
    await client.get_run("r1")
    session = client._api.transport._session
    await client.get_run("r1")
    assert client._api.transport._session is session
    assert server.connections == 1  # it is kept alive
    assert session.connector._keepalive_timeout == KEEPALIVE == 1.5
    assert session.connector.limit == 0
    await client.aclose()
    assert session.closed
    await until(lambda: server.open == 0)


async def test_cookies_are_not_kept(wild, connect):
    """What one app's answer sets does not go out with another app's request."""

    async def script(peer) -> None:
        await peer.answer(200, DETAIL, Set_Cookie="session=a; Path=/")

    server = await wild(script)
    client = connect(server)
    await client.get_run("r1")
    await client.get_run("r1")
    assert "cookie" not in server.requests[1][2]


async def test_the_timer_rests_while_the_consumer_works(
    wild, connect, frame, monkeypatch
):
    """A consumer that reads nothing for long costs a call per idle time, no more."""
    client = connect(
        await wild(stalling(frame("workflow_started"))), timeouts=Timeouts(idle=0.02)
    )
    async with client.stream(on_cancel="detach") as run:
        await anext(run)
        calls, real = [], Watch._on_timer
        monkeypatch.setattr(
            Watch, "_on_timer", lambda watch: (calls.append(1), real(watch))
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.2
        turns = 0
        while loop.time() < end:
            await asyncio.sleep(0)
            turns += 1
    assert 1 <= len(calls) <= 12
    assert turns > len(calls)
