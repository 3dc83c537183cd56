"""Events of a run as a server tells them: whole seconds, in the order of their times."""

from __future__ import annotations

import random

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dify_workflow_async.events import (
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
    WorkflowStarted,
)
from dify_workflow_async.models import ExecutionMetadata


BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUN = {"workflow_run_id": "run-1", "task_id": "task-1"}
BLOCKS = {
    "iteration": (IterationStarted, IterationNext, IterationCompleted),
    "loop": (LoopStarted, LoopNext, LoopCompleted),
}


class Told:
    """A run that is told; all times are seconds from its beginning.

    Args:
        phase: in which part of a second it begins, which nobody tells.
    """

    def __init__(self, phase: float = 0.0) -> None:
        self._phase = phase
        self._told = []
        self._ids = 0
        self._tell(0, WorkflowStarted, created_at=self._at(0))

    def _at(self, seconds):
        return BEGAN + timedelta(seconds=int(seconds + self._phase))

    def _tell(self, at, cls, **fields):
        self._told.append((at, cls(**fields, **RUN)))

    def node(
        self,
        title,
        start,
        took,
        *,
        type="llm",  # noqa: A002 - as it is called
        inside=None,
        index=None,
        status="succeeded",
        error=None,
        tokens=None,
        price=None,
        retries=0,
        ends=True,
    ):
        """Tell of an execution, *inside* an iteration or a loop by its kind and id."""
        self._ids += 1
        kind, around = inside or ("", None)
        fields = {
            "id": f"e{self._ids}",
            "node_id": title,
            "node_type": type,
            "title": title,
            "created_at": self._at(start),
            **({f"{kind}_id": around} if inside else {}),
        }
        self._tell(start, NodeStarted, **fields)
        for number in range(1, retries + 1):
            at = start + took * number / (retries + 1)
            self._tell(at, NodeRetry, retry_index=number, status="retry", **fields)
        if not ends:
            return self
        cost = ExecutionMetadata(
            total_tokens=tokens,
            total_price=None if price is None else Decimal(price),
            currency=None if price is None else "USD",
            **({f"{kind}_index": index} if inside else {}),
        )
        self._tell(
            start + took,
            NodeFinished,
            status=status,
            error=error,
            elapsed_time=took,
            finished_at=self._at(start + took),
            execution_metadata=cost,
            **fields,
        )
        return self

    def block(self, kind, title, start, took, *, rounds=1, ends=True):
        """Tell of an iteration or a loop, whose id is its title."""
        begun, next_, completed = BLOCKS[kind]
        fields = {"id": title, "node_id": title, "node_type": kind, "title": title}
        fields["created_at"] = self._at(start)
        self._tell(start, begun, **fields)
        for index in range(rounds):
            at = start + took * index / rounds
            self._tell(at, next_, index=index + (kind == "loop"), **fields)
        if ends:
            self._tell(
                start + took,
                completed,
                status="succeeded",
                elapsed_time=took,
                finished_at=self._at(start + took),
                steps=rounds,
                **fields,
            )
        return self

    def done(self, at, status="succeeded", tokens=None):
        """Tell of the run's end."""
        fields = {"elapsed_time": at, "finished_at": self._at(at)}
        self._tell(at, WorkflowFinished, status=status, total_tokens=tokens, **fields)
        return self

    @property
    def events(self):
        """All events in the order of their times."""
        return [event for _, event in sorted(self._told, key=lambda told: told[0])]


def everything():
    """A run with branches, an iteration, tries, and nodes that fail and are dealt with."""
    run = Told(0.3).node("Start", 0, 0.002, type="start")
    run.node(
        "Classify", 0.01, 0.8, type="question-classifier", tokens=210, price="0.01"
    )
    run.node("Search", 0.82, 1.1, type="knowledge-retrieval")
    run.node("Fetch", 0.83, 3.2, type="http-request", retries=2)
    run.block("iteration", "Each", 4.03, 4.0, rounds=2)
    for index in range(2):
        at, where = 4.04 + 2 * index, {"inside": ("iteration", "Each"), "index": index}
        run.node("Write", at, 1.6, tokens=800, price="0.002", **where)
        run.node("Clean", at + 1.62, 0.3, type="code", **where)
    run.node("Sum", 8.04, 0.05, type="code", status="exception", error="by zero")
    run.node("Answer", 8.1, 4.2, status="failed", error="the model said no")
    return run.done(12.32, "failed", 1810)


def parallel_rounds(items, lanes=8):
    """An iteration with five nodes in each of its rounds, so many rounds at once."""
    dice = random.Random(4)
    free = [0.06] * lanes
    run = Told(0.7)
    for index in range(items):
        lane = free.index(min(free))
        for title, took in {"a": 0.1, "b": 0.2, "c": 0.5, "d": 0.02, "e": 0.05}.items():
            seconds = took * dice.uniform(0.5, 1.5)
            inside = ("iteration", "Each")
            run.node(title, free[lane], seconds, inside=inside, index=index, tokens=3)
            free[lane] += seconds + 0.001
    run.block("iteration", "Each", 0.05, max(free), rounds=items)
    return run.done(max(free) + 0.1)
