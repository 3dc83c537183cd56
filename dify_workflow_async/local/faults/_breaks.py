"""Faults that break the connection, or what HTTP wraps around a body."""

import asyncio

import attrs

from ._base import AtEvent, Fault
from ._wire import Head, How, Wire


@attrs.frozen(kw_only=True)
class HangUp(Fault):
    """The connection breaks before the first byte of the answer.

    Args:
        how: ``fin`` closes it, ``rst`` resets it.
        starts_run: Whether the request is carried out before. A blocking run ends
            before its answer would begin.
    """

    how: How = "fin"
    starts_run: bool = False

    async def before(self, wire: Wire) -> None:
        """Break the connection."""
        await wire.drop(self.how)


@attrs.frozen(kw_only=True)
class Drop(AtEvent):
    """The connection of a stream breaks; the run goes on.

    Args:
        after_events: How many events are sent before.
        how: ``fin`` closes the connection, ``rst`` resets it.
        in_chunk: Whether a further chunk begins, and breaks off in mid-event.
    """

    how: How = "fin"
    in_chunk: bool = False

    async def strike(self, wire: Wire) -> None:
        """Break the connection."""
        if self.in_chunk:
            await wire.write(b'100\r\ndata: {"event": "text_ch')
        await wire.drop(self.how)


@attrs.frozen(kw_only=True)
class Cut(Fault):
    """The connection breaks in the middle of any answer.

    Args:
        after_bytes: How many bytes of it are sent, headers and framing included.
        how: ``fin`` closes the connection, ``rst`` resets it.
    """

    after_bytes: int
    how: How = "fin"

    async def before(self, wire: Wire) -> None:
        """Let the wire count."""
        wire.cut_after(self.after_bytes, self.how)


@attrs.frozen(kw_only=True)
class Unended(Fault):
    """All of a chunked body is sent, but not the chunk that ends it.

    Args:
        how: ``fin`` closes the connection, ``rst`` resets it.
    """

    how: How = "fin"

    async def on_end(self, wire: Wire) -> None:
        """Break the connection instead."""
        await wire.drop(self.how)


@attrs.frozen(kw_only=True)
class BadChunkSize(AtEvent):
    """A line that is no chunk size comes where one is due, and nothing after it.

    The connection stays open until the client leaves.

    Args:
        after_events: How many events are sent before.
        line: What comes instead.
    """

    line: bytes = b"XYZ"

    async def on_head(self, wire: Wire, head: Head) -> None:
        """Send the head; the body is chunked in any case."""
        head.headers.pop("Content-Length", None)
        head.headers["Transfer-Encoding"] = "chunked"
        wire.chunked = True
        await super().on_head(wire, head)

    async def strike(self, wire: Wire) -> None:
        """Send the line."""
        await wire.write(self.line + b"\r\n")
        await asyncio.Event().wait()
