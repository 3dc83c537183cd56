"""Requests out: a verb's arguments become a `Request`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import attrs

from .._encode import encode
from ..errors import (
    ConfigurationError,
    InvalidInputs,
)


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
