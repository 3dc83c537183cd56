"""The log of an app, looked at again and again: which runs have ended since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .._logs import Logs, Page
from ..models import LogEntry


WINDOW = timedelta(hours=1)
"""How long before the newest run one may have begun that is still looked for: servers
end runs after 20 minutes, those from 1.17 after an hour."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Follower:
    """Tells each run once: when it has ended, or waits for a person.

    The log is ordered by when runs began, and filters make runs appear in it that began
    long before others did. So each look reads on until it has met as many runs as the
    server says that there are: mostly that is the first page.

    Args:
        read: gives the log, with its other filters, from a time on (*after*).
        after: runs that began before are not looked for; None: all are.
    """

    def __init__(self, read: Callable[..., Logs], after: datetime | None) -> None:
        self._read = read
        self._given = after
        self._since = after
        # What was met, and when it began; and of those, who still run.
        self._known: dict[str, datetime] = {}
        self._running: dict[str, LogEntry] = {}

    async def begin(self, count: int | None) -> list[LogEntry]:
        """The last *count* runs, or all, the oldest first.

        Raises:
            DifyError: as for ``WorkflowClient.logs()``.
        """
        shown: list[LogEntry] = []
        since: datetime | None = None
        async for entry in self._read(after=self._given):
            since = since or self._beginning(_begun(entry))  # the first is the newest
            in_window = _begun(entry) >= since
            wanted = count is None or len(shown) < count
            if not (in_window or wanted):
                break
            is_told = self._take(entry) if in_window else True
            if is_told and wanted:
                shown.append(entry)
        self._since = since or self._given
        return shown[::-1]

    async def look(self) -> list[LogEntry]:
        """The runs that have ended since, the oldest first.

        Raises:
            DifyError: as for ``WorkflowClient.logs()``; nothing is lost by that.
        """
        fresh: dict[str, LogEntry] = {}
        waiting = set(self._running)
        page: Page | None = await self._read(after=self._since)
        while page is not None:
            for entry in page:
                id_ = entry.id or ""
                waiting.discard(id_)
                if id_ not in self._known or id_ in self._running:
                    fresh[id_] = entry
            met = len(self._known.keys() | fresh.keys())
            all_met = met >= (page.total or 0) and not waiting
            page = None if all_met else await page.next_page()
        # Only now, when nothing can fail any more.
        ended = [entry for entry in fresh.values() if self._take(entry)][::-1]
        # Several begin in a second, and the log has them in their order.
        return sorted([*self._forget(), *ended], key=_begun)

    def _take(self, entry: LogEntry) -> bool:
        """Remember it; True if it is to be told."""
        id_ = entry.id or ""
        self._known[id_] = _begun(entry)
        run = entry.workflow_run
        if run is not None and run.status == "running":
            self._running[id_] = entry
            return False
        self._running.pop(id_, None)
        return True

    def _forget(self) -> list[LogEntry]:
        """Let the window move on; those that leave it still running."""
        if not self._known:
            return []
        since = self._since = self._beginning(max(self._known.values()))
        gone = [id_ for id_, begun in self._known.items() if begun < since]
        for id_ in gone:
            del self._known[id_]
        return [self._running.pop(id_) for id_ in gone if id_ in self._running]

    def _beginning(self, newest: datetime) -> datetime:
        """Where the window begins; whole seconds, as the log tells times."""
        return max(newest - WINDOW, self._given or _LONG_AGO).replace(microsecond=0)


def _begun(entry: LogEntry) -> datetime:
    return entry.created_at or _LONG_AGO
