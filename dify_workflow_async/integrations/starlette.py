"""For Starlette and FastAPI: a client and a hub for an application's life, and answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .._client import WorkflowClient
from ..relay import RelayHub, View, error_object, headers_of, status_of
from ._asgi import answer
from ._life import MakeClient, close


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
        await answer(self._frames, receive, send)


async def error_as_json(request: Request, error: Exception) -> Response:
    """An exception handler: answers errors of this package with a sentence, as JSON."""
    del request
    return JSONResponse(
        error_object(error), status_code=status_of(error), headers=headers_of(error)
    )
