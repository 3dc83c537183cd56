"""A journal that is open: its life, and how questions get to its writer."""

from __future__ import annotations

import asyncio
import contextlib

from collections.abc import Callable, Mapping
from os import PathLike, fspath
from types import TracebackType
from typing import Self, TypeVar

import sqlalchemy as sa

from ...errors import ConfigurationError, JournalError, UsageError
from .._values import Claim, Verdict
from . import _held
from ._database import Database, url_of
from ._held import Change
from ._records import identity
from ._writer import Handler, Writer, alone, beat


T = TypeVar("T")
P = TypeVar("P")


class Life:
    """The life of a `Journal`, whose docstring tells the arguments."""

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

    async def beat(self) -> None:
        """Show at once that we live; whoever was taken for gone is back then."""
        await self._open.ask(beat, None)

    @property
    def token(self) -> str:
        """By which this journal is known to others; the name of its batch."""
        return self._open.token

    @property
    def is_sure(self) -> bool:
        """True while nobody can have taken what this journal holds.

        False when no heartbeat came through for as long as the lease: look before you
        start a run. What was taken is told by the `LeaseLost` of the next call.
        """
        return self._open.is_sure

    # -- questions ---------------------------------------------------------------------

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


def _url(where: str | PathLike[str]) -> sa.URL:
    if isinstance(where, str) and "://" in where:
        return url_of(where)
    return sa.URL.create("sqlite", database=fspath(where))
