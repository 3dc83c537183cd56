"""What the client tells while it works: functions of yours, with one argument each.

.. code-block:: python

    def on_retry(retry: Retry) -> None:
        retries.labels(type(retry.error).__name__).inc()

    client = WorkflowClient(on_retry=on_retry)

Hooks are plain functions that return at once: they are called in the event loop, in
the middle of a call, and must not block it. What they raise is logged, and changes
nothing. One that has to wait for something starts a task of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from .errors import DifyError


__all__ = ["OnRetry", "Retry"]


@attrs.frozen(kw_only=True)
class Retry:
    """A request failed and is sent again, after a wait.

    Attributes:
        attempt: how often it was sent so far: 1 before the second time.
        wait: seconds until then.
        error: what it ended in.
        request: method and URL, without its query.
    """

    attempt: int
    wait: float
    error: DifyError
    request: str


OnRetry = Callable[[Retry], object]
"""Called before each wait; what it returns is not looked at."""
