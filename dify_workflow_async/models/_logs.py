"""The log of an app: its runs, and who started them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from ._base import HasStatus, Value, raw_field


@attrs.frozen(kw_only=True, repr=False, eq=False)
class LogRun(HasStatus):
    """A run as the log tells of it (specification, section 1.9).

    Attributes:
        id: the workflow run id.
        version: of the workflow: a time as text, such as
            ``"2024-08-01 12:17:09.771832"``.
        status: as of a `RunDetail`; an open set.
        triggered_from: ``app-run``, ``webhook``, ``schedule`` and others.
        elapsed_time: seconds.
        exceptions_count: nodes that failed and were dealt with.
    """

    id: str | None = None
    version: str | None = None
    status: str | None = None
    triggered_from: str | None = None
    error: str | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_steps: int | None = None
    exceptions_count: int | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class LogUser(Value):
    """The end user who started a run (specification, section 1.9).

    Attributes:
        type: ``service-api``, which old rows call ``service_api``, or another.
        session_id: the ``user`` that the run was started for.
    """

    id: str | None = None
    type: str | None = None
    is_anonymous: bool | None = None
    session_id: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class LogAccount(Value):
    """The member of the workspace who started a run (specification, section 1.9)."""

    id: str | None = None
    name: str | None = None
    email: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class LogEntry(Value):
    """A line of the log (specification, section 1.9).

    Attributes:
        id: the line's own, not the run's: that is ``workflow_run.id``.
        details: any JSON; servers up to 1.16 send null.
        created_from: ``service-api``, ``web-app``, ``installed-app``, ``openapi``.
        created_by_role: ``end_user`` or ``account``; one of the next two is set.
        created_by_account: with nothing but a name where the server sends a text.
    """

    id: str | None = None
    workflow_run: LogRun | None = None
    details: Any = None
    created_from: str | None = None
    created_by_role: str | None = None
    created_by_account: LogAccount | None = None
    created_by_end_user: LogUser | None = None
    created_at: datetime | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class LogPage(Value):
    """A page of the log, newest first (specification, section 1.9).

    Attributes:
        page: its number; the first one is 1.
        limit: how many lines a page has at most.
        total: how many lines all pages have.
        has_more: True if there is a page after this one.
    """

    page: int | None = None
    limit: int | None = None
    total: int | None = None
    has_more: bool | None = None
    data: tuple[LogEntry, ...] = ()
    raw: Mapping[str, Any] = raw_field()
