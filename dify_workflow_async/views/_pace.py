"""`Pace`: when a text that grows may be shown again."""

from __future__ import annotations

from ..errors import ConfigurationError


class Pace:
    """Keeps snapshots apart; the clock is the caller's.

    Args:
        every: seconds between two snapshots, at least.

    Raises:
        ConfigurationError: *every* is negative, or no number.
    """

    def __init__(self, every: float) -> None:
        if not every >= 0:
            msg = f"every must be 0 or more seconds, not {every!r}"
            raise ConfigurationError(msg)
        self._every = every
        self._due = float("-inf")
        self._shown = ""

    def wait(self, now: float) -> float:
        """Seconds until the next snapshot may be shown; 0: at once."""
        return max(0.0, self._due - now)

    def show(self, text: str, now: float) -> bool:
        """Take note that *text* is shown now; False if it was already."""
        if text == self._shown:
            return False
        self._shown, self._due = text, now + self._every
        return True
