"""Wire: the connection of one answer, raw."""

import socket
import struct

from typing import Final, Literal, NoReturn, TypeAlias

import attrs

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict


How: TypeAlias = Literal["fin", "rst"]
"""Whether a connection is closed as usual, or reset."""

# `SO_LINGER` on, with no time: closing sends a reset.
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class AnswerOver(ConnectionError):
    """Raised when a fault has ended an answer, of which nothing more is sent."""


@attrs.define
class Head:
    """Status line and headers of an answer, to be changed before they are sent.

    Args:
        status_line: Such as ``HTTP/1.1 200 OK``.
        headers: The headers.
    """

    status_line: str
    headers: CIMultiDict[str]

    def encode(self) -> bytes:
        """Write it as it goes over the wire, with the empty line behind it."""
        fields = (f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{self.status_line}\r\n{''.join(fields)}\r\n".encode()


class Wire:
    """The connection of one answer: bytes as they are, and how it ends.

    Attributes:
        request: What is answered.
        chunked: Whether the body goes in chunks.
        events: How many events were sent so far, pings not counted.
        over: Whether a fault has ended the answer.
    """

    def __init__(self, request: web.Request, real: AbstractStreamWriter) -> None:
        self.request = request
        self.chunked = False
        self.events = 0
        self.over = False
        self._real = real
        self._cut: tuple[int, How] | None = None

    def cut_after(self, count: int, how: How) -> None:
        """Let the connection break when so many more bytes are sent."""
        self._cut = count, how

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        transport = self.request.transport
        if transport is None or transport.is_closing():
            message = "the client has left"
            raise ConnectionResetError(message)
        if self._cut is not None:
            left, how = self._cut
            self._cut = left - len(data), how
            if len(data) >= left:
                transport.write(data[:left])
                await self.drop(how)
        transport.write(data)
        await self._real.drain()

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body, as a chunk if the body is chunked."""
        if not piece:
            return
        await self.write(
            b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece
        )
        self.events += piece.startswith(b"data:")

    async def end(self) -> None:
        """End the body, with the zero chunk if it is chunked."""
        if self.chunked:
            await self.write(b"0\r\n\r\n")

    async def answer(
        self, status: int, reason: str, body: bytes, **headers: str
    ) -> NoReturn:
        """Send a whole answer; underscores in names of headers are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Content-Length"] = str(len(body))
        head = Head(f"HTTP/1.1 {status} {reason}", CIMultiDict(named))
        await self.write(head.encode() + body)
        self.finish()

    def finish(self) -> NoReturn:
        """Send nothing more; the connection is kept."""
        self.over = True
        raise AnswerOver

    async def drop(self, how: How) -> NoReturn:
        """Close the connection, or reset it; what was written goes out before."""
        transport = self.request.transport
        if transport is not None and how == "fin":
            transport.close()
        elif transport is not None:
            transport.set_write_buffer_limits(0)
            await self._real.drain()  # a reset throws away what waits
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()
        self.finish()
