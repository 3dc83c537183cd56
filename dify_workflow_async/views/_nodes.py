"""`Nodes`: the executions of a run, kept up to date by its events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import attrs

from ..events import (
    Error,
    Event,
    IterationCompleted,
    IterationNext,
    IterationStarted,
    LoopCompleted,
    LoopNext,
    LoopStarted,
    NodeFinished,
    NodeRetry,
    NodeStarted,
    WorkflowFinished,
    WorkflowPaused,
)
from ..models import ExecutionMetadata
from ._node import NodeState, Usage


class Nodes(Mapping[str, NodeState]):
    """The state of each execution, by its id, in the order in which they began.

    It is a live view: `add` changes it. Events may come in any order, come again, or
    be missing, as they may on real servers (specification, section 3.2): an end
    without a beginning makes a state, too, and what has ended does not begin again.
    """

    def __init__(self) -> None:
        self._states: dict[str, NodeState] = {}
        # The execution that is under way, or was last, of each iteration and loop.
        self._blocks: dict[str, str] = {}
        self._total_tokens: int | None = None

    def __getitem__(self, key: str) -> NodeState:
        return self._states[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def __repr__(self) -> str:
        return f"<Nodes {len(self)}: {sum(x.is_running for x in self.values())} run>"

    def children(self, parent: str | None = None) -> list[NodeState]:
        """The executions in this iteration or loop; those in none without *parent*."""
        return [state for state in self.values() if state.parent == parent]

    @property
    def usage(self) -> Usage:
        """What all of them used."""
        prices: dict[str, Any] = {}
        states = self._states.values()
        for state in states:
            if state.total_price is not None:
                currency = state.currency or ""
                prices[currency] = prices.get(currency, 0) + state.total_price
        tokens = sum(state.total_tokens or 0 for state in states)
        running = sum(state.is_running for state in states)
        return Usage(
            total_tokens=tokens if self._total_tokens is None else self._total_tokens,
            prices=prices,
            running=running,
            finished=len(self) - running,
            failed=sum(state.status in {"failed", "exception"} for state in states),
        )

    # -- events ----------------------------------------------------------------------

    @staticmethod
    def heeds(event_name: str) -> bool:
        """True if events of this name on the wire tell anything of nodes."""
        return event_name in _HEEDED

    def add(self, event: Event) -> NodeState | None:
        """Take in what an event tells; one that tells nothing of nodes is ignored.

        Returns:
            The execution that it told something new of, as it is now; None for the end
            of the run, and where nothing is new.
        """
        match event:
            case NodeStarted():
                return self._started(event)
            case NodeFinished():
                return self._finished(event)
            case NodeRetry():
                return self._retried(event)
            case IterationNext() | LoopNext():
                return self._next_round(event)
            case IterationStarted() | LoopStarted():
                return self._open(event, begins=True)
            case IterationCompleted() | LoopCompleted():
                return self._completed(event)
            case WorkflowFinished() | WorkflowPaused():
                self._run_ended(event)
            case Error():
                self._close("failed")
            case _:
                pass
        return None

    def _started(self, event: NodeStarted) -> NodeState | None:
        key = event.id or event.node_id
        if key is None or ((known := self._states.get(key)) and _is_over(known)):
            return None
        parent = self._parent(event.iteration_id, event.loop_id)
        around = self._states.get(parent or "")
        return self._keep(
            self._states.get(key) or NodeState(id=key, round=_round(around)),
            node_id=event.node_id,
            node_type=event.node_type,
            title=event.title,
            status="running",
            parent=parent,
            started_at=event.created_at,
        )

    def _retried(self, event: NodeRetry) -> NodeState | None:
        if (state := self._state_of(event)) is None or _is_over(state):
            return None
        if (event.retry_index or state.attempts) < state.attempts:
            return None  # it came before
        return self._keep(
            _paid(state, event.execution_metadata),
            status="running",
            attempts=(event.retry_index or state.attempts) + 1,
            error=event.error,
        )

    def _finished(self, event: NodeFinished) -> NodeState | None:
        if (state := self._state_of(event)) is None or _is_over(state):
            return None
        cost = event.execution_metadata or ExecutionMetadata()
        told = (x for x in (cost.iteration_index, cost.loop_index) if x is not None)
        return self._keep(
            _paid(state, cost),
            status=event.status or "succeeded",
            round=next(told, state.round),
            finished_at=event.finished_at,
            elapsed_time=event.elapsed_time,
            error=event.error,
        )

    def _keep(self, state: NodeState, **changes: Any) -> NodeState:
        self._states[state.id] = changed = attrs.evolve(state, **changes)
        return changed

    def _state_of(self, event: NodeFinished | NodeRetry) -> NodeState | None:
        """The execution that has ended, or failed; a new one if its start was lost."""
        key = event.id or event.node_id
        if key is None or key in self._states:
            return self._states.get(key or "")
        return NodeState(
            id=key,
            node_id=event.node_id,
            node_type=event.node_type,
            title=event.title,
            parent=self._parent(event.iteration_id, event.loop_id),
            started_at=event.created_at,
        )

    def _parent(self, iteration_id: str | None, loop_id: str | None) -> str | None:
        node_id = iteration_id or loop_id
        return None if node_id is None else self._blocks.get(node_id, node_id)

    # -- iterations and loops --------------------------------------------------------

    def _next_round(self, event: IterationNext | LoopNext) -> NodeState | None:
        if (state := self._open(event)) is None:
            return None
        first = 1 if isinstance(event, LoopNext) else 0
        index = first if event.index is None else event.index
        rounds = max(state.rounds or 0, index - first + 1)
        return self._keep(state, rounds=rounds)

    def _completed(self, event: IterationCompleted | LoopCompleted) -> NodeState | None:
        if (state := self._open(event)) is None or _is_over(state):
            return None
        rounds = state.rounds
        if isinstance(event, IterationCompleted) and event.steps is not None:
            rounds = event.steps  # a loop tells the most that there might have been
        return self._keep(
            state,
            status=event.status or "succeeded",
            rounds=rounds,
            finished_at=event.finished_at,
            elapsed_time=event.elapsed_time,
            error=event.error,
        )

    def _open(self, event: _Block, *, begins: bool = False) -> NodeState | None:
        """The execution of this iteration or loop; a new one if there is none."""
        node_id = event.node_id or event.id
        if node_id is None:
            return None
        known = self._states.get(self._blocks.get(node_id, ""))
        if known is not None and not (begins and _is_over(known)):
            return known
        times = sum(state.node_id == node_id for state in self._states.values())
        key = node_id if not times else f"{node_id}#{times + 1}"
        self._blocks[node_id] = key
        self._states[key] = NodeState(
            id=key,
            node_id=node_id,
            node_type=event.node_type or _kind(event),
            title=event.title,
            started_at=event.created_at,
            rounds=0,
            expected_rounds=_length(event),
        )
        return self._states[key]

    # -- the run ---------------------------------------------------------------------

    def _run_ended(self, event: WorkflowFinished | WorkflowPaused) -> None:
        self._total_tokens = event.total_tokens
        paused = isinstance(event, WorkflowPaused)
        self._close("paused" if paused else event.status or "failed")

    def _close(self, status: str) -> None:
        """Give what still runs, whose end will not come, the *status* of the run."""
        for key, state in self._states.items():
            if state.is_running:
                self._states[key] = attrs.evolve(state, status=status)


_Block = (
    IterationStarted
    | IterationNext
    | IterationCompleted
    | LoopStarted
    | LoopNext
    | LoopCompleted
)

_HEEDED = frozenset(
    cls.event_name
    for cls in (
        *(NodeStarted, NodeRetry, NodeFinished),
        *get_args(_Block),
        *(WorkflowFinished, WorkflowPaused, Error),
    )
)


def _is_over(state: NodeState) -> bool:
    """True if it has ended for good: a pause may go on."""
    return state.status not in {"running", "paused"}


def _round(around: NodeState | None) -> int | None:
    """The round that an iteration (from 0) or loop (from 1) is in, as far as is told."""
    if around is None or not around.rounds:
        return None
    return around.rounds if around.node_type == "loop" else around.rounds - 1


def _kind(event: _Block) -> str:
    return event.event_name.partition("_")[0]


def _length(event: _Block) -> int | None:
    if not isinstance(event, IterationStarted | LoopStarted):
        return None
    length = (event.metadata or {}).get(f"{_kind(event)}_length")
    return length if isinstance(length, int) else None


def _paid(state: NodeState, cost: ExecutionMetadata | None) -> NodeState:
    """The state with the cost of one more attempt."""
    if cost is None:
        return state
    tokens = [x for x in (state.total_tokens, cost.total_tokens) if x is not None]
    prices = [x for x in (state.total_price, cost.total_price) if x is not None]
    return attrs.evolve(
        state,
        total_tokens=sum(tokens) if tokens else None,
        total_price=sum(prices[1:], prices[0]) if prices else None,
        currency=cost.currency or state.currency,
    )
