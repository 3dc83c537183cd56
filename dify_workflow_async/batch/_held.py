"""Rows that others work on, and when they are asked for again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._retry import poll_delay


if TYPE_CHECKING:
    from ._rows import Read

# More than other processes have under way. Only equal rows of one key can be as many.
_MOST = 10_000


class Held:
    """Rows that are asked for less and less often, until one of them is free.

    Args:
        now: the clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._reads: deque[Read] = deque()
        self._looked = 0
        self._look_at = 0.0

    def __len__(self) -> int:
        return len(self._reads)

    @property
    def wait(self) -> float | None:
        """Seconds until it is time to ask for some; None: there are none."""
        return max(0.0, self._look_at - self._now()) if self._reads else None

    @property
    def come_first(self) -> bool:
        """True if these are to be asked for before more rows are read."""
        return self.wait == 0 or len(self._reads) >= _MOST

    def add(self, read: Read) -> None:
        """Somebody works on this row."""
        read.was_held = True
        self._look_at = self._look_at or self._now() + poll_delay(1)
        self._reads.append(read)

    def take(self) -> Read:
        """The one that was asked for the longest time ago."""
        return self._reads.popleft()

    def were_asked_for(self) -> None:
        """Some were, and it is time for others a little later."""
        self._looked += 1
        self._look_at = self._now() + poll_delay(self._looked + 1)

    def one_is_free(self) -> None:
        """Others may be, too: they need not wait until it is time again."""
        self._looked, self._look_at = 0, self._now()
