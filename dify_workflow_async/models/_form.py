"""A form as a whole, as the one who is to answer it reads it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from ._base import Value, raw_field
from ._forms import FormAction, FormInput


@attrs.frozen(kw_only=True, repr=False, eq=False)
class Form(Value):
    """A form that a paused run waits for (specification, section 1.8).

    Attributes:
        form_content: Markdown; ``{{#$output.NAME#}}`` marks where an input belongs.
        inputs: what must be submitted, every one of them.
        resolved_default_values: the defaults that come from the run's variables, by
            the inputs' names, as text.
        user_actions: the buttons; the ``id`` of one is submitted as the action.
        expiration_time: after it the form cannot be submitted any more.
    """

    form_content: str | None = None
    inputs: tuple[FormInput, ...] = ()
    resolved_default_values: Mapping[str, Any] | None = None
    user_actions: tuple[FormAction, ...] = ()
    expiration_time: datetime | None = None
    raw: Mapping[str, Any] = raw_field()
