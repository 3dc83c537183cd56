"""Requests are sent again where that does no harm, as patiently as the policy says."""

from __future__ import annotations

import asyncio
import logging
import socket

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from dify_workflow_async import (
    RetryPolicy,
    Timeouts,
    WorkflowClient,
    _exchange,
    errors,
    files,
)
from dify_workflow_async._lifetime import Lifetime
from dify_workflow_async.hooks import Retry


DETAIL = {"id": "r1", "status": "succeeded", "outputs": {"answer": "42"}}
UPLOADED = {"id": "f1", "name": "a.txt"}
FINISHED = {"status": "succeeded", "outputs": {}}


def answering(status: int, body=b"", **headers: str):
    """Answer so."""

    async def script(peer) -> None:
        await peer.answer(status, body, **headers)

    return script


async def good(peer) -> None:
    """Answer any request as a server does that is well."""
    if peer.path.endswith("/upload"):
        await peer.answer(201, UPLOADED)
    elif peer.path.endswith("/stop"):
        await peer.answer(200, {"result": "success"})
    elif peer.method == "GET":
        await peer.answer(200, DETAIL)
    else:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.event("workflow_finished", **FINISHED)
        await peer.end()


async def hang_up(peer) -> None:
    """Close without a word."""
    peer.hang_up()


async def reset(peer) -> None:
    """Break the connection."""
    peer.reset()


def half(*, how: str = "hang_up"):
    """Answer as if all were well, and break off in the body."""

    async def script(peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        if how == "silence":
            await peer.gone()
        getattr(peer, how, peer.hang_up)()

    return script


# -- what is sent again ----------------------------------------------------------------


FAULTS = {
    "hang up": hang_up,
    "reset": reset,
    "408": answering(408),
    "429": answering(429),
    "500": answering(500),
    "502": answering(502, b"<p>"),
    "503": answering(503),
    "half a body": half(),
    "half a body, reset": half(how="reset"),
    "half a body, silence": half(how="silence"),
}
REPEATED = {
    "read": lambda client: client.get_run("r1"),
    "stop": lambda client: client.stop("t1"),
    "upload": lambda client: client.upload(files.Upload(b"x", name="a.txt")),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("what", REPEATED)
async def test_what_passes_by_itself(what, fault, wild, connect):
    """Reads, stops and uploads of what can be read twice are sent again."""
    scripts = [FAULTS[fault], FAULTS[fault], good]
    server = await wild(*scripts, stop=InTurn(*scripts))
    client = connect(server, timeouts=Timeouts(idle=0.1))
    await REPEATED[what](client)
    assert len(server.requests) == 3


class InTurn:
    """Scripts for one request after another, the last for all that follow."""

    def __init__(self, *scripts) -> None:
        self._scripts = list(scripts)

    async def __call__(self, peer) -> None:
        """Let the next one answer."""
        one = self._scripts[0] if len(self._scripts) == 1 else self._scripts.pop(0)
        await one(peer)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (answering(400, {"code": "invalid_param"}), errors.InvalidParam),
        (answering(401), errors.Unauthorized),
        (answering(404), errors.NotFound),
        (answering(429, {"code": "rate_limit_error"}), errors.QuotaExceeded),
        (answering(200, b"{"), errors.UnexpectedAnswer),
        (answering(200, b"[]"), errors.UnexpectedAnswer),
        (answering(302, Location="/x"), errors.UnexpectedAnswer),
    ],
    ids=["400", "401", "404", "quota", "half JSON", "no object", "redirect"],
)
@pytest.mark.parametrize("what", ["read", "upload"])
async def test_what_does_not_pass(what, script, error, wild, connect):
    """What would be the same the next time is raised at once."""
    server = await wild(script)
    with pytest.raises(error):
        await REPEATED[what](connect(server))
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_run_is_not_started_twice(fault, wild, connect):
    """Only where it cannot have begun is a run asked for again."""
    server = await wild(FAULTS[fault], good)
    client = connect(server, timeouts=Timeouts(idle=0.1))
    if fault == "429":
        assert (await client.run()).is_success
        assert len(server.starts) == 2
        return
    with pytest.raises(errors.DifyError) as caught:
        await client.run_blocking()
    assert len(server.starts) == 1
    assert not caught.value.safe_to_repeat


@pytest.mark.parametrize("fault", ["hang up", "500", "half a body"])
async def test_content_that_can_be_read_once(fault, wild, connect):
    """An upload of what comes by and is gone is sent once."""

    async def pieces():
        yield b"x"

    server = await wild(FAULTS[fault], good)
    with pytest.raises((errors.ConnectionLost, errors.ServerError)):
        await connect(server).upload(files.Upload(pieces(), name="a.txt"))
    assert len(server.requests) == 1


