"""What a run has produced, by what ended its stream."""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs

from ..events import Error, Event, NodeFinished, WorkflowFinished, WorkflowPaused
from ..models import RunDetail, RunRef, RunResult, unfrozen


def result_of(
    event: Event | None,
    *,
    task_id: str | None = None,
    workflow_run_id: str | None = None,
    failed_node: NodeFinished | None = None,
    stopped: bool = False,
    **more: Any,
) -> RunResult:
    """The result that an ending event tells of.

    Args:
        event: `WorkflowFinished`, `WorkflowPaused` or `Error`; None before the end.
        task_id: as the run's first events told it; an ending one may tell another.
        workflow_run_id: likewise; else the event's own.
        failed_node: the node that failed last.
        stopped: True if this program asked for a stop: servers from 1.9 report that
            as a failure as often as not (specification, section 6.3).
        **more: fields of the result that no event tells.
    """
    common = {
        "task_id": task_id,
        "workflow_run_id": workflow_run_id or (event and event.workflow_run_id),
        "failed_node": failed_node,
        **more,
    }
    make = _maker()
    match event:
        case WorkflowFinished():
            made = make(
                status=event.status,
                outputs=event.outputs or {},
                error=event.error,
                elapsed_time=event.elapsed_time,
                total_tokens=event.total_tokens,
                total_steps=event.total_steps,
                created_at=event.created_at,
                finished_at=event.finished_at,
                workflow_id=event.workflow_id,
                created_by=event.created_by,
                exceptions_count=event.exceptions_count,
                files=event.files,
                raw=event.raw,
                **common,
            )
        case WorkflowPaused():
            made = make(
                status="paused",  # whether it says so or not
                outputs=event.outputs or {},
                elapsed_time=event.elapsed_time,
                total_tokens=event.total_tokens,
                total_steps=event.total_steps,
                created_at=event.created_at,
                paused_nodes=event.paused_nodes,
                reasons=event.reasons,
                raw=event.raw,
                **common,
            )
        case Error():
            made = make(status="failed", error=event.message, raw=event.raw, **common)
        case _:
            made = make(**common)
    if stopped and made.status == "failed":
        made.status = "stopped"
    made.__class__ = RunResult
    result: RunResult = made
    return result


@cache
def _maker() -> Any:
    """Makes results whose ``__class__`` is to be set: see `unfrozen`."""
    return attrs.define(kw_only=True, repr=False, eq=False)(unfrozen(RunResult))


def result_of_detail(detail: RunDetail, ref: RunRef) -> RunResult:
    """The result that the detail of the run *ref* tells of."""
    return RunResult(
        **{name: getattr(detail, name) for name in (*_IN_DETAIL, *_IN_BOTH)},
        workflow_run_id=detail.id,
        task_id=ref.task_id,
        user=ref.user or None,
    )


def event_of_detail(detail: RunDetail) -> WorkflowFinished | WorkflowPaused:
    """The event that the run detail stands for, whose own nobody heard."""
    fields = {name: getattr(detail, name) for name in _IN_BOTH}
    if detail.status == "paused":
        return WorkflowPaused(**fields, workflow_run_id=detail.id)
    return WorkflowFinished(
        **fields,
        **{name: getattr(detail, name) for name in _IN_DETAIL},
        workflow_run_id=detail.id,
        id=detail.id,
    )


_IN_BOTH = (
    *("raw", "status", "created_at", "elapsed_time", "total_tokens", "total_steps"),
)
_IN_DETAIL = ("workflow_id", "outputs", "error", "finished_at")
