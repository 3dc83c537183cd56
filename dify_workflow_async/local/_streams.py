"""Server-sent events, framed as the servers frame them.

One event is one HTTP chunk: ``data: {compact JSON, raw UTF-8}`` and an empty line.
A ping has no data at all.
"""

import asyncio
import contextlib
import json

from typing import Final

import attrs

from aiohttp import web

from ._backend import Backend
from ._runs import Event, Run


PING: Final = b"event: ping\n\n"

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_HEADERS: Final = {"Content-Type": "text/event-stream; charset=utf-8"}

# Only streams that are joined have them.
_JOINED_HEADERS: Final = _HEADERS | {
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
}


@attrs.frozen(kw_only=True)
class Joining:
    """How a reader joins a run that goes on or waits.

    Args:
        first: What it is told first.
        position: Where it begins to listen.
        closing: The names of the events that end its stream.
        pings_in_pause: Whether it gets pings while the run waits.
    """

    first: list[Event]
    position: int
    closing: frozenset[str]
    pings_in_pause: bool


def frame(event: Event) -> bytes:
    """Write an event as one frame."""
    return f"data: {_encode(event)}\n\n".encode("utf-8", "replace")


async def stream_run(
    request: web.Request, run: Run, backend: Backend
) -> web.StreamResponse:
    """Answer with the events of a run, until it ends, pauses or goes wrong."""
    response = await _open(request, backend)
    with contextlib.suppress(ConnectionError):  # the client has left
        last = await _send_all(response, request, run, backend)
        await _linger(last, backend)
    return response


async def stream_refusal(
    request: web.Request, event: Event, backend: Backend
) -> web.StreamResponse:
    """Answer with one ``error`` event, as for a run that could not begin."""
    response = await _open(request, backend)
    with contextlib.suppress(ConnectionError):
        await response.write(frame(event))
        await _linger("error", backend)
    return response


async def stream_finished(request: web.Request, event: Event) -> web.StreamResponse:
    """Answer with what a run came to: one event, written as no other is."""
    response = web.StreamResponse(headers=_JOINED_HEADERS)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(f"data: {json.dumps(event)}\n\n".encode("ascii"))
    return response


async def stream_later(
    request: web.Request, run: Run, joining: Joining, backend: Backend
) -> web.StreamResponse:
    """Answer with what a run sends from now on, until an event closes the stream."""
    response = web.StreamResponse(headers=_JOINED_HEADERS)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(PING)
        for event in joining.first:
            await response.write(frame(event))
            if event["event"] in joining.closing:
                await asyncio.sleep(backend.close_delay)
                return response
        await _send_later(response, request, run, joining, backend)
    return response


async def _send_later(
    response: web.StreamResponse,
    request: web.Request,
    run: Run,
    joining: Joining,
    backend: Backend,
) -> None:
    joined = run.join(
        joining.position,
        silence=backend.ping_interval,
        pings_in_pause=joining.pings_in_pause,
        idle_limit=backend.idle_limit,
    )
    async with contextlib.aclosing(joined) as items:
        async for item in items:
            if item == "disconnect":
                drop(request)
                return
            if item == "ping":
                await response.write(PING)
                continue
            await response.write(frame(item))
            if item.get("event") in joining.closing:
                await asyncio.sleep(backend.close_delay)
                return


def drop(request: web.Request) -> None:
    """Close the connection in mid-body, without the chunk that ends it."""
    if request.transport is not None:
        request.transport.close()


async def _open(request: web.Request, backend: Backend) -> web.StreamResponse:
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    if backend.dialect.pings_first:
        await response.write(PING)
    return response


async def _send_all(
    response: web.StreamResponse, request: web.Request, run: Run, backend: Backend
) -> str:
    """Send what a run sends, and tell the name of the last event."""
    last = ""
    async with contextlib.aclosing(run.follow(backend.ping_interval)) as items:
        async for item in items:
            if item == "disconnect":
                drop(request)
                return "disconnect"
            if item == "ping":
                await response.write(PING)
                continue
            await response.write(frame(item))
            last = str(item.get("event"))
            if last == "workflow_paused":  # the run goes on without this reader
                break
    return last


async def _linger(last: str, backend: Backend) -> None:
    """Keep a stream open, in silence, for as long as the servers do."""
    if last == "error" and backend.dialect.holds_stream_after_error:
        await asyncio.sleep(backend.error_silence)
    elif last != "disconnect":
        await asyncio.sleep(backend.close_delay)
