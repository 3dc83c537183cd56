"""`Shelf`: the runs that can be viewed."""

from __future__ import annotations

import asyncio

from ..errors import NotRelayed
from ._relayed import Relayed


class Shelf:
    """Holds runs while they go on, and for some time after.

    Args:
        keep: seconds that an ended run stays.
        max_ended: how many ended runs stay; the oldest goes first.
    """

    def __init__(self, keep: float, max_ended: int) -> None:
        self._keep = keep
        self._max_ended = max_ended
        self._runs: dict[str, Relayed] = {}
        self._ended: dict[str, asyncio.TimerHandle] = {}

    def put(self, run_id: str, relayed: Relayed) -> None:
        """Hold a run that has begun."""
        self._runs[run_id] = relayed

    def find(self, run_id: str) -> Relayed:
        """A run that is held.

        Raises:
            NotRelayed: there is no such run, or not any more.
        """
        if run_id not in self._runs:
            msg = "no such run is relayed here, or it ended some time ago"
            raise NotRelayed(msg)
        return self._runs[run_id]

    def end(self, run_id: str) -> None:
        """Let browsers fetch the rest of an ended run, but not for ever."""
        loop = asyncio.get_running_loop()
        self._ended[run_id] = loop.call_later(self._keep, self._forget, run_id)
        while len(self._ended) > self._max_ended:
            self._forget(next(iter(self._ended)))

    def _forget(self, run_id: str) -> None:
        """Drop an ended run, with whoever did not fetch it in time."""
        self._ended.pop(run_id).cancel()
        for view in tuple(self._runs.pop(run_id).views):
            view.drop()

    def close(self) -> None:
        """Have no more timers; what is held stays for those who view it."""
        for run_id in tuple(self._ended):
            self._ended.pop(run_id).cancel()
