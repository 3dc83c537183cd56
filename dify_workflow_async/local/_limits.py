"""What an app refuses to run: too many runs at once, or more than are paid for.

Section 6.6 of the description of the API. Both are checked before the workflow and
its inputs are looked at.
"""

from ._app import App
from ._backend import Backend
from ._dialect import Dialect
from ._errors import RequestRefused
from ._runs import Run


def admit(app: App, backend: Backend) -> None:
    """Check that an app may begin one more run.

    Raises:
        RequestRefused: The app has a limit, and has reached it.
    """
    if app.quota is not None and app.quota < 1:
        tenant = backend.tenant_id
        message = f"Workflow execution quota limit reached for tenant {tenant}"
        raise _too_many(app, "rate_limit_error", message)
    limit = app.max_active_requests
    if limit is None:
        return
    runs = backend.runs.of_app(app.key)
    if sum(_is_active(run, backend.dialect) for run in runs) >= limit:
        raise _busy(app, limit)


def _is_active(run: Run, dialect: Dialect) -> bool:
    """Tell whether a run takes a place; one that waits does where it is not told."""
    waits = run.status == "paused" and not dialect.announces_pause
    return not run.is_over and (run.status == "running" or waits)


def _busy(app: App, limit: int) -> RequestRefused:
    message = (
        "Too many requests. Please try again later. The current maximum concurrent "
        f"requests allowed for {app.id} is {limit}."
    )
    if app.busy_status == 400:
        return RequestRefused(400, "invalid_param", message)
    return _too_many(app, "too_many_requests", message)


def _too_many(app: App, code: str, message: str) -> RequestRefused:
    seconds = app.retry_after
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return RequestRefused(429, code, message, headers)
