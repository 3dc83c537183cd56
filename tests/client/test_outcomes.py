"""The table of outcomes (docs/explanation/architecture.md), cell by cell."""

# ruff: noqa: PT012 - a stream is entered and read where it fails

from __future__ import annotations

import asyncio

import pytest

from dify_workflow_async import RetryPolicy, Timeouts, WorkflowClient, errors
from dify_workflow_async.events import Error, WorkflowFinished, WorkflowPaused
from dify_workflow_async.local import (
    Disconnect,
    ErrorEvent,
    Node,
    Pause,
    Sleep,
    Speech,
    Variable,
)


OLD, NEW = "1.12.1", "1.14.2"
END = Node(type="end", outputs={"answer": "42"})
FAILING = Node(type="code", id="boom", title="Boom", status="failed", error="too hot")
FLAKY = Node(type="code", id="flaky", retries=1, error="no luck", outputs={"answer": 1})


@pytest.fixture(params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    """Give the version of the server: one of each family."""
    return request.param


async def events_of(stream) -> tuple[list, object]:
    """Iterate a stream to its end, and ask for its result."""
    async with stream as run:
        events = [event async for event in run]
        return events, await run.result()


async def fails_in_stream(stream, error: type[errors.DifyError]) -> tuple[list, object]:
    """Iterate until the error comes, and ask for the result, which raises it too."""
    events = []
    async with stream as run:
        with pytest.raises(error) as in_loop:
            async for event in run:
                events.append(event)  # noqa: PERF401
        with pytest.raises(error) as in_result:
            await run.result()
        assert in_result.value is in_loop.value
    return events, in_loop.value


# -- ends of a run ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "status"),
    [([END], "succeeded"), ([FLAKY, END], "partial-succeeded")],
    ids=["succeeded", "partial-succeeded"],
)
async def test_success(steps, status, version, serve, connect):
    """A success is returned by `run()` and `result()`, and ends the loop."""
    server = await serve(*steps, version=version)
    client = connect(server)
    for result in (await client.run(), (await events_of(client.stream()))[1]):
        assert (result.status, result.is_success) == (status, True)
        assert result.outputs["answer"] == "42"
        result.raise_for_status()
    events, result = await events_of(client.stream())
    assert [type(event) for event in events][-1] is WorkflowFinished
    assert result.workflow_run_id == server.runs[-1].id
    assert result.task_id == server.runs[-1].task_id
    assert server.stops == []


async def test_failed(version, serve, connect):
    """`run()` raises with the result and the node; loop and `result()` end in peace."""
    client = connect(await serve(FAILING, END, version=version))
    with pytest.raises(errors.RunFailed, match=r"Boom'?: too hot") as caught:
        await client.run()
    assert caught.value.result.status == "failed"
    assert caught.value.node is not None
    assert caught.value.node.node_id == "boom"
    assert caught.value.run_id == caught.value.result.workflow_run_id
    assert caught.value.task_id == caught.value.result.task_id
    events, result = await events_of(client.stream())
    assert events[-1].status == result.status == "failed"
    with pytest.raises(errors.RunFailed, match=r"Boom'?: too hot"):
        result.raise_for_status()
    unchecked = await client.run(check=False)
    assert (unchecked.status, unchecked.error) == ("failed", "too hot")


@pytest.mark.parametrize("by_us", [True, False], ids=["by us", "by others"])
async def test_stopped(by_us, version, serve, connect):
    """A stopped run ends the loop and is returned as such."""
    server = await serve(END, Sleep(seconds=60), version=version)
    client = connect(server)
    events = []
    async with client.stream() as run:
        async for event in run:
            if not events:
                await (run.stop() if by_us else client.stop(run.task_id))
            events.append(event)
        result = await run.result()
    assert isinstance(events[-1], WorkflowFinished)
    assert result.status == run.status == "stopped"
    assert not result.is_success
    with pytest.raises(errors.RunStopped):
        result.raise_for_status()
    assert server.stops == [{"user": "u1"}]


@pytest.mark.parametrize("check", [True, False])
async def test_stopped_while_run_waits(check, version, serve, connect, until):
    """`run()` raises `RunStopped` for a run that others stopped, if it checks."""
    server = await serve(END, Sleep(seconds=60), version=version)
    client = connect(server)

    async def stop() -> None:
        await until(lambda: server.runs)
        await client.stop(server.runs[0].task_id)

    async with asyncio.TaskGroup() as group:
        group.create_task(stop())
        if check:
            with pytest.raises(errors.RunStopped) as caught:
                await client.run()
            assert caught.value.result.status == "stopped"
            assert caught.value.run_id == server.runs[0].id
        else:
            assert (await client.run(check=False)).status == "stopped"
    assert len(server.stops) == 1


