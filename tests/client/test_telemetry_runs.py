"""The spans of runs: one for each, whatever verb began it and however it ended."""

from __future__ import annotations

import asyncio
import time

from typing import Any

import aiohttp
import attrs
import pytest

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from dify_workflow_async import Dispatcher, RetryPolicy, Timeouts, errors
from dify_workflow_async.events import NodeStarted, WorkflowStarted
from dify_workflow_async.files import Upload
from dify_workflow_async.local import (
    ErrorEvent,
    Node,
    Pause,
    Sleep,
    Speech,
    Variable,
)
from dify_workflow_async.local.faults import Drop, ErrorPage, HangUp, SlowHeaders
from dify_workflow_async.telemetry import OpenTelemetry

from ._traces import END, LLM, Seen


OLD, NEW = "1.12.1", "1.14.2"
RUN = "*/workflows/run"
SLOW = [Node(type="start"), Node(type="code", title="Slow", delay=3600)]
TIMES = Timeouts(idle=5.0, recovery=10.0)
UNRECOVERED = Timeouts(recovery=0)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


# -- verbs -----------------------------------------------------------------------------


async def _run(client) -> None:
    await client.run()


async def _result(client) -> None:
    async with client.stream() as run:
        await run.result()


async def _iterate(client) -> None:
    async with client.stream() as run:
        async for _ in run:
            pass


async def _events(client) -> None:
    async for _ in client.events():
        pass


async def _dispatched(client) -> None:
    dispatcher = Dispatcher()
    dispatcher.on(NodeStarted)(lambda _: None)
    await client.run(dispatcher=dispatcher)


async def _batch(client) -> None:
    async with client.batch([{"marker": "a"}]) as batch:
        assert [item.result.status async for item in batch] == ["succeeded"]


