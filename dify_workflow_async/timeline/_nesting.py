"""Which iterations and loops lie in others."""

from __future__ import annotations

from collections import Counter


class Nesting:
    """Finds the iteration or loop around each iteration and loop.

    No event tells that. But the outer one waits for the inner: while that goes on, none
    of its own nodes runs or begins, which is otherwise with parallel branches.
    """

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        # Of those that go on: what happened in each, and how many of its nodes run.
        self._open: dict[str, int] = {}
        self._running: Counter[str] = Counter()
        # How much had happened in those that might be around it, when each began.
        self._around: dict[str, dict[str, int]] = {}

    def happened(self, block: str | None, *, running: int = 0) -> None:
        """Take note that something happened in an iteration or loop, or in none.

        Args:
            block: the iteration or loop.
            running: how many more of its own nodes run since then.
        """
        if block in self._open:
            self._open[block] += 1
            self._running[block] += running

    def block_began(self, block: str) -> None:
        """Take note of an iteration or loop that began."""
        self._around[block] = {
            outer: happened
            for outer, happened in self._open.items()
            if not self._running[outer]
        }
        self._open[block] = 0

    def block_ended(self, block: str) -> None:
        """Take note of an iteration or loop that ended."""
        parent = self.parent(block)
        if parent is not None:
            self._parents[block] = parent
        self._around.pop(block, None)
        self._open.pop(block, None)

    def parent(self, block: str) -> str | None:
        """The one around it, as far as that is known."""
        if block in self._parents:
            return self._parents[block]
        might_be = [
            outer
            for outer, happened in self._around.get(block, {}).items()
            if self._open.get(outer) == happened
        ]
        return might_be[-1] if might_be else None
