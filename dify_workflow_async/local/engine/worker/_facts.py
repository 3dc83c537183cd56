"""Events of the engine into facts: plain values for the server, which words them."""

import time

from collections.abc import Mapping
from typing import Any, Final

from graphon.engine_events.base import EngineEvent, NodeEvent
from graphon.engine_events.graph import (
    GraphRunAbortedEvent,
    GraphRunFailedEvent,
    GraphRunPartialSucceededEvent,
    GraphRunPausedEvent,
    GraphRunSucceededEvent,
)
from graphon.engine_events.iteration import (
    NodeRunIterationFailedEvent,
    NodeRunIterationNextEvent,
    NodeRunIterationStartedEvent,
    NodeRunIterationSucceededEvent,
)
from graphon.engine_events.loop import (
    NodeRunLoopFailedEvent,
    NodeRunLoopNextEvent,
    NodeRunLoopStartedEvent,
    NodeRunLoopSucceededEvent,
)
from graphon.engine_events.node import (
    NodeRunExceptionEvent,
    NodeRunFailedEvent,
    NodeRunPauseRequestedEvent,
    NodeRunRetryEvent,
    NodeRunStartedEvent,
    NodeRunStreamChunkEvent,
    NodeRunSucceededEvent,
)
from graphon.entities.pause_reason import HitlRequired
from graphon.runtime.runtime_state import RuntimeState

from .._frames import Message
from ._human import HumanForms
from ._values import plain, seconds


# They tell of themselves by events of their own.
_CONTAINERS: Final = frozenset({"iteration", "loop"})

_UNKNOWN: Final = "Unknown error"


class Teller:
    """Tells what happens in one run.

    Args:
        titles: The title of each node.
        forms: The forms of the run.
    """

    def __init__(self, titles: Mapping[str, str], forms: HumanForms) -> None:
        self._titles = titles
        self._forms = forms

    def tell(self, event: EngineEvent, state: RuntimeState) -> Message | None:
        """Tell an event, if it is one that clients hear of.

        Args:
            event: The event.
            state: How the run stands.
        """
        fact = self._of_run(event)
        if fact is None and isinstance(event, NodeEvent):
            fact = self._of_text(event) or self._of_container(event)
            if fact is None and event.node_type not in _CONTAINERS:
                fact = self._of_node(event)
        if fact is None:
            return None
        usage = state.llm_usage
        return {
            **fact,
            "steps": state.node_run_steps,
            "tokens": usage.total_tokens,
            "price": str(usage.total_price),
            "exceptions": state.graph_execution.exceptions_count,
        }

    def _of_run(self, event: EngineEvent) -> Message | None:
        match event:
            case GraphRunSucceededEvent() | GraphRunPartialSucceededEvent():
                return {"fact": "succeeded", "outputs": plain(event.outputs)}
            case GraphRunFailedEvent():
                return {"fact": "failed", "error": event.error}
            case GraphRunAbortedEvent():
                return {"fact": "aborted"}
            case GraphRunPausedEvent():
                return {"fact": "paused"}
            case _:
                return None

    def _of_text(self, event: NodeEvent) -> Message | None:
        if not isinstance(event, NodeRunStreamChunkEvent):
            return None
        selector = [str(part) for part in event.selector]
        return {"fact": "chunk", "selector": selector, "text": event.chunk}

    def _of_node(self, event: NodeEvent) -> Message | None:
        match event:
            case NodeRunRetryEvent():
                return {
                    **self._attempt(event, status="retry"),
                    "fact": "node_retry",
                    "error": event.error,
                    "at": seconds(event.start_at),
                    "seconds": time.time() - seconds(event.start_at),
                    "retry_index": event.retry_index,
                }
            case NodeRunStartedEvent():
                at = seconds(event.start_at)
                return {**self._head(event), "fact": "node_started", "at": at}
            case NodeRunSucceededEvent():
                return self._ended(event, status="succeeded", error=None)
            case NodeRunFailedEvent():
                return self._ended(event, status="failed", error=event.error)
            case NodeRunPauseRequestedEvent(reason=HitlRequired() as reason):
                form = self._forms.take(reason.session_id)
                return None if form is None else {"fact": "form", "form": form}
            case NodeRunExceptionEvent():
                # What went wrong is in its outputs, and the servers do not say more.
                error = event.node_run_result.error or _UNKNOWN
                return self._ended(event, status="exception", error=error)
            case _:
                return None

    def _of_container(self, event: NodeEvent) -> Message | None:
        match event:
            case NodeRunIterationStartedEvent() | NodeRunLoopStartedEvent():
                return {
                    **self._head(event),
                    "fact": "container_started",
                    "length": event.metadata.get(f"{event.node_type}_length", 0),
                    "inputs": plain(event.inputs),
                }
            case NodeRunIterationNextEvent() | NodeRunLoopNextEvent():
                return {
                    **self._head(event),
                    "fact": "container_next",
                    "index": event.index,
                }
            case NodeRunIterationSucceededEvent() | NodeRunLoopSucceededEvent():
                return self._container_ended(event, status="succeeded")
            case NodeRunIterationFailedEvent() | NodeRunLoopFailedEvent():
                return self._container_ended(event, status="failed")
            case _:
                return None

    def _container_ended(
        self,
        event: NodeRunIterationSucceededEvent
        | NodeRunLoopSucceededEvent
        | NodeRunIterationFailedEvent
        | NodeRunLoopFailedEvent,
        *,
        status: str,
    ) -> Message:
        return {
            **self._head(event),
            "fact": "container_ended",
            "status": status,
            "seconds": time.time() - seconds(event.start_at),
            "inputs": plain(event.inputs),
            "outputs": plain(event.outputs),
            "metadata": plain(event.metadata),
            "laps": event.steps,
        }

    def _ended(
        self,
        event: NodeRunSucceededEvent | NodeRunFailedEvent | NodeRunExceptionEvent,
        *,
        status: str,
        error: str | None,
    ) -> Message:
        at = seconds(event.start_at)
        end = at if event.finished_at is None else seconds(event.finished_at)
        return {
            **self._attempt(event, status=status),
            "fact": "node_ended",
            "error": error,
            "at": at,
            "seconds": end - at,
        }

    def _attempt(self, event: NodeEvent, *, status: str) -> Message:
        result = event.node_run_result
        return {
            **self._head(event),
            "status": status,
            "inputs": plain(result.inputs),
            "process_data": plain(result.process_data),
            "outputs": plain(result.outputs),
            "metadata": plain(result.metadata),
        }

    def _head(self, event: NodeEvent) -> dict[str, Any]:
        metadata = plain(event.node_run_result.metadata)
        return {
            "id": event.id,
            "node_id": event.node_id,
            "node_type": event.node_type,
            "title": self._titles.get(event.node_id, ""),
            "iteration_id": metadata.get("iteration_id"),
            "loop_id": metadata.get("loop_id"),
        }
