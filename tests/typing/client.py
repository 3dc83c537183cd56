"""What type checkers must accept and refuse of the client; never run."""

# Each checker must find every fault, and no other.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import ssl

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict, assert_type

import aiohttp
import attrs

from aiohttp import web
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from starlette.applications import Starlette

import dify_workflow_async

from dify_workflow_async import (
    DifyError,
    Dispatcher,
    Limits,
    RetryPolicy,
    RunDetail,
    RunOptions,
    RunResult,
    RunStream,
    Timeouts,
    WorkflowClient,
    errors,
    events,
    models,
)
from dify_workflow_async._call import FollowOptions
from dify_workflow_async._logs import Page
from dify_workflow_async.hooks import (
    Observer,
    RequestEnd,
    RunEnd,
    RunObserver,
    RunStart,
    Verb,
)
from dify_workflow_async.integrations import aiohttp_web, starlette
from dify_workflow_async.relay import ALL, RelayHub, Selection, View, sentence_of
from dify_workflow_async.telemetry import OpenTelemetry
from dify_workflow_async.views import Nodes, NodeState, Usage


# Settings.

WorkflowClient()
WorkflowClient("app-1", "https://dify.example", "u1")
WorkflowClient(
    "app-1",
    timeouts=Timeouts(
        connect=1, first_byte=None, idle=2.5, total=None, request=3, tail=0, stop=1
    ),
    limits=Limits(max_event_bytes=1, max_body_bytes=1, max_error_bytes=1),
    retry=RetryPolicy(attempts=1, base=0, cap=1, max_retry_after=1),
    on_cancel="detach",
    max_concurrent_runs=None,
    ssl=ssl.create_default_context(),
    proxy="http://proxy.example",
    headers={"X-Tenant": "t1"},
)
WorkflowClient("app-1", ssl=False)
WorkflowClient(on_cancel="wait")  # type: ignore[arg-type]
WorkflowClient(api_kye="app-1")  # type: ignore[call-arg]
Timeouts(1)  # type: ignore[call-arg]
Limits(max_event_bytes="1")  # type: ignore[arg-type]


def observed(tracers: TracerProvider, meters: MeterProvider) -> None:
    """Have runs observed."""
    traced = OpenTelemetry(
        tracer_provider=tracers, meter_provider=meters, workflow_name="x"
    )
    client = WorkflowClient(observers=[OpenTelemetry(), traced, MyObserver()])
    client.with_options(observers=())
    client.with_options(observers=(x for x in [traced]))
    WorkflowClient(observers=traced)  # type: ignore[arg-type]
    WorkflowClient(observers=[MyRun()])  # type: ignore[list-item]
    OpenTelemetry(tracers)  # type: ignore[call-arg]
    OpenTelemetry(tracer_provider=meters)  # type: ignore[arg-type]


class MyRun(RunObserver):
    """Follows a run."""

    def headers(self) -> dict[str, str]:
        """Send one."""
        return {"X-Trace": "1"}

    def heeds(self, event_name: str) -> bool:
        """Want one kind of events."""
        return event_name == events.NodeFinished.event_name

    def on_event(self, event: events.Event) -> None:
        """Get it."""
        assert_type(event.workflow_run_id, str | None)

    def on_end(self, end: RunEnd) -> None:
        """Learn what became of the run."""
        assert_type(end.status, str)
        assert_type(end.result, RunResult[Any] | None)
        assert_type(end.error, DifyError | None)
        assert_type(end.seconds, float)
        end.status = "x"  # type: ignore[misc]


class MyObserver(Observer):
    """Wants some runs, and all requests."""

    def on_run(self, start: RunStart) -> MyRun | None:
        """Follow it, or not."""
        assert_type(start.verb, Verb)
        return None if start.ref else MyRun()

    def on_request(self, end: RequestEnd) -> None:
        """Learn how it went."""
        assert_type(end.status, int | None)
        assert_type(end.error, DifyError | None)


