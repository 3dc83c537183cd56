"""Reading in a task of its own, for consumers that wait for time as well as for news."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self


class Aside:
    """Runs *read* in a task of its own, for the length of ``async with``.

    Args:
        read: reads; it is given this object, to `tell` that there is news.
    """

    _task: asyncio.Future[None]

    def __init__(self, read: Callable[[Aside], Awaitable[None]]) -> None:
        self._read = read
        self._news = asyncio.Event()

    @property
    def over(self) -> bool:
        """True if there is nothing more to read."""
        return self._task.done()

    async def ended(self) -> None:
        """Wait until it is over, if it ever began."""
        if hasattr(self, "_task"):
            await asyncio.wait([self._task])

    def tell(self) -> None:
        """Say that there is news."""
        self._news.set()

    async def news(self, within: float | None = None) -> bool:
        """Wait for news or the end; False if neither came in so many seconds."""
        if not self._news.is_set():
            try:
                async with asyncio.timeout(within):
                    await self._news.wait()
            except TimeoutError:
                return False
        self._news.clear()
        return True

    def check(self) -> None:
        """Raise what *read* has raised; it must be over."""
        self._task.result()

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._read(self))
        self._task.add_done_callback(lambda _: self.tell())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Read no more; what *read* raises now is of no interest to anybody."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()
