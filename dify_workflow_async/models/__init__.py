"""What the API answers, as values: attrs classes without JSON and without I/O.

A field that the server leaves out or sends as null is None (a list is empty); a value
of a wrong type is None too and stays as sent in ``raw``. Times are aware datetimes in
UTC, prices are Decimals. Statuses are open strings, since servers add some.

What no run needs is imported when it is first asked for: importing should be quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._base import SUCCESS, TERMINAL, Value, default_of, raw_field, unfrozen
from ._files import File
from ._forms import FormAction, FormInput, PauseReason
from ._runs import (
    Creator,
    ExecutionMetadata,
    Recovered,
    RunDetail,
    RunRef,
    RunResult,
)


if TYPE_CHECKING:
    from ._app import (
        AppInfo,
        EndUser,
        FileUploadSettings,
        InputVariable,
        Meta,
        Parameters,
        ServerInfo,
        Site,
        SystemParameters,
    )
    from ._form import Form
    from ._logs import LogAccount, LogEntry, LogPage, LogRun, LogUser
    from ._uploads import UploadedFile

__all__ = [
    "SUCCESS",
    "TERMINAL",
    "AppInfo",
    "Creator",
    "EndUser",
    "ExecutionMetadata",
    "File",
    "FileUploadSettings",
    "Form",
    "FormAction",
    "FormInput",
    "InputVariable",
    "LogAccount",
    "LogEntry",
    "LogPage",
    "LogRun",
    "LogUser",
    "Meta",
    "Parameters",
    "PauseReason",
    "Recovered",
    "RunDetail",
    "RunRef",
    "RunResult",
    "ServerInfo",
    "Site",
    "SystemParameters",
    "UploadedFile",
    "Value",
    "default_of",
    "raw_field",
    "unfrozen",
]

_LATER = {
    **dict.fromkeys(
        (
            *("AppInfo", "EndUser", "FileUploadSettings", "InputVariable", "Meta"),
            *("Parameters", "ServerInfo", "Site", "SystemParameters"),
        ),
        "_app",
    ),
    "Form": "_form",
    **dict.fromkeys(
        ("LogAccount", "LogEntry", "LogPage", "LogRun", "LogUser"), "_logs"
    ),
    "UploadedFile": "_uploads",
}
"""Where the classes are that are imported when they are asked for (PEP 562)."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
