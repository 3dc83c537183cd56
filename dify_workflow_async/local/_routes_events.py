"""The route that follows a run which somebody has begun before.

Section 1.7 of the description of the API.
"""

from typing import Final

from aiohttp import web

from . import _wire_snapshots as snapshots
from ._backend import Backend, read_user, require_workflow, unknown_error
from ._errors import RequestRefused
from ._ids import is_id
from ._runs import Event, Run
from ._streams import Joining, stream_finished, stream_later


_CLOSING: Final = frozenset({"workflow_finished", "workflow_paused"})


class EventRoutes:
    """Handler of ``/workflow/{workflow_run_id}/events``.

    Args:
        backend: The state of the server.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[web.RouteDef]:
        """List the routes, none before 1.14."""
        if not self._backend.dialect.reattaches:
            return []
        path = "/v1/workflow/{run_id}/events"
        return [web.get(path, self.events, allow_head=False)]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell what a run came to, or what it sends from now on."""
        run = self._find(request)
        if run.finished_at is not None:
            return await stream_finished(request, snapshots.finished(run))
        return await stream_later(request, run, self._join(request, run), self._backend)

    def _find(self, request: web.Request) -> Run:
        app = self._backend.app_of(request)
        user = read_user(dict(request.query))
        self._backend.user_of(app, user)
        if app.mode != "advanced-chat":  # the one other mode that has runs
            require_workflow(app)
        run_id = request.match_info["run_id"]
        if not is_id(run_id):
            raise unknown_error()
        run = self._backend.runs.find(run_id, app.key)
        if run is None or run.user != user:
            raise RequestRefused(404, "not_found", "Workflow run not found")
        return run

    def _join(self, request: web.Request, run: Run) -> Joining:
        """Tell how a reader joins a run; nothing may be sent in between."""
        with_snapshot = _flag(request, "include_state_snapshot")
        stays = _flag(request, "continue_on_pause")
        first: list[Event] = []
        closing = _CLOSING
        if with_snapshot:
            first = snapshots.snapshot(run, self._backend.dialect)
        if stays:
            closing = frozenset({"workflow_finished"} if with_snapshot else ())
        return Joining(
            first=first,
            position=run.position,
            closing=closing,
            pings_in_pause=with_snapshot,
        )


def _flag(request: web.Request, name: str) -> bool:
    """Read a flag; anything but ``true`` is false."""
    return request.query.get(name, "").lower() == "true"
