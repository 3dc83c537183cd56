"""`Relayed`: a run that is relayed, and `View`: what one viewer gets of it."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncGenerator, Callable

from ._frames import PING
from ._ring import Ring
from ._streams import Stream


class Relayed:
    """One run of a hub.

    Args:
        run: its stream.
        ring: keeps its frames.
        on_unwatched: called when the last viewer has left.

    Attributes:
        views: those that watch now.
        over: True when no more frames will come.
        timer: goes off when nobody watched for long enough.
    """

    def __init__(
        self,
        run: Stream,
        ring: Ring,
        on_unwatched: Callable[[Relayed], None] | None = None,
    ) -> None:
        self.run = run
        self.ring = ring
        self.views: set[View] = set()
        self.over = False
        self.timer: asyncio.TimerHandle | None = None
        self._on_unwatched = on_unwatched
        self._news = asyncio.Event()

    def put(self, data: bytes) -> None:
        """Have one more frame for everybody."""
        if self.ring.put(data):
            for view in [x for x in self.views if x.is_behind]:
                view.drop()
        self.wake()

    def end(self) -> None:
        """Have no more frames."""
        self.over = True
        self.stop_timer()
        self.wake()

    def wake(self) -> None:
        """Have all who wait look again."""
        self._news.set()
        self._news.clear()

    async def news(self, within: float) -> bool:
        """Wait for a frame, or the end; False if neither came in so many seconds."""
        try:
            async with asyncio.timeout(within):
                return await self._news.wait()
        except TimeoutError:
            return False

    def join(self, view: View) -> None:
        """Be watched by one more."""
        self.stop_timer()
        self.views.add(view)

    def leave(self, view: View) -> None:
        """Be watched by one less."""
        self.views.discard(view)
        if not self.views and self._on_unwatched is not None:
            self._on_unwatched(self)

    def stop_timer(self) -> None:
        """Let the timer not go off."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class View:
    """What one viewer gets of a relayed run: an async iterator of bytes for a browser.

    Made by `RelayHub.view`. It is iterated once, by one task, and left by
    `contextlib.aclosing` or at its end; all frames that wait come in one piece. It ends
    when the run does, or when the viewer was dropped.

    Attributes:
        on_drop: called when the viewer is so far behind that the frames it needs next
            are gone: close its connection there, since it may hang in a write. A
            browser comes back by itself, and gets the text that it missed.
        dropped: True after that.
    """

    def __init__(self, relayed: Relayed, last_id: int, ping: float) -> None:
        self.on_drop: Callable[[], object] | None = None
        self.dropped = False
        self._relayed = relayed
        self._sent = last_id
        self._ping = ping

    @property
    def is_behind(self) -> bool:
        """True if frames that it needs next are gone."""
        return self._sent + 1 < self._relayed.ring.first

    @property
    def is_complete(self) -> bool:
        """True if the run is over and the viewer has all of it.

        Answer 204 then: anything else makes a browser come back again and again.
        """
        return self._relayed.over and self._sent >= self._relayed.ring.last

    def drop(self) -> None:
        """Send no more."""
        self.dropped = True
        self._relayed.leave(self)
        self._relayed.wake()
        if self.on_drop is not None:
            self.on_drop()

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        relayed, ring = self._relayed, self._relayed.ring
        relayed.join(self)
        try:
            while not self.dropped:
                if data := ring.since(self._sent):
                    self._sent = ring.last
                    yield data
                elif relayed.over:
                    return
                elif not await relayed.news(self._ping):
                    yield PING
        finally:
            relayed.leave(self)
