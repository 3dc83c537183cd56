"""An asyncio client for Dify Workflow apps.

`WorkflowClient` runs a workflow: ``run()`` awaits its result, ``stream()`` yields its
events, and a `Dispatcher` calls handlers with them. The events are classes of
`dify_workflow_async.events`, everything that can go wrong one of
`dify_workflow_async.errors`. `dify_workflow_async.local` is a server to run and test
against without a Dify.
"""

from __future__ import annotations

from . import errors, events, models
from ._call import RunOptions
from ._client import WorkflowClient
from ._config import Limits, Timeouts
from ._retry import RetryPolicy
from ._run import RunStream
from .dispatcher import Dispatcher
from .errors import DifyError
from .models import RunDetail, RunResult


__all__ = [
    "DifyError",
    "Dispatcher",
    "Limits",
    "RetryPolicy",
    "RunDetail",
    "RunOptions",
    "RunResult",
    "RunStream",
    "Timeouts",
    "WorkflowClient",
    "errors",
    "events",
    "models",
]


def __getattr__(name: str) -> str:
    """Look ``__version__`` up when it is asked for: reading metadata takes long."""
    if name != "__version__":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib.metadata import version

    return version("dify-workflow-async")
