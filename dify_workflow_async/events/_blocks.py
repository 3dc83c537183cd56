"""Events of iterations, loops and parallel branches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import attrs

from ..models import ExecutionMetadata
from ._base import Event, versioned


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _Block(Event):
    """What events of iterations and loops have in common.

    Attributes:
        id: equals ``node_id``; not an execution id.
    """

    id: str | None = None
    node_id: str | None = None
    node_type: str | None = None
    title: str = ""
    created_at: datetime | None = None
    extras: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _BlockStarted(_Block):
    """An iteration or loop began; it sends no `NodeStarted`."""

    metadata: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] | None = None
    inputs_truncated: bool | None = None


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _BlockNext(_Block):
    """A round of an iteration or loop began."""

    index: int | None = None
    duration: float | None = versioned(gone="1.9.0")


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _BlockCompleted(_Block):
    """An iteration or loop ended.

    Attributes:
        error: null even when ``status`` is ``failed``: the run's end has the reason.
        elapsed_time: seconds.
        steps: how many rounds there were; of a loop, how many there might have been
            at most, also if it was left before.
    """

    outputs: Mapping[str, Any] | None = None
    outputs_truncated: bool | None = None
    inputs: Mapping[str, Any] | None = None
    inputs_truncated: bool | None = None
    status: str | None = None
    error: str | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    execution_metadata: ExecutionMetadata | None = None
    finished_at: datetime | None = None
    steps: int | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class IterationStarted(_BlockStarted):
    """An iteration began; ``metadata["iteration_length"]`` tells the rounds."""

    event_name: ClassVar[str] = "iteration_started"
    since: ClassVar[str] = "0.6.9"


@attrs.frozen(kw_only=True, repr=False, eq=False)
class IterationNext(_BlockNext):
    """The next item; ``index`` counts from 0."""

    event_name: ClassVar[str] = "iteration_next"
    since: ClassVar[str] = "0.6.9"

    pre_iteration_output: Any = versioned(gone="1.9.0")  # noqa: RUF009 - a field


@attrs.frozen(kw_only=True, repr=False, eq=False)
class IterationCompleted(_BlockCompleted):
    """An iteration ended; items that failed and were passed over are null."""

    event_name: ClassVar[str] = "iteration_completed"
    since: ClassVar[str] = "0.6.9"


@attrs.frozen(kw_only=True, repr=False, eq=False)
class LoopStarted(_BlockStarted):
    """A loop began; ``metadata["loop_length"]`` tells the most rounds."""

    event_name: ClassVar[str] = "loop_started"
    since: ClassVar[str] = "1.0.1"


@attrs.frozen(kw_only=True, repr=False, eq=False)
class LoopNext(_BlockNext):
    """The next round; ``index`` counts from 1."""

    event_name: ClassVar[str] = "loop_next"
    since: ClassVar[str] = "1.0.1"

    pre_loop_output: Any = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class LoopCompleted(_BlockCompleted):
    """A loop ended."""

    event_name: ClassVar[str] = "loop_completed"
    since: ClassVar[str] = "1.0.1"


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _Branch(Event):
    """What events of a parallel branch have in common."""

    parallel_id: str | None = None
    parallel_branch_id: str | None = None
    parent_parallel_id: str | None = None
    parent_parallel_start_node_id: str | None = None
    iteration_id: str | None = None
    loop_id: str | None = versioned(since="1.0.1")
    created_at: datetime | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class ParallelBranchStarted(_Branch):
    """A parallel branch began."""

    event_name: ClassVar[str] = "parallel_branch_started"
    since: ClassVar[str] = "0.8.0"
    gone: ClassVar[str] = "1.9.0"


@attrs.frozen(kw_only=True, repr=False, eq=False)
class ParallelBranchFinished(_Branch):
    """A parallel branch ended."""

    event_name: ClassVar[str] = "parallel_branch_finished"
    since: ClassVar[str] = "0.8.0"
    gone: ClassVar[str] = "1.9.0"

    status: str | None = None
    error: str | None = None
