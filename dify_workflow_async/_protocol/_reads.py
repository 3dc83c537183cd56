"""Requests for all but runs and uploads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from .._encode import encode
from ..errors import ConfigurationError
from ._requests import Request, checked_user, escaped, is_a


def get_request(path: str) -> Request:
    """``GET`` of a path that needs nothing else."""
    return Request(method="GET", path=path, repeatable=True)


def run_detail_request(run_id: str) -> Request:
    """``GET /workflows/run/{workflow_run_id}`` (1.5)."""
    return Request(
        method="GET",
        path=f"/workflows/run/{escaped(run_id, 'run')}",
        repeatable=True,
        run_id=run_id,
    )


def events_request(
    run_id: str, *, user: str, snapshot: bool, continue_on_pause: bool
) -> Request:
    """``GET /workflow/{workflow_run_id}/events`` (1.7)."""
    query = {"user": checked_user(user)}
    if snapshot:
        query["include_state_snapshot"] = "true"
    if continue_on_pause:
        query["continue_on_pause"] = "true"
    return Request(
        method="GET",
        path=f"/workflow/{escaped(run_id, 'run')}/events?{urlencode(query)}",
        streamed=True,
        repeatable=True,
        run_id=run_id,
    )


def form_request(form_token: str) -> Request:
    """``GET /form/human_input/{form_token}`` (1.8)."""
    return get_request(_form_path(form_token))


def submit_form_request(
    form_token: str, *, action: str, inputs: Mapping[str, Any], user: str
) -> Request:
    """``POST /form/human_input/{form_token}`` (1.8); the server takes it once."""
    body = {"inputs": inputs, "action": action, "user": checked_user(user)}
    return Request(method="POST", path=_form_path(form_token), body=encode(body))


def _form_path(form_token: str) -> str:
    return f"/form/human_input/{escaped(form_token, 'form')}"


def end_user_request(end_user_id: str) -> Request:
    """``GET /end-users/{end_user_id}`` (1.15)."""
    return get_request(f"/end-users/{escaped(end_user_id, 'end user')}")


def logs_request(
    *,
    page: int,
    limit: int,
    keyword: str | None = None,
    status: str | None = None,
    before: datetime | None = None,
    after: datetime | None = None,
    created_by_end_user_session_id: str | None = None,
    created_by_account: str | None = None,
) -> Request:
    """``GET /workflows/logs`` (1.9).

    Raises:
        ConfigurationError: a page or limit that the server would refuse, or a time
            without a zone, which it would take for one in its own.
    """
    if not (is_a(int, page) and 1 <= page <= 99_999):
        msg = f"page must be 1 to 99999, not {page!r}"
        raise ConfigurationError(msg)
    if not (is_a(int, limit) and 1 <= limit <= 100):
        msg = f"limit must be 1 to 100, not {limit!r}"
        raise ConfigurationError(msg)
    query = {
        "keyword": keyword,
        "status": status,
        "created_at__before": _moment("before", before),
        "created_at__after": _moment("after", after),
        "created_by_end_user_session_id": created_by_end_user_session_id,
        "created_by_account": created_by_account,
        "page": str(page),
        "limit": str(limit),
    }
    given = {name: value for name, value in query.items() if value is not None}
    return get_request(f"/workflows/logs?{urlencode(given)}")


def _moment(name: str, moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if not is_a(datetime, moment) or moment.tzinfo is None:
        msg = f"{name} must be a datetime with a time zone, not {moment!r}"
        raise ConfigurationError(msg)
    return moment.isoformat()