async def sessions(session: aiohttp.ClientSession) -> None:
    """Borrow a session, and close what is one's own."""
    async with WorkflowClient(session=session) as client:
        assert_type(client, WorkflowClient)
        assert_type(client.base_url, str)
    await client.aclose()


class MyClient(WorkflowClient):
    """A client of the program's own."""


async def copies(client: MyClient) -> None:
    """Enter a subclass, and copy it."""
    async with client as entered:
        assert_type(entered, MyClient)
    copy = client.with_options(api_key="app-2", user="u2", retry=RetryPolicy())
    assert_type(copy, MyClient)
    client.with_options(base_url="https://other")  # type: ignore[call-arg]


# Runs.


async def run(client: WorkflowClient, dispatcher: Dispatcher) -> None:
    """Run in every way, and look at what comes."""
    result = await client.run({"query": "x", "n": 1, "list": [1, None]})
    assert_type(result, RunResult)
    assert_type(result.outputs, Mapping[str, Any])
    assert_type(result.status, str | None)
    assert_type(result.is_success, bool)
    assert_type(result.finished_at, datetime | None)
    assert_type(result.files, tuple[models.File, ...])
    assert_type(result.reasons, tuple[models.PauseReason, ...])
    assert_type(result.ref, models.RunRef | None)
    result.raise_for_status()
    result.status = "failed"  # type: ignore[misc]

    files: Sequence[Mapping[str, Any]] = ({"type": "image"},)
    await client.run(
        check=False,
        user="u2",
        files=files,
        workflow_id="w1",
        dispatcher=dispatcher,
        timeout=1.5,
        trace_id="t1",
        trace_session_id="s1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        validate=True,
        on_cancel="stop",
    )
    options: RunOptions = {"user": "u2", "timeout": 3}
    await client.run({}, **options)
    await client.run("query")  # type: ignore[call-overload]
    await client.run({}, usr="u2")  # type: ignore[call-overload]
    await client.run({}, on_cancel="wait")  # type: ignore[call-overload]
    assert_type(await client.run_blocking({"query": "x"}, timeout=5), RunResult)
    await client.run_blocking(dispatcher=dispatcher)  # type: ignore[call-arg]


@attrs.frozen
class Report:
    """What a program wants of outputs."""

    text: str


class Loose(TypedDict):
    """The same as a dictionary."""

    text: str


async def typed(client: WorkflowClient) -> None:
    """Get outputs as a class, and nothing where none was asked for."""
    plain = await client.run({"query": "x"})
    assert_type(plain, RunResult[None])
    assert_type(plain.output, None)
    result = await client.run({"query": "x"}, output=Report, check=False, user="u2")
    assert_type(result, RunResult[Report])
    assert_type(result.output, Report)
    assert_type(result.output.text, str)
    assert_type(await client.run(output=Loose), RunResult[Loose])
    assert_type(await client.wait("r1", output=Report), RunResult[Report])
    assert_type(await client.run(output=None), RunResult)
    await client.run(output=Report(text=""))  # type: ignore[call-overload]
    await client.run(output=Report, usr="u2")  # type: ignore[call-overload]
    await client.stream(output=Report)  # type: ignore[call-arg, misc]


# Runs that were started before.


async def follow(client: WorkflowClient, dispatcher: Dispatcher) -> None:
    """Start, read, wait, attach, stop: by id and by reference."""
    ref = await client.start({"query": "x"}, user="u2", dispatcher=dispatcher)
    assert_type(ref, models.RunRef)
    assert_type(ref.workflow_run_id, str)
    assert_type(ref.task_id, str | None)
    assert_type(models.RunRef(workflow_run_id="r1").user, str)

    for run in (ref, "r1"):
        detail = await client.get_run(run)
        assert_type(detail, RunDetail)
        assert_type(detail.inputs, Mapping[str, Any] | None)
        assert_type(await client.wait(run), RunResult)
        assert_type(await client.wait(run, timeout=1.5, check=False), RunResult)
        await client.stop(run)
    await client.stop("t1", user="u1")

    stream = client.attach(ref, include_state_snapshot=True, continue_on_pause=True)
    assert_type(stream, RunStream)
    options: FollowOptions = {"user": "u2", "timeout": 3}
    client.attach("r1", dispatcher=dispatcher, on_cancel="stop")
    client.attach("r1", continue_on_pause=True, **options)
    client.attach("r1", files=())  # type: ignore[call-arg]
    client.attach(5)  # type: ignore[arg-type]
    async with stream as run_:
        assert_type(await run_.begun(), models.RunRef)
        assert_type(run_.ref, models.RunRef | None)
        run_.detach()


