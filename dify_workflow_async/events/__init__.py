"""One class for each event that a workflow's stream carries (specification, 3.4).

The fields of the wire's ``data`` object are attributes of the event itself; ``raw``
keeps the decoded object as it came. Absent and null fields are None, except texts
(``""``) and lists (``()``). Events are immutable, compare by value and hash by
identity. ``EVENTS`` finds the class by the wire's name; names that are not in it become
`UnknownEvent`, so that what the server adds tomorrow does not break a program.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._base import Event, Ping, UnknownEvent
from ._nodes import NodeFinished, NodeRetry, NodeStarted
from ._runs import (
    Error,
    HumanInputFormFilled,
    HumanInputFormTimeout,
    HumanInputRequired,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from ._texts import (
    AgentLog,
    ReasoningChunk,
    TextChunk,
    TextReplace,
    TtsMessage,
    TtsMessageEnd,
)


if TYPE_CHECKING:
    from ._blocks import (
        IterationCompleted,
        IterationNext,
        IterationStarted,
        LoopCompleted,
        LoopNext,
        LoopStarted,
        ParallelBranchFinished,
        ParallelBranchStarted,
    )
    from ._table import EVENTS

__all__ = [
    "EVENTS",
    "AgentLog",
    "Error",
    "Event",
    "HumanInputFormFilled",
    "HumanInputFormTimeout",
    "HumanInputRequired",
    "IterationCompleted",
    "IterationNext",
    "IterationStarted",
    "LoopCompleted",
    "LoopNext",
    "LoopStarted",
    "NodeFinished",
    "NodeRetry",
    "NodeStarted",
    "ParallelBranchFinished",
    "ParallelBranchStarted",
    "Ping",
    "ReasoningChunk",
    "TextChunk",
    "TextReplace",
    "TtsMessage",
    "TtsMessageEnd",
    "UnknownEvent",
    "WorkflowFinished",
    "WorkflowPaused",
    "WorkflowStarted",
]

_LATER = {
    **dict.fromkeys(
        (
            *("IterationStarted", "IterationNext", "IterationCompleted"),
            *("LoopStarted", "LoopNext", "LoopCompleted"),
            *("ParallelBranchStarted", "ParallelBranchFinished"),
        ),
        "_blocks",
    ),
    "EVENTS": "_table",
}
"""Where that is what the first stream needs, and importing the client does not."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
