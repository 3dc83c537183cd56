"""For aiohttp.web: a client and a hub for the life of an application, and answers."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from .._client import WorkflowClient
from ..errors import DifyError
from ..relay import HEADERS, RelayHub, View, error_object, headers_of, status_of
from ._life import MakeClient, close, sent


__all__ = ["CLIENT", "HUB", "errors_as_json", "relay_response", "setup", "view_of"]

CLIENT = web.AppKey("dify_workflow_client", WorkflowClient)
"""``app[CLIENT]`` is the client."""

HUB = web.AppKey("dify_workflow_hub", RelayHub)
"""``app[HUB]`` is the hub."""


def setup(
    app: web.Application,
    make_client: MakeClient = WorkflowClient,
    *,
    drain: float = 30.0,
    **hub_settings: Any,
) -> None:
    """Have one client and one hub from the application's start-up to its end.

    At its end no more runs are started, and those under way have some time to end:
    their browsers get the rest.

    Args:
        app: the application.
        make_client: makes the client, in the process and the loop that use it.
        drain: seconds; less than ``shutdown_timeout`` of the runner, which is 60.
        **hub_settings: as for `RelayHub <dify_workflow_async.relay.RelayHub>`.
    """

    async def living(app: web.Application) -> AsyncIterator[None]:
        async with make_client() as client:
            app[CLIENT], app[HUB] = client, RelayHub(client, **hub_settings)
            yield

    app.cleanup_ctx.append(living)
    app.on_shutdown.append(lambda app: close(app[HUB], app[CLIENT], drain))


def view_of(request: web.Request, run_id: str) -> View:
    """What a browser gets of a relayed run, from where it was before, if it was.

    Raises:
        NotRelayed: there is no such run, or not any more.
    """
    return request.app[HUB].view(run_id, request.headers.get("Last-Event-ID"))


async def relay_response(
    request: web.Request, frames: AsyncIterable[bytes]
) -> web.StreamResponse:
    """Send frames to a browser until they end, or it leaves.

    Args:
        request: what it asked.
        frames: ``run.relay()``, or a view of a hub; a view of which the browser has
            all is answered with 204, so that it does not come again.
    """
    if isinstance(frames, View):
        if frames.is_complete:
            return web.Response(status=204)
        # It is None for a browser that has left already.
        frames.on_drop = getattr(request.transport, "abort", None)
    response = web.StreamResponse(headers=HEADERS)
    try:
        await response.prepare(request)
        async with sent(frames) as pieces:
            async for data in pieces:
                await response.write(data)
    except ConnectionError:
        pass  # the browser left, and nobody is there to be told
    return response


@web.middleware
async def errors_as_json(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Answer errors of this package with a status and a sentence, as JSON."""
    try:
        return await handler(request)
    except DifyError as error:
        return web.json_response(
            error_object(error), status=status_of(error), headers=headers_of(error)
        )