async def people(client: WorkflowClient, run: RunStream) -> None:
    """Answer forms, in the stream and from elsewhere."""
    try:
        await client.run()
    except errors.RunPaused as error:
        ref, reason = error.result.ref, error.result.reasons[0]
        assert_type(ref, models.RunRef | None)
        assert_type(reason, models.PauseReason)
        assert_type(reason.form_token, str | None)
        await run.resume(reason, action="approve", inputs={"comment": "x"})
    except errors.FormClosed:
        pass
    await run.resume(action="approve")
    await run.resume(events.HumanInputRequired(form_token="f"), action="approve")
    await run.resume("f1", action="approve")
    await run.resume("f1")  # type: ignore[call-arg]

    assert_type(client.resume("r1", "f1", action="approve"), RunStream)
    inputs: Mapping[str, object] = {"comment": "x"}
    client.resume("r1", "f1", action="a", inputs=inputs, user="u1", timeout=1)
    client.resume("r1", action="approve")  # type: ignore[call-arg]

    form = await client.get_form("f1")
    assert_type(form, models.Form)
    assert_type(form.inputs, tuple[models.FormInput, ...])
    assert_type(form.user_actions, tuple[models.FormAction, ...])
    await client.submit_form("f1", action="approve", inputs=inputs, user="u1")
    await client.submit_form("f1", "approve")  # type: ignore[call-arg]


# The app.


async def app(client: WorkflowClient) -> None:
    """Read what the app and its server tell."""
    parameters = await client.parameters(refresh=True)
    assert_type(parameters, models.Parameters)
    assert_type(parameters.user_input_form, tuple[models.InputVariable, ...])
    await client.validate({"query": "x"}, files=[{"type": "image"}])
    assert_type(await client.info(), models.AppInfo)
    assert_type(await client.site(), models.Site)
    assert_type(await client.meta(), models.Meta)
    assert_type(await client.end_user("e1"), models.EndUser)
    assert_type(await client.server_info(), models.ServerInfo)

    page = await client.logs()
    assert_type(page.entries, tuple[models.LogEntry, ...])
    assert_type(page.total, int | None)
    assert_type(page, Page)
    assert_type(await page.next_page(), Page | None)
    for entry in page:
        assert_type(entry.workflow_run, models.LogRun | None)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    logs = client.logs(
        page=2,
        limit=100,
        keyword="x",
        status="failed",
        before=moment,
        after=moment,
        user="u1",
        account="a@example.com",
    )
    async for entry in logs:
        assert_type(entry, models.LogEntry)
    _ = client.logs(before="2026-01-01")  # type: ignore[arg-type]


async def stream(client: WorkflowClient) -> None:
    """Stream typed events."""
    assert_type(client.stream({"query": "x"}), RunStream)
    async with client.stream({"query": "x"}, user="u2") as run:
        assert_type(run, RunStream)
        assert_type(await anext(run), events.Event)
        async for event in run:
            assert_type(event, events.Event)
            match event:
                case events.TextChunk(text=text):
                    assert_type(text, str)
                case events.NodeFinished(node_type="llm", execution_metadata=cost):
                    assert_type(cost, models.ExecutionMetadata | None)
                case _:
                    pass
        assert_type(run.task_id, str | None)
        assert_type(run.workflow_run_id, str | None)
        assert_type(run.status, str | None)
        assert_type(run.text, str)
        await run.stop()
        assert_type(await run.result(), RunResult)
    async with client.stream(check=False):  # type: ignore[call-arg]
        pass


