"""One client: its loop, its process, its copies, its settings, and its secret."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import subprocess
import sys
import traceback

from types import SimpleNamespace

import aiohttp
import pytest

from dify_workflow_async import (
    Dispatcher,
    Limits,
    RetryPolicy,
    RunStream,
    Timeouts,
    WorkflowClient,
    errors,
)
from dify_workflow_async.events import WorkflowStarted
from dify_workflow_async.local import App, Disconnect, ErrorEvent, Node, Scenario, Sleep


END = Node(type="end", outputs={"answer": "42"})
FOREVER = Sleep(seconds=3600)


async def enter(client: WorkflowClient) -> None:
    """Enter a stream and leave it."""
    async with client.stream(on_cancel="detach"):
        pass


VERBS = {
    "run": lambda client: client.run(),
    "stream": enter,
    "run_blocking": lambda client: client.run_blocking(),
    "get_run": lambda client: client.get_run("r1"),
    "stop": lambda client: client.stop("t1"),
    "enter": lambda client: client.__aenter__(),
}
verbs = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


# -- where a client may be used --------------------------------------------------------


@verbs
async def test_a_second_loop(verb, serve, connect):
    """A client belongs to the loop that it was first used in."""
    server = await serve(END)
    client = connect(server)
    await client.run()
    asked = len(server.server.requests)

    async def use() -> None:
        with pytest.raises(errors.WrongLoop, match="another event loop"):
            await verb(client)

    await asyncio.to_thread(asyncio.run, use())
    assert len(server.server.requests) == asked
    assert (await client.run()).is_success


async def test_a_client_that_was_not_used_belongs_to_nobody(serve, connect):
    """Making a client binds it to no loop: it may be made anywhere."""
    server = await serve(END)

    def make() -> WorkflowClient:
        return connect(server)

    client = await asyncio.to_thread(make)
    assert (await client.run()).is_success


FORKING = """
import asyncio, os, sys
from dify_workflow_async import WorkflowClient, errors

client = WorkflowClient("app-1", "http://127.0.0.1:9/v1", "u1")
fresh = WorkflowClient("app-1", "http://127.0.0.1:9/v1", "u1")
asyncio.run(client.__aenter__())
if os.fork() == 0:
    async def use():
        await fresh.__aenter__()
        try:
            await client.run()
        except errors.WrongLoop as error:
            return str(error)
    print(asyncio.run(use()), flush=True)
    os._exit(0)
