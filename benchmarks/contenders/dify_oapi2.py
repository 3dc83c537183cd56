"""dify-oapi2: yields bytes, as its examples print them.

To have events at all, the program cuts and decodes them; it is done here with the
standard library.
"""

from __future__ import annotations

import json

from collections.abc import Callable
from typing import Any, Self

from dify_oapi.api.workflow.v1.model.run_workflow_request import RunWorkflowRequest
from dify_oapi.api.workflow.v1.model.run_workflow_request_body import (
    RunWorkflowRequestBody,
)
from dify_oapi.api.workflow.v1.model.workflow_inputs import WorkflowInputs
from dify_oapi.client import Client
from dify_oapi.core.model.request_option import RequestOption


TYPED = "bytes"


class Contender:
    """Its client, with as many connections as are needed."""

    def __init__(self, address: str, streams: int) -> None:
        self._client = (
            Client.builder()
            .domain(address)
            .max_connections(max(streams, 100))
            .keepalive_expiry(30.0)
            .build()
        )
        self._option = RequestOption.builder().api_key("app-bench").build()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.aclose()

    async def read(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> int:
        """Run a workflow; see the package."""
        events = 0
        body = (
            RunWorkflowRequestBody.builder()
            .inputs(WorkflowInputs.builder().inputs(inputs).build())
            .response_mode("streaming")
            .user("u1")
            .build()
        )
        request = RunWorkflowRequest.builder().request_body(body).build()
        stream = await self._client.workflow.v1.workflow.arun(
            request, self._option, stream=True
        )
        pieces: list[bytes] = []
        async for chunk in stream:
            pieces.append(chunk)
            if not chunk.endswith(b"\n\n"):
                continue
            for frame in b"".join(pieces).split(b"\n\n"):
                if frame.startswith(b"data: "):
                    event = json.loads(frame[6:])
                    events += 1
                    if event["event"] == "text_chunk":
                        on_text(event["data"]["text"])
            pieces.clear()
        return events