async def test_the_last_failure_is_raised(wild, connect, key):
    """After as many attempts as the policy has."""
    server = await wild(hang_up, answering(500), answering(503))
    client = connect(server, retry=RetryPolicy(attempts=3, base=0))
    with pytest.raises(errors.GatewayError) as caught:
        await client.get_run("r1")
    assert caught.value.status == 503
    assert len(server.requests) == 3


# -- how long --------------------------------------------------------------------------


@pytest.fixture
def waits(monkeypatch):
    """Give the waits, which take no time, with the dice at their highest."""
    taken: list[float] = []

    async def pause(_: Lifetime, seconds: float, *, repeatable: bool) -> None:
        taken.append(seconds)

    monkeypatch.setattr(_exchange.random, "random", lambda: 1.0)
    monkeypatch.setattr(Lifetime, "pause", pause)
    return taken


async def test_waits_grow_to_their_cap(waits, wild, connect):
    """Each is at most twice the one before, and none is over the cap."""
    server = await wild(answering(500))
    client = connect(server, retry=RetryPolicy(attempts=7, base=1, cap=10))
    with pytest.raises(errors.ServerError):
        await client.get_run("r1")
    assert waits == [1, 2, 4, 8, 10, 10]


def date(seconds: float) -> str:
    """Write the time in so many seconds, as HTTP does."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return format_datetime(moment, usegmt=True)


THEN = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry_After": "7"}, 7, 7),
        ({"Retry_After": "2.5"}, 2.5, 2.5),
        ({"Retry_After": "0"}, 1, 1),
        ({"Retry_After": "20.5"}, 20.5, 20.5),
        (
            {"Retry_After": "Wed, 21 Oct 2015 07:28:09 GMT", "Date": THEN},
            9,
            9,
        ),
        ({"Retry_After": "SOON"}, 1, 1),
        ({"Retry_After": "-3"}, 1, 1),
        ({"Retry_After": "nan"}, 1, 1),
        ({"Retry_After": THEN}, 1, 1),
        ({}, 1, 1),
    ],
    ids=repr,
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_for_patience(
    status, headers, low, high, waits, wild, connect
):
    """`Retry-After` is obeyed in all its forms, and never shortens the own wait."""
    server = await wild(answering(status, **headers), good)
    client = connect(server, retry=RetryPolicy(base=1))
    await client.get_run("r1")
    assert len(waits) == 1
    assert low <= waits[0] <= high


async def test_a_date_without_a_date(waits, wild, connect):
    """A server that does not say when it is goes by this machine's clock."""
    server = await wild(answering(503, Retry_After=date(20)), good)
    await connect(server).get_run("r1")
    assert 15 < waits[0] <= 20


@pytest.mark.parametrize("asked", ["31", "86400", "1e9"])
@pytest.mark.parametrize("verb", ["get_run", "run"])
async def test_a_server_that_asks_for_too_much(verb, asked, waits, wild, connect):
    """A pause over the policy's limit is not waited for: who called is told of it."""
    server = await wild(answering(429, Retry_After=asked), good)
    with pytest.raises(errors.TooManyRequests) as caught:
        await getattr(connect(server), verb)(*["r1"] * (verb == "get_run"))
    assert caught.value.retry_after == float(asked)
    assert caught.value.safe_to_repeat
    assert (waits, len(server.requests)) == ([], 1)


async def test_a_wait_that_the_deadline_cuts(waits, wild, connect):
    """Nobody waits for a try that would have no time left."""
    server = await wild(answering(503, Retry_After="5"), good)
    client = connect(server, timeouts=Timeouts(request=4))
    with pytest.raises(errors.GatewayError) as caught:
        await client.get_run("r1")
    assert caught.value.retry_after == 5
    assert (waits, len(server.requests)) == ([], 1)


