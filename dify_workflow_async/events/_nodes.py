"""Events of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import attrs

from ..models import ExecutionMetadata, File
from ._base import Event


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _Node(Event):
    """What events of a node have in common.

    Attributes:
        id: the execution id: a node in an iteration has a new one each time.
        index: always 1 in live streams since 1.9.
        predecessor_node_id: None since 1.9.
        iteration_id: the iteration node around this node.
        loop_id: the loop node around this node.
    """

    id: str | None = None
    node_id: str | None = None
    node_type: str | None = None
    title: str = ""
    index: int | None = None
    predecessor_node_id: str | None = None
    inputs: Mapping[str, Any] | None = None
    inputs_truncated: bool | None = None
    created_at: datetime | None = None
    iteration_id: str | None = None
    loop_id: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class NodeStarted(_Node):
    """A node began. Stop, crash and pause leave it without a `NodeFinished`."""

    event_name: ClassVar[str] = "node_started"

    extras: Mapping[str, Any] | None = None
    agent_strategy: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _NodeEnd(_Node):
    """What ends of a node have in common.

    Attributes:
        status: ``succeeded``, ``failed``, ``exception`` (failed and dealt with), or
            ``paused`` in a snapshot.
        elapsed_time: seconds.
    """

    process_data: Mapping[str, Any] | None = None
    process_data_truncated: bool | None = None
    outputs: Mapping[str, Any] | None = None
    outputs_truncated: bool | None = None
    status: str | None = None
    error: str | None = None
    elapsed_time: float | None = None
    execution_metadata: ExecutionMetadata | None = None
    finished_at: datetime | None = None
    files: tuple[File, ...] = ()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class NodeFinished(_NodeEnd):
    """A node ended."""

    event_name: ClassVar[str] = "node_finished"


@attrs.frozen(kw_only=True, repr=False, eq=False)
class NodeRetry(_NodeEnd):
    """A node failed and is tried again; ``status`` is ``retry``.

    Attributes:
        retry_index: 1 for the first retry.
    """

    event_name: ClassVar[str] = "node_retry"

    retry_index: int | None = None
