"""Which fields of which events a browser gets, unless somebody asks for others.

Nothing that only the app's author should see: no inputs, no prompts, no outputs of
single nodes, no texts of errors, no ids of the server, no form tokens. Of files there
are name, kind, size and signed URL; of ``metadata`` the number of rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


ALL: Final = ("*",)
"""Every field of an event's data, as the server sent it."""

_BLOCK = ("id", "node_type", "title")
_END = ("status", "elapsed_time")

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "workflow_started": ("created_at", "reason"),
    "workflow_finished": ("status", "outputs", "files", "elapsed_time"),
    "workflow_paused": ("status", "elapsed_time"),
    "text_chunk": ("text",),
    "text_replace": ("text",),
    "node_started": (*_BLOCK, "iteration_id", "loop_id"),
    "node_finished": (*_BLOCK, "iteration_id", "loop_id", *_END),
    "node_retry": ("id", "retry_index"),
    "iteration_started": (*_BLOCK, "metadata"),
    "iteration_next": ("id", "index"),
    "iteration_completed": (*_BLOCK, *_END, "steps"),
    "loop_started": (*_BLOCK, "metadata"),
    "loop_next": ("id", "index"),
    "loop_completed": (*_BLOCK, *_END, "steps"),
    "human_input_required": (
        *("form_content", "inputs", "actions", "expiration_time"),
        *("node_title", "resolved_default_values"),
    ),
    "human_input_form_filled": ("node_title", "action_text"),
    "human_input_form_timeout": ("node_title",),
    "tts_message": ("audio",),
    "tts_message_end": (),
}
"""What is relayed of each event that is relayed by default."""

IDS: Final = frozenset({"id", "node_id", "iteration_id", "loop_id"})
"""Fields that tell executions and nodes apart: small numbers take their place."""
