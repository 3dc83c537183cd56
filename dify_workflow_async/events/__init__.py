"""One class for each event that a workflow's stream carries (specification, 3.4).

The fields of the wire's ``data`` object are attributes of the event itself; ``raw``
keeps the decoded object as it came. Absent and null fields are None, except texts
(``""``) and lists (``()``). Events are immutable, compare by value and hash by
identity. `EVENTS` finds the class by the wire's name; names that are not in it become
`UnknownEvent`, so that what the server adds tomorrow does not break a program.
"""

from __future__ import annotations

from collections.abc import Mapping

from ._base import Event, Ping, UnknownEvent
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

EVENTS: Mapping[str, type[Event]] = {
    cls.event_name: cls
    for cls in (
        WorkflowStarted,
        WorkflowFinished,
        WorkflowPaused,
        Error,
        Ping,
        NodeStarted,
        NodeFinished,
        NodeRetry,
        IterationStarted,
        IterationNext,
        IterationCompleted,
        LoopStarted,
        LoopNext,
        LoopCompleted,
        ParallelBranchStarted,
        ParallelBranchFinished,
        TextChunk,
        TextReplace,
        ReasoningChunk,
        AgentLog,
        TtsMessage,
        TtsMessageEnd,
        HumanInputRequired,
        HumanInputFormFilled,
        HumanInputFormTimeout,
    )
}
"""Each event's class by its name on the wire."""
