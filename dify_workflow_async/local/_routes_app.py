"""The routes that tell about an app, and the version probe."""

from typing import Any

from aiohttp import web

from ._answers import compact_json, not_found_page
from ._app import App
from ._backend import Backend
from ._scenario import Variable


class AppRoutes:
    """Handlers of ``/parameters``, ``/info`` and ``/``.

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
        ]

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
        return compact_json(_parameters(app) | dict(app.parameters))

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


def _parameters(app: App) -> dict[str, Any]:
    methods = ["local_file", "remote_url"]
    image = {"enabled": False, "number_limits": 3, "transfer_methods": methods}
    return {
        "opening_statement": "",
        "suggested_questions": [],
        "suggested_questions_after_answer": {"enabled": False},
        "speech_to_text": {"enabled": False},
        "text_to_speech": {"enabled": False, "language": "", "voice": ""},
        "retriever_resource": {"enabled": True},
        "annotation_reply": {"enabled": False},
        "more_like_this": {"enabled": False},
        "user_input_form": [_control(variable) for variable in app.variables or ()],
        "sensitive_word_avoidance": {"enabled": False},
        "file_upload": {
            "allowed_file_extensions": [],
            "allowed_file_types": ["image"],
            "allowed_file_upload_methods": methods,
            "enabled": False,
            "image": image,
            "number_limits": 3,
        },
        "system_parameters": {
            "image_file_size_limit": 10,
            "video_file_size_limit": 100,
            "audio_file_size_limit": 50,
            "file_size_limit": 15,
            "workflow_file_upload_limit": 10,
        },
    }


def _control(variable: Variable) -> dict[str, Any]:
    """Describe a variable: one key, its type, with what the Start node stores."""
    control: dict[str, Any] = {}
    if variable.type in ("file", "file-list"):
        control["allowed_file_extensions"] = list(variable.allowed_file_extensions)
        control["allowed_file_types"] = list(variable.allowed_file_types)
        methods = variable.allowed_file_upload_methods
        control["allowed_file_upload_methods"] = list(methods)
    if variable.default is not None:
        control["default"] = variable.default
    control |= {
        "label": variable.label,
        "max_length": variable.max_length,
        "options": list(variable.options),
        "required": variable.required,
        "type": variable.type,
        "variable": variable.variable,
    }
    return {variable.type: control}
