"""What type checkers must accept and refuse of the client; never run."""

# Each checker must find every fault, and no other.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import ssl

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, assert_type

import aiohttp

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
    assert_type(copy, WorkflowClient)
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
        on_cancel="stop",
    )
    options: RunOptions = {"user": "u2", "timeout": 3}
    await client.run({}, **options)
    await client.run("query")  # type: ignore[arg-type]
    await client.run({}, usr="u2")  # type: ignore[call-arg]
    await client.run({}, on_cancel="wait")  # type: ignore[arg-type]
    assert_type(await client.run_blocking({"query": "x"}, timeout=5), RunResult)

    detail = await client.get_run("r1")
    assert_type(detail, RunDetail)
    assert_type(detail.inputs, Mapping[str, Any] | None)
    await client.stop("t1", user="u1")


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
        assert_type(error.result, RunResult)
        assert_type(error.node, events.NodeFinished | None)
    except errors.RunInterrupted as error:
        assert_type(error.may_be_running, bool)
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
