"""Events as lines of text: what a person wants to know of each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

from ..events import (
    Error,
    Event,
    IterationCompleted,
    IterationNext,
    IterationStarted,
    LoopCompleted,
    LoopNext,
    LoopStarted,
    NodeFinished,
    NodeRetry,
    NodeStarted,
    TextChunk,
    TextReplace,
    TtsMessage,
    UnknownEvent,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from ..models import RunResult
from ._show import shown


@singledispatch
def describe(event: Event) -> str:
    """What *event* says, in a few words; its name is printed beside it."""
    return event.name if isinstance(event, UnknownEvent) else ""


@describe.register
def _(event: WorkflowStarted) -> str:
    return f"run {event.workflow_run_id}"


@describe.register
def _(event: NodeStarted | IterationStarted | LoopStarted) -> str:
    return event.title


@describe.register
def _(event: IterationNext | LoopNext) -> str:
    return f"round {event.index}"


@describe.register
def _(event: TextChunk | TextReplace) -> str:
    return repr(event.text)


@describe.register
def _(event: NodeRetry) -> str:
    return f"{event.title}: try {event.retry_index} after {event.error}"


@describe.register
def _(event: NodeFinished | IterationCompleted | LoopCompleted) -> str:
    return _ended(event.title, event.status, event.elapsed_time, event.error)


@describe.register
def _(event: WorkflowFinished) -> str:
    return _ended("", event.status, event.elapsed_time, event.error)


@describe.register
def _(event: WorkflowPaused) -> str:
    return f"waits for a person at {', '.join(event.paused_nodes)}"


@describe.register
def _(event: Error) -> str:
    return f"{event.code or 'no code'}: {event.message}"


@describe.register
def _(event: TtsMessage) -> str:
    # Base64 has four characters for three bytes.
    return f"about {len(event.audio) * 3 // 4} bytes of speech"


def _ended(
    title: str, status: str | None, seconds: float | None, error: str | None
) -> str:
    words = [title] if title else []
    words.append(status or "ended")
    if seconds is not None:
        words.append(f"after {seconds:.2f} s")
    if error:
        words.append(f"({error})")
    return " ".join(words)


def summarize(result: RunResult) -> Iterator[tuple[str, str]]:
    """The lines of a result: a name and a value each."""
    yield "status", result.status or "unknown"
    for name, value in result.outputs.items():
        yield name, shown(value)
    if result.error:
        yield "error", result.error
    for file in result.files:
        yield "file", " ".join(filter(None, (file.filename, file.url)))
    yield "seconds", f"{result.elapsed_time or 0:.2f}"
    yield "tokens", str(result.total_tokens or 0)
    if result.total_price:
        yield "price", f"{result.total_price} {result.currency or ''}".rstrip()
    yield "run", result.workflow_run_id or "unknown"
