"""A raw connection to a local server, and what is heard over it."""

from __future__ import annotations

import asyncio
import json

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dify_workflow_async.local import LocalServer

from ._faults_on_the_wire import Heard


KEY = "app-faults"


class Line:
    """A raw connection to a server."""

    def __init__(self, server: LocalServer, streams: Any) -> None:
        self._server = server
        self.reader, self.writer = streams

    async def ask(
        self, method: str = "POST", path: str = "/v1/workflows/run", mode="streaming"
    ) -> None:
        """Send a request."""
        body = {"inputs": {"marker": "m"}, "user": "u", "response_mode": mode}
        data = json.dumps(body).encode() if method == "POST" else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._server.port}\r\n"
            f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        self.writer.write(head.encode() + data)
        await self.writer.drain()

    async def hear(self, enough: bytes | None = None) -> Heard:
        """Read to the end, or until what came ends with something."""
        data = b""
        async with asyncio.timeout(10):
            while enough is None or not data.endswith(enough):
                try:
                    piece = await self.reader.read(1 << 16)
                except ConnectionResetError:
                    return Heard(data, "rst")
                if not piece:
                    return Heard(data, "fin")
                data += piece
        return Heard(data, "open")


@asynccontextmanager
async def line_to(server: LocalServer) -> AsyncIterator[Line]:
    streams = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Line(server, streams)
    finally:
        streams[1].close()
