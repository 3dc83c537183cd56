"""ReceivedRequest: a request as tests look back on it."""

import json

from collections.abc import Mapping
from typing import Any, Final

import attrs

from aiohttp import web


# Their handlers read the body piece by piece.
_STREAMED: Final = frozenset({"/v1/files/upload", "/v1/audio-to-text"})


@attrs.frozen(kw_only=True)
class ReceivedRequest:
    """A request that came in.

    Args:
        method: The method.
        path: The path, such as ``/v1/workflows/run``.
        query: The query; of a key that occurs twice, the last value.
        headers: The headers, names in small letters.
        body: The body; empty where files are uploaded, which are not kept in memory.
        json: The body as JSON, ``None`` if it is none.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    json: Any


async def receive(request: web.Request) -> ReceivedRequest:
    """Read a request, except for the body of an upload."""
    body = b"" if request.path in _STREAMED else await request.read()
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return ReceivedRequest(
        method=request.method,
        path=request.path,
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        json=value,
    )
