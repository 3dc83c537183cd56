"""What a row's work would have returned or raised, from what the journal has of it."""

from __future__ import annotations

from typing import Any

from .. import errors
from ..batch import Record, State
from ..errors import (
    DifyError,
    RunFailed,
    RunInterrupted,
    RunPaused,
    RunStateUnknown,
    RunStopped,
)
from ..models import RunResult


def result_of(record: Record) -> RunResult[Any]:
    """The result of a row that succeeded.

    Raises:
        DifyError: how it ended otherwise; of the class that it was, if that is ours.
    """
    result = _result(record)
    match record.state:
        case State.SUCCEEDED:
            return result
        case State.STOPPED:
            raise RunStopped(result)
        case State.PAUSED:
            raise RunPaused(result)
        case State.FAILED if record.error_type == RunFailed.__name__:
            raise RunFailed(result)
        case State.RUNNING:
            msg = "who followed the run lost it: it is found again the next time"
            raise RunInterrupted(msg, **_run_of(record))
        case State.UNKNOWN:
            raise RunStateUnknown(record.error or "", **_run_of(record))
        case State.PENDING:
            msg = "the batch was stopped before this row was begun"
            raise DifyError(msg, safe_to_repeat=True)
        case _:
            raise _error_of(record)


def _result(record: Record) -> RunResult[Any]:
    ref = record.ref
    return RunResult(
        workflow_run_id=None if ref is None else ref.workflow_run_id,
        task_id=None if ref is None else ref.task_id,
        status=record.status,
        outputs=record.outputs,
        error=record.error,
        elapsed_time=record.elapsed_time,
        total_tokens=record.total_tokens,
        total_price=record.total_price,
        currency=record.currency,
    )


def _run_of(record: Record) -> dict[str, Any]:
    ref = record.ref
    return (
        {} if ref is None else {"run_id": ref.workflow_run_id, "task_id": ref.task_id}
    )


def _error_of(record: Record) -> DifyError:
    """An error of the class whose name the journal has."""
    error = DifyError(record.error or "", **_run_of(record))
    if record.state is State.REFUSED:
        error.safe_to_repeat = True
    cls: object = getattr(errors, record.error_type or "", None)
    if isinstance(cls, type) and issubclass(cls, DifyError):
        return error.become(cls)
    return error
