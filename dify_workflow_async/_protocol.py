"""Requests out, answers in: what Dify's HTTP API looks like, without any I/O.

What comes in: a verb's arguments, or the status, headers and body of an answer.
What goes out: a `Request`, or a model, or the error that the answer stands for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import attrs

from . import _wire
from ._convert import is_object
from ._encode import encode
from .errors import (
    ConfigurationError,
    InvalidInputs,
    RunNotFound,
    UnexpectedAnswer,
)
from .events import Error, Event, NodeFinished, WorkflowFinished, WorkflowPaused
from .models import RunDetail, RunResult


Headers = Mapping[str, str]


@attrs.frozen(kw_only=True)
class Request:
    """A request to be sent.

    Attributes:
        path: below the base URL, ids escaped.
        body: JSON, encoded.
        streamed: True if the answer is to be a stream of events.
        repeatable: True if sending it twice does what sending it once does.
        run_id: the run that it is about.
    """

    method: str
    path: str
    body: bytes | None = attrs.field(default=None, repr=False)
    streamed: bool = False
    repeatable: bool = False
    run_id: str | None = None


# -- requests ------------------------------------------------------------------------


def normalize_base_url(text: str) -> str:
    """The base URL with scheme, host, any sub-path and ``/v1``, without a slash.

    Raises:
        ConfigurationError: it is no http(s) URL, or holds a password, query or
            fragment.
    """
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        # What it is instead is not told: it may hold a password, or be the key.
        msg = "the base URL must look like https://host/v1"
        raise ConfigurationError(msg)
    if parts.username or parts.password or parts.query or parts.fragment:
        msg = "the base URL must hold no user, password, query or fragment"
        raise ConfigurationError(msg)
    path = parts.path.rstrip("/")
    if not path.endswith("/v1"):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def run_request(
    inputs: Mapping[str, Any],
    *,
    user: str,
    response_mode: str,
    files: Sequence[Mapping[str, Any]] | None = None,
    workflow_id: str | None = None,
    trace_id: str | None = None,
) -> Request:
    """``POST /workflows/run`` (1.3), or ``/workflows/{workflow_id}/run`` (1.4).

    Raises:
        ConfigurationError: no user is named.
        InvalidInputs: the inputs cannot be sent as JSON.
    """
    if not is_a(Mapping, inputs):
        raise InvalidInputs([f"inputs: a mapping, not {type(inputs).__name__}"])
    body: dict[str, Any] = {
        "inputs": inputs,
        "response_mode": response_mode,
        "user": checked_user(user),
    }
    if files is not None:
        body["files"] = list(files)
    if trace_id is not None:
        body["trace_id"] = trace_id
    version = "" if workflow_id is None else f"{_escaped(workflow_id, 'workflow')}/"
    return Request(
        method="POST",
        path=f"/workflows/{version}run",
        body=encode(body),
        streamed=response_mode == "streaming",
    )


def run_detail_request(run_id: str) -> Request:
    """``GET /workflows/run/{workflow_run_id}`` (1.5)."""
    return Request(
        method="GET",
        path=f"/workflows/run/{_escaped(run_id, 'run')}",
        repeatable=True,
        run_id=run_id,
    )


def stop_request(task_id: str, *, user: str) -> Request:
    """``POST /workflows/tasks/{task_id}/stop`` (1.6); the server takes it twice."""
    return Request(
        method="POST",
        path=f"/workflows/tasks/{_escaped(task_id, 'task')}/stop",
        body=encode({"user": checked_user(user)}),
        repeatable=True,
    )


def is_a(kind: type, value: object) -> bool:
    """True if *value* is what its annotation says: not every caller has a checker."""
    return isinstance(value, kind)


def checked_user(user: str) -> str:
    """The end user's id; the server keeps 255 characters (1.1)."""
    if not is_a(str, user) or not user:
        msg = "no user: give user=... or set DIFY_USER"
        raise ConfigurationError(msg)
    if len(user) > 255:
        msg = f"the user has {len(user)} characters; Dify keeps 255"
        raise ConfigurationError(msg)
    return user


def _escaped(value: str, what: str) -> str:
    try:
        escaped = quote(value, safe="")
    except UnicodeEncodeError:  # a lone surrogate
        escaped = ""
    # A dot or two would be taken for a step in the path, even escaped.
    if escaped in {"", ".", ".."}:
        msg = f"{value!r} is no {what} id"
        raise ConfigurationError(msg)
    return escaped


# -- answers -------------------------------------------------------------------------


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


def result_of(
    event: Event | None,
    *,
    task_id: str | None = None,
    workflow_run_id: str | None = None,
    failed_node: NodeFinished | None = None,
    stopped: bool = False,
) -> RunResult:
    """The result that an ending event tells of.

    Args:
        event: `WorkflowFinished`, `WorkflowPaused` or `Error`; None before the end.
        task_id: as the run's first events told it; an ending one may tell another.
        workflow_run_id: likewise; else the event's own.
        failed_node: the node that failed last.
        stopped: True if this program asked for a stop: servers from 1.9 report that
            as a failure as often as not (specification, section 6.3).
    """
    fields: dict[str, Any] = {}
    if isinstance(event, WorkflowFinished | WorkflowPaused):
        names = _IN_PAUSE if isinstance(event, WorkflowPaused) else _IN_FINISH
        fields = {name: getattr(event, name) for name in names}
        fields["outputs"] = event.outputs or {}
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
    )


_IN_BOTH = (
    *("raw", "status", "created_at", "elapsed_time", "total_tokens", "total_steps"),
)
_IN_PAUSE = (*_IN_BOTH, "paused_nodes", "reasons")
_IN_FINISH = (
    *(*_IN_BOTH, "workflow_id", "error", "created_by", "finished_at"),
    *("exceptions_count", "files"),
)


def speaks_after_end(headers: Headers) -> bool:
    """True if speech may follow ``workflow_finished``: servers up to 1.12 send it."""
    version = server_version(headers)
    return version is None or version < (1, 13)


def server_version(headers: Headers) -> tuple[int, int] | None:
    """Major and minor number of the header ``X-Version``; None if it tells none."""
    major, _, rest = headers.get("X-Version", "").partition(".")
    minor = rest.partition(".")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        return None
    return int(major[:9]), int(minor[:9])
