"""Faults of the events of a stream: too many, too few, out of order, broken."""

import json

from collections.abc import Iterable
from typing import Final

import attrs

from ._base import AtEvent, Fault
from ._wire import Wire


BROKEN_JSON: Final = b'data: {"event": "text_chunk", "data": {"text": "half\n\n'
"""An event whose JSON breaks off, for `Insert`."""

BROKEN_UTF8: Final = b'data: {"event": "text_chunk", "data": {"text": "\xff\xfe"}}\n\n'
"""An event that is no UTF-8, for `Insert`."""

_LAST: Final = frozenset({"workflow_finished", "workflow_paused", "error"})


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class Insert(AtEvent):
    """Something is sent between the events.

    Args:
        data: What is sent, such as ``BROKEN_JSON``.
        after_events: How many events are sent before.
    """

    data: bytes

    async def strike(self, wire: Wire) -> None:
        """Send it."""
        await wire.send(self.data)


@attrs.frozen(kw_only=True)
class Omit(Fault):
    """Events are left out; a stream may so end cleanly without its last event.

    Args:
        events: Their names.
    """

    events: tuple[str, ...] = attrs.field(converter=_texts)

    async def on_piece(self, wire: Wire, piece: bytes) -> None:
        """Send a piece, if it is not one of them."""
        if event_name(piece) not in self.events:
            await wire.send(piece)


@attrs.frozen(kw_only=True)
class Duplicate(Fault):
    """Events are sent twice.

    Args:
        events: Their names; none is all of them.
    """

    events: tuple[str, ...] = attrs.field(default=(), converter=_texts)

    async def on_piece(self, wire: Wire, piece: bytes) -> None:
        """Send a piece, and perhaps again."""
        await wire.send(piece)
        name = event_name(piece)
        if name is not None and (not self.events or name in self.events):
            await wire.send(piece)


@attrs.frozen(kw_only=True)
class Reorder(Fault):
    """Events come in another order: each few of them backwards.

    The event that ends a stream stays the last one.

    Args:
        window: How many events are turned around at a time.
    """

    window: int = 2
    _held: list[bytes] = attrs.field(
        factory=list[bytes], init=False, eq=False, repr=False
    )

    async def on_piece(self, wire: Wire, piece: bytes) -> None:
        """Hold an event back, or send what was held."""
        name = event_name(piece)
        if name is None:
            await wire.send(piece)
            return
        if name in _LAST:
            await self._release(wire)
            await wire.send(piece)
            return
        self._held.append(piece)
        if len(self._held) >= self.window:
            await self._release(wire)

    async def on_end(self, wire: Wire) -> None:
        """Send what was held, and end."""
        await self._release(wire)
        await wire.end()

    async def _release(self, wire: Wire) -> None:
        while self._held:
            await wire.send(self._held.pop())


def event_name(piece: bytes) -> str | None:
    """Tell the name of an event; ``None`` if the piece is none."""
    if not piece.startswith(b"data: {"):
        return None
    try:
        return str(json.loads(piece[6:]).get("event"))
    except ValueError:
        return None
