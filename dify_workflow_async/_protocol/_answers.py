"""Answers in: the body of an answer becomes a model.

All raise `UnexpectedAnswer` for what is no JSON object, and nothing for what is
missing, null or of a wrong type in one.
"""

from __future__ import annotations

from .. import _wire, models
from .._convert import is_object, to_str
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


# Of `models` only what every run needs is imported already (see there): the classes
# below are named when they are needed.


def form(body: bytes) -> models.Form:
    """Decipher a form (1.8)."""
    return _wire.structure(_wire.loads(body), models.Form)


def log_page(body: bytes) -> models.LogPage:
    """Decipher a page of the log (1.9)."""
    return _wire.structure(_wire.loads(body), models.LogPage)


def uploaded_file(body: bytes) -> models.UploadedFile:
    """Decipher the answer to an upload (1.10)."""
    return _wire.structure(_wire.loads(body), models.UploadedFile)


def parameters(body: bytes) -> models.Parameters:
    """Decipher what an app asks for (1.12)."""
    return _wire.structure(_wire.loads(body), models.Parameters)


def app_info(body: bytes) -> models.AppInfo:
    """Decipher what an app is (1.13)."""
    return _wire.structure(_wire.loads(body), models.AppInfo)


def site(body: bytes) -> models.Site:
    """Decipher how an app presents itself (1.13)."""
    return _wire.structure(_wire.loads(body), models.Site)


def meta(body: bytes) -> models.Meta:
    """Decipher the icons of an app's tools (1.13)."""
    return _wire.structure(_wire.loads(body), models.Meta)


def transcript(body: bytes) -> str:
    """Decipher what was said in a recording (1.14); "" if the answer has no text."""
    obj = _wire.loads(body)
    if not is_object(obj):
        msg = f"the server sent {type(obj).__name__} instead of an object"
        raise UnexpectedAnswer(msg)
    return to_str(obj.get("text")) or ""


def end_user(body: bytes) -> models.EndUser:
    """Decipher an end user (1.15)."""
    return _wire.structure(_wire.loads(body), models.EndUser)


def server_info(body: bytes) -> models.ServerInfo:
    """Decipher what a server says of itself (1.15)."""
    return _wire.structure(_wire.loads(body), models.ServerInfo)
