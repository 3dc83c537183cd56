"""Server-sent events for a browser, as bytes (WHATWG HTML, 9.2)."""

from __future__ import annotations

from typing import Final

import orjson

from ..events import Event
from ._selection import Projector, Selection
from ._sentences import Tell, error_object


PING: Final = b": ping\n\n"
"""A comment, which browsers pass over, and by which proxies see that all is well."""

RETRY: Final = b"retry: 1000\n\n"
"""Has a browser come back a second after its connection broke; the usual is 3 or 5."""

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would keep the events until it has a few KB
}
"""What an answer of such bytes needs."""


class Frames:
    """Makes the frames of one run, and numbers them from 1.

    They have the shape of Dify's own: no ``event:`` line, the name stands in the data.
    So one ``onmessage`` hears all, and an ``error`` is not taken for the connection's.

    Args:
        selection: what is sent.
        tell: makes sentences of errors.

    Attributes:
        last_id: the number of the frame that was made last.
    """

    def __init__(self, selection: Selection, tell: Tell) -> None:
        self.last_id = 0
        self._project = Projector(selection).project
        self._tell = tell

    def of_event(self, event: Event, original: bytes | None = None) -> bytes | None:
        """The frame of an event; None if it is not sent.

        Args:
            event: what is to be sent.
            original: its data as the server wrote it, if that is known. It is sent as
                it is where the selection asks for all of the event, with its ids.
        """
        data = self._project(event, original)
        if data is None:
            return None
        self.last_id += 1
        return b"id: %d\ndata: %b\n\n" % (self.last_id, data)

    def of_error(self, error: BaseException) -> bytes:
        """The last frame of a run that broke."""
        self.last_id += 1
        return frame(self.last_id, error_object(error, self._tell))


def frame(number: int, obj: object) -> bytes:
    """A frame with this number, by which a browser says what it has."""
    return b"id: %d\ndata: %b\n\n" % (number, orjson.dumps(obj))
