"""dify-client-python: pydantic models over httpx and httpx-sse.

All its clients share one httpx client with httpx's default of 100 connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from dify_client import AsyncClient, models


TYPED = "a model for texts, a union of models for the rest"


class Contender:
    """Its asynchronous client."""

    def __init__(self, address: str, streams: int) -> None:
        del streams
        self._client = AsyncClient(api_key="app-bench", api_base=f"{address}/v1")

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
            if event.event == models.StreamEvent.TEXT_CHUNK:
                on_text(event.data.text)
        return events
