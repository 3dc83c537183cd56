"""The spans of a run's nodes, iterations and loops."""

from __future__ import annotations

import time

from datetime import datetime

import attrs

from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode, Tracer, set_span_in_context

from .. import events as e
from . import _attributes as told
from ._times import end, within


@attrs.define
class _Open:
    """A span that has not ended."""

    span: Span
    began: int


class NodeSpans:
    """Begins and ends spans as events tell.

    Events may come in any order, come again, or be missing (specification, section
    3.2): an end without a beginning makes a span, too, and what has ended does not
    begin again.

    Args:
        tracer: makes them.
        run: the context in which the run's span is the current one.
        began: when the run was asked for, by our clock.
    """

    def __init__(self, tracer: Tracer, run: Context, began: int) -> None:
        self._tracer = tracer
        self._run = run
        self._began = began
        self._open: dict[str, _Open] = {}
        self._ended: set[str] = set()
        # The iteration or loop of each node id that is under way, or was last.
        self._around: dict[str, Context] = {}

    def started(self, event: e.NodeStarted) -> None:
        """A node began."""
        key = event.id or event.node_id
        if key is not None and key not in self._open and key not in self._ended:
            self._begin(key, event, self._parent(event))

    def retried(self, event: e.NodeRetry) -> None:
        """A node failed, and is tried again."""
        node = self._open.get(event.id or event.node_id or "")
        if node is not None:
            then = within(event.finished_at, time.time_ns())
            node.span.add_event("dify.node.retry", told.retry(event), then)

    def finished(self, event: e.NodeFinished) -> None:
        """A node ended."""
        key = event.id or event.node_id
        if key is None or key in self._ended:
            return
        if key not in self._open:  # its beginning was missed
            self._begin(key, event, self._parent(event))
        self._end(key, event)

    def opened(self, event: e.IterationStarted | e.LoopStarted) -> None:
        """An iteration or loop began; a node in another one may do so again."""
        key = event.node_id or event.id
        if key is not None and key not in self._open:
            self._begin_around(key, event)

    def completed(self, event: e.IterationCompleted | e.LoopCompleted) -> None:
        """An iteration or loop ended."""
        key = event.node_id or event.id
        if key is None:
            return
        if key not in self._open:
            if key in self._around:
                return  # it has ended before
            self._begin_around(key, event)
        self._end(key, event)

    def close(self, status: str, finished_at: datetime | None) -> None:
        """End, with the run and its *status*, what nobody told the end of."""
        for node in self._open.values():
            node.span.set_attribute("dify.node.status", status)
            node.span.end(end(node.began, finished_at, None, time.time_ns()))
        self._open.clear()

    # -- spans -----------------------------------------------------------------------

    def _parent(self, event: e.NodeStarted | e.NodeFinished) -> Context:
        return self._around.get(event.iteration_id or event.loop_id or "", self._run)

    def _begin_around(self, key: str, event: told.Start | told.End) -> None:
        self._around[key] = set_span_in_context(self._begin(key, event, self._run))

    def _begin(self, key: str, event: told.Start | told.End, parent: Context) -> Span:
        began = within(event.created_at, time.time_ns(), self._began)
        span = self._tracer.start_span(
            told.node_name(event),
            parent,
            attributes=told.node_started(event),
            start_time=began,
        )
        self._open[key] = _Open(span, began)
        return span

    def _end(self, key: str, event: told.End) -> None:
        node = self._open.pop(key)
        if isinstance(event, e.NodeFinished):
            self._ended.add(key)
        node.span.set_attributes(told.node_ended(event))
        if told.node_failure(event):
            node.span.set_status(StatusCode.ERROR)
        now = time.time_ns()
        node.span.end(end(node.began, event.finished_at, event.elapsed_time, now))