@pytest.mark.parametrize(
    "verb", [_run, _result, _iterate, _events, _dispatched, _batch]
)
async def test_verbs_that_follow_a_run(verb, serve, connect, seen):
    """Whichever is used, the run has the same spans and is counted once."""
    server = await serve(Node(type="start"), LLM, END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    await verb(client)
    assert sorted(x.name for x in seen.spans) == [
        "end End",
        "invoke_workflow",
        "llm",
        "start",
    ]
    assert seen.run.attributes["dify.run.status"] == "succeeded"
    assert seen.total("dify.client.runs") == 1
    assert seen.total("dify.client.open_streams") == 0
    assert seen.total("dify.client.run.failures") == 0


async def test_blocking(serve, connect, seen):
    """A run in blocking mode has one span, since it tells nothing of its nodes."""
    server = await serve(LLM, END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    result = await client.run_blocking()
    assert seen.tree == ["invoke_workflow"]
    assert seen.run.attributes["dify.verb"] == "run_blocking"
    assert seen.run.attributes["dify.run.id"] == result.workflow_run_id
    assert seen.run.attributes["dify.usage.total_tokens"] == 7
    assert "dify.client.open_streams" not in seen.metrics
    assert seen.total("dify.client.runs") == 1
    (request,) = server.server.requests
    trace_id = f"{seen.run.context.trace_id:032x}"
    assert request.headers["traceparent"].split("-")[1] == trace_id


async def test_start_and_attach(serve, connect, until, seen):
    """A run that is let go goes on; to go back to it is another span."""
    server = await serve(Node(type="start"), Sleep(seconds=0.2), END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    ref = await client.start()
    async with client.attach(ref) as run:
        await run.result()
    await client.wait(ref)
    await client.get_run(ref)
    await until(lambda: len(seen.runs) == 2)
    started, attached = sorted(seen.runs, key=lambda x: x.start_time)
    assert started.name == "invoke_workflow"
    assert started.attributes["dify.run.status"] == "running"
    assert started.attributes["dify.run.id"] == ref.workflow_run_id
    assert attached.name == "attach_workflow"
    assert attached.attributes["dify.run.status"] == "succeeded"
    assert attached.attributes["dify.run.id"] == ref.workflow_run_id
    assert {x.status.status_code for x in seen.runs} == {StatusCode.UNSET}


async def test_a_pause_that_is_resumed_elsewhere(serve, connect, seen):
    """The paused run's span has ended; the answer begins another one."""
    server = await serve(Node(type="start"), Pause(), END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    with pytest.raises(errors.RunPaused) as caught:
        await client.run()
    result = caught.value.result
    assert seen.run.attributes["dify.run.status"] == "paused"
    assert seen.run.status.status_code is StatusCode.UNSET
    token = result.reasons[0].form_token
    async with client.resume(result.ref, token, action="approve") as run:
        await run.result()
    resumed = seen.named("resume_workflow")[0]
    assert resumed.attributes["dify.run.status"] == "succeeded"
    assert [x.attributes["dify.run.status"] for x in seen.runs] == [
        "paused",
        "succeeded",
    ]


async def test_a_pause_that_is_resumed_here(serve, connect, seen):
    """One span covers the run with its pause, both of which it tells."""
    server = await serve(Node(type="start"), Pause(), LLM, END, version=NEW)
    async with connect(server, observers=[seen.observer()]).stream() as run:
        async for _ in run:
            pass
        await run.resume(action="approve")
        assert not seen.runs
        async for _ in run:
            pass
    assert seen.run.attributes["dify.run.status"] == "succeeded"
    assert [x.name for x in seen.run.events] == ["dify.run.paused", "dify.run.resumed"]
    assert len(seen.named("llm")) == 1


async def test_a_pause_that_is_left_while_it_is_answered(serve, connect, until, seen):
    """The span ended with the pause; what becomes of the answer ends it no more."""
    server = await serve(Pause(), *SLOW, version=NEW)
    client = connect(server, observers=[seen.observer()])
    async with client.stream() as run:
        await run.result()
        server.server.fail_next(SlowHeaders(interval=0.05), path="/v1/form/*")
        answer = asyncio.ensure_future(run.resume(action="approve"))
        await until(lambda: any("/form/" in x.path for x in server.server.requests))
        answer.cancel()
        await asyncio.wait([answer])
    await client.aclose()
    assert len(server.stops) == 1
    assert seen.run.attributes["dify.run.status"] == "paused"
    assert seen.total("dify.client.runs") == 1


async def test_many_rows_of_a_batch(serve, connect, seen):
    """Each is a run below the span in which the batch was opened."""
    server = await serve(Node(type="start"), END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    with seen.tracers.get_tracer("test").start_as_current_span("table") as table:
        async with client.batch([{"marker": str(n)} for n in range(10)]) as batch:
            assert len([item async for item in batch]) == 10
    assert len(seen.runs) == 10
    parents = {x.parent.span_id for x in seen.runs}
    assert parents == {table.get_span_context().span_id}
    assert seen.total("dify.client.runs") == 10


# -- ends ------------------------------------------------------------------------------


async def _leave(client, *, on_cancel="stop") -> None:
    async with client.stream(on_cancel=on_cancel) as run:
        async for event in run:
            if isinstance(event, NodeStarted):
                break


async def _stop(client) -> None:
    async with client.stream() as run:
        await anext(run)
        await run.stop()
        await run.result()


async def _cancel(client) -> None:
    begun = asyncio.Event()

    async def follow() -> None:
        async for _ in client.events():
            begun.set()

    task = asyncio.ensure_future(follow())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])


async def _fail_in_a_handler(client) -> None:
    dispatcher = Dispatcher()

    @dispatcher.on(NodeStarted)
    def fail(event: NodeStarted) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.run(dispatcher=dispatcher)


async def _fail_in_a_concurrent_handler(client) -> None:
    dispatcher = Dispatcher()

    @dispatcher.on(WorkflowStarted, concurrent=True)
    async def fail(event: WorkflowStarted) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.run(dispatcher=dispatcher)


async def _time_out(client) -> None:
    with pytest.raises(errors.TotalTimeout):
        await client.run(timeout=0.3)


async def _raise(client) -> None:
    with pytest.raises(errors.DifyError):
        await client.run()


async def _bad_inputs(client) -> None:
    with pytest.raises(errors.InvalidInputs):
        await client.run({"file": Upload(b"x", name="a.txt")})


@attrs.frozen
class Ending:
    """How a run ends, and what its span tells of that."""

    steps: list[Any]
    call: Any
    status: str
    error: str | None = None
    fault: Any = None
    settings: dict[str, Any] = attrs.field(factory=dict)


QUICK = {"retry": RetryPolicy(attempts=1)}
ENDINGS = {
    "left": Ending(SLOW, _leave, "stopped"),
    "left alone": Ending(SLOW, lambda x: _leave(x, on_cancel="detach"), "running"),
    "stopped": Ending(SLOW, _stop, "stopped"),
    "cancelled": Ending(SLOW, _cancel, "stopped"),
    "a handler failed": Ending(SLOW, _fail_in_a_handler, "stopped"),
    "a concurrent one": Ending(SLOW, _fail_in_a_concurrent_handler, "stopped"),
    "timed out": Ending(SLOW, _time_out, "stopped", "TotalTimeout"),
    "error event": Ending(
        [ErrorEvent(message="no", code="unauthorized", status=401)],
        _raise,
        "failed",
        "Unauthorized",
    ),
    "failed": Ending(
        [Node(type="code", status="failed")], _raise, "failed", "RunFailed"
    ),
    "refused": Ending(
        [END], _raise, "refused", "TooManyRequests", ErrorPage(status=429), QUICK
    ),
    "a proxy gave up": Ending(
        [END], _raise, "unknown", "GatewayError", ErrorPage(status=504), QUICK
    ),
    "no answer": Ending([END], _raise, "unknown", "RunStateUnknown", HangUp()),
    "broken": Ending(
        SLOW,
        _raise,
        "unknown",
        "RunInterrupted",
        Drop(after_events=2),
        {"timeouts": UNRECOVERED},
    ),
    "bad inputs": Ending([END], _bad_inputs, "refused", "InvalidInputs"),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_ends(name, serve, connect, seen, until):
    """Whatever becomes of a run, its span ends once, and so do those of its nodes."""
    ending = ENDINGS[name]
    server = await serve(*ending.steps, version=NEW)
    if ending.fault is not None:
        server.server.fail_next(ending.fault, path=RUN)
    client = connect(server, observers=[seen.observer()], **ending.settings)
    await ending.call(client)
    await client.aclose()

    run = seen.run
    assert run.attributes["dify.run.status"] == ending.status
    assert run.attributes.get("error.type") == ending.error
    failed = StatusCode.UNSET if ending.error is None else StatusCode.ERROR
    assert run.status.status_code is failed
    assert run.status.description is None
    for span in seen.named("code Slow"):
        assert span.attributes["dify.node.status"] == ending.status
        assert span.status.status_code is StatusCode.UNSET
    assert all(x.end_time >= x.start_time for x in seen.spans)
    assert seen.total("dify.client.open_streams") == 0
    ((counted, point),) = seen.metrics["dify.client.runs"]
    assert (counted["dify.run.status"], point.value) == (ending.status, 1)
    assert counted.get("error.type") == ending.error
    assert seen.total("dify.client.run.failures") == (ending.error is not None)
    ((timed, histogram),) = seen.metrics["gen_ai.client.operation.duration"]
    assert timed == counted
    assert histogram.count == 1
    assert histogram.sum == pytest.approx((run.end_time - run.start_time) / 1e9)


async def test_an_answer_with_a_code(serve, connect, seen):
    """Status and code of a refusal are told, its sentence is not."""
    server = await serve(END, version=NEW)
    client = connect(server, observers=[seen.observer()], api_key="app-nobody")
    with pytest.raises(errors.Unauthorized):
        await client.run()
    told = seen.run.attributes
    assert told["http.response.status_code"] == 401
    assert told["dify.error.code"] == "unauthorized"


async def test_a_closed_client_ends_spans(serve, connect, seen, until):
    """Streams that are open then are left, as `on_cancel` says."""
    server = await serve(*SLOW, version=NEW)
    client = connect(server, observers=[seen.observer()])
    run = await client.stream().__aenter__()
    await anext(run)
    await client.aclose()
    assert seen.run.attributes["dify.run.status"] == "stopped"
    with pytest.raises(errors.ClientClosed):
        await run.result()
    await run.__aexit__(None, None, None)
    assert len(seen.runs) == 1


async def test_nothing_begins_while_the_client_is_drained(serve, connect, seen):
    """What was refused by the client itself is told, too."""
    server = await serve(END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    client._api.lifetime.draining = True
    with pytest.raises(errors.ClientClosed):
        await client.run()
    assert seen.run.attributes["dify.run.status"] == "refused"
    assert seen.run.attributes["error.type"] == "ClientClosed"


async def test_cancelled_before_it_began(wild, connect, seen, until):
    """The answer that comes later is stopped, and then the span ends."""
    go_on = asyncio.Event()

    async def late(peer) -> None:
        await go_on.wait()
        await peer.begin()
        await peer.event("workflow_started")
        await peer.gone()

    server = await wild(late)
    client = connect(server, observers=[seen.observer()])
    task = asyncio.ensure_future(client.run())
    await until(lambda: server.requests)
    task.cancel()
    await asyncio.wait([task])
    assert not seen.runs
    go_on.set()
    await client.aclose()
    assert len(server.stops) == 1
    assert seen.run.attributes["dify.run.status"] == "stopped"


@pytest.mark.parametrize("verb", ["run", "run_blocking"])
async def test_a_file_of_the_program_that_fails(verb, serve, connect, seen):
    """The run was not asked for; the exception is the program's own affair."""

    async def pieces():
        yield b"x"
        raise ZeroDivisionError

    file = Variable(variable="file", type="file")
    server = await serve(END, version=NEW, inputs=[file])
    client = connect(server, observers=[seen.observer()])
    with pytest.raises(ZeroDivisionError):
        await getattr(client, verb)({"file": Upload(pieces(), name="a.txt")})
    assert seen.run.attributes["dify.run.status"] == "refused"
    assert "error.type" not in seen.run.attributes


async def test_blocking_that_is_cancelled(wild, connect, seen, until):
    """Nobody knows what became of the run."""

    async def silence(peer) -> None:
        await peer.gone()

    server = await wild(silence)
    client = connect(server, observers=[seen.observer()])
    task = asyncio.ensure_future(client.run_blocking())
    await until(lambda: server.requests)
    task.cancel()
    await asyncio.wait([task])
    assert seen.run.attributes["dify.run.status"] == "unknown"
    assert seen.run.status.status_code is StatusCode.UNSET


async def test_blocking_that_is_refused(serve, connect, seen):
    """Its span has the error."""
    server = await serve(END, version=NEW)
    client = connect(server, observers=[seen.observer()], api_key="app-nobody")
    with pytest.raises(errors.Unauthorized):
        await client.run_blocking()
    assert seen.run.attributes["dify.run.status"] == "refused"
    assert seen.run.attributes["error.type"] == "Unauthorized"


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_stream_that_broke_and_was_found_again(version, serve, connect, seen):
    """It is one run, with each node once, and tells how it was found."""
    steps = [Node(type="start"), Node(type="code", title="Slow", delay=0.2), END]
    server = await serve(*steps, version=version)
    server.server.fail_next(Drop(after_events=4), path=RUN)
    client = connect(server, observers=[seen.observer()], timeouts=TIMES)
    await client.run()
    how = "attached" if version == NEW else "read"
    assert seen.run.attributes["dify.run.recovered"] == how
    assert seen.run.attributes["dify.run.breaks"] == 1
    assert seen.run.attributes["dify.run.status"] == "succeeded"
    assert len(seen.named("start")) == 1
    assert len(seen.named("code Slow")) == 1


async def test_speech_after_the_end(serve, connect, seen):
    """The run ended when it said so, not when its speech had come."""
    tail = Speech(audio=[b"a"], tail=[b"b", b"c"], chunk_delay=0.1)
    server = await serve(tail, END, version=OLD)
    async with connect(server, observers=[seen.observer()]).stream() as run:
        heard = [(event.event_name, time.time_ns()) async for event in run]
    assert heard[-1][0] == "tts_message_end"
    names = [name for name, _ in heard]
    finished = names.index("workflow_finished")
    assert seen.run.end_time < heard[finished + 1][1] < heard[-1][1]


# -- parents ---------------------------------------------------------------------------


async def test_dify_goes_on_with_the_trace(serve, connect, seen):
    """The run's span is below the caller's, and is the server's parent."""
    server = await serve(END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    with seen.tracers.get_tracer("test").start_as_current_span("caller") as caller:
        await client.run()
    context = caller.get_span_context()
    assert seen.run.parent.span_id == context.span_id
    assert seen.run.context.trace_id == context.trace_id
    (request,) = server.server.requests
    _, trace_id, span_id, flags = request.headers["traceparent"].split("-")
    assert trace_id == f"{context.trace_id:032x}"
    assert span_id == f"{seen.run.context.span_id:016x}"
    assert int(flags, 16) & 1
    assert "tracestate" not in request.headers


@pytest.mark.parametrize("verb", ["run", "run_blocking"])
async def test_a_parent_that_the_call_names(verb, serve, connect, seen):
    """It wins."""
    server = await serve(END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    await getattr(client, verb)(traceparent=TRACEPARENT)
    (request,) = server.server.requests
    assert request.headers["traceparent"] == TRACEPARENT
    assert len(seen.runs) == 1


@pytest.mark.parametrize("verb", ["run", "run_blocking"])
async def test_what_instruments_http(verb, serve, connect, seen):
    """It finds the run's span as the current one, and who calls does not."""
    current = []

    async def begun(*_: object) -> None:
        current.append(trace.get_current_span())

    watch = aiohttp.TraceConfig()
    watch.on_request_start.append(begun)
    server = await serve(END, version=NEW)
    async with aiohttp.ClientSession(trace_configs=[watch]) as session:
        client = connect(server, observers=[seen.observer()], session=session)
        await getattr(client, verb)()
        assert not trace.get_current_span().is_recording()
    (span,) = current
    assert span.get_span_context() == seen.run.context


async def test_other_requests_have_no_parent(serve, connect, seen):
    """Only what opens a run's stream hands its trace on."""
    server = await serve(END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    result = await client.run()
    await client.get_run(result.ref)
    with_parent = ["traceparent" in x.headers for x in server.server.requests]
    assert with_parent == [True, False]


async def test_what_is_not_sampled(serve, connect):
    """No spans are made, the server learns so, and runs are counted all the same."""
    seen = Seen(ALWAYS_OFF)
    server = await serve(LLM, END, version=NEW)
    client = connect(server, observers=[seen.observer()])
    await client.run()
    async with client.stream() as run:
        async for _ in run:
            pass
    assert seen.spans == []
    headers = [x.headers["traceparent"] for x in server.server.requests]
    assert all(not int(x.rpartition("-")[2], 16) & 1 for x in headers)
    assert seen.total("dify.client.runs") == 2
    used = seen.metrics["gen_ai.client.token.usage"]
    assert {x["gen_ai.token.type"]: y.sum for x, y in used} == {"input": 6, "output": 8}


async def test_without_an_sdk(serve, connect):
    """Nothing is recorded and nothing is sent, and all works."""
    server = await serve(LLM, END, version=NEW)
    client = connect(server, observers=[OpenTelemetry()])
    assert (await client.run()).is_success
    (request,) = server.server.requests
    assert "traceparent" not in request.headers


async def test_copies_of_a_client(serve, connect, seen):
    """Each app may have its name, or no telemetry."""
    server = await serve(END, version=NEW)
    client = connect(server)
    await client.run()
    assert seen.spans == []
    for name in ("one", "two"):
        await client.with_options(observers=[seen.observer(workflow_name=name)]).run()
    assert [x.name for x in seen.runs] == ["invoke_workflow one", "invoke_workflow two"]
    counted = seen.metrics["dify.client.runs"]
    assert {x["gen_ai.workflow.name"] for x, _ in counted} == {"one", "two"}


async def test_requests_that_are_sent_again(serve, connect, seen):
    """They are counted, by what went wrong."""
    server = await serve(END, version=NEW)
    server.server.fail_next(ErrorPage(status=429), path=RUN)
    client = connect(server, observers=[seen.observer()])
    await client.run()
    ((attributes, point),) = seen.metrics["dify.client.retries"]
    assert attributes == {
        "http.request.method": "POST",
        "error.type": "TooManyRequests",
    }
    assert point.value == 1
    assert len(seen.runs) == 1


async def test_streams_that_are_open(serve, connect, seen):
    """They are counted while they are."""
    server = await serve(*SLOW, version=NEW)
    client = connect(server, observers=[seen.observer()])
    async with client.stream(), client.stream():
        assert seen.total("dify.client.open_streams") == 2
    await client.aclose()
    assert seen.total("dify.client.open_streams") == 0
