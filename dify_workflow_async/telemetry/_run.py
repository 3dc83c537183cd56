"""The span of a run, and what is counted of it."""

from __future__ import annotations

import time

from collections.abc import Mapping
from contextlib import AbstractContextManager

from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .. import events as e
from ..hooks import RunEnd, RunObserver, RunStart
from . import _attributes as told
from ._metrics import Metrics
from ._nodes import NodeSpans
from ._times import SECOND, within


_HEEDED = frozenset(
    cls.event_name
    for cls in (
        *(e.WorkflowStarted, e.WorkflowPaused),
        *(e.NodeStarted, e.NodeRetry, e.NodeFinished),
        *(e.IterationStarted, e.IterationCompleted, e.LoopStarted, e.LoopCompleted),
    )
)
_COUNTED = frozenset({e.NodeFinished.event_name})


class TracedRun(RunObserver):
    """Makes spans of a run and its nodes.

    Args:
        tracer: makes them.
        metrics: counts it.
        start: what is known of it.
        workflow_name: what the program calls it.
    """

    def __init__(
        self,
        tracer: Tracer,
        metrics: Metrics,
        start: RunStart,
        workflow_name: str | None,
    ) -> None:
        self._metrics = metrics
        self._common = common = told.common(start, workflow_name)
        self._began = time.time_ns()
        self._names_parent = start.traceparent is not None
        self._is_stream = start.verb != "run_blocking"
        operation = str(common[told.OPERATION])
        self._span = tracer.start_span(
            operation if workflow_name is None else f"{operation} {workflow_name}",
            kind=SpanKind.CLIENT,
            attributes={**common, **told.run_started(start)},
            start_time=self._began,
        )
        self._context = set_span_in_context(self._span)
        self._nodes = NodeSpans(tracer, self._context, self._began)
        # Without a recorded span, only what is counted has to be decoded.
        self._heeded = _HEEDED if self._span.is_recording() else _COUNTED
        if self._is_stream:
            metrics.opened(common)

    def headers(self) -> Mapping[str, str]:
        """``traceparent``, and ``tracestate`` if there is one."""
        carrier: dict[str, str] = {}
        if not self._names_parent:  # which goes with a state of its own
            TraceContextTextMapPropagator().inject(carrier, self._context)
        return carrier

    def sending(self) -> AbstractContextManager[Span]:
        """Have the span be the current one: that of the HTTP request goes below."""
        return use_span(
            self._span, record_exception=False, set_status_on_exception=False
        )

    def heeds(self, event_name: str) -> bool:
        """Whether spans or metrics are made of it."""
        return event_name in self._heeded

    def on_event(self, event: e.Event) -> None:
        """Make spans of it, and count it."""
        if isinstance(event, e.NodeFinished):
            self._metrics.node(event, self._common)
        if self._span.is_recording():
            self._trace(event)

    def _trace(self, event: e.Event) -> None:
        match event:
            case e.NodeStarted():
                self._nodes.started(event)
            case e.NodeFinished():
                self._nodes.finished(event)
            case e.NodeRetry():
                self._nodes.retried(event)
            case e.IterationStarted() | e.LoopStarted():
                self._nodes.opened(event)
            case e.IterationCompleted() | e.LoopCompleted():
                self._nodes.completed(event)
            case e.WorkflowStarted():
                self._run_started(event)
            case e.WorkflowPaused():
                self._span.add_event("dify.run.paused")
            case _:
                pass  # nobody asked for it

    def _run_started(self, event: e.WorkflowStarted) -> None:
        """Take what a run that breaks may tell no more."""
        self._span.set_attributes(told.identified(event))
        if event.reason == "resumption":
            then = within(event.created_at, time.time_ns())
            self._span.add_event("dify.run.resumed", None, then)

    def on_end(self, end: RunEnd) -> None:
        """End the spans, and count the run."""
        result = end.result
        self._nodes.close(end.status, None if result is None else result.finished_at)
        self._span.set_attributes(told.run_ended(end))
        if told.failure(end):
            self._span.set_status(StatusCode.ERROR)
        self._span.end(self._began + round(end.seconds * SECOND))
        if self._is_stream:
            self._metrics.closed(self._common)
        self._metrics.ended(end, self._common)
