"""Whose turn it is to read: a stream has one reader at a time."""

from __future__ import annotations

import asyncio

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from .errors import StreamBusy


class Turn:
    """Who reads.

    Attributes:
        is_reading: True while somebody waits for the server.
        holder: a token, and the task in which the reading began; None: nobody.
    """

    def __init__(self) -> None:
        self.is_reading = False
        self.holder: tuple[object, asyncio.Task[Any] | None] | None = None

    @property
    def is_elsewhere(self) -> bool:
        """True if another task reads, or waits for the server at this moment."""
        if self.is_reading:
            return True
        other = None if self.holder is None else self.holder[1]
        return not (other is None or other is asyncio.current_task() or other.done())

    @contextmanager
    def claimed(self) -> Generator[None]:
        """Have it, within the block.

        Raises:
            StreamBusy: another task has it, and has not ended.
        """
        if self.is_elsewhere:
            msg = "another task reads this stream"
            raise StreamBusy(msg)
        # An iteration that was left by `break` ends some time later: the token keeps it
        # from taking away the claim of the one that went on.
        token = object()
        self.holder = token, asyncio.current_task()
        try:
            yield
        finally:
            self._give_back(token)

    def _give_back(self, token: object) -> None:
        if self.holder is not None and self.holder[0] is token:
            self.holder = None

    def drop(self) -> None:
        """Let nobody have it."""
        self.holder = None
