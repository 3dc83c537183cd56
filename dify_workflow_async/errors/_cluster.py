"""What can go wrong with a cluster of workers."""

from __future__ import annotations

from ._base import DifyError


class ClusterUnavailable(DifyError):
    """Raised when a cluster cannot be reached, or has no workers left.

    What was running goes on, or is found again by who runs the batch with the same
    journal.
    """
