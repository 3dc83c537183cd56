"""What spans tell: times, names and attributes, from events and ends of runs."""

from __future__ import annotations

import re

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

from dify_workflow_async import events as e
from dify_workflow_async.errors import RunInterrupted
from dify_workflow_async.hooks import RunEnd, RunStart
from dify_workflow_async.models import ExecutionMetadata, RunResult
from dify_workflow_async.telemetry import _attributes as told
from dify_workflow_async.telemetry._metrics import Metrics
from dify_workflow_async.telemetry._nodes import NodeSpans
from dify_workflow_async.telemetry._run import TracedRun
from dify_workflow_async.telemetry._times import SECOND, end, nanoseconds, within


NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
THEN = nanoseconds(NOON)
HALF = SECOND // 2

WITH_CONVENTIONS = pytest.mark.skipif(
    not hasattr(gen_ai, "GEN_AI_WORKFLOW_NAME"),
    reason="these conventions are older than those that are followed",
)
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/telemetry.md"


# -- times -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1970, 1, 2, 0, 0, 1, 7, tzinfo=UTC), 86_401_000_007_000),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), 0),
        (datetime(9999, 1, 1, tzinfo=UTC), 2**63 - 1),
    ],
)
def test_nanoseconds(moment, expected):
    """They are exact."""
    assert nanoseconds(moment) == expected


@pytest.mark.parametrize(
    ("told_time", "now", "expected"),
    [
        (None, [THEN + 1, THEN], THEN + 1),
        (NOON, [THEN + HALF], THEN + HALF),
        (NOON, [THEN], THEN),
        (NOON, [THEN - 1], THEN),
        (NOON, [THEN + SECOND], THEN),
        (NOON, [THEN + SECOND, THEN + 5], THEN + 5),
        (NOON + timedelta(milliseconds=3), [THEN + HALF], THEN + 3_000_000),
    ],
    ids=["none", "half", "same", "before", "after", "second", "exact"],
)
def test_within(told_time, now, expected):
    """Our clock counts only within the second that the server told."""
    assert within(told_time, *now) == expected


