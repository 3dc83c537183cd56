"""The state of one execution of a node, and what executions cost together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import attrs

from ..models import Value


@attrs.frozen(kw_only=True, repr=False, eq=False)
class NodeState(Value):
    """One execution of a node, as far as events have told of it.

    Attributes:
        id: the execution id; a node in an iteration has a new one each time. An
            iteration or a loop, for which servers tell none, has its node id, and
            from the second time on ``#2`` and so on behind it.
        node_id: the node in the graph.
        node_type: Dify's word, such as ``llm``; ``iteration`` and ``loop`` are nodes,
            too.
        title: what the app's author called it.
        status: ``running``; then ``succeeded``, ``failed``, or ``exception`` (failed
            and dealt with). What still ran when the run itself ended or paused has the
            run's status: ``stopped``, ``failed``, ``paused`` and so on.
        parent: the ``id`` of the iteration or loop around it.
        round: in which of its parent's rounds; iterations count from 0, loops from 1.
        rounds: of an iteration or loop: how many have begun.
        expected_rounds: of an iteration, how many there will be; of a loop, the most.
        attempts: how often it was tried: 1 if it was not tried again.
        started_at: when it began.
        finished_at: when it ended.
        elapsed_time: seconds that it took, as the server tells.
        total_tokens: of all attempts; an iteration's or loop's own is None, since its
            nodes have them.
        total_price: likewise.
        currency: of the price.
        error: why it failed, or its last attempt.
    """

    id: str
    node_id: str | None = None
    node_type: str | None = None
    title: str = ""
    status: str = "running"
    parent: str | None = None
    round: int | None = None
    rounds: int | None = None
    expected_rounds: int | None = None
    attempts: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_price: Decimal | None = None
    currency: str | None = None
    error: str | None = None

    @property
    def is_running(self) -> bool:
        """True until it has ended, or the run has."""
        return self.status == "running"


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Usage(Value):
    """What a run has used so far.

    Attributes:
        total_tokens: as the run's end tells; before, the sum of the executions that
            have ended, with their attempts.
        prices: by currency, the sum of the executions that have ended.
        running: how many executions run.
        finished: how many have ended.
        failed: how many of these ``failed``, or had an ``exception``.
    """

    total_tokens: int = 0
    prices: Mapping[str, Decimal] = attrs.field(factory=dict[str, Decimal])
    running: int = 0
    finished: int = 0
    failed: int = 0
