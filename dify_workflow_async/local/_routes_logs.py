"""The route that lists the runs of an app."""

from aiohttp import web

from ._answers import compact_json
from ._backend import Backend
from ._logs import log_entry, page_of, read_query


class LogRoutes:
    """Handler of ``/workflows/logs``.

    Args:
        backend: The state of the server.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[web.RouteDef]:
        """List the routes."""
        return [web.get("/v1/workflows/logs", self.logs, allow_head=False)]

    async def logs(self, request: web.Request) -> web.Response:
        """List runs, the newest first; the mode of the app is not looked at."""
        app = self._backend.app_of(request)
        query = read_query(request.query)
        dialect = self._backend.dialect
        runs = self._backend.runs.of_app(app.key)
        selected = [run for run in runs if query.selects(run, dialect)]
        version = app.workflow_version
        answer = page_of(selected, query, lambda run: log_entry(run, version, dialect))
        return compact_json(answer)
