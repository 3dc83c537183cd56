"""Sound becomes text and text sound, where an app has that enabled."""

import io
import json

from typing import Any

import aiohttp
import pytest

from dify_workflow_async.local import App, LocalServer, Refusal, Scenario


SPEECH_ON = {"speech_to_text": {"enabled": True}, "text_to_speech": {"enabled": True}}


@pytest.fixture
def hear(http: aiohttp.ClientSession):
    """Give a function that sends a sound, and returns status and JSON."""

    async def send(
        server: LocalServer,
        app: App,
        data: bytes | int | None = b"sound",
        mime_type: str = "audio/mp3",
    ) -> tuple[int, Any]:
        form = aiohttp.FormData({"user": "u1"}, default_to_multipart=True)
        if isinstance(data, int):  # of that size
            data = io.BytesIO(bytes(data))
        if data is not None:
            form.add_field("file", data, filename="a.mp3", content_type=mime_type)
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}/audio-to-text"
        async with http.post(url, data=form, headers=headers) as response:
            return response.status, await response.json()

    return send


@pytest.fixture
def speak(http: aiohttp.ClientSession):
    """Give a function that posts a body, and returns the answer with its bytes."""

    async def send(server: LocalServer, app: App, **body: Any):
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}/text-to-audio"
        async with http.post(url, json=body, headers=headers) as response:
            return response, await response.read()

    return send


def quick(**options: Any) -> App:
    return App(Scenario(), **options)


@pytest.mark.parametrize("transcript", ["hello", lambda audio: audio.decode() + "!"])
async def test_sound_is_heard(transcript, hear, get):
    """A transcript is fixed, or made from the sound; the form tells that it works."""
    app = quick(transcript=transcript)
    async with LocalServer([app]) as server:
        status, answer = await hear(server, app)
        told = await get(server, app, "/parameters")
        assert not any(server._backend.files.folder.iterdir())
        assert server.requests[0].body == b""
    assert status == 200
    assert answer == {"text": "hello" if transcript == "hello" else "sound!"}
    assert told["speech_to_text"] == {"enabled": True}


@pytest.mark.parametrize(
    ("options", "given", "status", "code"),
    [
        ({}, (b"x",), 400, "invalid_param"),
        ({"transcript": "t"}, (None,), 400, "no_audio_uploaded"),
        ({"transcript": "t"}, (b"x", "audio/mpeg"), 415, "unsupported_audio_type"),
        ({"transcript": "t"}, (30 * 2**20 + 1,), 413, "audio_too_large"),
        (
            {"parameters": SPEECH_ON},
            (b"x",),
            400,
            "provider_not_support_speech_to_text",
        ),
        (
            {"transcript": Refusal(400, "provider_quota_exceeded", "used up")},
            (b"x",),
            400,
            "provider_quota_exceeded",
        ),
    ],
)
async def test_sound_is_refused(options, given, status, code, hear):
    """Each mistake, and each error of a provider, has its status and its code."""
    app = quick(**options)
    async with LocalServer([app]) as server:
        answer_status, answer = await hear(server, app, *given)
    assert (answer_status, answer["code"]) == (status, code)


async def test_later_versions_name_what_is_off(hear):
    """Since 1.16 speech to text that is off has a code of its own."""
    app = quick()
    async with LocalServer([app], version="1.16.0") as server:
        _, answer = await hear(server, app)
    assert answer["code"] == "speech_to_text_disabled"


async def test_speech_comes_in_one_piece_or_in_chunks(speak, http, get):
    """Bytes have a length, and pieces are chunks of their own."""
    whole, pieces = quick(speech=b"whole"), quick(speech=iter([b"one", b"two"]))
    async with LocalServer([whole, pieces]) as server:
        response, audio = await speak(server, whole, text="hi", user="u1")
        assert (response.headers["Content-Type"], audio) == ("audio/mpeg", b"whole")
        assert response.headers["Content-Length"] == "5"
        response, audio = await speak(server, pieces, text="hi")
        assert (response.headers["Content-Type"], audio) == ("audio/mpeg", b"onetwo")
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert (await speak(server, pieces, text="hi"))[1] == b"onetwo"
        told = await get(server, whole, "/parameters")
    assert told["text_to_speech"]["enabled"] is True


@pytest.mark.parametrize(
    ("options", "body", "code", "message"),
    [
        ({}, {"text": "hi"}, "invalid_param", "TTS is not enabled"),
        ({"speech": b"x"}, {}, "invalid_param", "Text is required"),
        (
            {"parameters": SPEECH_ON},
            {"text": "hi"},
            "provider_not_initialize",
            "Default model not found for tts",
        ),
        (
            {"speech": Refusal(400, "invalid_param", "Sorry, no voice available.")},
            {"text": "hi"},
            "invalid_param",
            "Sorry, no voice available.",
        ),
    ],
)
async def test_text_is_refused(options, body, code, message, speak):
    """Each mistake, and each error of a provider, has its code and its words."""
    app = quick(**options)
    async with LocalServer([app]) as server:
        response, answer = await speak(server, app, **body)
    assert response.status == 400
    assert json.loads(answer) == {"code": code, "message": message, "status": 400}


async def test_message_of_a_chat_is_nothing(speak):
    """A workflow has no messages, so one that is named is null."""
    app = quick(speech=b"x")
    async with LocalServer([app]) as server:
        response, answer = await speak(server, app, message_id="m", text="hi")
    assert (response.status, answer) == (200, b"null\n")
