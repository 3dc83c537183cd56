"""The form of a run that waits for a person."""

import asyncio
import re
import secrets

from typing import Any

import attrs

from ._ids import new_id, unix_now
from ._steps import Json


_FIELD = re.compile(r"\{\{#\$output\.([^#]+)#\}\}")


@attrs.define(kw_only=True, eq=False)
class Form:
    """A form, answered once."""

    node_id: str
    node_title: str
    content: str
    inputs: list[Json]
    actions: list[Json]
    default_values: Json
    expires_in: int
    id: str = attrs.field(factory=new_id)
    token: str = attrs.field(factory=lambda: secrets.token_urlsafe(16))
    action: Json = attrs.field(factory=dict[str, Any], init=False)
    submitted: Json = attrs.field(factory=dict[str, Any], init=False)
    _answered: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _created_at: int = attrs.field(factory=unix_now, init=False)

    @property
    def expiration_time(self) -> int:
        """When it expires, in unix seconds."""
        return self._created_at + self.expires_in

    @property
    def rendered_content(self) -> str:
        """The content with what was submitted in its places."""
        return _FIELD.sub(
            lambda match: str(self.submitted.get(match[1], match[0])), self.content
        )

    @property
    def typed_inputs(self) -> dict[str, Any]:
        """What was submitted, as the node shows it as its inputs."""
        return {
            name: {"value_type": "string", "value": value}
            for name, value in self.submitted.items()
        }

    @property
    def outputs(self) -> dict[str, Any]:
        """What was submitted, as the node gives it."""
        return dict(self.submitted) | {
            "__action_id": self.action["id"],
            "__rendered_content": self.rendered_content,
            "__action_value": self.action["title"],
        }

    def answer(self, action_id: str, inputs: Json) -> None:
        """Answer the form, so that its run goes on.

        Raises:
            ValueError: The form has no such action, or was answered before.
        """
        if self._answered.is_set():
            message = f"This form has already been submitted, form_id={self.id}"
            raise ValueError(message)
        found = [action for action in self.actions if action.get("id") == action_id]
        if not found:
            message = f"Invalid action: {action_id}"
            raise ValueError(message)
        self.action, self.submitted = found[0], dict(inputs)
        self._answered.set()

    async def wait(self) -> None:
        """Wait until somebody answers."""
        await self._answered.wait()
