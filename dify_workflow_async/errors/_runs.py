"""What becomes of a run that began."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._base import DifyError


if TYPE_CHECKING:
    from ..events import NodeFinished
    from ..models import RunResult


class RunError(DifyError):
    """Raised when a run that began did not succeed."""


class RunFailed(RunError):
    """Raised when a run ended ``failed``.

    Attributes:
        result: what the run produced.
        node: the event of the node that failed, where the stream told.
    """

    def __init__(
        self, result: RunResult[Any], node: NodeFinished | None = None
    ) -> None:
        where = f" in node {node.title or node.node_id!r}" if node else ""
        super().__init__(
            f"the run failed{where}: {result.error or 'no reason given'}",
            run_id=result.workflow_run_id,
            task_id=result.task_id,
        )
        self.result = result
        self.node = node


class RunStopped(RunError):
    """Raised when a run was stopped, by this program or by others.

    Attributes:
        result: what the run produced.
    """

    def __init__(self, result: RunResult[Any]) -> None:
        reason = f": {result.error}" if result.error else ""
        super().__init__(
            f"the run was stopped{reason}",
            run_id=result.workflow_run_id,
            task_id=result.task_id,
        )
        self.result = result


class RunPaused(RunError):
    """Raised when a run waits for a person.

    Attributes:
        result: what is known so far; ``result.reasons`` holds the forms.
    """

    def __init__(self, result: RunResult[Any]) -> None:
        nodes = ", ".join(result.paused_nodes) or "a node"
        super().__init__(
            f"the run waits for a person at {nodes}",
            run_id=result.workflow_run_id,
            task_id=result.task_id,
        )
        self.result = result


class RunInterrupted(RunError):
    """Raised when the stream of a run broke before the run's end.

    Attributes:
        may_be_running: True if the server may still be at work on it.
        events_seen: how many events came before the break.
    """

    def __init__(
        self,
        message: str = "",
        *,
        may_be_running: bool = True,
        events_seen: int = 0,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.may_be_running = may_be_running
        self.events_seen = events_seen


class RunStateUnknown(RunError):
    """Raised when a run was asked for and no answer told whether it began.

    It is never asked for again by itself. Look into the app's logs by user and time.
    """


class OutputsMismatch(RunError):
    """Raised when a run's outputs do not fit the class that was asked for.

    Attributes:
        problems: one sentence for each fault, beginning with its path.
        result: what the run produced; set by who ran it.
    """

    def __init__(
        self,
        problems: Sequence[str],
        *,
        result: RunResult[Any] | None = None,
        **context: Any,
    ) -> None:
        super().__init__("; ".join(problems), **context)
        self.problems = tuple(problems)
        self.result = result


class RunEnded(DifyError):
    """Raised when a run ended before the event that was waited for."""


class TooManyFailures(DifyError):
    """Raised when a batch was ended because ``max_failures`` of its rows had failed.

    All rows that had been started have been given out by then. The last failure is
    its ``__cause__``.

    Attributes:
        failures: how many rows failed.
    """

    def __init__(self, message: str = "", *, failures: int = 0, **context: Any) -> None:
        super().__init__(message, **context)
        self.failures = failures