async def generate(client: WorkflowClient) -> None:
    """Take the plain generator."""
    generator = client.events({"query": "x"}, timeout=5)
    assert_type(generator, AsyncGenerator[events.Event])
    async with aclosing(generator) as stream:
        async for event in stream:
            assert_type(event, events.Event)


# Errors.


async def fail(client: WorkflowClient) -> None:
    """Catch by class, and look at what is known."""
    try:
        await client.run()
    except errors.RunFailed as error:
        assert_type(error.result, RunResult[Any])
        assert_type(error.node, events.NodeFinished | None)
    except errors.RunInterrupted as error:
        assert_type(error.may_be_running, bool)
    except errors.OutputsMismatch as error:
        assert_type(error.problems, tuple[str, ...])
        assert_type(error.result, RunResult[Any] | None)
    except errors.InvalidInputs as error:
        assert_type(error.problems, tuple[str, ...])
    except errors.APIError as error:
        assert_type(error.result, RunResult | None)
    except TimeoutError:
        pass
    except DifyError as error:
        assert_type(error.status, int | None)
        assert_type(error.retry_after, float | None)
        assert_type(error.safe_to_repeat, bool)
        assert_type(error.headers, Mapping[str, str] | None)


assert_type(dify_workflow_async.__version__, str)


# What is shown of a run.


async def seen(client: WorkflowClient, path: Path) -> None:
    """Look at a run in every way."""
    async with client.stream() as run:
        assert_type(run.nodes, Nodes)
        assert_type(run.nodes["e1"], NodeState)
        assert_type(run.nodes["e1"].total_price, Decimal | None)
        assert_type(run.usage, Usage)
        assert_type(run.usage.prices, Mapping[str, Decimal])
        run.nodes["e1"].status = "failed"  # type: ignore[misc]
        async for piece in run.text_stream:
            assert_type(piece, str)
        async for text in run.snapshots(every=0.5):
            assert_type(text, str)
        async for sound in run.audio():
            assert_type(sound, bytes)
        assert_type(await run.save_audio(path), Path | None)
        async for data in run.relay(
            include=["node_*"],
            exclude=("tts_*",),
            fields={"text_chunk": ALL},
            ids=True,
            ping=5,
            tell=str,
        ):
            assert_type(data, bytes)
        async for event in run:
            assert_type(run.originals()(event), bytes | None)
        run.relay(include=1)  # type: ignore[arg-type]
        run.snapshots(every="1")  # type: ignore[arg-type]


async def relayed(client: WorkflowClient) -> None:
    """Relay runs to several browsers."""
    async with RelayHub(
        client,
        selection=Selection(exclude=["tts_*"]),
        unwatched="stop",
        grace=1,
        keep=2.5,
        ping=3,
        max_bytes=1,
        max_ended=1,
        tell=sentence_of,
    ) as hub:
        run_id = await hub.start({"query": "x"}, user="u2")
        assert_type(run_id, str)
        assert_type(await hub.relay(client.attach("r1")), str)
        view = hub.view(run_id, "7")
        assert_type(view, View)
        assert_type(view.is_complete, bool)
        async for data in view:
            assert_type(data, bytes)
        await hub.stop(run_id)
        await hub.start({}, usr="u2")  # type: ignore[call-arg]
    RelayHub(client, unwatched="kill")  # type: ignore[arg-type]
    RelayHub("client")  # type: ignore[arg-type]
    await client.aclose(drain=5)


def faces(app: web.Application) -> None:
    """Give applications a client and a hub."""
    aiohttp_web.setup(app, drain=5, unwatched="stop")
    aiohttp_web.setup(app, lambda: WorkflowClient(user="u1"))
    assert_type(app[aiohttp_web.CLIENT], WorkflowClient)
    assert_type(app[aiohttp_web.HUB], RelayHub)
    Starlette(lifespan=starlette.lifespan(MyClient, drain=5))
