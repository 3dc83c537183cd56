"""Events of a run as a whole, and of the people it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import attrs

from ..models import Creator, File, FormAction, FormInput, PauseReason
from ._base import Event


@attrs.frozen(kw_only=True, repr=False, eq=False)
class WorkflowStarted(Event):
    """The run began, or went on after a pause (``reason="resumption"``).

    Attributes:
        id: the workflow run id.
        reason: ``initial`` or ``resumption``; None before 1.13.
        sequence_number: None since 1.4.2.
    """

    event_name: ClassVar[str] = "workflow_started"

    id: str | None = None
    workflow_id: str | None = None
    inputs: Mapping[str, Any] | None = None
    created_at: datetime | None = None
    reason: str | None = None
    sequence_number: int | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class WorkflowFinished(Event):
    """The run ended.

    Attributes:
        status: ``succeeded``, ``partial-succeeded``, ``failed`` or ``stopped``.
        elapsed_time: seconds.
    """

    event_name: ClassVar[str] = "workflow_finished"

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
    exceptions_count: int | None = None
    files: tuple[File, ...] = ()
    sequence_number: int | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class WorkflowPaused(Event):
    """The run waits for a person; the server closes the stream after this."""

    event_name: ClassVar[str] = "workflow_paused"

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
    """The request failed after the server had begun to stream (section 4.3).

    Attributes:
        code: None where the run had not begun.
    """

    event_name: ClassVar[str] = "error"
    flat: ClassVar[bool] = True

    status: int | None = None
    code: str | None = None
    message: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class HumanInputRequired(Event):
    """A form waits for a person; a `WorkflowPaused` follows.

    Attributes:
        form_token: what the form is submitted by; None if it was sent elsewhere.
    """

    event_name: ClassVar[str] = "human_input_required"

    form_id: str | None = None
    node_id: str | None = None
    node_title: str | None = None
    form_content: str | None = None
    inputs: tuple[FormInput, ...] = ()
    actions: tuple[FormAction, ...] = ()
    display_in_ui: bool | None = None
    form_token: str | None = None
    approval_channels: tuple[str, ...] = ()
    resolved_default_values: Mapping[str, Any] | None = None
    expiration_time: datetime | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class HumanInputFormFilled(Event):
    """Somebody answered a form."""

    event_name: ClassVar[str] = "human_input_form_filled"

    node_id: str | None = None
    node_title: str | None = None
    rendered_content: str | None = None
    action_id: str | None = None
    action_text: str | None = None
    submitted_data: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class HumanInputFormTimeout(Event):
    """Nobody answered a form in time."""

    event_name: ClassVar[str] = "human_input_form_timeout"

    node_id: str | None = None
    node_title: str | None = None
    expiration_time: datetime | None = None
