"""Fault: what is done to an answer, as four hooks."""

import attrs

from ._wire import Head, How, Wire


__all__ = ["AtEvent", "Fault", "How"]


@attrs.frozen(kw_only=True)
class Fault:
    """What is done to one answer. This one does nothing; subclass it for your own.

    Its methods are called as the answer goes out, and send what they like. A fault
    that has state keeps it in fields with ``init=False``: each answer gets a copy
    that is made anew.

    Args:
        starts_run: Whether the request is carried out: a run started, a stop obeyed.
            Most faults leave no choice, because there is no answer to spoil without.
    """

    starts_run: bool = attrs.field(default=True, init=False)

    async def before(self, wire: Wire) -> None:
        """Act before the answer; before the request is carried out if it is not."""

    async def on_head(self, wire: Wire, head: Head) -> None:
        """Send status line and headers."""
        if self.starts_run:
            await self.before(wire)
        await wire.write(head.encode())

    async def on_piece(self, wire: Wire, piece: bytes) -> None:
        """Send a piece of the body: of a stream, an event or a ping."""
        await wire.send(piece)

    async def on_end(self, wire: Wire) -> None:
        """End the body."""
        await wire.end()


@attrs.frozen(kw_only=True)
class AtEvent(Fault):
    """A fault that strikes once, after so many events.

    Args:
        after_events: How many events are sent before, pings not counted; 0 strikes
            behind the headers, also in answers that are no stream.
    """

    after_events: int = 1

    async def strike(self, wire: Wire) -> None:
        """Do it."""

    async def on_head(self, wire: Wire, head: Head) -> None:
        """Send the head."""
        await super().on_head(wire, head)
        if self.after_events == 0:
            await self.strike(wire)

    async def on_piece(self, wire: Wire, piece: bytes) -> None:
        """Send a piece, and strike if it was the event."""
        before = wire.events
        await wire.send(piece)
        if before < wire.events == self.after_events:
            await self.strike(wire)
