"""This client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from dify_workflow_async import Dispatcher, WorkflowClient
from dify_workflow_async.events import NodeFinished, TextChunk


TYPED = "a class for each event"


class Contender:
    """The client, and its other ways to take a run, as further methods."""

    def __init__(self, address: str, streams: int) -> None:
        del streams
        self._client = WorkflowClient("app-bench", address, "u1")

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.aclose()

    async def read(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> int:
        """Run a workflow; see the package."""
        events = 0
        async with self._client.stream(inputs) as run:
            async for event in run:
                events += 1
                if isinstance(event, TextChunk):
                    on_text(event.text)
        return events

    async def handler(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> None:
        """Have an async handler called for each text."""
        dispatcher = Dispatcher()

        @dispatcher.on(TextChunk)
        async def take(event: TextChunk) -> None:
            on_text(event.text)

        async with self._client.stream(inputs, dispatcher=dispatcher) as run:
            await run.result()

    async def unwanted(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> None:
        """Have handlers, of which none wants the texts."""
        dispatcher = Dispatcher()

        @dispatcher.on(NodeFinished)
        async def take(event: NodeFinished) -> None:
            raise NotImplementedError(event)  # a long stream has no such event

        async with self._client.stream(inputs, dispatcher=dispatcher) as run:
            await run.result()
            on_text(run.text)

    async def run(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> None:
        """Await the result alone."""
        result = await self._client.run(inputs)
        on_text(result.outputs["text"])

    async def batch(
        self, inputs: dict[str, Any], n: int, at_once: int
    ) -> AsyncIterator[str]:
        """Run *n* rows with the same inputs; the text of each."""
        rows = (inputs for _ in range(n))
        async with self._client.batch(rows, concurrency=at_once) as batch:
            async for item in batch:
                yield item.result.outputs["text"]
