"""The logger, and what its records tell beside their sentences.

The names of the fields are public: docs/reference/telemetry.md lists them. None is that
of an attribute which `logging.LogRecord` has itself.
"""

from __future__ import annotations

import logging

from .errors import DifyError


logger = logging.getLogger("dify_workflow_async")


def about(error: DifyError, **more: object) -> dict[str, object]:
    """What a record tells of an error, and *more*: for ``extra``.

    Only what is known, so that a field is not there instead of being null.
    """
    found: dict[str, object] = {
        "error_type": type(error).__name__,
        "error_code": error.code,
        "http_status": error.status,
        "request": error.request,
        "workflow_run_id": error.run_id,
        "task_id": error.task_id,
    }
    return known(**found | more)


def known(**fields: object) -> dict[str, object]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
