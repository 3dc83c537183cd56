"""Faults of size: what never ends, and what is larger than it looks."""

import asyncio
import zlib

from typing import Final, Protocol

import attrs

from ._base import AtEvent, Fault
from ._wire import Head, Wire


_GZIP: Final = 16 + zlib.MAX_WBITS
_BLOCK: Final = 1024 * 1024


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


def _compressor() -> _Compressor:
    return zlib.compressobj(wbits=_GZIP)


@attrs.frozen(kw_only=True)
class EndlessHeaders(Fault):
    """The headers never end.

    Args:
        starts_run: Whether the request is carried out before.
        line: How many bytes a header has.
    """

    starts_run: bool = False
    line: int = 100

    async def before(self, wire: Wire) -> None:
        """Send headers until the client leaves."""
        await wire.write(b"HTTP/1.1 200 OK\r\n")
        pad = b"x" * self.line
        number = 0
        while True:
            number += 1
            await wire.write(b"X-Pad-%d: %b\r\n" % (number, pad))
            await asyncio.sleep(0)


@attrs.frozen(kw_only=True)
class EndlessBody(Fault):
    """An answer of JSON never ends.

    Args:
        status: The status of it.
        starts_run: Whether the request is carried out before.
    """

    status: int = 500
    starts_run: bool = False

    async def before(self, wire: Wire) -> None:
        """Send a body until the client leaves."""
        wire.chunked = True
        head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % self.status
        await wire.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        await wire.send(b'{"message": "')
        await _pour(wire)


@attrs.frozen(kw_only=True)
class EndlessLine(AtEvent):
    """A line of a stream never ends.

    Args:
        after_events: How many events are sent before.
    """

    async def strike(self, wire: Wire) -> None:
        """Send a line until the client leaves."""
        await wire.send(b'data: {"event": "text_chunk", "data": {"text": "')
        await _pour(wire)


async def _pour(wire: Wire) -> None:
    piece = b"x" * 10_000
    while True:
        await wire.send(piece)
        await asyncio.sleep(0)


@attrs.frozen(kw_only=True)
class Gzip(Fault):
    """The body is compressed, whatever the client has said that it takes."""

    _zip: _Compressor = attrs.field(
        factory=_compressor, init=False, eq=False, repr=False
    )

    async def on_head(self, wire: Wire, head: Head) -> None:
        """Send the head."""
        _say_gzip(wire, head)
        await super().on_head(wire, head)

    async def on_piece(self, wire: Wire, piece: bytes) -> None:
        """Send a piece, so that it can be read at once."""
        packed = self._zip.compress(piece) + self._zip.flush(zlib.Z_SYNC_FLUSH)
        await wire.send(packed)
        wire.events += piece.startswith(b"data:")

    async def on_end(self, wire: Wire) -> None:
        """End the body."""
        await wire.send(self._zip.flush(zlib.Z_FINISH))
        await wire.end()


@attrs.frozen(kw_only=True)
class GzipBomb(Fault):
    """A small body that is huge when it is unpacked, instead of the right one.

    Args:
        size: How many bytes it has then.
    """

    size: int = 64 * _BLOCK

    async def on_head(self, wire: Wire, head: Head) -> None:
        """Send the head, and the bomb."""
        _say_gzip(wire, head)
        await super().on_head(wire, head)
        packer = _compressor()
        await wire.send(packer.compress(b'data: {"event": "'))
        for _ in range(-(-self.size // _BLOCK)):
            await wire.send(packer.compress(b"0" * _BLOCK))
            await asyncio.sleep(0)
        await wire.send(packer.flush(zlib.Z_FINISH))
        await wire.end()
        wire.finish()


def _say_gzip(wire: Wire, head: Head) -> None:
    head.headers["Content-Encoding"] = "gzip"
    head.headers.pop("Content-Length", None)
    head.headers["Transfer-Encoding"] = "chunked"
    wire.chunked = True
