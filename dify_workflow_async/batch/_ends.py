"""How a row ended: what its work returned or raised, as a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._retry import may_repeat
from ..errors import (
    APIError,
    DifyError,
    LeaseLost,
    RunFailed,
    RunInterrupted,
    RunPaused,
    RunStateUnknown,
    RunStopped,
    ServerError,
    TotalTimeout,
    TransportError,
    UnexpectedAnswer,
    UsageError,
)
from ..models import SUCCESS, RunRef
from ._values import Record, State


if TYPE_CHECKING:
    from ._values import BatchItem, Outcome, Row

_STATES = {
    **dict.fromkeys(SUCCESS, State.SUCCEEDED),
    "stopped": State.STOPPED,
    "paused": State.PAUSED,
}

UNCERTAIN = frozenset({State.UNKNOWN, State.RUNNING})
"""Ends of a row whose run, if there is one, may have ended or not."""

FAILURES = frozenset({State.FAILED, State.STOPPED, State.REFUSED, *UNCERTAIN})
"""What counts for ``max_failures``."""

RERUN = frozenset({State.FAILED, State.STOPPED})
"""What ``rerun_failed`` runs again."""


def state_of_outcome(outcome: Outcome) -> State:
    """What a returned result means; a status that nobody knows is a failure."""
    return _STATES.get(outcome.status or "", State.FAILED)


def state_of_error(error: BaseException, ref: RunRef | None) -> State:
    """What an error means.

    Args:
        error: what the row's work raised.
        ref: the run, if its id was told.
    """
    match error:
        case RunStopped():
            return State.STOPPED
        case RunPaused():
            return State.PAUSED
        case RunInterrupted():
            return State.RUNNING if ref or error.run_id else State.UNKNOWN
        case RunStateUnknown() | LeaseLost():
            return State.UNKNOWN
        case DifyError() if ref is None and error.run_id is None:
            return _state_without_run(error)
        case _:
            return State.FAILED


def _state_without_run(error: DifyError) -> State:
    """What an error means that came before the id of any run."""
    if error.safe_to_repeat or isinstance(error, UsageError):
        return State.REFUSED
    match error:
        case TotalTimeout() | ServerError():
            # Whoever gave up waiting, the server or a proxy before it, may have begun.
            return State.UNKNOWN
        case UnexpectedAnswer(status=int(status)) if status < 300:
            return State.UNKNOWN  # some page, or a run after all
        case APIError(result=None) | TransportError():
            # What the sending of a run leaves open is a RunStateUnknown: this was an
            # upload, or a reading of the form, before it.
            return State.REFUSED
        case _:
            return State.FAILED


def is_worth_repeating(error: Exception, *, may_run_twice: bool) -> bool:
    """True if a row that ended in *error* may, and should, be tried again.

    Args:
        error: what its work raised.
        may_run_twice: the caller's word that a second run does no harm. Then a failed
            run is tried again, too, and one that nobody knows about.
    """
    if not isinstance(error, DifyError):
        return False
    if may_run_twice and isinstance(
        error, RunFailed | RunInterrupted | RunStateUnknown
    ):
        return True
    return may_repeat(error, repeatable=may_run_twice)


def record_of(row: Row, item: BatchItem, ref: RunRef | None) -> Record:
    """What the journal is to keep of a row that ended."""
    result = item.result
    error = item.error
    if result is None:
        return Record(
            key=row.key,
            digest=row.digest,
            state=item.state,
            ref=ref,
            error_type=type(error).__name__,
            error=str(error),
        )
    return Record(
        key=row.key,
        digest=row.digest,
        state=item.state,
        ref=ref or ref_of(result),
        status=result.status,
        outputs=result.outputs,
        error_type=None if error is None else type(error).__name__,
        error=result.error if error is None else str(error),
        elapsed_time=result.elapsed_time,
        total_tokens=result.total_tokens,
        total_price=price_of(result),
        currency=getattr(result, "currency", None),
    )


def price_of(result: Any) -> Any:
    """What a run cost, where that is known."""
    return getattr(result, "total_price", None)


def ref_of(result: Outcome) -> RunRef | None:
    """The run that gave this result."""
    if result.workflow_run_id is None:
        return None
    return RunRef(
        workflow_run_id=result.workflow_run_id,
        task_id=getattr(result, "task_id", None),
        user=getattr(result, "user", None) or "",
    )
