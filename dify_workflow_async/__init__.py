"""An asyncio client for Dify Workflow apps.

`WorkflowClient` runs a workflow: ``run()`` awaits its result, ``stream()`` yields its
events, and a `Dispatcher` calls handlers with them. The events are classes of
`dify_workflow_async.events`, everything that can go wrong one of
`dify_workflow_async.errors`. `dify_workflow_async.local` is a server to run and test
against without a Dify.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from . import errors, events, hooks, models
from ._call import BlockingOptions, FollowOptions, RunOptions
from ._client import WorkflowClient
from ._config import Limits, Timeouts
from ._logs import Logs, Page
from ._retry import RetryPolicy
from ._run import RunStream
from .errors import DifyError
from .models import Recovered, RunDetail, RunRef, RunResult


if TYPE_CHECKING:
    from . import batch, files, inputs, telemetry
    from ._client._batch import ClientBatchOptions
    from .dispatcher import Dispatcher

    __version__: str

__all__ = [
    "BlockingOptions",
    "ClientBatchOptions",
    "DifyError",
    "Dispatcher",
    "FollowOptions",
    "Limits",
    "Logs",
    "Page",
    "Recovered",
    "RetryPolicy",
    "RunDetail",
    "RunOptions",
    "RunRef",
    "RunResult",
    "RunStream",
    "Timeouts",
    "WorkflowClient",
    "batch",
    "errors",
    "events",
    "files",
    "hooks",
    "inputs",
    "models",
    "telemetry",
]


_LATE = ("batch", "files", "inputs", "telemetry")


def __getattr__(name: str) -> object:
    """Look up what not every program needs, and what takes long."""
    if name in _LATE:
        return import_module(f".{name}", __name__)
    if name == "Dispatcher":
        return import_module(".dispatcher", __name__).Dispatcher
    if name == "ClientBatchOptions":
        from ._client._batch import ClientBatchOptions

        return ClientBatchOptions
    if name == "__version__":
        from importlib.metadata import version

        return version("dify-workflow-async")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
