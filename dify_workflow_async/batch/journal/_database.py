"""The database of a journal: transactions that are tried again, its errors as ours."""

from __future__ import annotations

import asyncio

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import sqlalchemy as sa

from sqlalchemy.exc import SQLAlchemyError

from ..._secret import Secret
from ...errors import (
    ConfigurationError,
    JournalError,
    JournalUnavailable,
    NotAJournal,
)
from ._postgresql import PostgreSQL
from ._schema import is_current, migrate
from ._sqlite import SQLite


T = TypeVar("T")

# Seconds before a transaction is tried again; doubled each time up to the second.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0


class Driver(Protocol):
    """What a kind of database does."""

    @property
    def place(self) -> str:
        """Where it is, for people: without what may be secret."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Everything that it may raise."""
        ...

    async def run(self, work: Callable[[sa.Connection], T], *, writes: bool) -> T:
        """Do *work* in a transaction, and commit it."""
        ...

    async def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        ...

    async def is_missing(self) -> bool:
        """True if nothing is there, and would be made."""
        ...

    def passes(self, error: BaseException) -> bool:
        """True for an error that may be gone when one tries again."""
        ...

    def is_no_database(self, error: BaseException) -> bool:
        """True for the error that there is something else."""
        ...


class Database:
    """One connection, opened again when it is lost.

    Args:
        url: of the database.
        patience: seconds for which a transaction is tried again while the database is
            locked or away. Each must therefore be one that may be done twice.

    Raises:
        ConfigurationError: no journal can be there, or a package is missing.
    """

    def __init__(self, url: sa.URL, *, patience: float) -> None:
        self._driver = _driver(url, patience)
        self._password = Secret(str(url.password) if url.password else None)
        self._patience = patience

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._driver.place

    async def open(self, *, create: bool) -> None:
        """Bring the tables up to date, or make them.

        Raises:
            JournalError: what stands in the way.
        """
        if not create and await self._driver.is_missing():
            msg = f"there is no journal at {self.place}"
            raise JournalUnavailable(msg)
        # A server that is not there is told at once; SQLite's lock is soon free.
        patient = isinstance(self._driver, SQLite)
        if not await self.transaction(is_current, writes=False, patient=patient):
            work = partial(migrate, create=create)
            await self.transaction(work, writes=True, patient=patient)

    async def transaction(
        self, work: Callable[[sa.Connection], T], *, writes: bool, patient: bool = True
    ) -> T:
        """Do *work* in a transaction, and commit it.

        While the database is locked or away it is tried again, if *patient*. Work whose
        commit was done, and its answer lost, is then done twice.

        Raises:
            DifyError: what *work* raises; all was rolled back.
            JournalUnavailable: the database is away, locked, or does not let us.
            NotAJournal: the file is no database, or a broken one.
        """
        pause = _FIRST_WAIT
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        while True:
            try:
                return await self._driver.run(work, writes=writes)
            except self._driver.errors as error:
                await self._driver.close()
                may_pass = patient and self._driver.passes(error)
                left = end - loop.time() if may_pass else 0
                if left <= 0:
                    raise self._translated(error) from None
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_WAIT)

    async def disconnect(self) -> None:
        """Close the connection; the next transaction opens another."""
        await self._driver.close()

    def _translated(self, error: Exception) -> JournalError:
        """One of our errors, which names the place and no password."""
        original = getattr(error, "orig", None) or error
        reason = str(original).partition("\n")[0] or type(original).__name__
        message = f"the journal at {self.place}: {self._password.redacted(reason)}"
        if self._driver.is_no_database(error):
            return NotAJournal(message)
        return JournalUnavailable(message)


def url_of(where: str) -> sa.URL:
    """A URL in parts.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return sa.make_url(where)
    except (SQLAlchemyError, ValueError):  # a port that is no number
        msg = "the journal's URL cannot be read"
        raise ConfigurationError(msg) from None


def _driver(url: sa.URL, patience: float) -> Driver:
    match url.get_backend_name():
        case "sqlite":
            return SQLite(url)
        case "postgresql":
            try:
                return PostgreSQL(url, patience=patience)
            except ImportError as error:  # asyncpg, or greenlet behind SQLAlchemy
                msg = (
                    f"a journal in PostgreSQL needs more ({error}): "
                    "pip install 'dify-workflow-async[postgresql]'"
                )
                raise ConfigurationError(msg) from None
        case kind:
            msg = f"a journal is in SQLite or PostgreSQL, not in {kind}"
            raise ConfigurationError(msg)
