"""The routes that tell about an app, and the version probe."""

from typing import Any

from aiohttp import web

from ._answers import compact_json, not_found_page
from ._app import App
from ._backend import Backend
from ._end_users import end_user_answer
from ._errors import RequestRefused
from ._ids import ID_IN_PATH
from ._parameters import parameters_of


_FORBIDDEN = (
    "You don't have the permission to access the requested resource. It is either "
    "read-protected or not readable by the server."
)


class AppRoutes:
    """Handlers of ``/parameters``, ``/info``, ``/site``, ``/meta``, ``/end-users``, ``/``.

    Args:
        backend: The state of the server.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get("/v1/", self.probe, allow_head=False),
            web.get("/v1/parameters", self.parameters, allow_head=False),
            web.get("/v1/info", self.info, allow_head=False),
            web.get("/v1/site", self.site, allow_head=False),
            web.get("/v1/meta", self.meta, allow_head=False),
            *self._end_user_routes(),
        ]

    def _end_user_routes(self) -> list[web.RouteDef]:
        if not self._backend.dialect.tells_end_users:
            return []
        path = f"/v1/end-users/{{user_id:{ID_IN_PATH}}}"
        return [web.get(path, self.end_user, allow_head=False)]

    async def probe(self, request: web.Request) -> web.Response:
        """Tell the version of the server, without a key."""
        del request
        dialect = self._backend.dialect
        if not dialect.answers_probe:
            return not_found_page()
        return compact_json(
            {
                "welcome": "Dify OpenAPI",
                "api_version": "v1",
                "server_version": dialect.version,
            }
        )

    async def parameters(self, request: web.Request) -> web.Response:
        """Tell the form of the inputs, and the limits."""
        app = self._backend.app_of(request)
        return compact_json(parameters_of(app))

    async def info(self, request: web.Request) -> web.Response:
        """Tell the name and the mode of the app."""
        app = self._backend.app_of(request)
        return compact_json(
            {
                "name": app.name,
                "description": app.description,
                "tags": list(app.tags),
                "mode": app.mode,
                "author_name": app.author_name,
            }
        )

    async def site(self, request: web.Request) -> web.Response:
        """Tell how the app's web page looks."""
        app = self._backend.app_of(request)
        if app.site is None:
            raise RequestRefused(403, "forbidden", _FORBIDDEN)
        return compact_json(_site(app) | dict(app.site))

    async def meta(self, request: web.Request) -> web.Response:
        """Tell the icons of the app's tools."""
        app = self._backend.app_of(request)
        return compact_json({"tool_icons": dict(app.tool_icons)})

    async def end_user(self, request: web.Request) -> web.Response:
        """Tell about an end user of the app."""
        app = self._backend.app_of(request)
        user_id = request.match_info["user_id"].lower()
        user = self._backend.users.find(user_id, app.id)
        if user is None:
            raise RequestRefused(404, "end_user_not_found", "End user not found.")
        return compact_json(end_user_answer(user, self._backend.tenant_id))


def _site(app: App) -> dict[str, Any]:
    return {
        "title": app.name,
        "chat_color_theme": None,
        "chat_color_theme_inverted": False,
        "icon_type": "emoji",
        "icon": "\N{ROBOT FACE}",
        "icon_background": "#FFEAD5",
        "description": None,
        "copyright": None,
        "privacy_policy": None,
        "custom_disclaimer": "",
        "default_language": "en-US",
        "show_workflow_steps": True,
        "use_icon_as_answer_icon": False,
        "icon_url": None,
    }
