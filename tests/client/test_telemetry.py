"""Runs as OpenTelemetry gets them: a span for each run and for each of its nodes."""

from __future__ import annotations

import json
import subprocess
import sys

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from dify_workflow_async import errors
from dify_workflow_async.local import (
    Iteration,
    Loop,
    Node,
    Raw,
    Replay,
)
from dify_workflow_async.telemetry import OpenTelemetry

from ._traces import END, LLM


OLD, NEW = "1.12.1", "1.14.2"
RECORDINGS = Path(__file__).parent.parent / "recordings"


def recorded(version: str, name: str) -> Path:
    return RECORDINGS / f"dify-{version}" / f"run_{name}_streaming.http"


def objects_of(path: Path) -> list[dict[str, Any]]:
    """Decode the events of a recording, whose chunks are events."""
    lines = path.read_text("utf-8").splitlines()
    return [json.loads(x[6:]) for x in lines if x.startswith("data: {")]


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


# -- the tree --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("how", ["run", "stream"])
async def test_a_recorded_iteration(version, how, serve, connect, seen):
    """Each execution is a span at its place, with the times of its own events."""
    path = recorded(version, "iteration")
    server = await serve(behaviour=Replay(path), version=version)
    client = connect(server, observers=[seen.observer()])
    if how == "run":
        await client.run({"items": "a, b, c"})
    else:
        async with client.stream({"items": "a, b, c"}) as run:
            assert [event async for event in run]

    run, each = seen.run, seen.named("iteration Iteration")[0]
    assert run.name == "invoke_workflow"
    assert run.parent is None
    assert len(seen.spans) == 8
    assert {x.context.trace_id for x in seen.spans} == {run.context.trace_id}
    begun = {}
    for obj in objects_of(path):
        data = obj["data"]
        match obj["event"]:
            case "node_started" | "iteration_started":
                begun[data["id"]] = data["created_at"]
            case "node_finished" | "iteration_completed":
                (span,) = (
                    x
                    for x in seen.spans
                    if data["id"]
                    in {
                        x.attributes.get("dify.node.execution_id"),
                        x.attributes.get("dify.node.id"),
                    }
                    and x.attributes["dify.node.type"] == data["node_type"]
                )
                inside = data.get("iteration_id") is not None
                parent = each if inside else run
                assert span.parent.span_id == parent.context.span_id
                assert span.kind is SpanKind.INTERNAL
                assert span.name == f"{data['node_type']} {data['title']}"
                assert span.start_time == nanoseconds(begun[data["id"]])
                took = nanoseconds(data["elapsed_time"])
                assert span.end_time == span.start_time + took
                assert span.status.status_code is StatusCode.UNSET
                assert span.attributes["dify.node.title"] == data["title"]
                assert span.attributes["dify.node.status"] == "succeeded"
                if inside:
                    index = data["execution_metadata"]["iteration_index"]
                    assert span.attributes["dify.iteration.index"] == index
                    assert span.attributes["dify.iteration.id"] == "iter"
    assert len(begun) == 7
    assert each.attributes["dify.rounds"] == 3
    last = objects_of(path)[-1]
    assert dict(run.attributes) == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.provider.name": "dify",
        "server.address": "127.0.0.1",
        "server.port": int(server.base_url.split(":")[2].removesuffix("/v1")),
        "dify.verb": "run",
        "dify.run.id": last["workflow_run_id"],
        "dify.task.id": last["task_id"],
        "dify.workflow.id": last["data"]["workflow_id"],
        "dify.run.status": "succeeded",
        "dify.usage.total_tokens": 0,
        "dify.run.steps": 4,
        "dify.run.exceptions": 0,
    }


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_recorded_loop(version, serve, connect, seen):
    """Its rounds are those that there were, not those that were allowed."""
    server = await serve(behaviour=Replay(recorded(version, "loop")), version=version)
    await connect(server, observers=[seen.observer()]).run()
    (loop,) = seen.named("loop Loop")
    inside = seen.named("assigner Assigner")
    assert [x.parent.span_id for x in inside] == [loop.context.span_id] * 3
    assert [x.attributes["dify.loop.index"] for x in inside] == [0, 1, 2]
    assert {x.attributes["dify.loop.id"] for x in inside} == {"loop"}
    assert loop.attributes["dify.rounds"] == 3
    assert loop.parent.span_id == seen.run.context.span_id


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_recorded_model(version, serve, connect, seen):
    """A node that called one tells that by the conventions, and tokens are counted."""
    server = await serve(behaviour=Replay(recorded(version, "llm")), version=version)
    await connect(server, observers=[seen.observer()]).run()
    (llm,) = seen.named("llm")
    told = {k: v for k, v in llm.attributes.items() if not k.startswith("dify.node")}
    assert told.pop("gen_ai.response.time_to_first_chunk") < 0.1
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "fake",
        "dify.model.provider": "local/fake/fake",
        "gen_ai.request.model": "echo",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 12,
        "dify.usage.total_tokens": 19,
        "dify.usage.total_price": 0.000031,
        "dify.usage.currency": "USD",
    }
    assert seen.run.attributes["dify.usage.total_price"] == 0.000031
    assert seen.run.attributes["dify.usage.total_tokens"] == 19
    used = seen.metrics["gen_ai.client.token.usage"]
    assert {x["gen_ai.token.type"]: y.sum for x, y in used} == {
        "input": 7,
        "output": 12,
    }
    for attributes, _ in used:
        del attributes["gen_ai.token.type"], attributes["server.port"]
        assert attributes == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "fake",
            "gen_ai.request.model": "echo",
            "server.address": "127.0.0.1",
        }
    assert seen.total("dify.client.run.tokens") == 19


