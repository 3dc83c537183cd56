"""A web page for a workflow, served by aiohttp.

Run it with DIFY_API_KEY and DIFY_BASE_URL set::

    python examples/web/backend_aiohttp.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from common import COOKIE, VISITOR, form_of, tell, visitor_of
from files import Incoming, Uploads

from dify_workflow_async import DifyError, WorkflowClient
from dify_workflow_async.integrations.aiohttp_web import (
    CLIENT,
    HUB,
    relay_response,
    setup,
    view_of,
)
from dify_workflow_async.relay import error_object, headers_of, status_of


MakeClient = Callable[[], WorkflowClient]

PAGE = Path(__file__).parent / "page"
UPLOADS = web.AppKey("uploads", Uploads)


async def index(request: web.Request) -> web.StreamResponse:
    """The page, with a cookie that tells the visitor from others."""
    response = web.FileResponse(PAGE / "index.html")
    response.set_cookie(VISITOR, visitor_of(request.cookies), **COOKIE)
    return response


async def form(request: web.Request) -> web.Response:
    """What the page makes its form of."""
    return web.json_response(await form_of(request.app[CLIENT]))


async def upload(request: web.Request) -> web.Response:
    """Pass a file on to Dify as it comes; the page then names it by its handle."""
    given = Incoming(
        field=request.query.get("field", ""),
        name=request.query.get("name", ""),
        size=request.content_length,
        mime_type=request.content_type,
        content=request.content.iter_any(),
    )
    app, visitor = request.app, visitor_of(request.cookies)
    try:
        handle = await app[UPLOADS].take(app[CLIENT], visitor, given)
    except ConnectionError:  # of the visitor, and nobody is there to be told
        return web.Response(status=400)
    return web.json_response({"upload": handle}, status=201)


async def start(request: web.Request) -> web.Response:
    """Start a run; the page then watches it by its id."""
    app, visitor = request.app, visitor_of(request.cookies)
    given = await request.json()
    inputs = await app[UPLOADS].inputs(app[CLIENT], visitor, given)
    run_id = await app[HUB].start(inputs, user=visitor, validate=True)
    return web.json_response({"id": run_id}, status=201)


async def watch(request: web.Request) -> web.StreamResponse:
    """The events of a run; a browser that comes back gets what it missed."""
    view = view_of(request, request.match_info["id"])
    return await relay_response(request, view)


async def stop(request: web.Request) -> web.Response:
    """Stop a run: whoever has its id may."""
    await request.app[HUB].stop(request.match_info["id"])
    return web.Response(status=204)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what goes wrong with a sentence."""
    try:
        return await handler(request)
    except DifyError as error:
        told = error_object(error, tell)
        return web.json_response(
            told, status=status_of(error), headers=headers_of(error)
        )


def make_app(make_client: MakeClient = WorkflowClient) -> web.Application:
    """The application; its runs are stopped when nobody watches them."""
    app = web.Application(middlewares=[errors])
    app.add_routes(
        [
            web.get("/", index),
            web.static("/page", PAGE),
            web.get("/api/form", form),
            web.post("/api/uploads", upload),
            web.post("/api/runs", start),
            web.get("/api/runs/{id}/events", watch),
            web.post("/api/runs/{id}/stop", stop),
        ]
    )
    app[UPLOADS] = Uploads()
    setup(app, make_client, unwatched="stop", grace=30.0)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=8080)
