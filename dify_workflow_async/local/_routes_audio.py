"""The routes between text and sound (section 1.14)."""

import asyncio
import contextlib

from pathlib import Path
from typing import Final

from aiohttp import web

from ._answers import compact_json
from ._app import App
from ._backend import Backend, read_object
from ._errors import RequestRefused
from ._file_kinds import AUDIO_MIME_TYPES
from ._multipart import FormFile, read_form
from ._parameters import is_enabled
from ._sound import Refusal


_LARGEST_AUDIO: Final = 30 * 1024 * 1024


class AudioRoutes:
    """Handlers of ``/audio-to-text`` and ``/text-to-audio``.

    Args:
        backend: The state of the server.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/v1/audio-to-text", self.hear),
            web.post("/v1/text-to-audio", self.speak),
        ]

    async def hear(self, request: web.Request) -> web.Response:
        """Tell what is said in a file."""
        app = self._backend.app_of(request)
        folder = self._backend.files.folder
        async with read_form(request, folder, lambda _: _LARGEST_AUDIO) as form:
            self._backend.user_of(app, form.fields.get("user"))
            self._require_hearing(app)
            file = _check(form.files.get("file"))
            return compact_json({"text": await _transcribe(app, file.path)})

    async def speak(self, request: web.Request) -> web.StreamResponse:
        """Give a text as speech, in the pieces that the app has it in."""
        app = self._backend.app_of(request)
        body = await read_object(request)
        user = body.get("user")
        self._backend.user_of(app, None if user is None else str(user))
        if body.get("message_id"):  # of a chat; a workflow has no messages
            return compact_json(None)
        if not body.get("text"):
            raise RequestRefused(400, "invalid_param", "Text is required")
        if not is_enabled(app, "text_to_speech"):
            raise RequestRefused(400, "invalid_param", "TTS is not enabled")
        if app.speech is None:  # enabled, but there is no model
            message = "Default model not found for tts"
            raise RequestRefused(400, "provider_not_initialize", message)
        if isinstance(app.speech, Refusal):
            raise _refused(app.speech)
        if isinstance(app.speech, bytes):
            return web.Response(body=app.speech, content_type="audio/mpeg")
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
        with contextlib.suppress(ConnectionError):  # the client has left
            await response.prepare(request)
            for piece in app.speech:
                await response.write(piece)
        return response

    def _require_hearing(self, app: App) -> None:
        if not is_enabled(app, "speech_to_text"):
            own = self._backend.dialect.names_speech_disabled
            code = "speech_to_text_disabled" if own else "invalid_param"
            raise RequestRefused(400, code, "Speech to text is not enabled")


def _check(file: FormFile | None) -> FormFile:
    if file is None:
        raise RequestRefused(400, "no_audio_uploaded", "Please upload your audio.")
    if file.mime_type not in AUDIO_MIME_TYPES:
        raise RequestRefused(415, "unsupported_audio_type", "Audio type not allowed.")
    if file.size > _LARGEST_AUDIO:
        message = "Audio size larger than 30 mb"
        raise RequestRefused(413, "audio_too_large", message)
    return file


async def _transcribe(app: App, path: Path) -> str:
    match app.transcript:
        case None:  # enabled, but there is no model
            code = "provider_not_support_speech_to_text"
            raise RequestRefused(400, code, "Provider not support speech to text.")
        case Refusal() as problem:
            raise _refused(problem)
        case str() as text:
            return text
        case compute:
            return compute(await asyncio.to_thread(path.read_bytes))


def _refused(problem: Refusal) -> RequestRefused:
    return RequestRefused(problem.status, problem.code, problem.message)
