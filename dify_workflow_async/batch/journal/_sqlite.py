"""A journal in a file: SQLite, in a thread of its own.

A whole transaction is one visit to the thread. A driver that visits it for every call
(aiosqlite, a dozen visits for each transaction) costs several times as much.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from ...errors import ConfigurationError


T = TypeVar("T")

# Seconds that SQLite waits for its lock before it says that there is one.
_BUSY = 2

_PRAGMAS = (
    # With a log, readers and the writer are not in each other's way.
    "PRAGMA journal_mode=WAL",
    # Every commit reaches the disk. NORMAL would survive that the process is killed,
    # but not that the machine loses its power: the last rows would be forgotten, and
    # started a second time.
    "PRAGMA synchronous=FULL",
)

# https://www.sqlite.org/rescode.html: busy and locked; corrupt and notadb.
_PASSES = {5, 6}
_NO_DATABASE = {11, 26}


class SQLite:
    """A connection to a file.

    Raises:
        ConfigurationError: the URL names no file.
    """

    errors: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error)

    def __init__(self, url: sa.URL) -> None:
        if (url.database or ":memory:") == ":memory:":
            msg = "a journal in memory keeps nothing: name a file"
            raise ConfigurationError(msg)
        self.place = str(url.database)
        # The driver shall begin nothing by itself: it would do so with the first write,
        # too late for what was read before.
        self._engine = sa.create_engine(
            url.set(drivername="sqlite"),
            poolclass=NullPool,
            connect_args={"timeout": _BUSY, "isolation_level": None},
        )
        event.listen(self._engine, "begin", self._on_begin)
        self._begin = ""
        self._connection: sa.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    def _on_begin(self, connection: sa.Connection) -> None:
        if self._begin:
            connection.exec_driver_sql(self._begin)

    async def run(self, work: Callable[[sa.Connection], T], *, writes: bool) -> T:
        """Do *work* in a transaction, and commit it."""
        return await self._visit(lambda: self._transaction(work, writes=writes))

    async def _visit(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "journal")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transaction(self, work: Callable[[sa.Connection], T], *, writes: bool) -> T:
        connection = self._connection or self._connect()
        # A reader waits for no writer; a writer takes the lock at once, since SQLite
        # lets nobody write whose reading is out of date by then.
        self._begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        with connection.begin():
            return work(connection)

    def _connect(self) -> sa.Connection:
        self._connection = self._engine.connect()
        self._begin = ""
        for pragma in _PRAGMAS:
            self._connection.exec_driver_sql(pragma)
        self._connection.commit()
        return self._connection

    async def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        if self._thread is not None:
            await self._visit(self._close)
            self._thread.shutdown(wait=False)
            self._thread = None

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*self.errors):
                self._connection.close()
            self._connection = None

    async def is_missing(self) -> bool:
        """True if there is no file, which SQLite would make."""
        return await self._visit(lambda: not Path(self.place).exists())

    def passes(self, error: BaseException) -> bool:
        """True for a lock, which its owner may give up soon."""
        return _code(error) in _PASSES

    def is_no_database(self, error: BaseException) -> bool:
        """True if the file is something else, or broken."""
        return _code(error) in _NO_DATABASE


def _code(error: BaseException | None) -> int:
    original = getattr(error, "orig", error)
    # The second byte only refines the first.
    return getattr(original, "sqlite_errorcode", 0) & 0xFF
