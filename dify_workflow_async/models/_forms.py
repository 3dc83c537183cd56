"""Forms, and why a run waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from ._base import Value, raw_field


@attrs.frozen(kw_only=True, repr=False, eq=False)
class FormAction(Value):
    """A button of a form (specification, section 1.8)."""

    id: str | None = None
    title: str | None = None
    button_style: str | None = None


@attrs.frozen(kw_only=True, repr=False, eq=False)
class FormInput(Value):
    """A field of a form (specification, section 1.8).

    Attributes:
        type: ``paragraph``, ``select``, ``file`` or ``file-list``.
        output_variable_name: the key under which the value is submitted.
        default: of a paragraph: ``type`` (``constant`` or ``variable``), ``selector``
            and ``value``.
        option_source: of a select: the same keys; ``value`` is the list of options.
        allowed_file_types: of files: ``image``, ``document``, ``audio``, ``video`` or
            ``custom``.
        allowed_file_upload_methods: of files: ``local_file`` and ``remote_url``.
        number_limits: of a file list: how many files; 0 if nothing limits them.
    """

    type: str | None = None
    output_variable_name: str | None = None
    default: Mapping[str, Any] | None = None
    option_source: Mapping[str, Any] | None = None
    allowed_file_types: tuple[str, ...] = ()
    allowed_file_extensions: tuple[str, ...] = ()
    allowed_file_upload_methods: tuple[str, ...] = ()
    number_limits: int | None = None
    raw: Mapping[str, Any] = raw_field()


@attrs.frozen(kw_only=True, repr=False, eq=False)
class PauseReason(Value):
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
    raw: Mapping[str, Any] = raw_field()
