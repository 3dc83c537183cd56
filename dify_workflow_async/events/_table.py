"""The table of all events."""

from __future__ import annotations

from collections.abc import Mapping

from ._base import Event, Ping
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
