"""`Outbox`: frames for one browser, which is served as fast as it takes them."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncGenerator, AsyncIterable, Callable

from ._aside import Aside
from .errors import ConfigurationError, DifyError, StreamBusy
from .events import Event
from .relay import PING, Frames


_AHEAD = 64 * 1024
"""Bytes that may wait for the browser; beyond these the run is not read on."""


class Outbox:
    """Reads events aside, so that pings can be sent while none comes.

    Args:
        events: what to relay.
        frames: makes bytes of them.
        original: gives the data of the last one as it came, if that is wanted.
    """

    def __init__(
        self,
        events: AsyncIterable[Event],
        frames: Frames,
        original: Callable[[Event], bytes | None] | None = None,
    ) -> None:
        self.aside = Aside(self._read)
        self._events = events
        self._frames = frames
        self._original = original
        self._waiting: list[bytes] = []
        self._size = 0
        self._has_room = asyncio.Event()

    async def _read(self, aside: Aside) -> None:
        of_event, original = self._frames.of_event, self._original
        async for event in self._events:
            came_as = None if original is None else original(event)
            if (data := of_event(event, came_as)) is None:
                continue
            self._waiting.append(data)
            self._size += len(data)
            aside.tell()
            if self._size >= _AHEAD:
                self._has_room.clear()
                await self._has_room.wait()

    def _take(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        self._has_room.set()
        return data

    async def take(self, ping: float) -> AsyncGenerator[bytes]:
        """The frames; *ping* is how many seconds of silence a browser is left in."""
        if not ping > 0:
            msg = f"ping must be more than 0 seconds, not {ping!r}"
            raise ConfigurationError(msg)
        async with self.aside as aside:
            while True:
                is_over = aside.over
                if data := self._take():
                    yield data
                elif is_over:
                    break
                elif not await aside.news(ping):
                    yield PING
            try:
                aside.check()
            except StreamBusy:
                raise
            except DifyError as error:
                yield self._frames.of_error(error)
            except Exception as error:
                yield self._frames.of_error(error)
                raise