os.wait()
"""


def test_a_fork():
    """A client that was used before a fork is refused in the child, a new one not."""
    command = [sys.executable, "-W", "error", "-c", FORKING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "made before a fork" in done.stdout
    assert done.stderr == ""


async def test_another_process(serve, connect, monkeypatch):
    """It is the process that counts, although a child has the same loop."""
    client = connect(await serve(END))
    await client.run()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(errors.WrongLoop, match="fork"):
            await client.run()
    assert (await client.run()).is_success


@verbs
async def test_a_closed_client(verb, serve, connect):
    """After `aclose()` every verb says so, on copies as well."""
    server = await serve(END)
    client = connect(server)
    copy = client.with_options(user="u2")
    await client.aclose()
    for one in (client, copy):
        with pytest.raises(errors.ClientClosed):
            await verb(one)
    assert not server.server.requests


async def test_draining(serve, connect, until):
    """Streams that are open come to their end, no run begins, and all else works."""
    server = await serve(Node(type="llm", text=["a", "b"], chunk_delay=0.1), END)
    client = connect(server)
    async with client.stream() as run:
        await anext(run)
        closing = asyncio.create_task(client.aclose(drain=5))
        await asyncio.sleep(0)
        with pytest.raises(errors.ClientClosed):
            await client.run()
        assert (await client.get_run(run.workflow_run_id)).status == "running"
        assert (await run.result()).is_success
    await closing
    with pytest.raises(errors.ClientClosed):
        await client.get_run(run.workflow_run_id)
    assert len(server.starts) == 1


async def test_draining_a_run_that_is_being_opened(wild, connect, until, frame):
    """A request that was sent before is waited for, and its stream, too."""
    begin = asyncio.Event()

    async def late(peer):
        await begin.wait()
        await peer.begin()
        await peer.send(frame("workflow_finished", status="succeeded"))
        await peer.gone()

    server = await wild(late)
    client = connect(server)
    task = asyncio.create_task(client.run())
    await until(lambda: server.starts)
    closing = asyncio.create_task(client.aclose(drain=5))
    for _ in range(5):
        await asyncio.sleep(0)
    begin.set()
    assert (await task).is_success
    await closing


async def test_draining_at_its_deadline(serve, connect, until, caplog):
    """What is open then is left, as on_cancel says."""
    server = await serve(FOREVER)
    client = connect(server)
    async with client.stream() as run:
        await anext(run)
        await client.aclose(drain=0.05)
        with pytest.raises(errors.ClientClosed):
            await run.result()
    assert "1 streams are open" in caplog.text
    await until(lambda: server.runs[0].status == "stopped")


async def test_draining_one_of_two(serve, connect):
    """Draining waits for the last of several streams."""
    server = await serve(END)
    client = connect(server)
    async with client.stream() as first, client.stream() as second:
        closing = asyncio.create_task(client.aclose(drain=5))
        await first.result()
        await first.__aexit__(None, None, None)
        await asyncio.sleep(0)
        assert not closing.done()
        await second.result()
    await closing


async def test_draining_while_a_run_waits_for_its_turn(serve, connect):
    """A run that has not begun does not begin."""
    server = await serve(END)
    client = connect(server, max_concurrent_runs=1)
    async with client.stream() as run:
        waiting = asyncio.create_task(client.run())
        await asyncio.sleep(0)
        closing = asyncio.create_task(client.aclose(drain=5))
        await run.result()
    with pytest.raises(errors.ClientClosed):
        await waiting
    await closing
    assert len(server.starts) == 1


async def test_closing_twice(serve, connect):
    """`aclose()` may be called again, and at the same time."""
    client = connect(await serve(END))
    await client.run()
    await asyncio.gather(client.aclose(), client.aclose())
    await client.aclose()


async def test_without_async_with(serve):
    """A client works without `async with` if it is closed, and may never be used."""
    server = await serve(END)
    client = WorkflowClient(server.app.key, server.base_url, "u1")
    assert (await client.run()).is_success
    await client.aclose()
    await WorkflowClient(server.app.key, server.base_url, "u1").aclose()


async def test_async_with_closes(serve, connect):
    """`async with` gives the client itself, and closes it."""
    client = connect(await serve(END))
    async with client as entered:
        assert entered is client
    with pytest.raises(errors.ClientClosed):
        await client.run()


async def test_an_exception_closes_the_client(serve, connect):
    """An exception of the user's passes through `async with` unchanged."""
    client = connect(await serve(END))
    with pytest.raises(KeyError, match="mine"):
        async with client:
            raise KeyError("mine")
    with pytest.raises(errors.ClientClosed):
        await client.run()


# -- how many runs at once -------------------------------------------------------------


async def test_max_concurrent_runs(serve, connect, until):
    """Further runs wait, unsent, until one has ended."""
    server = await serve(END, FOREVER)
    client = connect(server, max_concurrent_runs=2)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.run(check=False)) for _ in range(4)]
        for done in range(4):
            await until(lambda n=done: len(server.runs) == min(4, n + 2))
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(server.starts) == min(4, done + 2)
            await until(lambda n=done: server.runs[n].events)
            server.runs[done].stop()
            await until(lambda n=done: sum(x.done() for x in tasks) == n + 1)
    assert [task.result().status for task in tasks] == ["stopped"] * 4


@pytest.mark.parametrize(
    "how", ["end", "error", "broken", "refused", "left", "detached", "cancelled"]
)
async def test_however_a_run_ends_the_next_may_begin(how, serve, connect, until):
    """No end of a run keeps its place."""
    steps = {
        "end": [END],
        "error": [ErrorEvent(message="no", code="x")],
        "broken": [Disconnect(), FOREVER],
    }
    server = await serve(*steps.get(how, [FOREVER]))
    client = connect(server, max_concurrent_runs=1, timeouts=Timeouts(recovery=0))
    verbs = client.with_options(api_key="app-bad") if how == "refused" else client
    mode = "detach" if how == "detached" else "stop"
    async with asyncio.timeout(5):
        for count in (1, 2, 3):
            task = asyncio.create_task(_use(verbs, how, mode))
            if how == "cancelled":
                await until(lambda n=count: len(server.runs) == n)
                task.cancel()
            await asyncio.wait([task])
    assert len(server.starts) == 3


