"""What aiohttp and orjson cost alone: no types, no errors, no times, no ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import aiohttp
import orjson


TYPED = "dict"


class Contender:
    """One session, read with ``iter_any``."""

    def __init__(self, address: str, streams: int) -> None:
        del streams
        self._url = f"{address}/v1/workflows/run"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"Authorization": "Bearer app-bench"},
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def read(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> int:
        """Run a workflow; see the package."""
        events = 0
        pieces: list[bytes] = []
        body = {"inputs": inputs, "response_mode": "streaming", "user": "u1"}
        async with self._session.post(self._url, json=body) as response:
            async for chunk in response.content.iter_any():
                whole = chunk
                if pieces:
                    cut = chunk[:1] == b"\n" == pieces[-1][-1:]
                    pieces.append(chunk)
                    if not cut and b"\n\n" not in chunk:
                        continue
                    whole = b"".join(pieces)
                *frames, rest = whole.split(b"\n\n")
                pieces = [rest] if rest else []
                for frame in frames:
                    if frame[:6] != b"data: ":
                        continue
                    obj = orjson.loads(frame[6:])
                    events += 1
                    if obj["event"] == "text_chunk":
                        on_text(obj["data"]["text"])
        return events
