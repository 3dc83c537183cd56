"""What a process has said that somebody should look at."""

from __future__ import annotations

import re


_SLOW = re.compile(r"^Executing <.*> took [0-9.]+ seconds\n", re.MULTILINE)


def faults(said: str | bytes) -> str:
    """Its standard error, without asyncio's remarks that a step of its loop took long.

    Debug mode makes them for more than 0.1 s, and a busy machine takes that for anything.
    """
    text = said.decode() if isinstance(said, bytes) else said
    return _SLOW.sub("", text)
