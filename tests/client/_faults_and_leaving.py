"""Faults in the midst of which a call is cancelled, or its client closed."""

from __future__ import annotations

from typing import Literal

import attrs

from dify_workflow_async.local.faults import Busy, Drop, HangUp, Silence, Stall

from ._fault_row import NEW, OLD, Order


RUN, EVENTS, DETAIL, STOP = "*/run", "*/events", "*/workflows/run/*", "*/stop"


@attrs.frozen(kw_only=True)
class Left:
    """What happens, and what becomes of the call and of its run.

    Args:
        what: What happens, in words.
        orders: The faults; when the last one has begun, the call is left.
        how: Whether the call is cancelled, or the client closed.
        verb: What is called: ``run()``, or ``stop()`` of a run that goes on.
        fate: What becomes of the run.
        on_cancel: What its caller wants to become of it.
        stops: How often a stop was sent.
        versions: The servers that it is tried on.
        slow: Whether the run is still far from its end.
    """

    what: str
    orders: tuple[Order, ...]
    how: Literal["cancel", "close"]
    verb: Literal["run", "stop"] = "run"
    fate: Literal["stopped", "running", "never began"] = "stopped"
    on_cancel: Literal["stop", "detach"] = "stop"
    stops: int = 1
    versions: tuple[str, ...] = (OLD, NEW)
    phase: str = "A call that is left in the midst of it"
    promise: int = 3

    @property
    def seen(self) -> str:
        """What the user sees, in words."""
        error = {"cancel": "`CancelledError`", "close": "`ClientClosed`"}[self.how]
        fate = {
            "stopped": "the run is stopped",
            "running": "the run goes on",
            "never began": "no run begins",
        }[self.fate]
        again = ", at the second try" if self.stops > 1 else ""
        return f"{error}; {fate}{again}"


CUT = Order(fault=Drop(after_events=2), path=RUN)
# Whatever the recovery asks for, it gets no answer.
LOST = (CUT, Order(fault=Silence(), path="/v1/workflow*"))
BUSY = (Order(fault=Busy(retry_after=20), path=RUN),)

ROWS: dict[str, Left] = {
    "cancel-stalled": Left(
        what="the server says no more, and the call is cancelled",
        orders=(Order(fault=Stall(after_events=2), path=RUN),),
        how="cancel",
    ),
    "cancel-recovering": Left(
        what="the stream broke, and the call is cancelled while the run is looked for",
        orders=LOST,
        how="cancel",
    ),
    "cancel-recovering-detach": Left(
        what='the same with `on_cancel="detach"`',
        orders=LOST,
        how="cancel",
        on_cancel="detach",
        fate="running",
        stops=0,
    ),
    "cancel-between-looks": Left(
        what="the server hangs up on who looks for the run, and the call is cancelled",
        orders=(CUT, Order(fault=HangUp(), path="/v1/workflow*")),
        how="cancel",
    ),
    "cancel-attached": Left(
        what="the stream that was opened again stalls, and the call is cancelled",
        orders=(CUT, Order(fault=Stall(after_events=1), path=EVENTS)),
        how="cancel",
        versions=(NEW,),
    ),
    "cancel-retrying": Left(
        what="429, and the call is cancelled before the second try",
        orders=BUSY,
        how="cancel",
        fate="never began",
        stops=0,
    ),
    "cancel-stopping": Left(
        what="a stop gets no answer, and is cancelled; then the stream is left",
        orders=(Order(fault=Silence(), path=STOP),),
        how="cancel",
        verb="stop",
        stops=2,
    ),
    "cancel-stop-hangs": Left(
        what="the call is cancelled, and the server hangs up on its stop",
        orders=(
            Order(fault=HangUp(), path=STOP),
            Order(fault=Stall(after_events=2), path=RUN),
        ),
        how="cancel",
        stops=2,
    ),
    "close-stalled": Left(
        what="the server says no more, and the client is closed",
        orders=(Order(fault=Stall(after_events=2), path=RUN),),
        how="close",
    ),
    "close-recovering": Left(
        what="the stream broke, and the client is closed while the run is looked for",
        orders=LOST,
        how="close",
    ),
    "close-attached": Left(
        what="the stream that was opened again stalls, and the client is closed",
        orders=(CUT, Order(fault=Stall(after_events=1), path=EVENTS)),
        how="close",
        versions=(NEW,),
    ),
    "close-retrying": Left(
        what="429, and the client is closed before the second try",
        orders=BUSY,
        how="close",
        fate="never began",
        stops=0,
    ),
}