@pytest.mark.parametrize(
    ("told_time", "seconds", "now", "expected"),
    [
        (None, 1.25, THEN, THEN + SECOND * 5 // 4),
        (NOON + timedelta(seconds=1), 1.25, THEN, THEN + SECOND * 5 // 4),
        (NOON, 0.0, THEN + HALF, THEN),
        (NOON + timedelta(seconds=9), 1.25, THEN, THEN + 9 * SECOND),
        (NOON + timedelta(seconds=9), None, THEN, THEN + 9 * SECOND),
        (NOON + timedelta(seconds=9), -1.0, THEN, THEN + 9 * SECOND),
        (NOON + timedelta(seconds=9), 1e300, THEN, THEN + 9 * SECOND),
        (NOON - timedelta(seconds=9), None, THEN, THEN),
        (None, None, THEN + 5, THEN + 5),
        (None, None, THEN - 5, THEN),
    ],
    ids=[
        "took",
        "both",
        "nothing",
        "contradicted",
        "told",
        "nonsense",
        "for ever",
        "before",
        "now",
        "late",
    ],
)
def test_end(told_time, seconds, now, expected):
    """How long it took is more exact than when it ended, and it ends after it began."""
    assert end(THEN, told_time, seconds, now) == expected


# -- attributes ------------------------------------------------------------------------


@WITH_CONVENTIONS
def test_names_of_the_conventions():
    """All that begin with `gen_ai` are names that the conventions have."""
    event = e.NodeFinished(
        node_type="llm",
        title="x",
        process_data={
            "model_name": "m",
            "model_provider": "p",
            "finish_reason": "stop",
            "usage": {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "time_to_first_token": 0.5,
            },
        },
    )
    start = RunStart(verb="run", base_url="https://x/v1", user="u")
    names = {*told.model(event), *told.common(start, "name"), told.OPERATION}
    for kind in ("agent", "tool", "knowledge-retrieval"):
        names |= set(told.node_started(e.NodeStarted(node_type=kind, title="x")))
    used = {name for name in names if name.startswith("gen_ai.")}
    assert len(used) == 10
    assert used <= {x for x in vars(gen_ai).values() if isinstance(x, str)}


def test_names_are_documented():
    """The reference has each name of an attribute, event or metric, and no other."""
    name = r"((?:dify|gen_ai|server|error|http)\.[a-z_.]+)"
    home = Path(told.__file__).parent
    code = "".join(x.read_text("utf-8") for x in home.glob("*.py"))
    values = {x for pair in told._PROVIDERS.items() for x in pair}
    used = set(re.findall(f'"{name}"', code)) - values
    used |= {f"gen_ai.usage.{kind}_tokens" for kind in ("input", "output")}
    page = PAGE.read_text("utf-8")
    assert used == set(re.findall(f"^\\| `{name}`", page, re.MULTILINE))


@WITH_CONVENTIONS
def test_operations_of_the_conventions():
    """What nodes and runs do is told by words that the conventions have."""
    words = {
        told.common(RunStart(verb=verb, base_url="https://x/v1", user="u"), None)[
            told.OPERATION
        ]
        for verb in ("run", "run_blocking")
    }
    for kind in ("agent", "tool", "knowledge-retrieval"):
        words.add(told.node_started(e.NodeStarted(node_type=kind))[told.OPERATION])
    for mode in ("chat", "completion"):
        data = {"model_name": "m", "model_mode": mode}
        event = e.NodeFinished(node_type="llm", process_data=data)
        words.add(told.model(event)[told.OPERATION])
    assert words == {
        *("invoke_workflow", "invoke_agent", "execute_tool", "retrieval"),
        *("chat", "text_completion"),
    }
    known = {x.value for x in gen_ai.GenAiOperationNameValues}
    assert words <= known


@WITH_CONVENTIONS
def test_providers_of_the_conventions():
    """Dify's words for them become those of the conventions, where these have one."""
    known = {x.value for x in gen_ai.GenAiProviderNameValues}
    names = [*told._PROVIDERS, "openai", "anthropic", "cohere", "deepseek", "groq"]
    for name in names:
        for whole in (name, f"langgenius/{name}/{name}"):
            data = {"model_name": "m", "model_provider": whole}
            event = e.NodeFinished(node_type="llm", process_data=data)
            attributes = told.model(event)
            assert attributes[told.PROVIDER] in known
            assert attributes["dify.model.provider"] == whole


@pytest.mark.parametrize(
    "process_data",
    [None, {}, {"model_name": ""}, {"model_name": 5}, {"usage": {"prompt_tokens": 1}}],
    ids=str,
)
def test_no_model(process_data):
    """Where none is named, none is told."""
    event = e.NodeFinished(node_type="llm", process_data=process_data)
    assert told.model(event) == {}


@pytest.mark.parametrize("kind", ["code", "start", "assigner", None])
def test_names_that_are_anybodys(kind):
    """A variable that happens to be called as Dify's own is told by no span."""
    data = {"model_name": "s3cr3t", "usage": {"prompt_tokens": 1}}
    event = e.NodeFinished(
        node_type=kind, inputs=data, process_data=data, outputs={"error_type": "Mine"}
    )
    assert told.model(event) == {}
    assert "s3cr3t" not in str(told.node_ended(event))


def test_a_model_whose_data_were_cut():
    """It is named among the inputs, too, and its usage among the outputs."""
    event = e.NodeFinished(
        node_type="parameter-extractor",
        inputs={"model_name": "m", "model_provider": "openai", "query": "s3cr3t"},
        outputs={"usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    )
    assert told.model(event) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "dify.model.provider": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 2,
    }


@pytest.mark.parametrize("usage", [None, 5, {}, {"prompt_tokens": "x"}], ids=str)
def test_a_model_without_usage(usage):
    """What is missing, or makes no sense, is left out."""
    data = {"model_name": "m", "usage": usage}
    event = e.NodeFinished(node_type="llm", process_data=data)
    assert told.model(event) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
    }


@pytest.mark.parametrize(
    ("status", "outputs", "expected"),
    [
        ("succeeded", {"error_type": "X"}, None),
        (None, None, None),
        ("failed", None, "failed"),
        ("failed", {"error_type": "Mine"}, "failed"),
        ("exception", {"error_type": "HTTPError"}, "HTTPError"),
        ("exception", {"error_type": "a sentence"}, "exception"),
        ("exception", {"error_type": "x" * 101}, "exception"),
        ("exception", {"error_type": 5}, "exception"),
    ],
)
def test_why_a_node_failed(status, outputs, expected):
    """It is told by Dify's class of error, if that is one, else by the status."""
    event = e.NodeFinished(status=status, outputs=outputs)
    assert told.node_failure(event) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (e.NodeStarted(node_type="llm", title="Ask"), "llm Ask"),
        (e.NodeStarted(node_type="llm", title="llm"), "llm"),
        (e.NodeStarted(node_type="llm"), "llm"),
        (e.NodeStarted(title="Ask"), "node Ask"),
        (e.IterationStarted(title="Each"), "iteration Each"),
        (e.LoopCompleted(), "loop"),
    ],
)
def test_names_of_spans(event, expected):
    """They are made of type and title."""
    assert told.node_name(event) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (e.IterationCompleted(steps=3), 3),
        (
            e.IterationCompleted(
                execution_metadata=ExecutionMetadata(
                    raw={"iteration_duration_map": {"0": 1, "1": 1}}
                ),
                steps=5,
            ),
            2,
        ),
        (
            e.LoopCompleted(
                execution_metadata=ExecutionMetadata(raw={"loop_duration_map": 5}),
                steps=5,
            ),
            5,
        ),
    ],
)
def test_rounds(event, expected):
    """They are counted where the server lists them."""
    assert told.node_ended(event)["dify.rounds"] == expected


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("https://dify.example/v1", "dify.example", 443),
        ("http://dify.example/sub/v1", "dify.example", 80),
        ("http://[::1]:5001/v1", "::1", 5001),
    ],
)
def test_the_server(url, address, port):
    """It is told by its name and port."""
    attributes = told.common(RunStart(verb="run", base_url=url, user="u"), None)
    assert attributes["server.address"] == address
    assert attributes["server.port"] == port


