"""What one writes by hand: httpx, httpx-sse, and a pydantic model for each event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import httpx

from httpx_sse import aconnect_sse
from pydantic import BaseModel, Field, TypeAdapter


TYPED = "a model for each event"


class _Event(BaseModel):
    task_id: str | None = None
    workflow_run_id: str | None = None


class _TextData(BaseModel):
    text: str = ""
    from_variable_selector: list[str] = []


class _TextChunk(_Event):
    event: Literal["text_chunk"]
    data: _TextData


class _StartedData(BaseModel):
    id: str
    workflow_id: str
    inputs: dict[str, Any] = {}
    created_at: int | None = None


class _Started(_Event):
    event: Literal["workflow_started"]
    data: _StartedData


class _NodeData(BaseModel):
    id: str
    node_id: str
    node_type: str
    title: str
    index: int
    predecessor_node_id: str | None = None
    inputs: dict[str, Any] | None = None
    created_at: int | None = None
    iteration_id: str | None = None
    loop_id: str | None = None


class _NodeStarted(_Event):
    event: Literal["node_started"]
    data: _NodeData


class _NodeFinishedData(_NodeData):
    process_data: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    status: str
    error: str | None = None
    elapsed_time: float | None = None
    execution_metadata: dict[str, Any] | None = None
    finished_at: int | None = None


class _NodeFinished(_Event):
    event: Literal["node_finished"]
    data: _NodeFinishedData


class _FinishedData(BaseModel):
    id: str
    workflow_id: str
    status: str
    outputs: dict[str, Any] | None = None
    error: str | None = None
    elapsed_time: float | None = None
    total_tokens: int | None = None
    total_steps: int | None = None
    created_at: int | None = None
    finished_at: int | None = None


class _Finished(_Event):
    event: Literal["workflow_finished"]
    data: _FinishedData


_events: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        _TextChunk | _Started | _NodeStarted | _NodeFinished | _Finished,
        Field(discriminator="event"),
    ]
)


class Contender:
    """One httpx client, whose default of 100 connections is raised."""

    def __init__(self, address: str, streams: int) -> None:
        self._client = httpx.AsyncClient(
            base_url=address,
            headers={"Authorization": "Bearer app-bench"},
            timeout=httpx.Timeout(60),
            limits=httpx.Limits(max_connections=max(streams, 100)),
        )

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
        body = {"inputs": inputs, "response_mode": "streaming", "user": "u1"}
        async with aconnect_sse(
            self._client, "POST", "/v1/workflows/run", json=body
        ) as source:
            async for sse in source.aiter_sse():
                if not sse.data:  # a ping
                    continue
                event = _events.validate_json(sse.data)
                events += 1
                if isinstance(event, _TextChunk):
                    on_text(event.data.text)
        return events
