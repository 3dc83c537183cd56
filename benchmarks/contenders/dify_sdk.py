"""dify-sdk: pydantic models over httpx; a new httpx client for each run.

It drops every read that does not begin and end with an event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from dify import AdminClient, Dify
from dify.app.schemas import ConversationEventType, RunWorkflowPayloads


TYPED = "a model for each event"


class Contender:
    """Its administrator's client, by which apps are run, too."""

    def __init__(self, address: str, streams: int) -> None:
        del streams
        admin = AdminClient(address, "key", x_csrf_token="token", cookie="cookie")
        self._dify = Dify(admin)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """There is nothing to close."""

    async def read(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> int:
        """Run a workflow; see the package."""
        events = 0
        payloads = RunWorkflowPayloads(inputs=inputs, user="u1")
        async for event in self._dify.app.run("app-bench", payloads):
            events += 1
            if event.event == ConversationEventType.TEXT_CHUNK:
                on_text(event.data.text)
        return events