def ended(status: str, *, has_result: bool = True, error=None) -> RunEnd:
    return RunEnd(
        status=status,
        result=RunResult(status=status) if has_result else None,
        error=error,
        workflow_run_id=None,
        task_id=None,
        seconds=1.0,
    )


@pytest.mark.parametrize(
    ("run_end", "expected"),
    [
        (ended("succeeded"), None),
        (ended("partial-succeeded"), None),
        (ended("stopped"), None),
        (ended("paused"), None),
        (ended("failed"), "RunFailed"),
        (ended("exploded"), "RunFailed"),
        (ended("running", has_result=False), None),
        (ended("unknown", error=RunInterrupted("x")), "RunInterrupted"),
    ],
)
def test_why_a_run_failed(run_end, expected):
    """By the class that `run()` raises; to be stopped is no failure."""
    assert told.failure(run_end) == expected


# -- events in any order ---------------------------------------------------------------


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Give what keeps the spans."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter):
    """Give what makes spans."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("test")


@pytest.fixture
def nodes(tracer) -> NodeSpans:
    """Give the spans of a run's nodes."""
    return NodeSpans(tracer, Context(), THEN)


START = {"id": "x", "node_id": "n", "node_type": "code", "title": "N"}


def test_events_that_come_again(nodes, exporter):
    """What began or ended once does not do so again."""
    start, finish = e.NodeStarted(**START), e.NodeFinished(**START, status="failed")
    for each in (start, start):
        nodes.started(each)
    for each in (finish, finish):
        nodes.finished(each)
    nodes.started(start)
    nodes.retried(e.NodeRetry(**START))
    nodes.close("stopped", None)
    (span,) = exporter.get_finished_spans()
    assert span.attributes["dify.node.status"] == "failed"


def test_nodes_without_ids(nodes, exporter):
    """The node's id has to do; without any there is no span."""
    for event in (e.NodeStarted(), e.NodeFinished()):
        (nodes.started if isinstance(event, e.NodeStarted) else nodes.finished)(event)
    nodes.retried(e.NodeRetry())
    nodes.opened(e.LoopStarted())
    nodes.completed(e.LoopCompleted())
    nodes.started(e.NodeStarted(node_id="n"))
    nodes.retried(e.NodeRetry(node_id="n"))
    nodes.finished(e.NodeFinished(node_id="n"))
    (span,) = exporter.get_finished_spans()
    assert span.attributes["dify.node.id"] == "n"
    ((name, attributes),) = ((x.name, x.attributes) for x in span.events)
    assert (name, dict(attributes)) == ("dify.node.retry", {})


def test_an_iteration_in_every_order(nodes, exporter):
    """Its end may come without its beginning, and again; it may begin anew."""
    each = {"node_id": "i", "id": "i", "title": "I"}
    nodes.completed(e.IterationCompleted(**each, status="succeeded"))
    nodes.completed(e.IterationCompleted(**each))
    nodes.finished(e.NodeFinished(**START, iteration_id="i"))
    nodes.opened(e.IterationStarted(**each))
    nodes.opened(e.IterationStarted(**each))
    nodes.completed(e.IterationCompleted(**each, status="failed"))
    first, inside, second = exporter.get_finished_spans()
    assert inside.parent.span_id == first.context.span_id
    assert first.context.span_id != second.context.span_id
    assert first.attributes["dify.node.status"] == "succeeded"
    assert second.attributes["error.type"] == "failed"


def test_what_is_left_open_ends_with_the_run(nodes, exporter):
    """At the run's own end, if that is told."""
    nodes.started(e.NodeStarted(**START, created_at=NOON))
    nodes.close("stopped", NOON + timedelta(seconds=3))
    (span,) = exporter.get_finished_spans()
    assert (span.start_time, span.end_time) == (THEN, THEN + 3 * SECOND)
    assert span.attributes["dify.node.status"] == "stopped"


def test_events_that_nobody_asked_for(tracer, exporter):
    """They make nothing."""
    metrics = Metrics(MeterProvider().get_meter("test"))
    start = RunStart(verb="run", base_url="https://x/v1", user="u")
    run = TracedRun(tracer, metrics, start, None)
    run.on_event(e.TextChunk(text="x"))
    assert not run.heeds("text_chunk")
    run.on_end(ended("succeeded"))
    (span,) = exporter.get_finished_spans()
    assert span.events == ()
