"""Row: one line of the table of faults."""

from __future__ import annotations

import attrs

from dify_workflow_async.errors import DifyError
from dify_workflow_async.local.faults import Fault


OLD, NEW = "1.12.1", "1.14.2"


@attrs.frozen(kw_only=True)
class Order:
    """A fault, and the requests that it is for."""

    fault: Fault
    path: str
    times: int | None = 1


@attrs.frozen(kw_only=True)
class Row:
    """What happens, and what the user sees then.

    Args:
        phase: What is disturbed; it is the heading of the row in the page.
        what: What happens, in words.
        fault: What happens.
        promise: The promise of the client that it shows.
        error: What is raised; ``None`` if there is a result.
        times: How many answers get the fault; ``None`` is all.
        also: Further orders.
        versions: The servers that it is tried on.
        slow: Whether the run still goes on when its stream breaks.
        recovered: How the result is had, by version; empty: as if nothing had been.
        cause: The class of what lies behind the error.
        status: The status that the error tells.
        knows_run: Whether the error tells the run's id.
        safe: Whether the error says that it is safe to repeat.
        posts: How often the request was sent.
        starts: How many runs were started.
        total: ``Timeouts.total`` of the call.
    """

    phase: str
    what: str
    fault: Fault
    promise: int
    error: type[DifyError] | None = None
    times: int | None = 1
    also: tuple[Order, ...] = ()
    versions: tuple[str, ...] = (OLD, NEW)
    slow: bool = False
    recovered: dict[str, str] = attrs.field(factory=dict)
    cause: type[DifyError] | None = None
    status: int | None = None
    knows_run: bool = False
    safe: bool = False
    posts: int = 1
    starts: int = 1
    total: float | None = None

    @property
    def seen(self) -> str:
        """What the user sees, in words."""
        if self.error is None:
            again = {1: "", 2: ", at the second try", 3: ", at the third try"}
            return f"the result{again[self.posts]}{self._recovered}"
        words = [f"`{self.error.__name__}`"]
        if self.status is not None:
            words.append(f"with status {self.status}")
        if self.cause is not None:
            words.append(f"because of `{self.cause.__name__}`")
        if self.knows_run:
            words.append("with the run's id")
        if self.safe:
            words.append("which is safe to repeat")
        return ", ".join(words)

    @property
    def _recovered(self) -> str:
        ways = set(self.recovered.values())
        if not ways:
            return ""
        how = {"attached": "re-attached", "read": "read from the run detail"}
        if len(ways) == 1:
            return f", {how[ways.pop()]}"
        return ", recovered"


AGAIN = {OLD: "read", NEW: "attached"}
READ = {OLD: "read", NEW: "read"}

STREAMED = "A run, before its stream begins"
MIDST = "A run, in the middle of its stream"
HEALING = "A run, while it is recovered"
BLOCKING = "A blocking run"
READING = "Reading a run"
STOPPING = "Stopping a run"
