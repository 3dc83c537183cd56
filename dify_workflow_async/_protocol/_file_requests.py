"""Requests for files and sounds."""

from __future__ import annotations

from .._encode import encode
from ..errors import InvalidInputs
from ._requests import Content, Request, checked_user, escaped, is_a


# A body that is compressed on its way has a length that says nothing.
_AS_IT_IS = {"Accept-Encoding": "identity"}


def upload_request(content: Content) -> Request:
    """``POST /files/upload`` (1.10); twice makes a second file, which harms nobody."""
    return _content_request("/files/upload", content)


def fetch_request(path: str) -> Request:
    """``GET`` of a file, wherever it is."""
    return Request(method="GET", path=path, headers=_AS_IT_IS, repeatable=True)


def preview_request(file_id: str, *, as_attachment: bool) -> Request:
    """``GET /files/{file_id}/preview`` (1.11)."""
    query = "?as_attachment=true" if as_attachment else ""
    return fetch_request(f"/files/{escaped(file_id, 'file')}/preview{query}")


def hearing_request(content: Content) -> Request:
    """``POST /audio-to-text`` (1.14)."""
    return _content_request("/audio-to-text", content)


def _content_request(path: str, content: Content) -> Request:
    return Request(
        method="POST", path=path, content=content, repeatable=content.repeatable
    )


def speech_request(
    text: str, *, user: str, voice: str | None, message_id: str | None
) -> Request:
    """``POST /text-to-audio`` (1.14); each costs, so it is not asked for twice.

    Raises:
        InvalidInputs: there is nothing to say.
    """
    if not is_a(str, text) or not (text or message_id):
        raise InvalidInputs(["text: a text to speak"])
    given = {"text": text, "voice": voice, "message_id": message_id}
    body = {name: value for name, value in given.items() if value is not None}
    return Request(
        method="POST",
        path="/text-to-audio",
        body=encode({**body, "user": checked_user(user)}),
        headers=_AS_IT_IS,
    )
