"""Whose turn it is to read: a stream has one reader at a time."""

from __future__ import annotations

import asyncio

from typing import Any

from .errors import StreamBusy


class Turn:
    """Who reads.

    Attributes:
        is_reading: True while somebody waits for the server.
        holder: the claim, and the task in which the reading began; None: nobody.
    """

    def __init__(self) -> None:
        self.is_reading = False
        self.holder: tuple[Claim, asyncio.Task[Any] | None] | None = None

    @property
    def is_elsewhere(self) -> bool:
        """True if another task reads, or waits for the server at this moment."""
        if self.is_reading:
            return True
        other = None if self.holder is None else self.holder[1]
        return not (other is None or other is asyncio.current_task() or other.done())

    def claimed(self) -> Claim:
        """Have it until the end of a ``with`` block.

        Raises:
            StreamBusy: another task has it, and has not ended.
        """
        if self.is_elsewhere:
            msg = "another task reads this stream"
            raise StreamBusy(msg)
        claim = Claim(self)
        self.holder = claim, asyncio.current_task()
        return claim

    def drop(self) -> None:
        """Let nobody have it."""
        self.holder = None


class Claim:
    """That of one who reads.

    An iteration that was left by ``break`` ends some time later: this is all that it
    gives back then, not the claim of the one that went on.
    """

    __slots__ = ("_turn",)

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def __enter__(self) -> None:
        """Nothing is left to be done."""

    def __exit__(self, *exc: object) -> None:
        holder = self._turn.holder
        if holder is not None and holder[0] is self:
            self._turn.holder = None
