"""Events of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import attrs

from ..models import ExecutionMetadata, File
from ._base import Event, versioned


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _Node(Event):
    """What events of a node have in common.

    Attributes:
        id: the execution id: a node in an iteration has a new one each time.
        node_id: of the node in the workflow.
        node_type: such as ``llm``; an open set.
        index: the node's place in the run; mostly 1 since 1.9.0.
        predecessor_node_id: the node before it.
        iteration_id: the iteration node around this node.
        loop_id: the loop node around this node.
    """

    id: str | None = None
    node_id: str | None = None
    node_type: str | None = None
    title: str = ""
    index: int | None = None
    predecessor_node_id: str | None = versioned(gone="1.9.0")
    inputs: Mapping[str, Any] | None = None
    inputs_truncated: bool | None = versioned(since="1.9.0")
    created_at: datetime | None = None
    iteration_id: str | None = None
    loop_id: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class NodeStarted(_Node):
    """A node began. Stop, crash and pause leave it without a `NodeFinished`.

    Attributes:
        inputs: None in streams since 1.9.0.
        extras: such as the ``icon`` of a tool.
        agent_strategy: its ``name`` and ``icon``, for an agent.
    """

    event_name: ClassVar[str] = "node_started"
    since: ClassVar[str] = "0.6.0"

    extras: Mapping[str, Any] | None = None
    agent_strategy: Mapping[str, Any] | None = versioned(since="1.0.0")


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _NodeEnd(_Node):
    """What ends of a node have in common.

    Attributes:
        status: ``succeeded``, ``failed``, ``exception`` (failed and dealt with), or
            ``paused`` in a snapshot.
        process_data: what the node did, as its type has it: prompts, a request.
        elapsed_time: seconds.
        execution_metadata: tokens, price, and where in an iteration or loop it was.
        files: all files among its outputs.
    """

    process_data: Mapping[str, Any] | None = None
    process_data_truncated: bool | None = versioned(since="1.9.0")
    outputs: Mapping[str, Any] | None = None
    outputs_truncated: bool | None = versioned(since="1.9.0")
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
    since: ClassVar[str] = "0.6.0"


@attrs.frozen(kw_only=True, repr=False, eq=False)
class NodeRetry(_NodeEnd):
    """A node failed and is tried again; ``status`` is ``retry``.

    Attributes:
        retry_index: 1 for the first retry.
    """

    event_name: ClassVar[str] = "node_retry"
    since: ClassVar[str] = "0.14.2"

    retry_index: int | None = None
