"""The routes of the forms that paused runs wait for.

Section 1.8 of the description of the API.
"""

import json

from typing import Any

from aiohttp import web

from ._answers import compact_json, raw_json
from ._app import App
from ._backend import Backend, read_object, read_user
from ._errors import FormRefused, RequestRefused
from ._forms import Form
from ._json import is_object


_MISSING = "Field required"


class FormRoutes:
    """Handlers of ``/form/human_input``.

    Args:
        backend: The state of the server.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[web.RouteDef]:
        """List the routes, none before 1.14."""
        if not self._backend.dialect.reattaches:
            return []
        path = "/v1/form/human_input/{form_token}"
        return [
            web.get(path, self.form, allow_head=False),
            web.post(path, self.submit),
        ]

    async def form(self, request: web.Request) -> web.Response:
        """Tell what a form asks, while it waits for an answer."""
        form = self._find(request, self._backend.app_of(request))
        try:
            form.check_open()
        except FormRefused as exc:
            raise _refusal(exc) from exc
        return raw_json(_form_answer(form))

    async def submit(self, request: web.Request) -> web.Response:
        """Answer a form, whoever does it; its run goes on in the background."""
        app = self._backend.app_of(request)
        body = await read_object(request)
        self._backend.user_of(app, read_user(body))
        inputs, action = _check_body(body)
        form = self._find(request, app)
        try:
            form.answer(action, inputs)
        except FormRefused as exc:
            raise _refusal(exc) from exc
        return compact_json({})

    def _find(self, request: web.Request, app: App) -> Form:
        token = request.match_info["form_token"]
        form = self._backend.runs.find_form(token, app.key)
        if form is None:
            raise RequestRefused(404, "not_found", "Form not found")
        return form


def _refusal(exc: FormRefused) -> RequestRefused:
    return RequestRefused(exc.status, exc.code, str(exc))


def _check_body(body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Check the body against the schema of an answer."""
    inputs, action = body.get("inputs"), body.get("action")
    problems: list[str] = []
    if not is_object(inputs):
        problem = "Input should be a valid dictionary"
        problems.append(f"inputs\n  {problem if 'inputs' in body else _MISSING}")
    if not isinstance(action, str):
        problem = "Input should be a valid string"
        problems.append(f"action\n  {problem if 'action' in body else _MISSING}")
    if is_object(inputs) and isinstance(action, str):
        return inputs, action
    count = f"{len(problems)} validation error{'s' * (len(problems) > 1)}"
    message = "\n".join([f"{count} for HumanInputFormSubmitPayload", *problems])
    raise RequestRefused(400, "invalid_param", message)


def _form_answer(form: Form) -> dict[str, Any]:
    defaults = {key: _as_text(value) for key, value in form.default_values.items()}
    return {
        "form_content": form.content,
        "inputs": form.inputs,
        "resolved_default_values": defaults,
        "user_actions": form.actions,
        "expiration_time": form.expiration_time,
    }


def _as_text(value: Any) -> str:
    """Write a default value as text, as only this answer does."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
