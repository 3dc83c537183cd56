"""Answers in: the body of an answer becomes a model."""

from __future__ import annotations

from .. import _wire
from .._convert import is_object
from ..errors import RunNotFound, UnexpectedAnswer
from ..models import RunDetail, RunResult
from ._results import result_of


def run_detail(body: bytes, run_id: str) -> RunDetail:
    """Decipher a run detail.

    Raises:
        RunNotFound: servers up to 1.13.0 answer 200 with nulls for an unknown run.
    """
    detail = _wire.structure(_wire.loads(body), RunDetail)
    if detail.id is None:
        msg = "the server knows no such run"
        raise RunNotFound(msg, status=200, run_id=run_id)
    return detail


def blocking_result(body: bytes) -> RunResult:
    """Decipher the answer of a blocking run.

    Its ``data`` is that of ``workflow_finished``, or of ``workflow_paused``.
    """
    obj = _wire.loads(body)
    data = obj.get("data") if is_object(obj) else None
    if not is_object(data):
        msg = "the server's answer to a blocking run has no data"
        raise UnexpectedAnswer(msg)
    paused = data.get("status") == "paused"
    event = _wire.structure_event(
        {**obj, "event": "workflow_paused" if paused else "workflow_finished"}
    )
    return result_of(event, task_id=event.task_id)
