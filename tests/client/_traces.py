"""What OpenTelemetry's SDK exported, kept in memory."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from dify_workflow_async.local import Node
from dify_workflow_async.telemetry import OpenTelemetry


END = Node(type="end", title="End", outputs={"answer": "42"})
LLM = Node(
    type="llm",
    text=["Hello"],
    tokens=7,
    price="0.5",
    process_data={
        "model_mode": "chat",
        "model_provider": "langgenius/google/google",
        "model_name": "gemini-x",
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        "finish_reason": "stop",
    },
)


class Seen:
    """All that was exported, and who makes it."""

    def __init__(self, sampler: Any = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider(**({"sampler": sampler} if sampler else {}))
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])

    def observer(self, **options: Any) -> OpenTelemetry:
        """Give what a client takes."""
        return OpenTelemetry(
            tracer_provider=self.tracers, meter_provider=self.meters, **options
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order of their ends."""
        return list(self.exporter.get_finished_spans())

    @property
    def runs(self) -> list[ReadableSpan]:
        """The spans of runs."""
        return [x for x in self.spans if x.kind is SpanKind.CLIENT]

    @property
    def run(self) -> ReadableSpan:
        """The span of the only run."""
        (span,) = self.runs
        return span

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of this name."""
        return [x for x in self.spans if x.name == name]

    @property
    def tree(self) -> Any:
        """The names of all spans in the order of their beginnings, nested."""
        return self._below(None)

    def _below(self, parent: int | None) -> list[Any]:
        found: list[Any] = []
        began = {id(x): n for n, x in enumerate(self.spans)}
        ids = [x.context.span_id for x in self.spans]
        for span in sorted(self.spans, key=lambda x: (x.start_time, began[id(x)])):
            above = None if span.parent is None else span.parent.span_id
            if above == parent or (parent is None and above not in ids):
                below = self._below(span.context.span_id)
                found.append((span.name, below) if below else span.name)
        return found

    @property
    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """The points of all metrics: attributes, and value or histogram."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: [(dict(x.attributes), x) for x in metric.data.data_points]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def total(self, name: str) -> float:
        """The sum of a counter."""
        return sum(x.value for _, x in self.metrics.get(name, ()))