async def test_paused(serve, connect):
    """A pause is raised by `run()` with its forms; it ends a loop as any end does."""
    pause = Pause(form_content="Well?", inputs=[{"output_variable_name": "comment"}])
    server = await serve(pause, END, version=NEW)
    client = connect(server)
    with pytest.raises(errors.RunPaused) as caught:
        await client.run()
    (reason,) = caught.value.result.reasons
    assert reason.form_token == server.runs[0].form.token
    assert reason.inputs[0].output_variable_name == "comment"
    assert caught.value.result.paused_nodes == ("human",)
    assert caught.value.run_id == server.runs[0].id
    events, result = await events_of(client.stream())
    assert isinstance(events[-1], WorkflowPaused)
    assert (result.status, result.is_terminal) == ("paused", False)
    assert (await client.run(check=False)).status == "paused"
    assert server.stops == []


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (ErrorEvent(message="no key", code="provider_not_initialize", status=400), 0),
        (ErrorEvent(message="odd", code=None, status=500), 1),
        (ErrorEvent(message="full", code="rate_limit_error", status=429), 2),
        (ErrorEvent(message="new", code="of_tomorrow", status=422), 3),
    ],
    ids=["with code", "no code", "model busy", "unknown code"],
)
async def test_error_event(sent, expected, version, serve, connect):
    """The event is yielded, then raised as its class, with what the run had done."""
    classes = [
        errors.ProviderNotInitialized,
        errors.ServerError,
        errors.TooManyRequests,  # of the model's provider (specification, 4.2)
        errors.BadRequest,
    ]
    node = Node(type="llm", text=["half ", "an answer"])
    server = await serve(node, sent, version=version)
    client = connect(server)
    events, error = await fails_in_stream(client.stream(), classes[expected])
    assert isinstance(events[-1], Error)
    assert (error.status, error.code, error.message) == (
        sent.status,
        sent.code,
        sent.message,
    )
    assert error.run_id == server.runs[0].id
    assert error.task_id == server.runs[0].task_id
    assert error.result is not None
    assert (error.result.status, error.result.error) == ("failed", sent.message)
    assert not error.safe_to_repeat
    with pytest.raises(classes[expected]):
        await client.run()
    with pytest.raises(classes[expected]):
        await client.run(check=False)
    assert len(server.starts) == 3
    assert server.stops == []


async def test_error_event_tells_the_answer(version, serve, connect):
    """An error from a stream carries the headers and the request of its answer."""
    server = await serve(ErrorEvent(message="no", code="x"), version=version)
    with pytest.raises(errors.APIError) as caught:
        await connect(server).run()
    assert caught.value.server_version == version
    assert caught.value.request == f"POST {server.base_url}/workflows/run"


async def test_interrupted(version, serve, connect):
    """A stream that breaks is raised with the run's id, wherever one looks."""
    server = await serve(END, Disconnect(), Sleep(seconds=60), version=version)
    client = connect(server, timeouts=Timeouts(recovery=0))
    events, error = await fails_in_stream(client.stream(), errors.RunInterrupted)
    assert events
    assert error.run_id == server.runs[0].id
    assert error.events_seen == len(events)
    with pytest.raises(errors.RunInterrupted) as caught:
        await client.run()
    assert caught.value.run_id == server.runs[1].id
    assert server.stops == []  # it may still be recovered by its id


async def test_nothing_but_the_error_is_interrupted(serve, connect):
    """Speech after the end, cut off, does not spoil the result."""
    server = await serve(END, Speech(tail=[b"a"]), version=OLD)
    client = connect(server)
    events, result = await events_of(client.stream())
    assert result.is_success
    assert events[-1].event_name == "tts_message_end"


# -- refused before it began -----------------------------------------------------------


async def refused(client, error: type[errors.DifyError], inputs=None):
    """Have every verb refused; return the errors."""
    found = []
    with pytest.raises(error) as caught:
        await client.run(inputs)
    found.append(caught.value)
    with pytest.raises(error) as caught:
        async with client.stream(inputs):
            pytest.fail("the body of a refused stream was entered")
    found.append(caught.value)
    with pytest.raises(error) as caught:
        async for _ in client.events(inputs):
            pytest.fail("a refused stream yielded")
    found.append(caught.value)
    with pytest.raises(error) as caught:
        await client.run_blocking(inputs)
    found.append(caught.value)
    return found


async def test_unauthorized(version, serve, connect, in_use):
    """A wrong key raises `Unauthorized` at the entry, and frees the connection."""
    server = await serve(END, version=version)
    client = connect(server, api_key="app-wrong")
    for error in await refused(client, errors.Unauthorized):
        assert (error.status, error.code) == (401, "unauthorized")
        assert error.server_version == version
        assert error.headers is not None
        assert not error.safe_to_repeat
    assert in_use(client) == 0
    assert len(server.starts) == 4
    assert server.runs == []


async def test_missing_input_is_refused(version, serve, connect):
    """Whether old servers refuse or new ones send an event, an error is raised."""
    inputs = [Variable(variable="query", required=True)]
    server = await serve(END, inputs=inputs, version=version)
    client = connect(server)
    streamed = errors.InvalidParam if version == OLD else errors.ServerError
    with pytest.raises(streamed, match="query is required") as caught:
        await client.run()
    assert caught.value.status == (400 if version == OLD else 500)
    with pytest.raises(errors.InvalidParam, match="query is required"):
        await client.run_blocking()
    assert server.runs == []


