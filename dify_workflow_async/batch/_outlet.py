"""Where rows that ended wait to be taken."""

from __future__ import annotations

import asyncio

from collections import deque
from typing import TYPE_CHECKING

from ..errors import StreamBusy


if TYPE_CHECKING:
    from ._values import BatchItem


class Outlet:
    """Items, from where they end to who takes them.

    Its length is how many wait, those included that are held back for the order.

    Args:
        ordered: give them in the order of the rows.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._items: deque[BatchItem] = deque()
        # Those that came before others of lower index: None has nothing to give.
        self._early: dict[int, BatchItem | None] = {}
        self._next = 0
        self._closed = False
        self._taker: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._items) + len(self._early)

    def put(self, number: int, item: BatchItem | None) -> None:
        """Give the item of the row that was read as this one; None: it has none."""
        if self._ordered:
            self._early[number] = item
            while self._next in self._early:
                self._add(self._early.pop(self._next))
                self._next += 1
        else:
            self._add(item)
        self._wake()

    def _add(self, item: BatchItem | None) -> None:
        if item is not None:
            self._items.append(item)

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)

    async def take(self) -> BatchItem | None:
        """Wait for an item, and take it; None: no more will come.

        Raises:
            StreamBusy: another task waits for one.
        """
        if self._taker is not None:
            msg = "another task takes the items of this batch"
            raise StreamBusy(msg)
        while not self._items:
            if self._closed:
                return None
            self._taker = asyncio.get_running_loop().create_future()
            try:
                await self._taker
            finally:
                self._taker = None
        return self._items.popleft()
