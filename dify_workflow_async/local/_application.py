"""The routes behind one door: what every request and every answer goes through."""

import json

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import attrs

from aiohttp import web
from aiohttp.typedefs import Handler

from ._answers import not_found_page, refusal
from ._backend import Backend
from ._errors import RequestRefused
from ._recording import Recording
from ._replay import REPLAYED, Replay, run_of
from ._routes_app import AppRoutes
from ._routes_audio import AudioRoutes
from ._routes_events import EventRoutes
from ._routes_files import FileRoutes
from ._routes_forms import FormRoutes
from ._routes_logs import LogRoutes
from ._routes_runs import RunRoutes


# Far above what a run takes; the limit protects the machine.
_LARGEST_BODY: Final = 64 * 1024 * 1024

# Their handlers read the body piece by piece.
_STREAMED: Final = frozenset({"/v1/files/upload", "/v1/audio-to-text"})

_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Env, X-Trace-Id, X-Version",
}


@attrs.frozen(kw_only=True)
class ReceivedRequest:
    """A request that came in.

    Args:
        method: The method.
        path: The path, such as ``/v1/workflows/run``.
        query: The query; of a key that occurs twice, the last value.
        headers: The headers, names in small letters.
        body: The body; empty where files are uploaded, which are not kept in memory.
        json: The body as JSON, ``None`` if it is none.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    json: Any


def make_application(
    backend: Backend, requests: deque[ReceivedRequest]
) -> web.Application:
    """Make the application of a server.

    Args:
        backend: The state of the server.
        requests: Where the requests are noted.
    """
    door = _Door(backend, requests)
    application = web.Application(
        middlewares=[door.answer], client_max_size=_LARGEST_BODY
    )
    application.on_response_prepare.append(door.add_headers)
    groups = (
        RunRoutes(backend),
        EventRoutes(backend),
        FormRoutes(backend),
        LogRoutes(backend),
        AppRoutes(backend),
        FileRoutes(backend),
        AudioRoutes(backend),
    )
    for group in groups:
        application.add_routes(group.routes())
    return application


class _Door:
    """Notes requests, replays recordings, and turns refusals into answers."""

    def __init__(self, backend: Backend, requests: deque[ReceivedRequest]) -> None:
        self._backend = backend
        self._requests = requests

    @web.middleware
    async def answer(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Answer a request from a recording or by its handler."""
        received = await _receive(request)
        self._requests.append(received)
        try:
            replayed = await self._replay(request, received)
            return await handler(request) if replayed is None else replayed
        except RequestRefused as refused:
            return refusal(refused)
        except web.HTTPMethodNotAllowed as exc:
            message = "The method is not allowed for the requested URL."
            response = refusal(RequestRefused(405, "method_not_allowed", message))
            response.headers["Allow"] = ", ".join(sorted(exc.allowed_methods))
            return response
        except web.HTTPNotFound:
            return not_found_page()

    async def add_headers(
        self, request: web.Request, response: web.StreamResponse
    ) -> None:
        """Put on the headers that every answer has; a replayed one has its own."""
        recording = request.get(REPLAYED)
        if recording is not None:
            if "server" not in {name.lower() for name, _ in recording.headers}:
                del response.headers["Server"]
            return
        del response.headers["Server"]
        for name, value in self._backend.dialect.headers.items():
            response.headers.setdefault(name, value)  # `Connection: close` stays
        if request.match_info.http_exception is None:  # it has a route
            response.headers.update(_CORS)

    async def _replay(
        self, request: web.Request, received: ReceivedRequest
    ) -> web.StreamResponse | None:
        key = received.headers.get("authorization", "").partition(" ")[2]
        app = self._backend.apps.get(key)
        if app is None or not isinstance(app.behaviour, Replay):
            return None
        recording = app.behaviour.find(request.method, request.path_qs, received.json)
        if recording is None:
            return None
        if _is_stream(recording):
            run = run_of(recording, app_key=app.key, app_id=app.id, body=received.json)
            self._backend.runs.add(run)
        return await app.behaviour.send(request, recording)


def _is_stream(recording: Recording) -> bool:
    headers = {name.lower(): value for name, value in recording.headers}
    return headers.get("content-type", "").startswith("text/event-stream")


async def _receive(request: web.Request) -> ReceivedRequest:
    body = b"" if request.path in _STREAMED else await request.read()
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return ReceivedRequest(
        method=request.method,
        path=request.path,
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        json=value,
    )
