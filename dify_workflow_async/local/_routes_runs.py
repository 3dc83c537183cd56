"""The routes that start, read and stop runs."""

from typing import Any

from aiohttp import web

from . import _wire_format as wire
from ._answers import compact_json, spaced_json
from ._app import App
from ._backend import (
    Backend,
    read_object,
    read_user,
    require_workflow,
    unknown_error,
)
from ._checks import check_inputs
from ._end_users import EndUser
from ._errors import DslError, RequestRefused
from ._file_values import files_in
from ._ids import is_id
from ._json import is_list, is_object
from ._life import Performance, live
from ._limits import admit
from ._parameters import file_upload_of
from ._player import Player
from ._references import References
from ._replay import Replay
from ._runs import Run
from ._scenario import Scenario
from ._steps import Json
from ._streams import stream_refusal, stream_run
from .engine import Workflow
from .engine._performance import EnginePerformance


_CONTROLLER_FAILED = (
    "The server encountered an internal error and was unable to complete your "
    "request. Either the server is overloaded or there is an error in the application."
)


class RunRoutes:
    """Handlers of ``/workflows``.

    Args:
        backend: The state of the server.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/v1/workflows/run", self.run),
            web.post("/v1/workflows/{workflow_id}/run", self.run_version),
            web.get("/v1/workflows/run/{run_id}", self.detail, allow_head=False),
            web.post("/v1/workflows/tasks/{task_id}/stop", self.stop),
        ]

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Run the published workflow."""
        app = self._backend.app_of(request)
        return await self._run(request, app)

    async def run_version(self, request: web.Request) -> web.StreamResponse:
        """Run one version of a workflow; an app has one version only."""
        app = self._backend.app_of(request)
        return await self._run(request, app, request.match_info["workflow_id"])

    async def detail(self, request: web.Request) -> web.Response:
        """Tell how a run stands."""
        app = self._backend.app_of(request)
        require_workflow(app)
        run_id = request.match_info["run_id"]
        if not is_id(run_id):
            raise unknown_error()
        run = self._backend.runs.find(run_id, app.key)
        dialect = self._backend.dialect
        if run is None and not dialect.unknown_run_is_null:
            raise RequestRefused(404, "not_found", "Workflow run not found.")
        return compact_json(wire.run_detail(run, dialect))

    async def stop(self, request: web.Request) -> web.Response:
        """Stop a run, whoever started it; an unknown one is no error."""
        app = self._backend.app_of(request)
        self._backend.user_of(app, read_user(await read_object(request)))
        require_workflow(app)
        self._backend.runs.stop(request.match_info["task_id"])
        return compact_json({"result": "success"})

    async def _run(
        self, request: web.Request, app: App, workflow_id: str | None = None
    ) -> web.StreamResponse:
        body = await read_object(request)
        user = read_user(body)
        end_user = self._backend.user_of(app, user)
        require_workflow(app)
        streaming = _wants_stream(body)
        files = _files(body)
        admit(app, self._backend)
        _check_version(app, workflow_id)
        dialect = self._backend.dialect
        try:
            references = self._references(end_user)
            files = references.attached(files, file_upload_of(app))
            inputs = check_inputs(app.variables, body["inputs"])
            inputs = references.in_inputs(app.variables, inputs)
        except (ValueError, TypeError) as exc:
            if streaming and dialect.checks_inputs_in_stream:
                event = wire.error(str(exc), None, 500, None)
                return await stream_refusal(request, event, self._backend)
            raise _refused_inputs(exc) from exc
        run = await self._start(app, user, inputs, files)
        if streaming:
            return await stream_run(request, run, self._backend)
        await run.settled(pause_counts=dialect.announces_pause)
        return spaced_json(wire.blocking_answer(run))

    def _references(self, end_user: EndUser) -> References:
        return References(
            files=self._backend.files,
            user_id=end_user.id,
            tenant_id=self._backend.tenant_id,
            dialect=self._backend.dialect,
        )

    async def _start(
        self, app: App, user: str, inputs: dict[str, Any], files: list[Json]
    ) -> Run:
        backend = self._backend
        if isinstance(app.behaviour, Replay):  # nothing recorded fits
            raise RequestRefused(400, "invalid_param", "Workflow not published")
        run = Run(
            workflow_id=app.workflow_id,
            app_key=app.key,
            app_id=app.id,
            user=user,
            inputs=inputs,
            files=files,
            link=backend.files.link if files_in([inputs, files]) else None,
        )
        performance: Performance
        if isinstance(app.behaviour, Scenario):
            performance = Player(run, app.behaviour, backend.dialect)
        else:
            performance = await self._on_engine(run, app.behaviour)
        if app.quota is not None:
            app.quota -= 1
        work = live(run, performance, backend.dialect, app.stop_status)
        backend.runs.start(run, work)
        return run

    async def _on_engine(self, run: Run, workflow: Workflow) -> EnginePerformance:
        """Prepare a run of an exported app.

        Raises:
            RequestRefused: The engine refuses the app.
        """
        backend = self._backend
        try:
            await backend.engines.load(workflow)
        except DslError as exc:
            raise RequestRefused(400, "invalid_param", str(exc)) from exc
        return EnginePerformance(
            run,
            workflow,
            dialect=backend.dialect,
            engines=backend.engines,
            files=backend.files,
            tenant_id=backend.tenant_id,
        )


def _wants_stream(body: dict[str, Any]) -> bool:
    """Check the body against the schema of a run.

    Raises:
        RequestRefused: It does not fit. The message is like pydantic's.
    """
    mode = body.get("response_mode")
    if not isinstance(body.get("inputs"), dict):
        given = "inputs" in body
        problem = "Input should be a valid dictionary" if given else "Field required"
        raise _schema_error(problem, "inputs")
    if mode not in ("streaming", "blocking", None):
        problem = "Input should be 'blocking' or 'streaming'"
        raise _schema_error(problem, "response_mode")
    return mode == "streaming"


def _files(body: dict[str, Any]) -> list[Json]:
    """Read the files that a run comes with.

    Raises:
        RequestRefused: They are no list of objects.
    """
    files: Any = body.get("files") or []
    if not is_list(files):
        problem = "Input should be a valid list"
        raise _schema_error(problem, "files")
    for index, file in enumerate(files):
        if not is_object(file):
            problem = "Input should be a valid dictionary"
            raise _schema_error(problem, f"files.{index}")
    return files


def _schema_error(problem: str, field: str) -> RequestRefused:
    message = f"1 validation error for WorkflowRunPayload\n{field}\n  {problem}"
    return RequestRefused(400, "invalid_param", message)


def _check_version(app: App, workflow_id: str | None) -> None:
    if workflow_id is None or workflow_id == app.workflow_id:
        return
    if not is_id(workflow_id):
        message = f"Invalid workflow_id format: '{workflow_id}'."
        raise RequestRefused(400, "bad_request", message)
    message = f"Workflow not found with id: {workflow_id}"
    raise RequestRefused(404, "not_found", message)


def _refused_inputs(problem: Exception) -> RequestRefused:
    if isinstance(problem, ValueError):
        return RequestRefused(400, "invalid_param", str(problem))
    return RequestRefused(500, "internal_server_error", _CONTROLLER_FAILED)