async def test_html_from_a_proxy(wild, connect):
    """A 502 in HTML is a `GatewayError`, and the run is asked for once."""

    async def bad_gateway(peer) -> None:
        await peer.answer(502, b"<html>Bad Gateway</html>", "text/html; charset=utf-8")

    server = await wild(bad_gateway)
    for error in await refused(connect(server), errors.GatewayError):
        assert (error.status, error.code) == (502, None)
        assert "text/html" in error.message
    assert len(server.starts) == 4


async def test_json_instead_of_a_stream(wild, connect, in_use):
    """JSON with status 200 is no stream, and no success."""

    async def blocking(peer) -> None:
        await peer.answer(200, {"data": {"status": "succeeded"}})

    server = await wild(blocking)
    client = connect(server)
    with pytest.raises(errors.UnexpectedAnswer, match="application/json") as caught:
        await client.run()
    assert caught.value.status == 200
    assert caught.value.headers is not None
    assert len(server.starts) == 1
    assert in_use(client) == 0


async def test_stream_instead_of_json(serve, wild, connect):
    """What is no JSON object is not taken for a blocking result."""

    async def stream(peer) -> None:
        await peer.begin()
        await peer.event("workflow_finished", status="succeeded")
        await peer.end()

    async def page(peer) -> None:
        await peer.answer(200, b"<html>Log in</html>", "text/html")

    async def odd(peer) -> None:
        await peer.answer(200, b"[]")

    client = connect(await wild(stream, page, odd))
    for _ in range(3):
        with pytest.raises(errors.UnexpectedAnswer):
            await client.run_blocking()


async def test_redirect(wild, connect):
    """A redirect is raised with its target, without the target's query."""

    async def redirect(peer) -> None:
        await peer.answer(302, Location="https://login.example/in?token=t0p")

    server = await wild(redirect)
    for error in await refused(connect(server), errors.UnexpectedAnswer):
        assert error.status == 302
        assert "https://login.example/in" in error.message
        assert "t0p" not in error.message
    assert len(server.requests) == 4


async def test_busy_app(wild, connect):
    """The 400 of a busy app is `TooManyRequests`, after as many tries as allowed."""

    async def busy(peer) -> None:
        error = "Too many requests. Please try again later."
        await peer.answer(400, {"code": "invalid_param", "message": error})

    server = await wild(busy)
    client = connect(server, retry=RetryPolicy(attempts=3, base=0.001))
    with pytest.raises(errors.TooManyRequests) as caught:
        await client.run()
    assert caught.value.safe_to_repeat
    assert caught.value.status == 400
    assert len(server.starts) == 3


# -- refused by ourselves --------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({"x": float("nan")}, "inputs.x"),
        ({"x": [1, object()]}, r"inputs.x\[1\]"),
        ({"x": {1: 2}}, "inputs.x"),
    ],
)
async def test_inputs_that_cannot_be_sent(inputs, problem, serve, connect):
    """Bad inputs are refused with their path, and nothing is sent."""
    server = await serve(END)
    for error in await refused(connect(server), errors.InvalidInputs, inputs):
        assert error.problems
    with pytest.raises(errors.InvalidInputs, match=problem):
        connect(server).stream(inputs)
    assert not server.server.requests


async def test_no_user(serve, connect):
    """Without a user nothing is sent; a call may name one."""
    server = await serve(END)
    client = connect(server, user=None)
    await refused(client, errors.ConfigurationError)
    with pytest.raises(errors.ConfigurationError, match="user"):
        await client.stop("t1")
    assert not server.server.requests
    assert (await client.run(user="u2")).is_success
    assert server.starts[0]["user"] == "u2"


def test_no_key():
    """A client without a key is not made."""
    with pytest.raises(errors.ConfigurationError, match="DIFY_API_KEY"):
        WorkflowClient(base_url="http://127.0.0.1/v1", user="u1")


@pytest.mark.parametrize(
    "url",
    ["nonsense", "ftp://host/v1", "http://", "http://u:p@host/v1", "http://h:port/v1"],
)
def test_bad_base_url(url, key):
    """A base URL that is none is refused when the client is made."""
    with pytest.raises(errors.ConfigurationError, match="base URL"):
        WorkflowClient(key, url, "u1")


@pytest.mark.parametrize(
    "settings",
    [
        {"on_cancel": "wait"},
        {"max_concurrent_runs": 0},
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X-A\r\n": "a"}},
        {"headers": {"authorization": "Bearer other"}},
    ],
)
def test_bad_settings(settings, key):
    """A wrong setting is refused when the client is made."""
    with pytest.raises(errors.ConfigurationError):
        WorkflowClient(key, "http://127.0.0.1/v1", "u1", **settings)


async def test_bad_on_cancel_of_a_call(serve, connect):
    """A call's own wrong setting is refused before anything is sent."""
    server = await serve(END)
    client = connect(server)
    with pytest.raises(errors.ConfigurationError):
        await client.run(on_cancel="wait")
    with pytest.raises(errors.ConfigurationError):
        client.with_options(on_cancel="wait")
    assert not server.server.requests
