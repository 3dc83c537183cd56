"""Requests out: a verb's arguments become a `Request`."""

from __future__ import annotations

import re

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import attrs

from .._encode import encode
from ..errors import (
    ConfigurationError,
    InvalidInputs,
)


NO_HEADERS: Mapping[str, str] = {}


class Content(Protocol):
    """A body that is sent piece by piece, such as an upload."""

    content_type: str
    size: int | None
    """In bytes; None if it is not known beforehand."""
    repeatable: bool
    """True if `chunks` may be asked for again."""

    def chunks(self) -> AsyncGenerator[bytes]:
        """The body from its beginning; no piece is empty."""
        ...


_RUN = re.compile(r"/workflows/([^/]+/)?run")


@attrs.define(kw_only=True)
class Request:
    """A request to be sent.

    Nobody changes one; but to freeze it would cost as much as to encode its body.

    Attributes:
        path: below the base URL, ids escaped, with the query.
        body: JSON, encoded.
        content: a body of another kind, sent piece by piece.
        headers: beside those that every request has.
        streamed: True if the answer is to be a stream of events.
        repeatable: True if sending it twice does what sending it once does.
        run_id: the run that it is about.
    """

    method: str
    path: str
    body: bytes | None = attrs.field(default=None, repr=False)
    content: Content | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(default=NO_HEADERS, repr=False)
    streamed: bool = False
    repeatable: bool = False
    run_id: str | None = None

    @property
    def starts_run(self) -> bool:
        """True if a run is asked for (1.3, 1.4)."""
        return self.method == "POST" and bool(_RUN.fullmatch(self.path))


# -- requests ------------------------------------------------------------------------


def normalize_base_url(text: str) -> str:
    """The base URL with scheme, host, any sub-path and ``/v1``, without a slash.

    Raises:
        ConfigurationError: it is no http(s) URL, or holds a password, query or
            fragment.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    is_http = parts.scheme in {"http", "https"} and host
    if not is_http or holds_line_break(text):  # which urlsplit() has left out
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
    trace_session_id: str | None = None,
    traceparent: str | None = None,
) -> Request:
    """``POST /workflows/run`` (1.3), or ``/workflows/{workflow_id}/run`` (1.4).

    Raises:
        ConfigurationError: no user is named, or a tracing id is none.
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
        body["trace_id"] = _checked("trace_id", trace_id)
    if trace_session_id is not None:
        body["trace_session_id"] = _checked("trace_session_id", trace_session_id)
    version = "" if workflow_id is None else f"{escaped(workflow_id, 'workflow')}/"
    return Request(
        method="POST",
        path=f"/workflows/{version}run",
        body=encode(body),
        headers=NO_HEADERS
        if traceparent is None
        else {"traceparent": _checked("traceparent", traceparent)},
        streamed=response_mode == "streaming",
    )


def stop_request(task_id: str, *, user: str) -> Request:
    """``POST /workflows/tasks/{task_id}/stop`` (1.6); the server takes it twice."""
    return Request(
        method="POST",
        path=f"/workflows/tasks/{escaped(task_id, 'task')}/stop",
        body=encode({"user": checked_user(user)}),
        repeatable=True,
    )


# Specification, section 1.3; ``traceparent`` is that of W3C Trace Context.
_TRACING = {
    "trace_id": (r"[A-Za-z0-9_-]{1,128}", "1 to 128 of A-Z a-z 0-9 _ -"),
    "trace_session_id": (r"(?=.*\S)[^\x00-\x1f]{1,200}", "1 to 200 characters"),
    "traceparent": (
        r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}",
        "version-trace-parent-flags, in hexadecimal digits",
    ),
}


def _checked(name: str, value: str) -> str:
    """A tracing id; the server ignores a malformed one without a word."""
    pattern, form = _TRACING[name]
    if not is_a(str, value) or not re.fullmatch(pattern, value):
        msg = f"{name} must be {form}, not {value!r}"
        raise ConfigurationError(msg)
    return value


def is_a(kind: type, value: object) -> bool:
    """True if *value* is what its annotation says: not every caller has a checker."""
    return isinstance(value, kind)


def holds_line_break(value: str) -> bool:
    """True for what must go into no header, no path and no head of a form's part."""
    return "\r" in value or "\n" in value


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {
        *("accept", "accept-encoding", "authorization", "connection"),
        *("content-encoding", "content-length", "content-type", "host"),
        "transfer-encoding",
    }
)


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, if they can be sent.

    Raises:
        ConfigurationError: a name is none (RFC 9110, 5.1), a value holds a line break
            or another control character, or it is the client's to set.
    """
    for name, value in headers.items():
        if not (_TOKEN.fullmatch(name) and value.isprintable()):
            msg = f"the header {name!r} holds what no header can carry"
            raise ConfigurationError(msg)
        if name.lower() in _OURS:
            msg = f"the client sets the header {name} itself"
            raise ConfigurationError(msg)
    return dict(headers)


def checked_user(user: str) -> str:
    """The end user's id; the server keeps 255 characters (1.1)."""
    if not is_a(str, user) or not user:
        msg = "no user: give user=... or set DIFY_USER"
        raise ConfigurationError(msg)
    if len(user) > 255:
        msg = f"the user has {len(user)} characters; Dify keeps 255"
        raise ConfigurationError(msg)
    if holds_line_break(user):
        msg = "the user must hold no line break"
        raise ConfigurationError(msg)
    return user


def escaped(value: str, what: str) -> str:
    try:
        escaped = quote(value, safe="")
    except UnicodeEncodeError:  # a lone surrogate
        escaped = ""
    if holds_line_break(value):  # some proxies take escapes apart
        escaped = ""
    # A dot or two would be taken for a step in the path, even escaped.
    if escaped in {"", ".", ".."}:
        msg = f"{value!r} is no {what} id"
        raise ConfigurationError(msg)
    return escaped
