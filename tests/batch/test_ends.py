"""What the end of a row means: tables of results and errors."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from dify_workflow_async import errors
from dify_workflow_async.batch import BatchItem, Record, Row, State
from dify_workflow_async.batch._ends import (
    is_worth_repeating,
    record_of,
    state_of_error,
    state_of_outcome,
)
from dify_workflow_async.models import RunRef, RunResult


RESULT = RunResult(status="failed", error="boom", workflow_run_id="r")
REF = RunRef(workflow_run_id="r", task_id="t", user="u")
WITH_RESULT = errors.ServerError("in the run").with_result(RunResult())


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", State.SUCCEEDED),
        ("partial-succeeded", State.SUCCEEDED),
        ("failed", State.FAILED),
        ("stopped", State.STOPPED),
        ("paused", State.PAUSED),
        ("some-new-word", State.FAILED),
        (None, State.FAILED),
    ],
)
def test_states_of_results(status: str | None, state: State) -> None:
    """Each of Dify's words has its state; a new one is taken for a failure."""
    assert state_of_outcome(RunResult(status=status)) is state


@pytest.mark.parametrize(
    ("error", "without", "with_ref"),
    [
        # Runs that ended, whether or not their id was told before.
        (errors.RunFailed(RESULT), State.FAILED, State.FAILED),
        (errors.RunStopped(RESULT), State.STOPPED, State.STOPPED),
        (errors.RunPaused(RESULT), State.PAUSED, State.PAUSED),
        (errors.OutputsMismatch(["x"], run_id="r"), State.FAILED, State.FAILED),
        # Runs that may go on.
        (errors.RunInterrupted("", run_id="r"), State.RUNNING, State.RUNNING),
        (errors.RunInterrupted(""), State.UNKNOWN, State.RUNNING),
        (errors.RunStateUnknown(""), State.UNKNOWN, State.UNKNOWN),
        (errors.LeaseLost("k"), State.UNKNOWN, State.UNKNOWN),
        # Nothing was sent, or the server refused.
        (errors.InvalidInputs(["x"]), State.REFUSED, State.FAILED),
        (errors.ClientClosed(""), State.REFUSED, State.FAILED),
        (errors.ConnectionFailed(""), State.REFUSED, State.FAILED),
        (errors.TooManyRequests(""), State.REFUSED, State.FAILED),
        (errors.BadRequest(""), State.REFUSED, State.FAILED),
        (errors.Unauthorized(""), State.REFUSED, State.FAILED),
        (errors.QuotaExceeded(""), State.REFUSED, State.FAILED),
        (errors.UnexpectedAnswer("", status=302), State.REFUSED, State.FAILED),
        (errors.ConnectionLost("an upload"), State.REFUSED, State.FAILED),
        # Whoever gave up, the server may have begun.
        (errors.ServerError("", status=500), State.UNKNOWN, State.FAILED),
        (errors.GatewayError("", status=504), State.UNKNOWN, State.FAILED),
        (errors.TotalTimeout(""), State.UNKNOWN, State.FAILED),
        (errors.UnexpectedAnswer("", status=200), State.UNKNOWN, State.FAILED),
        # An event ended the run, or the program's own functions did.
        (errors.ServerError("", run_id="r"), State.FAILED, State.FAILED),
        (
            errors.BadRequest("an event").with_result(RunResult()),
            State.FAILED,
            State.FAILED,
        ),
        (errors.RunEnded(""), State.FAILED, State.FAILED),
        (ValueError("of a handler"), State.FAILED, State.FAILED),
    ],
)
def test_states_of_errors(error: Exception, without: State, with_ref: State) -> None:
    """What is run again, what is never, and what nobody knows."""
    assert state_of_error(error, None) is without
    assert state_of_error(error, REF) is with_ref


@pytest.mark.parametrize(
    ("error", "safe", "twice"),
    [
        (errors.TooManyRequests(""), True, True),
        (errors.ConnectionFailed(""), True, True),
        (errors.GatewayError(""), False, True),
        (errors.ConnectionLost(""), False, True),
        (errors.RunFailed(RESULT), False, True),
        (errors.RunInterrupted(""), False, True),
        (errors.RunStateUnknown(""), False, True),
        (errors.RunStopped(RESULT), False, False),
        (errors.RunPaused(RESULT), False, False),
        (errors.OutputsMismatch(["x"]), False, False),
        (errors.BadRequest(""), False, False),
        (errors.InvalidInputs(["x"]), False, False),
        (errors.QuotaExceeded(""), False, False),
        (ValueError(), False, False),
    ],
)
def test_what_is_tried_again(error: Exception, safe: bool, twice: bool) -> None:
    """Only what started nothing; by the caller's word also what may have."""
    assert is_worth_repeating(error, may_run_twice=False) is safe
    assert is_worth_repeating(error, may_run_twice=True) is twice


ROW = Row(index=0, key="k", inputs={}, digest="d")


def item(state: State, result: Any = None, error: Exception | None = None) -> BatchItem:
    """An item of the row."""
    return BatchItem(
        key="k", index=0, inputs={}, state=state, result=result, error=error
    )


def test_a_result_is_kept_whole() -> None:
    """With what it cost, and the run that gave it."""
    result = SimpleNamespace(
        status="succeeded",
        outputs={"a": 1},
        error=None,
        workflow_run_id="r",
        elapsed_time=1.5,
        total_tokens=7,
        total_price=Decimal("0.25"),
        currency="USD",
    )
    assert record_of(ROW, item(State.SUCCEEDED, result), None) == Record(
        key="k",
        digest="d",
        state=State.SUCCEEDED,
        ref=RunRef(workflow_run_id="r"),
        status="succeeded",
        outputs={"a": 1},
        elapsed_time=1.5,
        total_tokens=7,
        total_price=Decimal("0.25"),
        currency="USD",
    )


def test_a_failed_run_is_kept_with_its_result_and_error() -> None:
    """The error's class and sentence, beside what the server told."""
    error = errors.RunFailed(RESULT)
    record = record_of(ROW, item(State.FAILED, RESULT, error), REF)
    assert (record.ref, record.status) == (REF, "failed")
    assert (record.error_type, record.error) == ("RunFailed", str(error))


def test_a_result_that_tells_its_own_error() -> None:
    """That of a work that returns failed runs."""
    record = record_of(ROW, item(State.FAILED, RESULT), None)
    assert (record.error_type, record.error) == (None, "boom")


def test_a_result_without_a_run() -> None:
    """That of a work that runs no workflow."""
    result = RunResult(status="succeeded")
    assert record_of(ROW, item(State.SUCCEEDED, result), None).ref is None


def test_an_error_alone() -> None:
    """It is kept by its class and sentence."""
    record = record_of(ROW, item(State.REFUSED, None, errors.BadRequest("no")), None)
    assert (record.error_type, record.error) == ("BadRequest", "no")
    assert (record.status, record.outputs) == (None, {})
