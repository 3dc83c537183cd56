"""Faults that take their time."""

import asyncio

from typing import Final

import attrs

from ._base import AtEvent, Fault
from ._wire import Head, Wire


_PING: Final = b"event: ping\n\n"


@attrs.frozen(kw_only=True)
class Silence(Fault):
    """No answer begins.

    Args:
        starts_run: Whether the request is carried out before the silence. If not, it
            is carried out when the silence ends.
        until: What ends the silence; without it the client has to leave.
    """

    starts_run: bool = False
    until: asyncio.Event | None = None

    async def before(self, wire: Wire) -> None:
        """Wait."""
        del wire
        await (self.until or asyncio.Event()).wait()


@attrs.frozen(kw_only=True)
class SlowHeaders(Fault):
    """The status line and the headers come one by one.

    Args:
        interval: Seconds before each line.
    """

    interval: float = 0.05

    async def on_head(self, wire: Wire, head: Head) -> None:
        """Send them."""
        for line in head.encode().splitlines(keepends=True):
            await asyncio.sleep(self.interval)
            await wire.write(line)


@attrs.frozen(kw_only=True)
class Stall(AtEvent):
    """A stream says no more, while its run goes on.

    Args:
        after_events: How many events are sent before.
        pings: Seconds between the pings that are sent all the same; ``None`` sends
            none.
        until: What ends it, and all that was held back comes; without it the client
            has to leave.
    """

    pings: float | None = None
    until: asyncio.Event | None = None

    async def strike(self, wire: Wire) -> None:
        """Wait."""
        until = self.until or asyncio.Event()
        while not until.is_set():
            try:
                async with asyncio.timeout(self.pings):
                    await until.wait()
            except TimeoutError:
                await wire.send(_PING)
