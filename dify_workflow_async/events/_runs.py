"""Events of a run as a whole, and of the people it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import attrs

from ..models import Creator, File, FormAction, FormInput, PauseReason
from ._base import Event, versioned


@attrs.frozen(kw_only=True, repr=False, eq=False)
class WorkflowStarted(Event):
    """The run began, or went on after a pause (``reason="resumption"``).

    Attributes:
        id: the workflow run id.
        workflow_id: of the published version that runs.
        inputs: as the app declares them, and the server's own, as ``sys.user_id``.
        reason: ``initial`` or ``resumption``.
        sequence_number: which run of the app this is.
    """

    event_name: ClassVar[str] = "workflow_started"
    since: ClassVar[str] = "0.6.0"

    id: str | None = None
    workflow_id: str | None = None
    inputs: Mapping[str, Any] | None = None
    created_at: datetime | None = None
    reason: str | None = versioned(since="1.13.0")
    sequence_number: int | None = versioned(gone="1.4.2")


@attrs.frozen(kw_only=True, repr=False, eq=False)
class WorkflowFinished(Event):
    """The run ended.

    Attributes:
        id: the workflow run id.
        status: ``succeeded``, ``partial-succeeded``, ``failed`` or ``stopped``.
        outputs: of the End nodes, by name.
        elapsed_time: seconds.
        total_steps: as the server counts them.
        created_by: the end user, or the account, for whom it ran.
        exceptions_count: how many nodes failed and were dealt with.
        files: all files among the outputs.
    """

    event_name: ClassVar[str] = "workflow_finished"
    since: ClassVar[str] = "0.6.0"

    id: str | None = None
    workflow_id: str | None = None
    status: str | None = None
    outputs: Mapping[str, Any] | None = None
    error: str | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_steps: int | None = None
    created_by: Creator | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
    exceptions_count: int | None = versioned(since="0.14.0")
    files: tuple[File, ...] = ()
    sequence_number: int | None = versioned(gone="1.4.2")


@attrs.frozen(kw_only=True, repr=False, eq=False)
class WorkflowPaused(Event):
    """The run waits for a person; the server closes the stream after this.

    Attributes:
        paused_nodes: ids of the nodes that wait.
        outputs: filled in a snapshot only, else empty.
        reasons: what it waits for: a form each, as a rule.
        status: ``paused``.
        elapsed_time: seconds.
    """

    event_name: ClassVar[str] = "workflow_paused"
    since: ClassVar[str] = "1.13.0"

    paused_nodes: tuple[str, ...] = ()
    outputs: Mapping[str, Any] | None = None
    reasons: tuple[PauseReason, ...] = ()
    status: str | None = None
    created_at: datetime | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_steps: int | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Error(Event):
    """The request failed after the server had begun to stream.

    Attributes:
        status: what the HTTP status would have been.
        code: Dify's word for it; None where the run had not begun.
    """

    event_name: ClassVar[str] = "error"
    since: ClassVar[str] = "0.6.0"
    flat: ClassVar[bool] = True

    status: int | None = None
    code: str | None = None
    message: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class HumanInputRequired(Event):
    """A form waits for a person; a `WorkflowPaused` follows.

    Attributes:
        form_content: what the person reads, as Markdown.
        inputs: the fields of the form.
        actions: the buttons of the form.
        form_token: what the form is submitted by; None if it was sent elsewhere.
        approval_channels: where the form was sent.
        resolved_default_values: what the fields hold at first, by name.
        expiration_time: when it is too late to answer.
    """

    event_name: ClassVar[str] = "human_input_required"
    since: ClassVar[str] = "1.13.0"

    form_id: str | None = None
    node_id: str | None = None
    node_title: str | None = None
    form_content: str | None = None
    inputs: tuple[FormInput, ...] = ()
    actions: tuple[FormAction, ...] = ()
    display_in_ui: bool | None = None
    form_token: str | None = None
    approval_channels: tuple[str, ...] = versioned((), since="1.16.0")
    resolved_default_values: Mapping[str, Any] | None = None
    expiration_time: datetime | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class HumanInputFormFilled(Event):
    """Somebody answered a form.

    Attributes:
        rendered_content: the form with its answers, as the person saw it.
        action_id: of the button that was pressed.
        action_text: what that button says.
        submitted_data: what was filled in, by name.
    """

    event_name: ClassVar[str] = "human_input_form_filled"
    since: ClassVar[str] = "1.13.0"

    node_id: str | None = None
    node_title: str | None = None
    rendered_content: str | None = None
    action_id: str | None = None
    action_text: str | None = None
    submitted_data: Mapping[str, Any] | None = versioned(since="1.15.0")


@attrs.frozen(kw_only=True, repr=False, eq=False)
class HumanInputFormTimeout(Event):
    """Nobody answered a form in time."""

    event_name: ClassVar[str] = "human_input_form_timeout"
    since: ClassVar[str] = "1.13.0"

    node_id: str | None = None
    node_title: str | None = None
    expiration_time: datetime | None = None
