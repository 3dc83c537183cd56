"""For Starlette and FastAPI: a client and a hub for an application's life, and answers.

.. code-block:: python

    app = FastAPI(
        lifespan=lifespan(unwatched="stop"),
        exception_handlers={DifyError: error_as_json},
    )

    @app.post("/runs")
    async def start(request: Request, inputs: dict[str, Any]) -> dict[str, str]:
        return {"id": await request.state.dify_hub.start(inputs)}

    @app.get("/runs/{run_id}/events")
    async def watch(request: Request, run_id: str) -> Response:
        return RelayResponse(view_of(request, run_id))
"""

from __future__ import annotations

import asyncio

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .._client import WorkflowClient
from ..relay import HEADERS, RelayHub, View, error_object, headers_of, status_of
from ._life import MakeClient, close, sent


try:
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.types import Receive, Scope, Send
except ModuleNotFoundError as error:  # pragma: no cover - the tests have it
    msg = "Starlette is missing: pip install 'dify-workflow-async[starlette]'"
    raise ModuleNotFoundError(msg, name=error.name) from None

__all__ = ["RelayResponse", "error_as_json", "lifespan", "view_of"]


def lifespan(
    make_client: MakeClient = WorkflowClient,
    *,
    drain: float = 30.0,
    **hub_settings: Any,
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """The ``lifespan`` of an application that has one client and one hub.

    They are ``request.state.dify_client`` and ``request.state.dify_hub``. Servers end
    the answers before they end the lifespan: have uvicorn wait for viewers with
    ``--timeout-graceful-shutdown``. After that, runs that nobody views have some time.

    Args:
        make_client: makes the client, in the process and the loop that use it.
        drain: seconds.
        **hub_settings: as for `RelayHub <dify_workflow_async.relay.RelayHub>`.
    """

    @asynccontextmanager
    async def living(app: Any) -> AsyncGenerator[dict[str, Any]]:
        del app
        client = make_client()
        hub = RelayHub(client, **hub_settings)
        try:
            yield {"dify_client": client, "dify_hub": hub}
        finally:
            await close(hub, client, drain)

    return living


def view_of(request: Request, run_id: str) -> View:
    """What a browser gets of a relayed run, from where it was before, if it was.

    Raises:
        NotRelayed: there is no such run, or not any more.
    """
    hub: RelayHub = request.state.dify_hub
    return hub.view(run_id, request.headers.get("last-event-id"))


class RelayResponse(Response):
    """Sends frames to a browser until they end, or it leaves.

    Args:
        frames: a view of a hub, or any frames; a view of which the browser has all is
            answered with 204, so that it does not come again.
    """

    def __init__(self, frames: AsyncIterable[bytes]) -> None:
        self._frames = frames
        is_complete = isinstance(frames, View) and frames.is_complete
        super().__init__(status_code=204 if is_complete else 200)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if self.status_code == 204:
            await super().__call__(scope, receive, send)
            return
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        if isinstance(self._frames, View):
            self._frames.on_drop = sending.cancel
        both = (sending, leaving)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        headers = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with sent(self._frames) as pieces:
            async for data in pieces:
                await send(_body(data, more=True))
        await send(_body(b"", more=False))


def _body(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def _left(receive: Receive) -> None:
    """Wait until the browser has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def error_as_json(request: Request, error: Exception) -> Response:
    """An exception handler: answers errors of this package with a sentence, as JSON."""
    del request
    return JSONResponse(
        error_object(error), status_code=status_of(error), headers=headers_of(error)
    )
