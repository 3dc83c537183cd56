"""The key is in one header, to one server, and in nothing else that anybody sees."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
import socket
import traceback
import types

from pathlib import Path
from types import SimpleNamespace

import pytest

from dify_workflow_async import RetryPolicy, Timeouts, WorkflowClient, errors, files
from dify_workflow_async._secret import NO_KEY, Secret


TESTS = str(Path(__file__).parent)
FINISHED = {"status": "succeeded", "outputs": {"answer": "42"}}


# -- where to look ---------------------------------------------------------------------


def related(error: BaseException) -> list[BaseException]:
    """Give the error, and all that it was raised from, told or not."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None and one not in found:
            found.append(one)
            todo += [one.__cause__, one.__context__]
            todo += getattr(one, "exceptions", ())
    return found


def shown(error: BaseException) -> str:
    """Give all that reporters of errors show: every frame's locals, and every repr.

    But for the frames of the tests, who know the key.
    """
    parts = []
    for one in related(error):
        parts += [repr(one), str(one), repr(one.args), repr(vars(one))]
        stack = traceback.StackSummary.extract(
            traceback.walk_tb(one.__traceback__), capture_locals=True
        )
        ours = [x for x in stack if not x.filename.startswith(TESTS)]
        parts += traceback.StackSummary.from_list(ours).format()
    return "\n".join(parts)


def files_of(error: BaseException) -> set[str]:
    """Give the files whose code the tracebacks show."""
    return {
        frame.filename
        for one in related(error)
        for frame in traceback.extract_tb(one.__traceback__)
    }


async def raised(call) -> BaseException:
    """Give what the call raises."""
    try:
        await call()
    except (errors.DifyError, OSError, ArithmeticError) as error:
        return error
    except asyncio.CancelledError as error:
        return error
    pytest.fail("nothing was raised")


@pytest.fixture
def records(caplog):
    """Give all that is logged, by anybody, with debugging on."""
    caplog.set_level(logging.DEBUG)
    for name in ("dify_workflow_async", "asyncio", "aiohttp"):
        caplog.set_level(logging.DEBUG, logger=name)

    def text() -> str:
        formatter = logging.Formatter("%(name)s %(message)s")
        lines = [formatter.format(x) for x in caplog.records]
        return "\n".join(lines + [repr(vars(x)) for x in caplog.records])

    return text