async def test_a_scenario_with_everything(serve, connect, seen):
    """Iterations and loops have their nodes below them, and all have the run above."""
    each = Iteration(items=("a", "b"), steps=[Node(type="code", id="line")])
    loop = Loop(count=2, steps=[Node(type="code", id="turn")])
    start = Node(type="start", title="Start")
    server = await serve(start, LLM, each, loop, END, version=NEW)
    client = connect(server, observers=[seen.observer(workflow_name="demo")])
    before = datetime.now(UTC).timestamp()
    async with client.stream() as run:
        nodes = run.nodes
        assert [event async for event in run]
    after = datetime.now(UTC).timestamp()

    spans = {x.name: x for x in seen.spans}
    above = {
        x.name: next(
            y.name for y in seen.spans if y.context.span_id == x.parent.span_id
        )
        for x in seen.spans
        if x.parent
    }
    run_name = "invoke_workflow demo"
    assert above == {
        "start Start": run_name,
        "llm": run_name,
        "iteration Iteration": run_name,
        "code line": "iteration Iteration",
        "loop Loop": run_name,
        "code turn": "loop Loop",
        "end End": run_name,
    }
    assert len(seen.spans) == 1 + len(nodes) == 10
    assert spans["llm"].attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert seen.run.attributes["gen_ai.workflow.name"] == "demo"
    # A server on this machine has our clock: its whole seconds are made exact.
    assert nanoseconds(before) <= seen.run.start_time
    assert seen.run.end_time <= nanoseconds(after)
    for span in seen.spans:
        assert seen.run.start_time <= span.start_time <= span.end_time
        assert span.start_time <= seen.run.end_time


async def test_a_node_that_fails(serve, connect, seen):
    """Its span has an error's class, the run's has one, too; sentences are nowhere."""
    bad = Node(type="code", status="failed", error="no s3nt3nc3", title="Bad")
    server = await serve(bad, version=NEW)
    with pytest.raises(errors.RunFailed):
        await connect(server, observers=[seen.observer()]).run()
    (span,) = seen.named("code Bad")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "failed"
    assert seen.run.status.status_code is StatusCode.ERROR
    assert seen.run.attributes["error.type"] == "RunFailed"


