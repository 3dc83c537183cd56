"""The list of runs: which of them a query selects, and how each is told.

Section 1.9 of the description of the API.
"""

import json

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from . import _wire_format as wire
from ._dialect import Dialect
from ._errors import RequestRefused
from ._ids import derived_id, end_user_id
from ._runs import Run


_STATUSES: Final = ("succeeded", "failed", "stopped")
_LARGEST: Final = {"page": 99_999, "limit": 100}
_KEYWORD_LENGTH: Final = 30


@attrs.frozen(kw_only=True)
class LogQuery:
    """What is asked of the list of runs.

    Args:
        keyword: Text in the inputs, the outputs or the end user, or the run's id.
        status: How the run stands.
        before: The latest beginning.
        after: The earliest beginning.
        user: The end user.
        page: The page, from 1 on.
        limit: The runs of a page.
    """

    keyword: str
    status: str | None
    before: datetime | None
    after: datetime | None
    user: str
    page: int
    limit: int

    def selects(self, run: Run, dialect: Dialect) -> bool:
        """Tell whether a run is asked for."""
        begun = datetime.fromtimestamp(run.created_at, UTC)
        return (
            self.status in (None, _status(run, dialect))
            and (self.before is None or begun <= self.before)
            and (self.after is None or begun >= self.after)
            and self.user in ("", run.user)
            and (not self.keyword or self._finds(run, dialect))
        )

    def _finds(self, run: Run, dialect: Dialect) -> bool:
        inputs = wire.recorded_inputs(run, dialect)
        texts = [json.dumps(one, ensure_ascii=False) for one in (inputs, run.outputs)]
        keyword = self.keyword[:_KEYWORD_LENGTH].lower()
        found = any(keyword in text.lower() for text in (*texts, run.user))
        return found or self.keyword.lower() == run.id


def read_query(query: Mapping[str, str]) -> LogQuery:
    """Read a query as the server checks it.

    Raises:
        RequestRefused: A value is out of its range, or nobody has that e-mail.
    """
    faults: list[str] = []
    status = query.get("status")
    if status is not None and status not in _STATUSES:
        wanted = "'succeeded', 'failed' or 'stopped'"
        faults.append(_fault("status", f"be {wanted}", "literal_error", status))
    page, limit = (
        _read_number(query, name, default, faults)
        for name, default in (("page", 1), ("limit", 20))
    )
    if faults:
        count = f"{len(faults)} validation error{'s' * (len(faults) > 1)}"
        message = "\n".join([f"{count} for WorkflowLogQuery", *faults])
        raise RequestRefused(400, "invalid_param", message)
    before = _read_time(query.get("created_at__before"))
    after = _read_time(query.get("created_at__after"))
    if account := query.get("created_by_account"):  # end users are no accounts
        message = f"Account not found: {account}"
        raise RequestRefused(400, "invalid_param", message)
    return LogQuery(
        keyword=query.get("keyword", ""),
        status=status,
        before=before,
        after=after,
        user=query.get("created_by_end_user_session_id", ""),
        page=page,
        limit=limit,
    )


def _read_number(
    query: Mapping[str, str], name: str, default: int, faults: list[str]
) -> int:
    if name not in query:
        return default
    given, largest = query[name], _LARGEST[name]
    try:
        number = int(given)
    except ValueError:
        wanted = "be a valid integer, unable to parse string as an integer"
        faults.append(_fault(name, wanted, "int_parsing", given))
        return default
    if number < 1:
        wanted = "be greater than or equal to 1"
        faults.append(_fault(name, wanted, "greater_than_equal", given))
    elif number > largest:
        wanted = f"be less than or equal to {largest}"
        faults.append(_fault(name, wanted, "less_than_equal", given))
    return number


def _fault(name: str, wanted: str, kind: str, given: str) -> str:
    """Write what is wrong in the words of pydantic."""
    return (
        f"{name}\n  Input should {wanted} "
        f"[type={kind}, input_value={given!r}, input_type=str]\n"
        f"    For further information visit https://errors.pydantic.dev/2.11/v/{kind}"
    )


def _read_time(text: str | None) -> datetime | None:
    """Read a time; without a zone it is in UTC."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        message = "Unused components in ISO string"
        if not text[:4].isdigit():  # the server begins with the year
            start = text[:4].encode()
            message = f"invalid literal for int() with base 10: {start!r}"
        raise RequestRefused(400, "invalid_param", message) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def page_of(runs: list[Run], query: LogQuery, tell: Callable[[Run], Any]) -> Any:
    """Answer with one page of the runs that were selected, the oldest first."""
    newest = runs[::-1]
    end = query.page * query.limit
    return {
        "page": query.page,
        "limit": query.limit,
        "total": len(runs),
        "has_more": len(runs) > end,
        "data": [tell(run) for run in newest[end - query.limit : end]],
    }


def log_entry(run: Run, version: str, dialect: Dialect) -> dict[str, Any]:
    """Tell one run of the list.

    Args:
        run: The run.
        version: The version of the workflow.
        dialect: The version of the server.
    """
    running = wire.is_recorded_running(run, dialect)
    return {
        "id": derived_id(run.id, "log"),
        "workflow_run": {
            "id": run.id,
            "version": version,
            "status": _status(run, dialect),
            "triggered_from": "app-run",
            "error": None if running else run.error,
            "elapsed_time": 0.0 if running else run.elapsed_time,
            "total_tokens": 0 if running else run.total_tokens,
            "total_steps": 0 if running else run.total_steps,
            "created_at": run.created_at,
            "finished_at": None if running else run.finished_at,
            "exceptions_count": 0 if running else run.exceptions_count,
        },
        "details": None,
        "created_from": "service-api",
        "created_by_role": "end_user",
        "created_by_account": None,
        "created_by_end_user": {
            "id": end_user_id(run.app_id, run.user),
            "type": "service-api",
            "is_anonymous": False,
            "session_id": run.user,
        },
        "created_at": run.created_at,
    }


def _status(run: Run, dialect: Dialect) -> str:
    return "running" if wire.is_recorded_running(run, dialect) else run.status
