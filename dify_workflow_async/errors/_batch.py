"""What ends a batch."""

from __future__ import annotations

from typing import Any

from ._base import DifyError


class TooManyFailures(DifyError):
    """Raised when a batch was ended because ``max_failures`` of its rows had failed.

    All rows that had been started have been given out by then. The last failure is
    its ``__cause__``.

    Attributes:
        failures: how many rows failed.
    """

    def __init__(self, message: str = "", *, failures: int = 0, **context: Any) -> None:
        super().__init__(message, **context)
        self.failures = failures
