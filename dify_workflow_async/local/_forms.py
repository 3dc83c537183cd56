"""The form of a run that waits for a person."""

import asyncio
import re
import secrets
import string
import time

from typing import Any

import attrs

from ._errors import FormRefused
from ._form_values import problem_of
from ._ids import new_id, unix_now
from ._steps import Json


_FIELD = re.compile(r"\{\{#\$output\.([^#]+)#\}\}")


def _new_token() -> str:
    """As real servers make them: 22 letters and digits, so no dash comes first."""
    return "".join(
        secrets.choice(string.ascii_letters + string.digits) for _ in range(22)
    )


@attrs.define(kw_only=True, eq=False)
class Form:
    """A form, answered once, until it expires.

    Args:
        node_id: The node that asks.
        node_title: The title of the node.
        content: What the person reads, with the placeholders filled.
        template: The content as the workflow has it.
        inputs: The inputs, as the API has them.
        actions: The buttons, as the API has them.
        default_values: Values that the form begins with, by input.
        expires_in: Seconds until it expires.
        id: The form's id.
        token: What its address ends in.
        action: The button that was pressed, empty before.
        submitted: What was submitted, by input.
        has_expired: Whether nobody answered in time.
    """

    node_id: str
    node_title: str
    content: str
    template: str
    inputs: list[Json]
    actions: list[Json]
    default_values: Json
    expires_in: float
    id: str = attrs.field(factory=new_id)
    token: str = attrs.field(factory=_new_token)
    action: Json = attrs.field(factory=dict[str, Any], init=False)
    submitted: Json = attrs.field(factory=dict[str, Any], init=False)
    has_expired: bool = attrs.field(default=False, init=False)
    _answered: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _created_at: int = attrs.field(factory=unix_now, init=False)
    _begun: float = attrs.field(factory=time.monotonic, init=False, repr=False)

    @property
    def expiration_time(self) -> int:
        """When it expires, in unix seconds."""
        return int(self._created_at + self.expires_in)

    @property
    def is_open(self) -> bool:
        """Whether it still waits for an answer."""
        return not self.has_expired and not self._answered.is_set()

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
        """What was submitted, as the node gives it; of no answer an empty action."""
        if not self.action:
            return {"__action_id": ""}
        return dict(self.submitted) | {
            "__action_id": self.action["id"],
            "__rendered_content": self.rendered_content,
            "__action_value": self.action["title"],
        }

    def check_open(self) -> None:
        """Check that it still waits for an answer.

        Raises:
            FormRefused: It was answered before, or has expired.
        """
        if self._answered.is_set():
            message = (
                "This form has already been submitted by another user, "
                f"form_id={self.id}"
            )
            raise FormRefused(412, "human_input_form_submitted", message)
        if self.has_expired:
            message = f"This form has expired, form_id={self.id}"
            raise FormRefused(412, "human_input_form_expired", message)

    def answer(self, action_id: str, inputs: Json) -> None:
        """Answer the form, so that its run goes on.

        Raises:
            FormRefused: The form was answered before, has expired or has no such
                action, or inputs are missing or do not fit; the last ones may be
                corrected.
        """
        self.check_open()
        found = [action for action in self.actions if action.get("id") == action_id]
        if not found:
            message = f"Invalid action: {action_id}"
            raise FormRefused(400, "invalid_form_data", message)
        names = [str(one.get("output_variable_name")) for one in self.inputs]
        missing = [name for name in names if name not in inputs]
        if missing:
            message = f"Missing required inputs: {', '.join(missing)}"
            raise FormRefused(400, "invalid_form_data", message)
        for name, one in zip(names, self.inputs, strict=True):
            if problem := problem_of(one, inputs[name]):
                message = f"Invalid value for {name}: {problem}"
                raise FormRefused(400, "invalid_form_data", message)
        self.action, self.submitted = found[0], dict(inputs)
        self._answered.set()

    async def wait(self) -> None:
        """Wait until somebody answers, or it expires."""
        rest = self._begun + self.expires_in - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, rest)):
                await self._answered.wait()
        except TimeoutError:
            # Both may come true in one turn of the loop; then the answer counts.
            self.has_expired = not self._answered.is_set()