@pytest.fixture
def nobody() -> SimpleNamespace:
    """Give an address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return SimpleNamespace(base_url=f"http://127.0.0.1:{port}/v1")


# -- errors ----------------------------------------------------------------------------


async def good(peer) -> None:
    """Run to a good end."""
    await peer.begin()
    await peer.event("workflow_started")
    await peer.event("workflow_finished", **FINISHED)
    await peer.end()


def answering(status: int, body, kind: str = "application/json", **headers: str):
    """Answer all requests so."""

    async def script(peer) -> None:
        echoed = peer.headers.get("authorization", "")
        data = body(echoed) if callable(body) else body
        await peer.answer(status, data, kind, **headers)

    return script


async def hang_up(peer) -> None:
    """Close without a word."""
    peer.hang_up()


async def silence(peer) -> None:
    """Say nothing."""
    await peer.gone()


async def no_http(peer) -> None:
    """Answer what is no HTTP, with the key in it."""
    await peer.write(b"HTP " + peer.headers["authorization"].encode() + b"\r\n\r\n")
    await peer.gone()


async def bad_stream(peer) -> None:
    """Begin a stream that makes no sense."""
    await peer.begin()
    await peer.event("workflow_started")
    await peer.send(b"data: {\n\n")
    await peer.gone()


async def broken_stream(peer) -> None:
    """Break off in mid-run."""
    if peer.method == "GET":
        await peer.answer(500, b"")
        return
    await peer.begin()
    await peer.event("workflow_started")
    peer.hang_up()


async def half_a_body(peer) -> None:
    """Break off in the middle of an answer."""
    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    peer.hang_up()


async def slow_body(peer) -> None:
    """Stop in the middle of an answer."""
    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await peer.gone()


async def failing(peer) -> None:
    """Run to a bad end."""
    await peer.begin()
    await peer.event("workflow_started")
    await peer.event("workflow_finished", status="failed", error="no")
    await peer.end()


def echo(authorization: str) -> bytes:
    """Give back in an error what came, as some debugging servers do."""
    return b'{"code": "unauthorized", "message": "bad %s"}' % authorization.encode()


def run(client):
    """Run."""
    return client.run()


def get(client):
    """Read a run."""
    return client.get_run("r1")


async def iterate(client) -> None:
    """Read the stream of a run."""
    async with client.stream() as stream:
        async for _ in stream:
            pass


def upload(client):
    """Upload a file, and run with it."""
    return client.run({"file": files.Upload(b"x", name="a.txt")})


def bad_content(client):
    """Upload what fails while it is read."""

    async def pieces():
        yield b"x"
        raise ZeroDivisionError

    return client.run({"file": files.Upload(pieces(), name="a.txt")})


MOVED = {"Location": "http://127.0.0.1:9/v1/x?token=1"}
KINDS = {
    "unauthorized": (answering(401, b'{"code": "unauthorized"}'), run),
    "echoed": (answering(401, echo), run),
    "echoed in a header": (answering(403, b"", X_Echo="{key}"), run),
    "busy": (answering(429, b"", Retry_After="9999"), run),
    "server error": (answering(500, b'{"code": "unknown"}'), get),
    "html": (answering(200, b"<p>", "text/html"), run),
    "redirect": (answering(307, b"", **MOVED), run),
    "hung up": (hang_up, run),
    "hung up on a get": (hang_up, get),
    "hung up on an upload": (hang_up, upload),
    "failed content": (silence, bad_content),
    "no HTTP": (no_http, run),
    "first byte": (silence, run),
    "first byte of a get": (silence, get),
    "half a body": (half_a_body, get),
    "slow body": (slow_body, get),
    "not JSON": (answering(200, b"[1"), get),
    "bad stream": (bad_stream, run),
    "bad stream, iterated": (bad_stream, iterate),
    "broken stream": (broken_stream, run),
    "failed run": (failing, run),
}
PATIENCE = Timeouts(first_byte=0.5, idle=0.3, recovery=0.3, stop=0.3)


@pytest.mark.parametrize("kind", KINDS)
async def test_no_error_shows_it(kind, wild, connect, key, records):
    """Nor its context, its frames' locals, its pickle, or a log: the key is not there."""
    script, call = KINDS[kind]
    server = await wild(script)
    client = connect(server, timeouts=PATIENCE, retry=RetryPolicy(attempts=2, base=0))
    asyncio.get_running_loop().set_debug(True)

    error = await raised(lambda: call(client))

    assert key not in shown(error)
    assert key not in records()
    assert key.encode() not in pickle.dumps(error)
    assert all(x[2]["authorization"] == f"Bearer {key}" for x in server.requests)
    assert server.requests


async def test_no_error_before_a_connection_shows_it(connect, key, nobody, records):
    """The same for what fails before anything is sent."""
    client = connect(nobody, retry=RetryPolicy(attempts=2, base=0))
    for bad in (run, get, iterate):
        error = await raised(lambda bad=bad: bad(client))
        assert isinstance(error, errors.ConnectionFailed)
        assert key not in shown(error)
        assert key not in records()
        assert key.encode() not in pickle.dumps(error)


@pytest.mark.parametrize("when", ["headers", "body"])
@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_no_cancellation_shows_it(when, how, wild, connect, key, until):
    """What a cancelled call leaves of a traceback has no frames with the headers."""
    server = await wild(silence if when == "headers" else slow_body)
    client = connect(server)

    async def call() -> None:
        if how == "timed out":
            async with asyncio.timeout(0.05):
                await client.get_run("r1")
        task = asyncio.ensure_future(client.get_run("r1"))
        await until(lambda: server.requests)
        task.cancel()
        await task

    error = await raised(call)
    assert isinstance(error, TimeoutError | asyncio.CancelledError)
    assert key not in shown(error)
    if when == "headers":
        assert not any("aiohttp/client" in name for name in files_of(error))


