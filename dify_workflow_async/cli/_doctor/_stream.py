"""Runs the workflow once, and notes when what came."""

from __future__ import annotations

import time

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from ... import Dispatcher, WorkflowClient
from ...errors import DifyError
from ...events import (
    Event,
    NodeFinished,
    NodeStarted,
    Ping,
    WorkflowFinished,
    WorkflowStarted,
)
from ...models import RunResult


@attrs.frozen
class Beat:
    """Something came.

    Attributes:
        at: seconds since the run was asked for.
        name: of the event.
        written: when the server wrote it, in whole seconds by its own clock, where the
            event tells.
    """

    at: float
    name: str
    written: datetime | None = None


@attrs.frozen(kw_only=True)
class Watched:
    """A run, as it was seen from here.

    Attributes:
        beats: what came, in order.
        seconds: from the request to the end, or to the error.
        result: None if an error ended it.
        error: None if it went well, or as well as runs go.
    """

    beats: tuple[Beat, ...]
    seconds: float
    result: RunResult[Any] | None = None
    error: DifyError | None = None


async def watch(
    client: WorkflowClient, inputs: Mapping[str, Any], *, timeout: float
) -> Watched:
    """Run the workflow with *inputs*, for at most *timeout* seconds."""
    beats: list[Beat] = []
    begin = time.perf_counter()

    def note(event: Event) -> None:
        at = time.perf_counter() - begin
        beats.append(Beat(at, event.event_name, _written(event)))

    dispatcher = Dispatcher()
    dispatcher.on(Ping)(note)
    result: RunResult[Any] | None = None
    failure: DifyError | None = None
    try:
        async with client.stream(
            inputs, dispatcher=dispatcher, timeout=timeout
        ) as stream:
            async for event in stream:
                note(event)
            result = await stream.result()
    except DifyError as error:
        failure = error
    return Watched(
        beats=tuple(beats),
        seconds=time.perf_counter() - begin,
        result=result,
        error=failure,
    )


def _written(event: Event) -> datetime | None:
    """The time that an event is about, where that is when it was written."""
    match event:
        case WorkflowStarted() | NodeStarted():
            return event.created_at
        case NodeFinished() | WorkflowFinished():
            return event.finished_at
        case _:
            return None
