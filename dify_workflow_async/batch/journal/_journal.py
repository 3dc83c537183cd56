"""The journal itself: what is asked of it, handed to its writer."""

from __future__ import annotations

import asyncio
import contextlib

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import partial
from os import PathLike, fspath
from types import TracebackType
from typing import Self, TypeVar

import sqlalchemy as sa

from ...errors import ConfigurationError, JournalError, UsageError
from ...models import RunRef
from .._values import Claim, Record, Row, State, Totals, Verdict, Wish
from . import _held, _incoming, _reads, _shared
from ._database import Database, url_of
from ._held import Change
from ._incoming import Addition, Demand, Offer
from ._records import columns_of_end, columns_of_ref, identity, json_text
from ._writer import Handler, Writer, alone, beat


T = TypeVar("T")
P = TypeVar("P")

# Rows that are asked about in one transaction, at most.
_CHUNK = 500


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
        if isinstance(where, Journal):
            return where
        return cls(where, lease=lease, heartbeat=heartbeat, create=create)

    def __init__(
        self,
        where: str | PathLike[str],
        *,
        lease: float,
        heartbeat: float,
        create: bool,
    ) -> None:
        if not 0 < heartbeat < lease:
            msg = f"a heartbeat of {heartbeat} s cannot keep a lease of {lease} s"
            raise ConfigurationError(msg)
        self._database = Database(_url(where), patience=lease)
        self._lease = lease
        self._heartbeat = heartbeat
        self._create = create
        self._writer: Writer | None = None
        self._beating: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Journal {self._database.place}>"

    async def __aenter__(self) -> Self:
        """Connect; make what is missing, and bring an older journal up to date.

        Raises:
            JournalUnavailable: no such file or server, or no right to it.
            NotAJournal: something else is there.
            JournalTooNew: a later version of this package made it.
        """
        if self._writer is not None:
            msg = "a journal is opened once"
            raise UsageError(msg)
        try:
            await self._database.open(create=self._create)
        except BaseException:
            await self._database.disconnect()
            raise
        self._writer = Writer(self._database, lease=self._lease)
        self._beating = asyncio.create_task(self._beat(), name="journal-heartbeat")
        return self

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
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
        if self._writer is not None:
            await self._writer.aclose()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            # What is wrong is told to those who ask for more than this.
            with contextlib.suppress(JournalError):
                await self.beat()

    @property
    def _open(self) -> Writer:
        if self._writer is None:
            msg = "a journal is used with async with"
            raise UsageError(msg)
        return self._writer

    async def _read(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._open.ask(alone, work, writes=False)

    async def _write(self, handler: Handler[Change, None], change: Change) -> None:
        """Write a change, even if who asks for it is cancelled meanwhile."""
        await asyncio.shield(self._open.ask(handler, change))

    async def _claims(
        self, handler: Handler[P, list[Claim]], asked: Mapping[P, int]
    ) -> list[list[Claim]]:
        """Claim rows; who is cancelled meanwhile has claimed none.

        *asked* tells how many rows each of the questions may claim.
        """
        answers = [self._open.ask(handler, x, rows=rows) for x, rows in asked.items()]
        try:
            return [await asyncio.shield(answer) for answer in answers]
        except BaseException:
            for answer in answers:
                answer.add_done_callback(self._give_back)
            raise

    def _give_back(self, answer: asyncio.Future[list[Claim]]) -> None:
        if answer.cancelled() or answer.exception():
            return
        for claim in answer.result():
            if claim.verdict in {Verdict.RUN, Verdict.RECOVER}:
                change = Change(identity(claim.row), claim.row.key)
                with contextlib.suppress(JournalError):  # closed: all is given back
                    _ = self._open.ask(_held.release, change)

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

    @property
    def token(self) -> str:
        """By which this journal is known to others; the name of its batch."""
        return self._open.token

    async def beat(self) -> None:
        """Show at once that we live; whoever was taken for gone is back then."""
        await self._open.ask(beat, None)

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

    @property
    def is_sure(self) -> bool:
        """True while nobody can have taken what this journal holds.

        False when no heartbeat came through for as long as the lease: look before you
        start a run. What was taken is told by the `LeaseLost` of the next call.
        """
        return self._open.is_sure

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


def _url(where: str | PathLike[str]) -> sa.URL:
    if isinstance(where, str) and "://" in where:
        return url_of(where)
    return sa.URL.create("sqlite", database=fspath(where))


def _parts(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
