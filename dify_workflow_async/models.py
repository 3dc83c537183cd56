"""What the API answers, as values: attrs classes without JSON and without I/O.

A field that the server leaves out or sends as null is None (a list is empty); a value
of a wrong type is None too and stays as sent in ``raw``. Times are aware datetimes in
UTC, prices are Decimals. Statuses are open strings, since servers add some.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from .errors import RunFailed, RunPaused, RunStopped


if TYPE_CHECKING:
    from .events import NodeFinished

__all__ = [
    "SUCCESS",
    "TERMINAL",
    "Creator",
    "ExecutionMetadata",
    "File",
    "FormAction",
    "FormInput",
    "PauseReason",
    "RunDetail",
    "RunResult",
]

TERMINAL = frozenset({"succeeded", "failed", "stopped", "partial-succeeded"})
"""Statuses after which a run does not change (specification, section 3.7)."""

SUCCESS = frozenset({"succeeded", "partial-succeeded"})
"""Statuses of a run that did its work. A run in which a node failed and its error
strategy, or a retry, dealt with it ends as ``partial-succeeded``."""


def _raw() -> Any:
    return attrs.field(factory=dict[str, Any], repr=False, eq=False)


@attrs.frozen(kw_only=True)
class File:
    """A file among the outputs of a node or a run (specification, section 2.3).

    Attributes:
        type: ``image``, ``document``, ``audio``, ``video`` or ``custom``.
        transfer_method: ``local_file``, ``remote_url`` or ``tool_file``.
        extension: with its dot, such as ``".png"``.
        size: in bytes; -1 if the server does not know.
        url: signed; it expires, after 300 s by default, and may be relative.
    """

    id: str | None = None
    type: str | None = None
    transfer_method: str | None = None
    remote_url: str | None = None
    related_id: str | None = None
    filename: str | None = None
    extension: str | None = None
    mime_type: str | None = None
    size: int | None = None
    url: str | None = None
    raw: Mapping[str, Any] = _raw()


@attrs.frozen(kw_only=True)
class Creator:
    """Who started a run: an end user by ``user``, or an account by name."""

    id: str | None = None
    user: str | None = None
    name: str | None = None
    email: str | None = None


@attrs.frozen(kw_only=True)
class ExecutionMetadata:
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
    raw: Mapping[str, Any] = _raw()


@attrs.frozen(kw_only=True)
class FormAction:
    """A button of a form (specification, section 1.8)."""

    id: str | None = None
    title: str | None = None
    button_style: str | None = None


@attrs.frozen(kw_only=True)
class FormInput:
    """A field of a form (specification, section 1.8); ``raw`` has the rest of it.

    Attributes:
        type: ``paragraph``, ``select``, ``file`` or ``file-list``.
        output_variable_name: the key under which the value is submitted.
    """

    type: str | None = None
    output_variable_name: str | None = None
    raw: Mapping[str, Any] = _raw()


@attrs.frozen(kw_only=True)
class PauseReason:
    """Why a run waits (specification, section 3.6).

    Attributes:
        type: ``human_input_required`` or ``scheduled_pause``.
        form_token: what a form is submitted by; None if it was sent elsewhere.
    """

    type: str | None = None
    form_id: str | None = None
    form_token: str | None = None
    form_content: str | None = None
    node_id: str | None = None
    node_title: str | None = None
    inputs: tuple[FormInput, ...] = ()
    actions: tuple[FormAction, ...] = ()
    resolved_default_values: Mapping[str, Any] | None = None
    expiration_time: datetime | None = None
    message: str | None = None
    raw: Mapping[str, Any] = _raw()


@attrs.frozen(kw_only=True, init=False, repr=False, eq=False)
class _Run:
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
    raw: Mapping[str, Any] = _raw()

    @property
    def is_terminal(self) -> bool:
        """True if the run has ended: its status will not change."""
        return self.status in TERMINAL

    @property
    def is_success(self) -> bool:
        """True for ``succeeded`` and ``partial-succeeded``."""
        return self.status in SUCCESS


@attrs.frozen(kw_only=True)
class RunDetail(_Run):
    """A run as ``GET /workflows/run/{id}`` tells (specification, section 1.5).

    Attributes:
        id: the workflow run id.
        status: ``running``, ``paused``, or one of `TERMINAL`.
        inputs: as the run got them, with the ``sys.*`` values.
        outputs: empty until the run ends.
        elapsed_time: seconds; 0 while it runs.
    """

    id: str | None = None
    inputs: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class RunResult(_Run):
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
        failed_node: the event of the node that failed last, where a stream told.
    """

    workflow_run_id: str | None = None
    task_id: str | None = None
    created_by: Creator | None = None
    exceptions_count: int | None = None
    files: tuple[File, ...] = ()
    paused_nodes: tuple[str, ...] = ()
    reasons: tuple[PauseReason, ...] = ()
    failed_node: NodeFinished | None = attrs.field(default=None, repr=False, eq=False)

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
