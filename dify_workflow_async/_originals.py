"""The data of the event that a stream gave last, as the server wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ._sse import SSEDecoder
from .events import Event


class Originals:
    """Looks on while a stream makes events of frames, and keeps the last of both.

    It stands before and behind the loop that does so, which costs those nothing who do
    not ask for it.
    """

    def __init__(self) -> None:
        self._frame = b""
        self._last: tuple[Event, bytes] | None = None

    def frames(self, frames: Iterable[bytes]) -> Iterator[bytes]:
        """The same frames, as they are asked for."""
        for frame in frames:
            self._frame = frame
            yield frame

    def events(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events, which are made of these frames, as they are asked for."""
        for event in events:
            self._last = event, self._frame
            yield event

    def of(self, event: Event) -> bytes | None:
        """The data of an event; None if it is not the very last one."""
        if self._last is None or self._last[0] is not event:
            return None
        frame = self._last[1]
        read = SSEDecoder(len(frame)).interpret(frame)
        return None if read is None else read[1]
