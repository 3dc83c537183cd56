"""The journal of a batch: what became of each row, in a database.

.. code-block:: python

    async with Journal.open("runs.db") as journal:
        await journal.bind({"base_url": "https://dify.example/v1"})
        for claim in await journal.offer(rows):
            if claim.verdict is Verdict.RUN:
                ...  # start the run
                await journal.known(row, ref)
                ...  # wait for its end
                await journal.finish(record)

Every write is durable before the call returns. Writes that are asked for at the same
time share one transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Self

from ...models import RunRef
from .._values import Claim, Record, Row, State


class Journal:
    """A journal: SQLite in a file, or PostgreSQL by its URL.

    A row is known by its key and the digest of its inputs together: a row whose inputs
    changed is a new row. Whoever runs a row holds a claim on it. A claim lives as long
    as its owner, this object, shows by a heartbeat that it lives: one that was silent
    for longer than its lease is gone, and its rows go to whoever asks. On one machine a
    process that has ended is gone at once.

    Make it with `open`, and use it with ``async with``, in one event loop.
    """

    @classmethod
    def open(
        cls,
        where: str | PathLike[str] | Journal,
        *,
        lease: float = 30.0,
        heartbeat: float = 5.0,
        create: bool = True,
    ) -> Journal:
        """A journal at *where*; nothing is opened before ``async with``.

        Args:
            where: a file, or a URL: ``postgresql://user@host/database`` or
                ``sqlite:///runs.db``. A journal is given back as it is.
            lease: seconds of silence after which an owner is gone.
            heartbeat: seconds between signs of life.
            create: make one if there is none.

        Raises:
            ConfigurationError: *where* is no such thing, or a package is missing.
        """
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Connect; make what is missing, and bring an older journal up to date.

        Raises:
            JournalUnavailable: no such file or server, or no right to it.
            NotAJournal: something else is there.
            JournalTooNew: a later version of this package made it.
        """
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Write what is waiting, give all claims back, and disconnect.

        Rows that are still ``started`` will be ``unknown`` to the next owner, those that
        are ``running`` will be found again. Calling it twice does no harm.
        """
        raise NotImplementedError

    async def bind(self, binding: Mapping[str, str]) -> None:
        """Say what the journal is for; the first time it is kept, then compared.

        Raises:
            JournalMismatch: it is for something else; the error names what differs.
        """
        raise NotImplementedError

    async def binding(self) -> Mapping[str, str]:
        """What the journal is for."""
        raise NotImplementedError

    async def offer(
        self, rows: Sequence[Row], *, rerun: Collection[State] = ()
    ) -> list[Claim]:
        """Ask what to do with each of *rows*; claims those that are to be run.

        New rows, ``pending`` and ``refused`` ones are claimed as ``started``
        (`Verdict.RUN`). Rows whose owner is gone are claimed if their run's id is known
        (`Verdict.RECOVER`), and become ``unknown`` otherwise. What this journal holds
        already is `Verdict.HELD`, like what others hold.

        Args:
            rerun: states whose rows are to be run again although they have ended:
                ``unknown``, ``failed``, ``stopped`` or ``paused``.

        Returns:
            one claim for each row, in their order.
        """
        raise NotImplementedError

    async def add(self, rows: Sequence[Row]) -> list[Record]:
        """Put rows in, with their inputs, as ``pending``, for whoever takes them.

        Returns:
            how each of them stands, in their order: those that are new as ``pending``.

        Raises:
            InvalidInputs: inputs that are no JSON.
        """
        raise NotImplementedError

    async def take(self, limit: int, *, rerun: Collection[State] = ()) -> list[Claim]:
        """Claim up to *limit* rows that were added: to run, or to find their run again.

        Rows of owners who are gone are among them; those that were started, and whose
        run's id nobody knows, become ``unknown`` instead, unless *rerun* has that.
        """
        raise NotImplementedError

    async def known(self, row: Row, ref: RunRef) -> None:
        """Keep the id of a row's run, which makes it ``running``.

        Raises:
            LeaseLost: the row is somebody else's by now.
        """
        raise NotImplementedError

    async def finish(self, record: Record) -> None:
        """Keep how a row ended, and end its claim.

        ``attempts``, ``started_at`` and ``finished_at`` are the journal's to tell.

        Raises:
            LeaseLost: the row is somebody else's by now: offer it again to learn more.
            InvalidInputs: outputs that are no JSON; the claim stays.
        """
        raise NotImplementedError

    async def release(self, row: Row) -> None:
        """Give a claim back: ``running`` if its run's id is known, else as it was.

        Only for rows whose run was certainly not started, or whose id is known. Does
        nothing for a row that is not ours.
        """
        raise NotImplementedError

    @property
    def is_sure(self) -> bool:
        """True while nobody can have taken what this journal holds.

        False when no heartbeat came through for as long as the lease: look before you
        start a run. What was taken is told by the `LeaseLost` of the next call.
        """
        raise NotImplementedError

    async def look(self, rows: Sequence[Row]) -> list[Record | None]:
        """How each of *rows* stands, claiming nothing; None for rows that are not in."""
        raise NotImplementedError

    def records(self, states: Collection[State] = ()) -> AsyncIterator[Record]:
        """All rows, in the order in which they came in, or those in *states*."""
        raise NotImplementedError

    async def counts(self) -> Mapping[State, int]:
        """How many rows stand where; states without rows are left out."""
        raise NotImplementedError
