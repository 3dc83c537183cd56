"""The journal itself: what is asked of it, handed to its writer."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from os import PathLike

from ...models import RunRef
from .._values import Claim, Record, Row, State, Totals, Wish
from . import _held, _incoming, _reads, _shared
from ._held import Change
from ._incoming import Addition, Demand, Offer
from ._life import Life
from ._records import columns_of_end, columns_of_ref, identity, json_text
from ._writer import alone


# Rows that are asked about in one transaction, at most.
_CHUNK = 500


class Journal(Life):
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
        if isinstance(where, Journal):
            return where
        return cls(where, lease=lease, heartbeat=heartbeat, create=create)

    async def bind(self, binding: Mapping[str, str]) -> None:
        """Say what the journal is for; the first time it is kept, then compared.

        Raises:
            JournalMismatch: it is for something else; the error names what differs.
        """
        await self._open.ask(alone, partial(_reads.bind, wanted=dict(binding)))

    async def binding(self) -> Mapping[str, str]:
        """What the journal is for."""
        return await self._read(_reads.binding)

    async def offer(
        self, rows: Sequence[Row], *, rerun: Collection[State] = ()
    ) -> list[Claim]:
        """Ask what to do with each of *rows*; claims those that are to be run.

        New rows, ``pending`` and ``refused`` ones are claimed as ``started``
        (`Verdict.RUN`). Rows whose owner is gone are claimed if their run's id is known
        (`Verdict.RECOVER`), and become ``unknown`` otherwise. What this journal holds
        already is `Verdict.HELD`, like what others hold.

        Args:
            rows: the rows.
            rerun: states whose rows are to be run again although they have ended:
                ``unknown``, ``failed``, ``stopped`` or ``paused``.

        Returns:
            one claim for each row, in their order.
        """
        states = frozenset(rerun)
        parts = [Offer(rows=part, rerun=states) for part in _parts(rows)]
        asked = {part: len(part.rows) for part in parts}
        answers = await self._claims(_incoming.offer, asked)
        return [claim for claims in answers for claim in claims]

    async def add(
        self, rows: Sequence[Row], *, batch: str, rerun: Collection[State] = ()
    ) -> list[Record]:
        """Put rows in, with their inputs, as ``pending``, for those who `take` them.

        Rows that are in already are put in again if they are ``pending``, ``refused``
        or in *rerun*; those that somebody works at go over to this batch.

        Args:
            rows: the rows.
            batch: the name of those who take: leftovers of others are not touched.
            rerun: as in `offer`.

        Returns:
            how each of them stands, in their order; new ones are ``pending``.

        Raises:
            InvalidInputs: inputs that are no JSON.
        """
        states = frozenset(rerun)
        asked = [
            Addition(
                rows=part,
                inputs=[json_text(row.inputs) for row in part],
                batch=batch,
                rerun=states,
            )
            for part in _parts(rows)
        ]
        answers = [
            self._open.ask(_incoming.add, each, rows=len(each.rows)) for each in asked
        ]
        return [
            record for records in await asyncio.gather(*answers) for record in records
        ]

    async def take(
        self, limit: int, *, batch: str, rerun: Collection[State] = ()
    ) -> list[Claim]:
        """Claim rows that were added: to run, or to find their run again.

        Rows of owners who are gone come first; those that were started, and whose run's
        id nobody knows, become ``unknown`` instead, unless *rerun* has that.

        Args:
            limit: how many at most.
            batch: as in `add`.
            rerun: states whose rows are to be run again although they ended.
        """
        demand = Demand(batch=batch, limit=limit, rerun=frozenset(rerun))
        (claims,) = await self._claims(_incoming.take, {demand: limit})
        return claims

    async def wish(self, wish: Wish) -> None:
        """Tell those who take from our batch what is to become of it."""
        await self._open.ask(_shared.wish, wish)

    async def wished(self, batch: str) -> Wish | None:
        """What is to become of a batch; None: whoever put it in is gone."""
        return await self._read(partial(_shared.wished, batch=batch))

    async def withdraw(self) -> None:
        """Let nobody take the rows of our batch that nobody has begun."""
        await self._open.ask(_shared.withdraw, self.token)

    async def over(self, rows: Sequence[Row]) -> list[Record | None]:
        """How those of *rows* stand that nobody works at, nor will; None: the others.

        That is those that ended, that were left running or were withdrawn.
        """
        found = [
            await self._read(partial(_shared.over, rows=part)) for part in _parts(rows)
        ]
        return [record for records in found for record in records]

    async def known(self, row: Row, ref: RunRef) -> None:
        """Keep the id of a row's run, which makes it ``running``.

        Raises:
            LeaseLost: the row is somebody else's by now.
        """
        change = Change(identity(row), row.key, columns_of_ref(ref))
        await self._write(_held.known, change)

    async def finish(self, record: Record) -> None:
        """Keep how a row ended, and end its claim.

        ``attempts``, ``started_at`` and ``finished_at`` are the journal's to tell.

        Raises:
            LeaseLost: the row is somebody else's by now: offer it again to learn more.
            InvalidInputs: outputs that are no JSON; the claim stays.
        """
        change = Change(identity(record), record.key, columns_of_end(record))
        await self._write(_held.finish, change)

    async def release(self, row: Row) -> None:
        """Give a claim back: ``running`` if its run's id is known, else as it was.

        Only for rows whose run was certainly not started, or whose id is known. Does
        nothing for a row that is not ours.
        """
        await self._write(_held.release, Change(identity(row), row.key))

    async def look(self, rows: Sequence[Row]) -> list[Record | None]:
        """How each of *rows* stands, claiming nothing; None for rows that are not in."""
        found = [
            await self._read(partial(_reads.look, rows=part)) for part in _parts(rows)
        ]
        return [record for records in found for record in records]

    async def records(
        self, states: Collection[State] = (), *, outputs: bool = True
    ) -> AsyncIterator[Record]:
        """All rows, in the order in which they came in, or those in *states*.

        Args:
            states: none of them: all.
            outputs: False leaves them out, and does not read them.
        """
        read = partial(_reads.page, states=frozenset(states), outputs=outputs)
        after: int | None = 0
        while after is not None:
            page = await self._read(partial(read, after=after))
            for record in page.records:
                yield record
            after = page.last

    async def counts(self) -> Mapping[State, int]:
        """How many rows stand where; states without rows are left out."""
        return await self._read(_reads.counts)

    async def totals(self) -> Totals:
        """What all rows took and cost."""
        return await self._read(_reads.totals)


def _parts(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
