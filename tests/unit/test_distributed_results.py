"""What a row's work would have returned or raised, made of what the journal has."""

from __future__ import annotations

import pytest

from dify_workflow_async.batch import Record, State
from dify_workflow_async.distributed._results import result_of
from dify_workflow_async.errors import (
    DifyError,
    InvalidParam,
    RunFailed,
    RunInterrupted,
    RunPaused,
    RunStateUnknown,
    RunStopped,
)
from dify_workflow_async.models import RunRef


REF = RunRef(workflow_run_id="r", task_id="t", user="u")


def record(state: State, error_type: str | None = None, **values) -> Record:
    """What a journal has of a row."""
    return Record(
        key="k", digest="d", state=state, error_type=error_type, error="why", **values
    )


def test_success():
    """The result has all that a record keeps."""
    result = result_of(record(State.SUCCEEDED, ref=REF, outputs={"a": 1}))

    assert (result.workflow_run_id, result.task_id) == ("r", "t")
    assert result.outputs == {"a": 1}


@pytest.mark.parametrize(
    ("kept", "cls"),
    [
        (record(State.STOPPED, ref=REF), RunStopped),
        (record(State.PAUSED, ref=REF), RunPaused),
        (record(State.FAILED, "RunFailed", ref=REF), RunFailed),
        (record(State.FAILED, "InvalidParam"), InvalidParam),
        (record(State.FAILED, "KeyError"), DifyError),
        (record(State.FAILED, "errors"), DifyError),
        (record(State.FAILED), DifyError),
        (record(State.RUNNING, ref=REF), RunInterrupted),
        (record(State.UNKNOWN), RunStateUnknown),
        (record(State.REFUSED, "TooManyRequests"), DifyError),
        (record(State.PENDING), DifyError),
    ],
)
def test_other_ends(kept, cls):
    """Each raises an error of the class that it was, if that is ours."""
    with pytest.raises(cls) as caught:
        result_of(kept)

    assert cls is DifyError or type(caught.value) is cls
    assert caught.value.run_id == (kept.ref and kept.ref.workflow_run_id)
    if kept.state in {State.REFUSED, State.PENDING}:
        assert caught.value.safe_to_repeat
