"""SpoiledWriter: stands where aiohttp writes answers, and lets a fault write them."""

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from ._base import Fault
from ._wire import Head, Wire


class SpoiledWriter(AbstractStreamWriter):
    """Hands what a handler writes to a fault.

    Args:
        request: What is answered; from now on it is written to here.
        fault: The fault, for this answer alone.
    """

    def __init__(self, request: web.Request, fault: Fault) -> None:
        self._real = request.writer
        self._wire = Wire(request, self._real)
        self._fault = fault
        self._put(self)

    def remove(self) -> None:
        """Let the real writer write the answer."""
        self._put(self._real)

    def _put(self, writer: AbstractStreamWriter) -> None:
        # The one place for it that all kinds of responses share.
        self._wire.request._payload_writer = writer  # pyright: ignore[reportPrivateUsage]

    async def before(self) -> None:
        """Let the fault act before the request is carried out, if it does."""
        if not self._fault.starts_run:
            await self._fault.before(self._wire)

    async def write_headers(
        self, status_line: str, headers: "CIMultiDict[str]"
    ) -> None:
        """Send status line and headers."""
        if not self._wire.over:
            await self._fault.on_head(self._wire, Head(status_line, headers))

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Send a piece of the body."""
        if not self._wire.over:
            await self._fault.on_piece(self._wire, bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        """End the body."""
        if self._wire.over:
            return
        if chunk:
            await self._fault.on_piece(self._wire, bytes(chunk))
        await self._fault.on_end(self._wire)

    async def drain(self) -> None:
        """Wait until the client has taken something."""
        await self._real.drain()

    def enable_chunking(self) -> None:
        """Send the body in chunks."""
        self._wire.chunked = True

    def enable_compression(
        self, encoding: str = "deflate", strategy: int | None = None
    ) -> None:
        """Do nothing: the server compresses nothing."""
