"""What the workflows of the tests call: an API that is slow, flaky or a model."""

from __future__ import annotations

import asyncio
import json

from collections import Counter
from typing import Any

from aiohttp import web


PIXEL = bytes.fromhex("89504e470d0a1a0a") + bytes(61)


class Outside:
    """A server of the tests.

    Attributes:
        port: Where it listens.
        seen: The paths that were asked for, in order.
        asked: The bodies that a model was asked.
        answers: What a model says next, one list of events for each call.
    """

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answers: list[list[dict[str, Any]]] = []
        self._hits: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def application(self) -> web.Application:
        """Make the application."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/sleep", self._sleep),
                web.get("/flaky", self._flaky),
                web.get("/file.png", self._file),
                web.get("/status/{code}", self._status),
                web.post("/v1/chat/completions", self._complete),
            ]
        )
        return application

    async def _sleep(self, request: web.Request) -> web.Response:
        self.seen.append(request.path_qs)
        seconds = float(request.query["s"])
        await asyncio.sleep(seconds)
        return _json({"slept": seconds})

    async def _flaky(self, request: web.Request) -> web.Response:
        key = request.query["k"]
        self._hits[key] += 1
        hit = self._hits[key]
        good = hit > int(request.query["n"])
        return _json({"hit": hit, "ok": good}, 200 if good else 503)

    async def _file(self, request: web.Request) -> web.Response:
        return web.Response(body=PIXEL, content_type="image/png")

    async def _status(self, request: web.Request) -> web.Response:
        return _json({}, int(request.match_info["code"]))

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.keys.append(request.headers.get("Authorization"))
        if not self.answers:
            return _json({"error": {"message": "no such model"}}, 404)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in self.answers.pop(0):
            text = json.dumps(event, ensure_ascii=False)
            await response.write(f"data: {text}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response


def _json(body: Any, status: int = 200) -> web.Response:
    # Spaces as the recorded server had them.
    return web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/json"
    )
