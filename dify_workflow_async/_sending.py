"""A body that aiohttp sends piece by piece, and how it went."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import NoReturn

import aiohttp

from aiohttp.abc import AbstractStreamWriter

from ._config import Timeouts
from ._protocol import Content


class Body(aiohttp.Payload):
    """What aiohttp asks for the body of a request.

    Args:
        content: what to send.
        timeouts: ``idle`` for each piece to be taken, ``first_byte`` for the answer
            when all is sent. How long the content takes to make a piece is its own
            affair.

    Attributes:
        on_wait: called with the seconds that the server has from now on.
        failure: what the content has raised; aiohttp would tell of a connection.
        traceback: where, before aiohttp's frames came to it, which hold the key.
        sent: True when all was taken.
    """

    def __init__(self, content: Content, timeouts: Timeouts) -> None:
        super().__init__(content, content_type=content.content_type)
        self._size = content.size
        self._content = content
        self._timeouts = timeouts
        self.on_wait: Callable[[float | None], None] | None = None
        self.failure: BaseException | None = None
        self.traceback: TracebackType | None = None
        self.sent = False

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of it."""
        async with aclosing(self._content.chunks()) as chunks:
            while piece := await self._next(chunks):
                self._wait(self._timeouts.idle)
                await writer.write(piece)
        self.sent = True
        self._wait(self._timeouts.first_byte)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write all of it; *content_length* is its own size, which it keeps to."""
        del content_length
        await self.write(writer)

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes:
        self._wait(None)
        try:
            return await anext(chunks, b"")
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.failure, self.traceback = error, error.__traceback__
            raise

    def _wait(self, seconds: float | None) -> None:
        if self.on_wait is not None:
            self.on_wait(seconds)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> NoReturn:
        """Not asked for: the body is never held as a whole."""
        raise NotImplementedError