@pytest.mark.parametrize(
    "arguments",
    [
        {"base_url": "nonsense"},
        {"base_url": "http://user:pw@127.0.0.1/v1"},
        {"on_cancel": "explode"},
        {"max_concurrent_runs": 0},
        {"headers": {"A": "b\r\nc"}},
        {"headers": {"Authorization": "x"}},
        {"proxy": "nonsense"},
        {"on_retry": 1},
    ],
    ids=repr,
)
@pytest.mark.parametrize("given", ["argument", "environment"])
def test_no_wrong_setting_shows_it(arguments, given, monkeypatch):
    """The frames of the constructor do not hold the key as text."""
    if given == "environment":
        monkeypatch.setenv("DIFY_API_KEY", "app-" + "s3cr3t")
        settings = arguments
    else:
        settings = {"api_key": "app-" + "s3cr3t", **arguments}
    with pytest.raises(errors.ConfigurationError) as caught:
        WorkflowClient(**settings)
    assert "app-s3cr3t" not in shown(caught.value)


@pytest.mark.parametrize("given", [None, "", "  "])
def test_no_key(given):
    """Without a key nothing can be asked for, and the error says where it is looked for."""
    with pytest.raises(errors.ConfigurationError, match="DIFY_API_KEY"):
        WorkflowClient(given, "https://dify.invalid")


@pytest.mark.parametrize("bad", ["app s3cr3t", "app-s3cr3t\r\nX: y", "äpp-s3cr3t"])
def test_no_wrong_key_shows_itself(bad, connect):
    """A key that cannot be sent is not shown by the error that says so."""
    client = WorkflowClient("app-1", "https://dify.invalid")
    for make in (WorkflowClient, client.with_options):
        with pytest.raises(errors.ConfigurationError) as caught:
            make(api_key=bad)
        assert "s3cr3t" not in shown(caught.value)


# -- objects ---------------------------------------------------------------------------


def reachable(start: object) -> list[object]:
    """Give all objects that belong to this one, but for modules, classes and code."""
    found: dict[int, object] = {}
    todo = [start]
    dull = type | types.ModuleType | types.FunctionType | types.CodeType
    while todo:
        one = todo.pop()
        if id(one) not in found and not isinstance(
            one, dull | asyncio.AbstractEventLoop
        ):
            found[id(one)] = one
            if not isinstance(one, Secret):
                todo += gc.get_referents(one)
    return list(found.values())


async def test_no_object_of_the_client_shows_it(wild, connect, key):
    """Neither the client's repr nor that of anything that it is made of."""
    server = await wild(good)
    client = connect(server)
    async with client.stream() as stream:
        event = await anext(stream)
        reference = stream.ref if hasattr(stream, "ref") else stream
        for one in (client, client.with_options(user="u2"), stream, event, reference):
            assert key not in repr(one)
        objects = reachable(client._api)
        assert any(isinstance(one, Secret) for one in objects)
        ours = [x for x in objects if type(x).__module__.startswith("dify_workflow")]
        assert ours
        assert not [x for x in ours if key in repr(x) + str(x)]
        result = await stream.result()
    assert key not in repr(result)
    assert key.encode() not in pickle.dumps(result)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_client_is_not_pickled(protocol):
    """Its pickle would hold the key, so there is none."""
    client = WorkflowClient("app-1", "https://dify.invalid")
    with pytest.raises(TypeError, match="make a client in each process"):
        pickle.dumps(client, protocol)
    with pytest.raises(TypeError, match="make a client in each process"):
        pickle.dumps(client._api.api_key, protocol)


def test_secrets():
    """A secret is a value that says whether there is one, and no more."""
    secret = Secret("app-1")
    assert secret == Secret("app-1") == Secret(secret)
    assert secret != Secret("app-2")
    assert secret != "app-1"
    assert hash(secret) == hash(Secret("app-1"))
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    assert secret.reveal() == "app-1"
    assert (bool(secret), bool(NO_KEY), bool(Secret(None))) == (True, False, False)
    for text in (repr(secret), str(secret), f"{secret}", "%s %r" % (secret, [secret])):  # noqa: UP031
        assert "app-1" not in text
    assert repr(NO_KEY) == "<Secret empty>"
    assert secret.redacted("a app-1 b app-1") == "a *** b ***"
    assert NO_KEY.redacted("a") == "a"
