"""The runs of an app, as pages and one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ._api import Api


if TYPE_CHECKING:
    from .models import LogEntry, LogPage


_REMEMBERED = 10_000
"""How many runs a walk knows again: more than begin between two of its pages."""


class Page:
    """One page of logs, newest runs first; iterate over it for its entries.

    Attributes:
        entries: the runs.
        number: 1 for the first page.
        limit: how many entries a full page has.
        total: how many runs there are on all pages, when this one was read.
        has_more: True if the server has further pages.
    """

    def __init__(self, logs: Logs, page: LogPage, number: int) -> None:
        self.entries: tuple[LogEntry, ...] = page.data
        self.number = number
        self.limit = page.limit
        self.total = page.total
        self.has_more = bool(page.has_more)
        self._logs = logs

    def __iter__(self) -> Iterator[LogEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<Page {self.number}: {len(self)} of {self.total} runs>"

    async def next_page(self) -> Page | None:
        """Read the page after this one; None if this is the last.

        Raises:
            DifyError: as for `WorkflowClient.logs`.
        """
        return await self._logs.page(self.number + 1) if self.has_more else None


class Logs:
    """What `WorkflowClient.logs` gives: ``await`` it for a page, or walk all runs.

    Nothing is asked before.
    """

    def __init__(
        self, api: Api, *, page: int, limit: int, filters: Mapping[str, Any]
    ) -> None:
        self._api = api
        self._page = page
        self._limit = limit
        self._filters = filters

    def __await__(self) -> Generator[Any, None, Page]:
        return self.page(self._page).__await__()

    async def page(self, number: int) -> Page:
        """Read this page."""
        self._api.lifetime.check()
        found = await self._api.logs(number, self._limit, self._filters)
        return Page(self, found, number)

    async def __aiter__(self) -> AsyncIterator[LogEntry]:
        """Yield the runs of all pages, from the first asked for.

        Runs that begin meanwhile push others onto later pages: those are not yielded
        twice. An empty page ends the walk, and so does one that only says again what
        was said before, if no new runs explain that: some proxies drop the query.
        """
        first = await self.page(self._page)
        page: Page | None = first
        seen: dict[str, None] = {}
        skipped = 0
        while page:  # an empty one has no length
            fresh = [entry for entry in page if entry.id not in seen]
            skipped += len(page) - len(fresh)
            if not fresh and skipped > (page.total or 0) - (first.total or 0):
                return
            for entry in fresh:
                yield entry
            seen |= {entry.id: None for entry in fresh if entry.id is not None}
            for old in list(seen)[:-_REMEMBERED]:
                del seen[old]
            page = await page.next_page()
