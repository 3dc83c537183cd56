"""A web page for a workflow, served by FastAPI.

Run it with DIFY_API_KEY and DIFY_BASE_URL set::

    pip install 'dify-workflow-async[starlette]' fastapi uvicorn
    python examples/web/backend_fastapi.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from common import COOKIE, VISITOR, form_of, tell, visitor_of
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from files import Incoming, Uploads
from starlette.requests import ClientDisconnect

from dify_workflow_async import DifyError, WorkflowClient
from dify_workflow_async.integrations.starlette import (
    RelayResponse,
    lifespan,
    view_of,
)
from dify_workflow_async.relay import error_object, headers_of, status_of


MakeClient = Callable[[], WorkflowClient]

PAGE = Path(__file__).parent / "page"


async def index(request: Request) -> Response:
    """The page, with a cookie that tells the visitor from others."""
    response = FileResponse(PAGE / "index.html")
    response.set_cookie(VISITOR, visitor_of(request.cookies), **COOKIE)
    return response


async def form(request: Request) -> dict[str, Any]:
    """What the page makes its form of."""
    return await form_of(request.state.dify_client)


async def upload(request: Request, field: str, name: str) -> dict[str, str]:
    """Pass a file on to Dify as it comes; the page then names it by its handle."""
    size = request.headers.get("content-length")
    given = Incoming(
        field=field,
        name=name,
        size=None if size is None else int(size),
        mime_type=request.headers.get("content-type"),
        content=request.stream(),
    )
    uploads, client = request.app.state.uploads, request.state.dify_client
    return {"upload": await uploads.take(client, visitor_of(request.cookies), given)}


async def start(request: Request, given: dict[str, Any]) -> dict[str, str]:
    """Start a run; the page then watches it by its id."""
    visitor, hub = visitor_of(request.cookies), request.state.dify_hub
    uploads, client = request.app.state.uploads, request.state.dify_client
    inputs = await uploads.inputs(client, visitor, given)
    return {"id": await hub.start(inputs, user=visitor, validate=True)}


async def watch(request: Request, run_id: str) -> Response:
    """The events of a run; a browser that comes back gets what it missed."""
    return RelayResponse(view_of(request, run_id))


async def stop(request: Request, run_id: str) -> None:
    """Stop a run: whoever has its id may."""
    await request.state.dify_hub.stop(run_id)


async def errors(request: Request, error: Exception) -> Response:
    """Answer what goes wrong with a sentence."""
    del request
    told = error_object(error, tell)
    return JSONResponse(told, status_code=status_of(error), headers=headers_of(error))


async def left(request: Request, error: Exception) -> Response:
    """Give up what a visitor was sending who left: nobody is there to be told."""
    del request, error
    return Response(status_code=400)


def make_app(make_client: MakeClient = WorkflowClient) -> FastAPI:
    """The application; its runs are stopped when nobody watches them."""
    app = FastAPI(
        lifespan=lifespan(make_client, unwatched="stop", grace=30.0),
        exception_handlers={DifyError: errors, ClientDisconnect: left},
    )
    app.state.uploads = Uploads()
    app.get("/", response_class=FileResponse)(index)
    app.mount("/page", StaticFiles(directory=PAGE))
    app.get("/api/form")(form)
    app.post("/api/uploads", status_code=201)(upload)
    app.post("/api/runs", status_code=201)(start)
    app.get("/api/runs/{run_id}/events", response_class=Response)(watch)
    app.post("/api/runs/{run_id}/stop", status_code=204)(stop)
    return app


if __name__ == "__main__":
    uvicorn.run(make_app(), port=8080, timeout_graceful_shutdown=30)
