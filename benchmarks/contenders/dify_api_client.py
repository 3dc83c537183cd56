"""dify-api-client: a fork of dify-client-python that knows no ``text_chunk``.

Such an event arrives as a model without fields, whose data is an untyped extra. Its
httpx client keeps httpx's default of 100 connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from dify_client import AsyncDifyClient, models


TYPED = "texts untyped, a model for the rest"


class Contender:
    """Its asynchronous client."""

    def __init__(self, address: str, streams: int) -> None:
        del streams
        self._client = AsyncDifyClient(api_key="app-bench", api_base=f"{address}/v1")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing of it can be closed."""

    async def read(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> int:
        """Run a workflow; see the package."""
        events = 0
        request = models.WorkflowsRunRequest(
            inputs=inputs, response_mode=models.ResponseMode.STREAMING, user="u1"
        )
        stream = await self._client.arun_workflows(request, timeout=60.0)
        async for event in stream:
            events += 1
            if event.event == models.StreamEvent.IGNORED:
                on_text(event.data["text"])
        return events
