"""What a run has produced, by what ended its stream."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from typing import Any

from .._convert import to_decimal, to_str
from ..events import Error, Event, NodeFinished, WorkflowFinished, WorkflowPaused
from ..models import Recovered, RunDetail, RunRef, RunResult, unfrozen


def result_of(
    event: Event | None,
    *,
    task_id: str | None = None,
    workflow_run_id: str | None = None,
    user: str | None = None,
    failed_node: NodeFinished | None = None,
    prices: Iterable[tuple[object, object]] = (),
    recovered: Recovered | None = None,
    text_complete: bool = True,
    stopped: bool = False,
) -> RunResult:
    """The result that an ending event tells of.

    Args:
        event: `WorkflowFinished`, `WorkflowPaused` or `Error`; None before the end.
        task_id: as the run's first events told it; an ending one may tell another.
        workflow_run_id: likewise; else the event's own.
        user: for whom it was run.
        failed_node: the node that failed last.
        prices: what its nodes' executions cost, as the server wrote it, each with its
            currency.
        recovered: how it was learnt, if the stream broke.
        text_complete: False if text may have been missed.
        stopped: True if this program asked for a stop: servers from 1.9 report that
            as a failure as often as not (specification, section 6.3).
    """
    # Field by field: each costs a tenth of what it would as an argument of __init__.
    made = object.__new__(_made())
    made.status = made.error = made.finished_at = made.workflow_id = None
    made.created_by = made.exceptions_count = made.output = None
    made.files = made.paused_nodes = made.reasons = ()
    match event:
        case WorkflowFinished():
            _tell_run(made, event)
            made.status = event.status
            made.error = event.error
            made.finished_at = event.finished_at
            made.workflow_id = event.workflow_id
            made.created_by = event.created_by
            made.exceptions_count = event.exceptions_count
            made.files = event.files
        case WorkflowPaused():
            _tell_run(made, event)
            made.status = "paused"  # whether it says so or not
            made.paused_nodes = event.paused_nodes
            made.reasons = event.reasons
        case _:
            made.outputs, made.raw = {}, {}
            made.elapsed_time = made.total_tokens = made.total_steps = None
            made.created_at = None
            if isinstance(event, Error):
                made.status, made.error, made.raw = "failed", event.message, event.raw
    if workflow_run_id is None and event is not None:
        workflow_run_id = event.workflow_run_id
    made.workflow_run_id, made.task_id, made.user = workflow_run_id, task_id, user
    made.total_price, made.currency = _sum(prices)
    made.failed_node = failed_node
    made.recovered, made.text_complete = recovered, text_complete
    if stopped and made.status == "failed":
        made.status = "stopped"
    made.__class__ = RunResult
    result: RunResult = made
    return result


def _tell_run(made: Any, event: WorkflowFinished | WorkflowPaused) -> None:
    made.outputs = event.outputs or {}
    made.elapsed_time = event.elapsed_time
    made.total_tokens = event.total_tokens
    made.total_steps = event.total_steps
    made.created_at = event.created_at
    made.raw = event.raw


def _sum(
    prices: Iterable[tuple[object, object]],
) -> tuple[Decimal | None, str | None]:
    """The sum and its currency; None if there is no price, or more than one currency."""
    total: Decimal | None = None
    currency: str | None = None
    for told, unit in prices:
        price = told if isinstance(told, Decimal) else to_decimal(told)
        if price is None:
            continue
        if total is not None and to_str(unit) != currency:
            return None, None
        total = price if total is None else total + price
        currency = to_str(unit)
    return total, currency


@cache
def _made() -> Any:
    """What becomes a result, once it is filled: see `unfrozen`."""
    return unfrozen(RunResult)


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
