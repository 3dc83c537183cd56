"""Relays runs to browsers as server-sent events, without the key and the inside.

`RunStream.relay` serves one viewer. `RelayHub` serves several, and those that come
back after their connection broke. `Selection` says what leaves.
"""

from __future__ import annotations

from ._fields import ALL, FIELDS
from ._frames import HEADERS, PING, RETRY, Frames
from ._hub import RelayHub, Unwatched
from ._relayed import View
from ._selection import Selection
from ._sentences import Tell, error_object, headers_of, sentence_of, status_of


__all__ = [
    "ALL",
    "FIELDS",
    "HEADERS",
    "PING",
    "RETRY",
    "Frames",
    "RelayHub",
    "Selection",
    "Tell",
    "Unwatched",
    "View",
    "error_object",
    "headers_of",
    "sentence_of",
    "status_of",
]
