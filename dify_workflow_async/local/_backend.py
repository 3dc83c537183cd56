"""What all routes share: the apps, the runs, the version and the time limits."""

import json

from typing import Any, NoReturn, cast

import attrs

from aiohttp import web

from ._app import App
from ._dialect import Dialect
from ._end_users import DEFAULT_USER, EndUser, EndUsers
from ._errors import RequestRefused
from ._ids import new_id
from ._run_store import RunStore
from ._uploads import FileStore
from .engine._pool import Engines


_MALFORMED = (
    "The browser (or proxy) sent a request that this server could not understand."
)
_NOT_JSON = (
    "Did not attempt to load JSON data because the request Content-Type was not "
    "'application/json'."
)
# The column of the end user's session id holds that many characters.
_LONGEST_USER = 255


@attrs.define(kw_only=True)
class Backend:
    """The state of a server.

    Args:
        dialect: The version that it behaves like.
        ping_interval: Seconds of silence before a ping; ``None`` never pings.
        close_delay: Seconds from the last event to the end of a stream.
        error_silence: Seconds that a stream stays open after an ``error`` event.
        idle_limit: Seconds of silence after which a stream that was joined ends.
        apps: The apps by key.
        runs: The runs.
        files: The files that were uploaded.
        users: The end users.
        tenant_id: The workspace that all apps are in.
        engines: Where exported apps run.
    """

    dialect: Dialect
    ping_interval: float | None
    close_delay: float
    error_silence: float
    idle_limit: float
    apps: dict[str, App] = attrs.field(factory=dict[str, App])
    runs: RunStore = attrs.field(factory=RunStore)
    files: FileStore
    users: EndUsers = attrs.field(factory=EndUsers)
    tenant_id: str = attrs.field(factory=new_id)
    engines: Engines

    def app_of(self, request: web.Request) -> App:
        """Find the app that the key of a request selects.

        Raises:
            RequestRefused: There is no key, or no app has it.
        """
        header = request.headers.get("Authorization", "")
        scheme, _, key = header.partition(" ")
        if not key:
            _refuse_key("Authorization header must be provided and start with 'Bearer'")
        if scheme.lower() != "bearer":
            _refuse_key("Authorization scheme must be 'Bearer'")
        app = self.apps.get(key.strip())
        if app is None:
            _refuse_key("Access token is invalid")
        return app

    def user_of(self, app: App, name: str | None) -> EndUser:
        """Find the end user of a request that need not tell one.

        Raises:
            RequestRefused: The name is too long.
        """
        if name and len(name) > _LONGEST_USER:
            raise unknown_error()
        return self.users.see(app.id, name or DEFAULT_USER)


def require_workflow(app: App) -> None:
    """Refuse apps of other modes.

    Raises:
        RequestRefused: The app is no workflow app.
    """
    if app.mode != "workflow":
        message = "Please check if your app mode matches the right API route."
        raise RequestRefused(400, "not_workflow_app", message)


async def read_object(request: web.Request) -> dict[str, Any]:
    """Read the body of a request, which must be a JSON object.

    Raises:
        RequestRefused: It is something else.
    """
    if request.content_type != "application/json":
        raise RequestRefused(415, "unsupported_media_type", _NOT_JSON)
    try:
        body = json.loads(await request.read(), parse_constant=_refuse_constant)
    except ValueError:
        raise RequestRefused(400, "bad_request", _MALFORMED) from None
    if not isinstance(body, dict):  # the server trips over it
        raise unknown_error()
    return cast("dict[str, Any]", body)


def read_user(body: dict[str, Any]) -> str:
    """Read the end user, who is required, as text.

    Raises:
        RequestRefused: There is none, or the name is too long.
    """
    user = body.get("user")
    if not user:
        raise RequestRefused(400, "invalid_param", "Arg user must be provided.")
    if len(str(user)) > _LONGEST_USER:
        raise unknown_error()
    return str(user)


def unknown_error() -> RequestRefused:
    """Make the error for what the server did not expect."""
    return RequestRefused(500, "unknown", "Internal Server Error")


def _refuse_key(message: str) -> NoReturn:
    raise RequestRefused(401, "unauthorized", message)


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and infinity, which are no JSON."""
    raise ValueError(name)
