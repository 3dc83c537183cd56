"""Replay: recorded answers, byte by byte."""

import asyncio
import contextlib

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from aiohttp import web

from ._errors import RecordingError
from ._ids import new_id
from ._json import is_object
from ._recording import RecordedRequest, Recording, read_recording
from ._runs import Run


Cuts: TypeAlias = int | Sequence[int] | Callable[[bytes], Sequence[int]]

# Turns of the event loop between two pieces. A reader in the same loop needs one to
# learn of a piece and one to take it; with fewer it gets two pieces at once.
_TURNS: Final = 2

REPLAYED: Final = web.RequestKey("replayed", Recording)


@attrs.frozen
class Replay:
    """Recorded answers instead of a workflow.

    A file answers every run. Of a directory that recording answers whose request
    (``NAME.req``) asked the same: method, path with query, and JSON body; what
    nobody recorded is answered as for an app without a workflow.

    Args:
        path: A ``.http`` file, or a directory of them.
        speed: How many times faster than recorded, by ``NAME.timing``; ``None``
            sends without delays.
        cuts: How the body is cut into writes instead of the recorded chunks: the
            size of every piece, the sizes of the first ones, or a function of the
            body that tells sizes. What sizes leave over is one last piece.

    Raises:
        RecordingError: There is no recording, or a file is none.
    """

    path: Path = attrs.field(converter=Path)
    speed: float | None = attrs.field(default=None, kw_only=True)
    cuts: Cuts | None = attrs.field(default=None, kw_only=True)
    _recordings: tuple[Recording, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        paths = sorted(self.path.glob("*.http")) if self.path.is_dir() else [self.path]
        if not paths:
            message = f"{self.path}: no recordings (*.http) there"
            raise RecordingError(message)
        recordings = tuple(read_recording(path) for path in paths)
        object.__setattr__(self, "_recordings", recordings)

    def find(self, method: str, target: str, body: Any) -> Recording | None:
        """Find the recording that answers a request."""
        if not self.path.is_dir():
            is_run = method == "POST" and target.partition("?")[0].endswith("/run")
            return self._recordings[0] if is_run else None
        wanted = RecordedRequest(method=method, target=target, body=body)
        return next((one for one in self._recordings if one.request == wanted), None)

    async def send(
        self, request: web.Request, recording: Recording
    ) -> web.StreamResponse:
        """Answer a request with a recording."""
        request[REPLAYED] = recording
        response = web.StreamResponse(status=recording.status, reason=recording.reason)
        response.headers.extend(recording.headers)
        if not recording.is_chunked:
            response.content_length = len(recording.body)
        with contextlib.suppress(ConnectionError):  # the client has left
            await response.prepare(request)
            await self._send_body(response, recording)
            if recording.end == "hold":
                await asyncio.Event().wait()  # until the client leaves
        if recording.end == "cut" and request.transport is not None:
            request.transport.close()
        return response

    async def _send_body(
        self, response: web.StreamResponse, recording: Recording
    ) -> None:
        if self.cuts is not None:
            for piece in cut(recording.body, self.cuts):
                await response.write(piece)
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
            return
        clock = asyncio.get_running_loop().time
        started = clock()
        for chunk in recording.chunks:
            if self.speed is not None:
                due = started + recording.seconds_at(chunk.offset) / self.speed
                await asyncio.sleep(max(0.0, due - clock()))
            await response.write(chunk.data)


def cut(body: bytes, cuts: Cuts) -> Iterator[bytes]:
    """Cut a body into pieces, as ``Replay`` tells."""
    if isinstance(cuts, int):
        cuts = [cuts] * -(-len(body) // cuts)
    sizes = cuts(body) if callable(cuts) else cuts
    position = 0
    for size in sizes:
        if body[position : position + size]:
            yield body[position : position + size]
        position += size
    if position < len(body):
        yield body[position:]


def run_of(recording: Recording, *, app_key: str, app_id: str, body: Any) -> Run:
    """Make the run that a recording tells of, as far as it tells.

    Args:
        recording: The answer to a run.
        app_key: The key of the app that replays it.
        app_id: The id of that app.
        body: The body of the request that is answered.
    """
    events = recording.events()
    asked = body if is_object(body) else dict[str, Any]()
    first = next((one for one in events if one.get("task_id")), dict[str, Any]())
    run = Run(
        id=first.get("workflow_run_id") or new_id(),
        task_id=first.get("task_id") or new_id(),
        workflow_id=first.get("data", {}).get("workflow_id") or new_id(),
        app_key=app_key,
        app_id=app_id,
        user=str(asked.get("user", "")),
        inputs=asked.get("inputs") or {},
    )
    for event in events:
        run.send(event)
        if event.get("event") == "workflow_finished":
            _finish(run, event["data"])
        elif event.get("event") == "workflow_paused":
            _pause(run, event["data"])
    run.end()
    return run


def _finish(run: Run, data: dict[str, Any]) -> None:
    run.status = data["status"]
    run.outputs = data["outputs"]
    run.error = data["error"]
    run.created_at = data["created_at"]
    run.finished_at = data["finished_at"]
    run.elapsed_time = data["elapsed_time"]
    run.total_tokens = data["total_tokens"]
    run.total_steps = data["total_steps"]
    run.exceptions_count = data.get("exceptions_count", 0)  # no blocking answer has it


def _pause(run: Run, data: dict[str, Any]) -> None:
    run.status = "paused"
    run.created_at = data["created_at"]
    run.total_tokens = data["total_tokens"]
    run.total_steps = data["total_steps"]
