"""Runs: what they cost, what they produced, how they ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic

import attrs

from ..errors import RunFailed, RunPaused, RunStopped
from ._base import SUCCESS, HasStatus, Value, raw_field
from ._files import File
from ._forms import PauseReason


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from ..events import NodeFinished

    T = TypeVar("T", default=None)
else:
    from typing import TypeVar

    T = TypeVar("T")  # Python 3.13 is the first that knows defaults


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Creator(Value):
    """Who started a run: an end user by ``user``, or an account by name."""

    id: str | None = None
    user: str | None = None
    name: str | None = None
    email: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class ExecutionMetadata(Value):
    """What a node's execution cost, and where in the graph it took place.

    The keys are an open set (specification, section 3.5): see ``raw`` for the rest.
    """

    total_tokens: int | None = None
    total_price: Decimal | None = None
    currency: str | None = None
    iteration_id: str | None = None
    iteration_index: int | None = None
    loop_id: str | None = None
    loop_index: int | None = None
    error_strategy: str | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _Run(HasStatus):
    """What a result and a run detail have in common."""

    workflow_id: str | None = None
    status: str | None = None
    outputs: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    error: str | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_steps: int | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class RunDetail(_Run):
    """A run as ``GET /workflows/run/{id}`` tells (specification, section 1.5).

    Attributes:
        id: the workflow run id.
        status: ``running``, ``paused``, or one of ``TERMINAL``.
        inputs: as the run got them, with the ``sys.*`` values.
        outputs: empty until the run ends.
        elapsed_time: seconds; 0 while it runs.
    """

    id: str | None = None
    inputs: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class RunRef:
    """What is needed to find a run again, from any process; it pickles.

    Attributes:
        task_id: by which it is stopped; None if no event told it.
        user: for whom it was started; re-attaching needs the same.
    """

    workflow_run_id: str
    task_id: str | None = None
    user: str = ""

    @classmethod
    def of(
        cls, workflow_run_id: str | None, *, task_id: str | None, user: str | None
    ) -> RunRef | None:
        """Make one; None if the run's id is not known."""
        if workflow_run_id is None:
            return None
        return cls(workflow_run_id=workflow_run_id, task_id=task_id, user=user or "")


@attrs.frozen(kw_only=True)
class Recovered:
    """How a result was learnt although the stream of its run broke.

    Attributes:
        breaks: how often the stream broke.
        seconds: for how long nothing was heard of the run, in all.
        how: ``attached`` if the stream was opened again, ``read`` if the run's detail
            had to tell its end.
    """

    breaks: int
    seconds: float
    how: str


@attrs.frozen(kw_only=True, repr=False, eq=False)
class RunResult(_Run, Generic[T]):
    """What a run produced, whichever way it was learnt.

    Attributes:
        status: ``succeeded``, ``partial-succeeded``, ``failed``, ``stopped`` or
            ``paused``. A run that this program stopped is ``stopped``, even where the
            server calls that a failure.
        outputs: by the names of the End node; empty if there are none.
        elapsed_time: seconds.
        files: the files among the outputs.
        exceptions_count: nodes that failed and were dealt with.
        paused_nodes: where a paused run waits.
        reasons: why it waits, with the forms.
        total_price: the sum of what the nodes' executions cost, as their events told;
            None if none told a price, some were not heard, or they were in different
            currencies.
        currency: of the price, such as ``USD``.
        user: the end user that it was run for, where this program ran it.
        recovered: how it was learnt, if the stream broke.
        text_complete: False if text may have been streamed while nobody listened: it
            is not in ``RunStream.text``. The outputs are whole all the same.
        output: the outputs as the class that ``output=`` asked for, else None.
        failed_node: the event of the node that failed last, where a stream told.
    """

    workflow_run_id: str | None = None
    task_id: str | None = None
    created_by: Creator | None = None
    exceptions_count: int | None = None
    total_price: Decimal | None = None
    currency: str | None = None
    files: tuple[File, ...] = ()
    paused_nodes: tuple[str, ...] = ()
    reasons: tuple[PauseReason, ...] = ()
    user: str | None = None
    recovered: Recovered | None = None
    text_complete: bool = True
    output: T = attrs.field(default=None)
    failed_node: NodeFinished | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def ref(self) -> RunRef | None:
        """What is needed to find the run again; None if its id is not known."""
        return RunRef.of(self.workflow_run_id, task_id=self.task_id, user=self.user)

    def raise_for_status(self) -> None:
        """Raise if the run did not succeed.

        Raises:
            RunFailed: it ended ``failed``, or in a status that nobody knows.
            RunStopped: it was stopped.
            RunPaused: it waits for a person.
        """
        if self.status in SUCCESS:
            return
        if self.status == "stopped":
            raise RunStopped(self)
        if self.status == "paused":
            raise RunPaused(self)
        raise RunFailed(self, self.failed_node)
