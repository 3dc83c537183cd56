"""Answers that are no stream: JSON in the server's two styles, errors, HTML."""

import json

from http import HTTPStatus
from typing import Any

from aiohttp import web

from ._errors import RequestRefused


_NOT_FOUND_PAGE = """\
<!doctype html>
<html lang=en>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>The requested URL was not found on the server. If you entered the URL manually \
please check your spelling and try again.</p>
"""


def compact_json(body: Any, status: int = 200) -> web.Response:
    """Answer as most endpoints do: compact, ASCII, ``/`` escaped, a final newline."""
    text = json.dumps(body, separators=(",", ":")).replace("/", "\\/")
    return web.Response(
        status=status,
        reason=reason(status),
        body=f"{text}\n".encode("ascii"),
        headers={"Content-Type": "application/json"},
    )


def spaced_json(body: Any) -> web.Response:
    """Answer as a blocking run does: ASCII, with spaces, no final newline."""
    return web.Response(
        body=json.dumps(body).encode("ascii"),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )


def raw_json(body: Any) -> web.Response:
    """Answer as a form does: UTF-8 as it is, with spaces, no final newline."""
    return web.Response(
        body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        headers={"Content-Type": "application/json"},
    )


def refusal(refused: RequestRefused) -> web.Response:
    """Answer with an error."""
    body = {
        "code": refused.code,
        "message": refused.message,
        "status": refused.status,
    }
    response = compact_json(body, refused.status)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="api"'
    response.headers.update(refused.headers)
    return response


def not_found_page() -> web.Response:
    """Answer as for a path that the API does not have."""
    return web.Response(
        status=404,
        reason=reason(404),
        body=_NOT_FOUND_PAGE.encode("ascii"),
        headers={"Content-Type": "text/html; charset=utf-8"},
    )


def reason(status: int) -> str:
    """Tell the reason phrase, which the servers write in capitals."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # newer Pythons call it else
        return "REQUEST ENTITY TOO LARGE"
    return HTTPStatus(status).phrase.upper()
