"""The connection to a journal's database: transactions, and its errors as ours."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ..._secret import Secret
from ...errors import (
    ConfigurationError,
    JournalError,
    JournalUnavailable,
    NotAJournal,
)
from ._schema import is_current, migrate


T = TypeVar("T")

_EXTRAS = {"aiosqlite": "batch", "asyncpg": "postgresql"}
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

# Seconds that a connection may take to be made, or SQLite may wait for its lock before
# it says that there is one.
_CONNECT = 10
_BUSY = 2

# Seconds before a transaction is tried again; doubled each time up to the second.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0

_PRAGMAS = (
    # With a log, readers and the writer are not in each other's way.
    "PRAGMA journal_mode=WAL",
    # Every commit reaches the disk. NORMAL would survive that the process is killed,
    # but not that the machine loses its power: the last rows would be forgotten, and
    # started a second time.
    "PRAGMA synchronous=FULL",
)

# What passes: https://www.sqlite.org/rescode.html#busy (and locked), and PostgreSQL's
# appendix A: connection lost, too many connections, shut down, starting, deadlock,
# serialization failure.
_SQLITE_BUSY = {5, 6}
_SQLITE_NO_DATABASE = {11, 26}
_PASSING_STATES = ("08", "53300", "57P01", "57P02", "57P03", "40P01", "40001")


def url_of(where: str) -> sa.URL:
    """The URL of a database, with the driver that is used for it.

    Raises:
        ConfigurationError: it is no URL, or of another kind of database.
    """
    try:
        url = sa.make_url(where)
    except (SQLAlchemyError, ValueError):  # a port that is no number
        msg = "the journal's URL cannot be read"
        raise ConfigurationError(msg) from None
    return checked(url)


def checked(url: sa.URL) -> sa.URL:
    """The URL, with the driver that is used for it; errors as with `url_of`."""
    kind = url.get_backend_name()
    if kind not in _DRIVERS:
        msg = f"a journal is in SQLite or PostgreSQL, not in {kind}"
        raise ConfigurationError(msg)
    if kind == "sqlite" and (url.database or ":memory:") == ":memory:":
        msg = "a journal in memory keeps nothing: name a file"
        raise ConfigurationError(msg)
    return url.set(drivername=_DRIVERS[kind])


class Database:
    """One connection, opened again when it is lost.

    Args:
        url: from `url_of`.
        patience: seconds for which a transaction is tried again while the database is
            locked or away. Each must therefore be one that may be done twice.
    """

    def __init__(self, url: sa.URL, *, patience: float) -> None:
        self.place = _place(url)
        self._password = Secret(str(url.password) if url.password else None)
        self._patience = patience
        self._begin = "BEGIN"
        self._is_file = url.get_backend_name() == "sqlite"
        if not self._is_file:
            limits = {"timeout": _CONNECT, "command_timeout": patience}
            self._engine = _engine(url, limits)
            self._foreign = _errors_of_postgresql()
        else:
            self._foreign = (SQLAlchemyError, sqlite3.Error)
            # The driver shall begin nothing by itself: it would do so with the first
            # write, too late for what was read before.
            self._engine = _engine(url, {"timeout": _BUSY, "isolation_level": None})
            event.listen(self._engine.sync_engine, "begin", self._on_begin)
        self._connection: AsyncConnection | None = None

    def _on_begin(self, connection: sa.Connection) -> None:
        if self._begin:
            connection.exec_driver_sql(self._begin)

    async def open(self, *, create: bool) -> None:
        """Bring the tables up to date, or make them.

        Raises:
            JournalError: what stands in the way.
        """
        # A server that is not there is told at once; SQLite's lock is soon free.
        patient = self._is_file
        if not create and not await asyncio.to_thread(self._may_be_there):
            msg = f"there is no journal at {self.place}"
            raise JournalUnavailable(msg)
        if not await self.transaction(is_current, writes=False, patient=patient):
            work = partial(migrate, create=create)
            await self.transaction(work, writes=True, patient=patient)

    def _may_be_there(self) -> bool:
        """False where SQLite would make a file."""
        return not self._is_file or Path(self.place).exists()

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
                return await self._once(work, writes=writes)
            except self._foreign as error:
                await self.disconnect()
                left = end - loop.time() if patient and _passes(error) else 0
                if left <= 0:
                    raise self._translated(error) from None
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_WAIT)

    async def _once(self, work: Callable[[sa.Connection], T], *, writes: bool) -> T:
        connection = self._connection or await self._connect()
        # A reader waits for no writer; a writer takes the lock at once, since SQLite
        # lets nobody write whose reading is out of date by then.
        self._begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        async with connection.begin():
            return await connection.run_sync(work)

    async def _connect(self) -> AsyncConnection:
        if not self._is_file:
            self._connection = await self._engine.connect()
            return self._connection
        # Where this fails the driver's thread would outlive its loop, and complain.
        await asyncio.to_thread(_try_to_open, self.place)
        self._connection = await self._engine.connect()
        self._begin = ""
        for pragma in _PRAGMAS:
            await self._connection.exec_driver_sql(pragma)
        await self._connection.commit()
        return self._connection

    async def disconnect(self) -> None:
        """Close the connection; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*self._foreign):
                await connection.close()

    def _translated(self, error: BaseException) -> JournalError:
        """One of our errors, which names the place and no password."""
        reason = str(_innermost(error)).partition("\n")[0] or type(error).__name__
        message = f"the journal at {self.place}: {self._password.redacted(reason)}"
        if _sqlite_code(error) in _SQLITE_NO_DATABASE:
            return NotAJournal(message)
        return JournalUnavailable(message)


def _engine(url: sa.URL, connect_args: dict[str, Any]) -> AsyncEngine:
    try:
        return create_async_engine(url, poolclass=NullPool, connect_args=connect_args)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        msg = (
            f"this journal needs {error.name}: "
            f"pip install 'dify-workflow-async[{_EXTRAS[error.name]}]'"
        )
        raise ConfigurationError(msg) from None


def _errors_of_postgresql() -> tuple[type[Exception], ...]:
    from asyncpg import InterfaceError, PostgresError  # type: ignore[import-untyped]

    # SQLAlchemy passes on as they are those that come when connecting.
    return (SQLAlchemyError, PostgresError, InterfaceError, OSError, TimeoutError)


def _try_to_open(file: str) -> None:
    sqlite3.connect(file).close()


def _place(url: sa.URL) -> str:
    """Where a database is, for people: without what may be secret."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"{url.host or 'localhost'}{port}/{url.database or ''}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "orig", None) or error.__cause__


def _innermost(error: BaseException) -> BaseException:
    *_, last = _chain(error)
    return last


def _sqlite_code(error: BaseException) -> int | None:
    for each in _chain(error):
        if isinstance(each, sqlite3.Error):
            # The second byte only refines the first.
            return getattr(each, "sqlite_errorcode", 0) & 0xFF
    return None


def _passes(error: BaseException) -> bool:
    """True if it may be gone when one tries again."""
    if _sqlite_code(error) in _SQLITE_BUSY:
        return True
    return any(
        isinstance(each, OSError | TimeoutError)
        or getattr(each, "connection_invalidated", False)
        or str(getattr(each, "sqlstate", None) or "").startswith(_PASSING_STATES)
        for each in _chain(error)
    )
