"""The routes behind one door: what every request and every answer goes through."""

from collections import deque
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ._answers import not_found_page, refusal
from ._app import App
from ._backend import Backend
from ._errors import RequestRefused
from ._received import ReceivedRequest, receive
from ._recording import Recording
from ._replay import REPLAYED, Replay, run_of
from ._routes_app import AppRoutes
from ._routes_audio import AudioRoutes
from ._routes_events import EventRoutes
from ._routes_files import FileRoutes
from ._routes_forms import FormRoutes
from ._routes_logs import LogRoutes
from ._routes_runs import RunRoutes
from .faults._plan import Injector
from .faults._wire import AnswerOver
from .faults._writer import SpoiledWriter


# Far above what a run takes; the limit protects the machine.
_LARGEST_BODY: Final = 64 * 1024 * 1024

_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Env, X-Trace-Id, X-Version",
}


def make_application(
    backend: Backend, requests: deque[ReceivedRequest], injector: Injector
) -> web.Application:
    """Make the application of a server.

    Args:
        backend: The state of the server.
        requests: Where the requests are noted.
        injector: What picks the faults of answers.
    """
    door = _Door(backend, requests, injector)
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

    def __init__(
        self, backend: Backend, requests: deque[ReceivedRequest], injector: Injector
    ) -> None:
        self._backend = backend
        self._requests = requests
        self._injector = injector

    @web.middleware
    async def answer(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Answer a request, well or, if a fault is due, less well."""
        received = await receive(request)
        self._requests.append(received)
        fault = self._injector.pick(received)
        if fault is None:
            return await self._answer(request, received, handler)
        writer = SpoiledWriter(request, fault)
        try:
            await writer.before()
            response = await self._answer(request, received, handler)
        except RequestRefused as refused:  # by the fault
            writer.remove()
            return refusal(refused)
        except AnswerOver:
            return web.Response()  # of which nothing is sent
        if isinstance(response, web.FileResponse):
            # Lest the kernel send the file past the fault.
            response.enable_compression(web.ContentCoding.identity)
        return response

    async def _answer(
        self, request: web.Request, received: ReceivedRequest, handler: Handler
    ) -> web.StreamResponse:
        """Answer a request from a recording or by its handler."""
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
        self._remember(received, app, recording)
        return await app.behaviour.send(request, recording)

    def _remember(
        self, received: ReceivedRequest, app: App, recording: Recording
    ) -> None:
        """Remember the run that a recorded answer tells of, if it does."""
        if not (_is_stream(recording) or recording.events()):
            return
        run = run_of(recording, app_key=app.key, app_id=app.id, body=received.json)
        if received.method == "POST":
            self._backend.runs.add(run)
        else:
            self._backend.runs.go_on(run)


def _is_stream(recording: Recording) -> bool:
    headers = {name.lower(): value for name, value in recording.headers}
    return headers.get("content-type", "").startswith("text/event-stream")