async def test_all_tries_together_have_the_time_of_one_call(wild, connect):
    """A server that fails slowly is not given the whole time again and again."""

    async def slow(peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        await asyncio.sleep(0.1)  # of the 0.25 that the call has
        peer.hang_up()

    server = await wild(slow)
    client = connect(
        server,
        timeouts=Timeouts(request=0.25),
        retry=RetryPolicy(attempts=100, base=0),
    )
    start = asyncio.get_running_loop().time()
    with pytest.raises((errors.TotalTimeout, errors.ConnectionLost)):
        await client.get_run("r1")
    assert asyncio.get_running_loop().time() - start < 2
    assert len(server.requests) <= 3


async def test_cancelled_while_it_waits(wild, connect):
    """A call that is given up between two tries sends no more."""
    waiting = asyncio.Event()
    server = await wild(answering(500), good)
    client = connect(
        server,
        retry=RetryPolicy(base=1000, cap=1000),
        timeouts=Timeouts(request=None),
        on_retry=lambda _: waiting.set(),
    )
    task = asyncio.ensure_future(client.get_run("r1"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.requests) == 1


# -- the hook --------------------------------------------------------------------------


async def test_the_hook_is_told_of_each_retry(waits, wild, connect):
    """Before each wait: of the attempt, its error, its request and the wait."""
    server = await wild(hang_up, answering(503, Retry_After="3"), good)
    told: list[tuple[Retry, int]] = []
    client = connect(
        server,
        retry=RetryPolicy(base=1),
        on_retry=lambda retry: told.append((retry, len(waits))),
    )
    await client.get_run("r/1")
    (first, before), (second, then) = told
    request = f"GET {server.base_url}/workflows/run/r%2F1"
    assert (first.attempt, first.wait, first.request) == (1, 1.0, request)
    assert isinstance(first.error, errors.ConnectionLost)
    assert (second.attempt, second.wait, second.request) == (2, 3.0, request)
    assert isinstance(second.error, errors.GatewayError)
    assert second.error.retry_after == 3
    assert (before, then) == (0, 1)
    assert waits == [1, 3]


async def test_the_hook_is_not_told_of_what_is_not_retried(wild, connect):
    """Neither of success, nor of a failure that is raised."""
    told: list[Retry] = []
    server = await wild(good, answering(404))
    client = connect(server, on_retry=told.append)
    await client.get_run("r1")
    with pytest.raises(errors.NotFound):
        await client.get_run("r1")
    assert told == []


async def test_a_run_tells_the_hook(wild, connect):
    """The start of a run, too, may be repeated: when the app was busy."""
    told: list[Retry] = []
    server = await wild(answering(429), good)
    client = connect(server, on_retry=told.append)
    assert (await client.run()).is_success
    assert [x.request.partition(" ")[0] for x in told] == ["POST"]


async def test_a_hook_that_fails(wild, connect, caplog):
    """Its exception is logged, and changes nothing."""

    def fail(retry: Retry) -> None:
        raise ZeroDivisionError(retry.attempt)

    server = await wild(answering(500), good)
    with caplog.at_level(logging.ERROR, "dify_workflow_async"):
        run = await connect(server, on_retry=fail).get_run("r1")
    assert run.is_success
    (record,) = caplog.records
    assert record.exc_info[0] is ZeroDivisionError


async def test_copies_keep_the_hook_or_have_their_own(wild, connect):
    """`with_options()` without a hook keeps the client's."""
    told: list[str] = []
    scripts = [answering(500), good]
    server = await wild(*scripts * 3)
    client = connect(server, on_retry=lambda _: told.append("first"))
    own = client.with_options(on_retry=lambda _: told.append("second"))
    for each in (client, client.with_options(user="u2"), own):
        await each.get_run("r1")
    assert told == ["first", "first", "second"]


class Awaited:
    """A hook that has to be awaited, although it is no function."""

    async def __call__(self, retry: Retry) -> None:
        """Do nothing."""


async def hook(retry: Retry) -> None:
    """Do nothing."""


@pytest.mark.parametrize("bad", [1, "hook", hook, Awaited()], ids=type)
def test_hooks_that_cannot_be_called(bad):
    """What nobody would await, and what is no function, is refused at once."""
    client = WorkflowClient("app-1", "https://dify.invalid")
    for make in (client.with_options, lambda **x: WorkflowClient("app-1", **x)):
        with pytest.raises(errors.ConfigurationError, match="hook"):
            make(on_retry=bad)


def test_what_a_hook_is_told_is_a_value():
    """It is frozen, and shows itself."""
    error = errors.ConnectionLost("broke")
    retry = Retry(attempt=1, wait=0.5, error=error, request="GET /x")
    assert retry == Retry(attempt=1, wait=0.5, error=error, request="GET /x")
    assert "broke" in repr(retry)
    with pytest.raises(AttributeError):
        retry.attempt = 2


async def test_no_connection_is_tried_again(connect):
    """Where nobody listens nothing was sent, so all that fails is the time."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told: list[Retry] = []
    server = SimpleNamespace(base_url=f"http://127.0.0.1:{port}/v1")
    client = connect(server, on_retry=told.append)
    with pytest.raises(errors.ConnectionFailed):
        await client.run()
    assert [x.attempt for x in told] == [1, 2, 3]
