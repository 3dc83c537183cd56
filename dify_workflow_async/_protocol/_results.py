"""What a run has produced, by what ended its stream."""

from __future__ import annotations

from typing import Any

from ..events import Error, Event, NodeFinished, WorkflowFinished, WorkflowPaused
from ..models import RunDetail, RunRef, RunResult


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
    fields: dict[str, Any] = {}
    if isinstance(event, WorkflowFinished | WorkflowPaused):
        names = _IN_PAUSE if isinstance(event, WorkflowPaused) else _IN_FINISH
        fields = {name: getattr(event, name) for name in names}
        fields["outputs"] = event.outputs or {}
        if isinstance(event, WorkflowPaused):
            fields["status"] = "paused"  # whether it says so or not
    elif isinstance(event, Error):
        fields = {"status": "failed", "error": event.message, "raw": event.raw}
    if stopped and fields.get("status") == "failed":
        fields["status"] = "stopped"
    if workflow_run_id is None and event is not None:
        workflow_run_id = event.workflow_run_id
    return RunResult(
        **fields,
        task_id=task_id,
        workflow_run_id=workflow_run_id,
        failed_node=failed_node,
        **more,
    )


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
_IN_PAUSE = (*_IN_BOTH, "paused_nodes", "reasons")
_IN_FINISH = (
    *(*_IN_BOTH, "workflow_id", "error", "created_by", "finished_at"),
    *("exceptions_count", "files"),
)
_IN_DETAIL = ("workflow_id", "outputs", "error", "finished_at")