async def _use(client: WorkflowClient, how: str, mode: str) -> None:
    try:
        async with client.stream(on_cancel=mode) as run:
            await anext(run)
            if how not in {"left", "detached"}:
                await run.result()
    except errors.DifyError:
        assert how in {"error", "broken", "refused"}


async def test_cancelling_who_waits_for_its_turn(serve, connect, until):
    """A run that is cancelled before its turn was never sent, and takes no place."""
    server = await serve(END, FOREVER)
    client = connect(server, max_concurrent_runs=1)
    async with client.stream() as run:
        await anext(run)
        waiting = asyncio.create_task(client.run())
        for _ in range(5):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await run.stop()
        await run.result()
    async with client.stream() as run:
        await anext(run)
    assert len(server.starts) == 2


async def test_closing_while_a_run_waits_for_its_turn(serve, connect, until):
    """A client that was closed starts nothing more, on a borrowed session either."""
    server = await serve(END, FOREVER)
    async with aiohttp.ClientSession() as session:
        client = connect(server, max_concurrent_runs=1, session=session)
        async with client.stream() as run:
            await anext(run)
            waiting = asyncio.create_task(client.run())
            for _ in range(5):
                await asyncio.sleep(0)
            await client.aclose()
        with pytest.raises(errors.ClientClosed):
            async with asyncio.timeout(2):
                await waiting
    assert len(server.starts) == 1


# -- settings --------------------------------------------------------------------------


async def test_settings_from_the_environment(serve, monkeypatch):
    """Key, server and user may come from the environment; arguments win."""
    server = await serve(END)
    monkeypatch.setenv("DIFY_API_KEY", f" {server.app.key}\n")
    monkeypatch.setenv("DIFY_BASE_URL", server.base_url.removesuffix("/v1"))
    monkeypatch.setenv("DIFY_USER", "of-env")
    async with WorkflowClient() as client:
        assert (await client.run()).is_success
        assert client.base_url == server.base_url
        assert repr(client) == f"<WorkflowClient {server.base_url} user='of-env'>"
    async with WorkflowClient(user="of-argument") as client:
        await client.run()
        await client.run(user="of-call")
    users = [body["user"] for body in server.starts]
    assert users == ["of-env", "of-argument", "of-call"]


def test_dify_cloud_is_the_default(key):
    """Without a base URL it is Dify Cloud."""
    assert WorkflowClient(key).base_url == "https://api.dify.ai/v1"


async def test_with_options(serve, connect, in_use):
    """A copy has other settings and the same connections, limit and end."""
    server = await serve(END)
    other = server.server.add(App(Scenario(steps=[END]), key="app-0th3r"))
    client = connect(server, max_concurrent_runs=1)
    copy = client.with_options(
        api_key=other.key,
        user="u2",
        timeouts=Timeouts(idle=7),
        limits=Limits(max_event_bytes=7000),
        retry=RetryPolicy(attempts=7),
    )
    await client.run()
    await copy.run()
    first, second = server.server.requests
    assert first.headers["authorization"] == f"Bearer {server.app.key}"
    assert second.headers["authorization"] == "Bearer app-0th3r"
    assert [body["user"] for body in server.starts] == ["u1", "u2"]
    assert copy._api.transport is client._api.transport
    assert copy._api.lifetime is client._api.lifetime
    assert (copy._api.timeouts.idle, copy._api.retry.attempts) == (7, 7)
    assert copy._api.limits.max_event_bytes == 7000
    assert other.key not in repr(copy) + repr(vars(copy))
    await copy.aclose()
    with pytest.raises(errors.ClientClosed):
        await client.run()


async def test_a_copy_of_nothing_new(serve, connect):
    """What is not given stays as it was."""
    server = await serve(END)
    client = connect(server, on_cancel="detach")
    copy = client.with_options()
    assert vars(copy) == vars(client)
    assert (await copy.run()).is_success


@pytest.mark.parametrize("given", ["client", "copy"])
async def test_a_key_with_white_space(given, serve, connect):
    """A key as it comes out of a file is sent without its line break."""
    server = await serve(END)
    spaced = f" {server.app.key}\n"
    if given == "client":
        client = connect(server, api_key=spaced)
    else:
        client = connect(server, api_key="app-other").with_options(api_key=spaced)
    assert (await client.run()).is_success


