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

import inspect
import logging

from collections.abc import Callable

import attrs

from .errors import ConfigurationError, DifyError


__all__ = ["OnRetry", "Retry"]

logger = logging.getLogger("dify_workflow_async")


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


def checked_hook(hook: OnRetry | None) -> OnRetry | None:
    """The hook, if it can be called as it is.

    Raises:
        ConfigurationError: it is a coroutine function, which nobody would await, or
            no function.
    """
    if hook is None:
        return None
    call = getattr(hook, "__call__", None)  # noqa: B004 - an object's, to look into
    if not callable(hook):
        msg = f"a hook is a function, not {type(hook).__name__}"
        raise ConfigurationError(msg)
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(call):
        msg = "a hook is a plain function; start a task in it for what takes time"
        raise ConfigurationError(msg)
    return hook


def tell(hook: OnRetry | None, retry: Retry) -> None:
    """Call the hook; its own failure is no failure of the request."""
    if hook is None:
        return
    try:
        hook(retry)
    except Exception:
        logger.exception("the hook on_retry failed")
