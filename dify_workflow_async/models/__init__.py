"""What the API answers, as values: attrs classes without JSON and without I/O.

A field that the server leaves out or sends as null is None (a list is empty); a value
of a wrong type is None too and stays as sent in ``raw``. Times are aware datetimes in
UTC, prices are Decimals. Statuses are open strings, since servers add some.
"""

from __future__ import annotations

from ._base import Value, default_of, raw_field
from ._files import File
from ._forms import FormAction, FormInput, PauseReason
from ._runs import (
    SUCCESS,
    TERMINAL,
    Creator,
    ExecutionMetadata,
    RunDetail,
    RunResult,
)


__all__ = [
    "SUCCESS",
    "TERMINAL",
    "Creator",
    "ExecutionMetadata",
    "File",
    "FormAction",
    "FormInput",
    "PauseReason",
    "RunDetail",
    "RunResult",
    "Value",
    "default_of",
    "raw_field",
]