@pytest.mark.parametrize("bad", ["app-\r\nX: y", "app-ключ", "app- 1"])
async def test_a_key_that_no_header_can_carry(bad, serve, connect):
    """A key with odd characters is refused before it is used, and not shown."""
    server = await serve(END)
    for make in (
        lambda: WorkflowClient(bad, server.base_url, "u1"),
        lambda: connect(server).with_options(api_key=bad),
    ):
        with pytest.raises(errors.ConfigurationError) as caught:
            make()
        assert bad not in str(caught.value)


async def test_headers_of_ones_own(serve, connect):
    """Given headers go with every request; the client's own stay."""
    server = await serve(END)
    client = connect(server, headers={"X-Tenant": "t1"})
    await client.run()
    await client.run_blocking()
    for request in server.server.requests:
        assert request.headers["x-tenant"] == "t1"
        assert request.headers["authorization"] == f"Bearer {server.app.key}"


# -- the secret ------------------------------------------------------------------------


def texts_of(error: BaseException) -> list[str]:
    """Write an exception in every way that a log may write it."""
    texts, seen, waiting = [], set(), [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        texts += [repr(one), str(one), repr(one.args), repr(vars(one))]
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    texts += traceback.format_exception(error)
    if isinstance(error, errors.DifyError):
        texts.append(repr(pickle.dumps(error)))
    return texts


async def _hang_up(peer) -> None:
    peer.hang_up()


async def _refuse(peer) -> None:
    await peer.answer(401, {"code": "unauthorized", "message": "no"})


async def _redirect(peer) -> None:
    await peer.answer(302, Location="http://127.0.0.1:9/elsewhere")


async def _nonsense(peer) -> None:
    await peer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
    peer.hang_up()


async def _bad_gzip(peer) -> None:
    await peer.answer(200, b"nonsense", Content_Encoding="gzip")


async def _broken(peer) -> None:
    await peer.begin()
    await peer.event("workflow_started")
    peer.reset()


async def _bad_header(peer) -> None:
    await peer.write(b"HTTP/1.1 200 OK\r\nX-A\x00: \x00\r\n\r\n")
    peer.hang_up()


async def _silence(peer) -> None:
    await peer.gone()


@pytest.mark.parametrize(
    "script",
    [
        *(_hang_up, _refuse, _redirect, _nonsense, _bad_gzip),
        *(_broken, _bad_header, _silence),
    ],
)
async def test_no_error_and_no_log_shows_the_key(script, wild, connect, key, caplog):
    """Whatever goes wrong: the key is in no error, no chain of errors, and no log."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    times = Timeouts(first_byte=0.05, idle=0.05, total=0.2, request=0.1)
    async with connect(
        await wild(script, stop=script),
        timeouts=times,
        retry=RetryPolicy(attempts=2, base=0.001),
    ) as client:
        for verb in (client.run, client.run_blocking, lambda: client.get_run("r1")):
            with pytest.raises(errors.DifyError) as caught:
                await asyncio.wait_for(verb(), 5)
            assert key not in "\n".join(texts_of(caught.value))
    assert caplog.records
    shown = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert key not in shown


async def test_no_connection_shows_the_key(connect, key, caplog):
    """A connection that cannot be made does not show the key either."""
    caplog.set_level(logging.DEBUG)
    client = connect(SimpleNamespace(base_url="http://127.0.0.1:1/v1"))
    with pytest.raises(errors.ConnectionFailed) as caught:
        await client.run()
    assert key not in "\n".join(texts_of(caught.value))
    assert key not in caplog.text


async def test_no_repr_shows_the_key(serve, connect, key, caplog):
    """No object that a program may print shows the key."""
    caplog.set_level(logging.DEBUG)
    server = await serve(END, FOREVER)
    client = connect(server)
    dispatcher = Dispatcher()
    shown = []

    @dispatcher.on(WorkflowStarted)
    def note(event: WorkflowStarted, run: RunStream) -> None:
        shown.extend([repr(run), repr(event), repr(vars(run))])

    async with client.stream(dispatcher=dispatcher) as run:
        await anext(run)
        shown += [repr(client), str(client), repr(vars(client)), repr(client._api)]
    await client.aclose()
    assert len(shown) == 7
    assert key not in "".join(shown) + caplog.text


async def test_nothing_is_left_to_the_collector(serve, connect):
    """Whatever a client opened is closed by it, and not by chance."""
    server = await serve(END)
    async with connect(server) as client:
        await client.run()
        async with client.stream():
            pass
    gc.collect()  # a warning of something unclosed is an error
