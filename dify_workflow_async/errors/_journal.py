"""What can go wrong with the journal of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._base import DifyError


class JournalError(DifyError):
    """Raised when the journal of a batch cannot do its work."""


class JournalUnavailable(JournalError):
    """Raised when a journal cannot be reached, read or written.

    No such file or server, no right to it, a connection that was lost and did not come
    back, a disk that is full, or a lock that another process does not give up.
    """


class NotAJournal(JournalError):
    """Raised when what should be a journal is something else."""


class JournalTooNew(JournalError):
    """Raised when a later version of this package made the journal.

    Attributes:
        version: of its tables.
        known: the highest version that this package knows.
    """

    def __init__(self, version: int, known: int, **context: Any) -> None:
        super().__init__(
            f"the journal has version {version}, and this package knows versions up to "
            f"{known}: upgrade dify-workflow-async, or begin a new journal",
            **context,
        )
        self.version = version
        self.known = known


class JournalMismatch(JournalError):
    """Raised when a journal belongs to another batch than the one it is used for.

    Attributes:
        differences: for each thing that differs what the journal has, and what was
            asked for.
    """

    def __init__(
        self, differences: Mapping[str, tuple[str | None, str]], **context: Any
    ) -> None:
        told = "; ".join(
            f"{name} is {there or 'not set'} there, and {here} here"
            for name, (there, here) in differences.items()
        )
        super().__init__(f"the journal is of another batch: {told}", **context)
        self.differences = dict(differences)


class LeaseLost(JournalError):
    """Raised when a row that this journal had claimed is somebody else's by now.

    No sign of life reached the database for as long as the lease: the process was
    suspended, or cut off. What became of the row is told to whoever offers it again.

    Attributes:
        key: of the row.
    """

    def __init__(self, key: str = "", **context: Any) -> None:
        super().__init__(
            f"the claim on row {key!r} was lost: no heartbeat reached the journal for as "
            "long as its lease",
            **context,
        )
        self.key = key
