"""What all events have in common, and the events outside any run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from ..models import Value, raw_field


def versioned(default: Any = None, *, since: str = "", gone: str = "") -> Any:
    """A field that not all versions of Dify send that send its event.

    Args:
        default: what it is where it does not come.
        since: the first version that sends it; empty if that is the event's.
        gone: the first version that does not send it any more, or only as null.
    """
    return attrs.field(default=default, metadata={"since": since, "gone": gone})


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Event(Value):
    """What all events have in common.

    Attributes:
        event_name: the wire's ``event`` (class attribute).
        since: the first version of Dify that sends it (class attribute).
        gone: the first version that sends it no more; empty if all since do (class
            attribute).
        task_id: by which the run is stopped; None in an ``error``.
        workflow_run_id: by which the run is read; None before it exists.
        raw: the decoded object as it came; empty for an event made by hand.
    """

    event_name: ClassVar[str] = ""
    since: ClassVar[str] = ""
    gone: ClassVar[str] = ""
    flat: ClassVar[bool] = False
    """True if the wire has the fields beside ``event``, not in ``data``."""

    task_id: str | None = None
    workflow_run_id: str | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class UnknownEvent(Event):
    """An event that this version has no class for: see ``raw``.

    Attributes:
        name: the wire's ``event``; empty if the object has none.
    """

    name: str = ""


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Ping(Event):
    """The server's sign of life, every 10 s; for handlers only, never yielded."""

    event_name: ClassVar[str] = "ping"
    since: ClassVar[str] = "0.6.0"
    flat: ClassVar[bool] = True