async def test_a_recorded_node_that_was_dealt_with(serve, connect, seen):
    """It failed, as Dify's class of error says; the run did not."""
    path = recorded(NEW, "partial_default")
    server = await serve(behaviour=Replay(path), version=NEW)
    await connect(server, observers=[seen.observer()]).run()
    (bad,) = (x for x in seen.spans if x.status.status_code is StatusCode.ERROR)
    assert bad.attributes["error.type"] == "HttpRequestNodeError"
    assert bad.attributes["dify.node.status"] == "exception"
    assert seen.run.attributes["dify.run.status"] == "partial-succeeded"
    assert seen.run.attributes["dify.run.exceptions"] == 1


async def test_recorded_retries_of_a_node(serve, connect, seen):
    """Each is an event of the node's span."""
    path = recorded(OLD, "retry_ok")
    server = await serve(behaviour=Replay(path), version=OLD)
    await connect(server, observers=[seen.observer()]).run()
    (span,) = seen.named("code flaky")
    told = [(x.name, dict(x.attributes)) for x in span.events]
    assert told == [
        ("dify.node.retry", {"dify.node.retry": 1}),
        ("dify.node.retry", {"dify.node.retry": 2}),
    ]


# -- what is not told ------------------------------------------------------------------


def shown(spans: list[ReadableSpan]) -> str:
    """Give all that is exported of spans."""
    return "\n".join(x.to_json() for x in spans)


async def test_no_contents(serve, wild, connect, key, seen):
    """Neither inputs, outputs, prompts, texts, sentences of errors, nor the key."""
    secret = "s3cr3t"
    llm = Node(
        type="llm",
        text=[secret],
        process_data={"model_name": "m", "prompts": [{"text": secret}]},
        outputs={"x": secret},
        inputs={"x": secret},
        retries=1,
        error=secret,
    )
    bad = Node(
        type="code",
        status="exception",
        error=secret,
        outputs={"error_type": f"{secret} x"},
    )
    each = Iteration(
        items=(secret,), steps=[Node(type="code", outputs={"x": "{item}"})]
    )
    failed = Node(type="code", status="failed", error=secret)
    server = await serve(llm, bad, each, failed, version=NEW)
    client = connect(server, observers=[seen.observer()], user=f"user-{secret}")
    with pytest.raises(errors.RunFailed, match=secret):
        await client.run({"query": secret, "key": key})

    async def refuse(peer) -> None:
        await peer.answer(500, {"code": "unknown", "message": f"{secret} {key}"})

    other = connect(await wild(refuse), observers=[seen.observer()])
    with pytest.raises(errors.ServerError, match=secret):
        await other.run({"query": secret})
    assert len(seen.runs) == 2
    assert secret not in shown(seen.spans)
    assert key not in shown(seen.spans)
    assert secret not in str(seen.metrics)
    assert key not in str(seen.metrics)


async def test_events_that_make_no_sense(serve, connect, seen):
    """Ends without beginnings make spans; what has no id is passed over."""
    late = {
        "event": "node_finished",
        "data": {"id": "x", "node_type": "tool", "title": "T"},
    }
    nobody = {"event": "node_finished", "data": {"node_type": "tool"}}
    server = await serve(Raw(event=late), Raw(event=nobody), Raw(event=late), END)
    await connect(server, observers=[seen.observer()]).run()
    (span,) = seen.named("tool T")
    assert span.attributes["gen_ai.operation.name"] == "execute_tool"
    assert span.attributes["gen_ai.tool.name"] == "T"
    assert len(seen.spans) == 3


# -- what it needs ---------------------------------------------------------------------


def test_without_opentelemetry(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(errors.ConfigurationError, match=r"dify-workflow-async\[otel\]"):
        OpenTelemetry()


def test_it_is_imported_by_nobody_else():
    """Neither the package nor a client nor the room itself import OpenTelemetry."""
    program = (
        "import sys, dify_workflow_async as d\n"
        "d.WorkflowClient('app-1')\n"
        "assert not {x for x in sys.modules if 'telemetry' in x}\n"
        "d.telemetry\n"
        "assert not {x for x in sys.modules if x.startswith('opentelemetry')}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
