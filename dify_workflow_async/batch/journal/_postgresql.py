"""A journal on a server: PostgreSQL."""

from __future__ import annotations

import contextlib

from collections.abc import Callable, Iterator
from typing import TypeVar

import sqlalchemy as sa

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool


T = TypeVar("T")

# Seconds for a connection to be made, on networks as they are.
_CONNECT = 10

# PostgreSQL's appendix A: connection lost, too many of them, shut down, starting,
# deadlock, serialization failure.
_PASSING = ("08", "53300", "57P01", "57P02", "57P03", "40P01", "40001")


class PostgreSQL:
    """A connection to a server.

    Args:
        url: of the database.
        patience: seconds after which a statement that is not answered has failed.
    """

    def __init__(self, url: sa.URL, *, patience: float) -> None:
        from asyncpg import (  # type: ignore[import-untyped]
            InterfaceError,
            PostgresError,
        )
        from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

        # SQLAlchemy passes on as they are those that come when connecting.
        self.errors: tuple[type[Exception], ...] = (
            *(SQLAlchemyError, PostgresError, InterfaceError),
            *(OSError, TimeoutError),
        )
        port = f":{url.port}" if url.port else ""
        self.place = f"{url.host or 'localhost'}{port}/{url.database or ''}"
        self._engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            poolclass=NullPool,
            connect_args={"timeout": _CONNECT, "command_timeout": patience},
        )
        self._connection: AsyncConnection | None = None

    async def run(self, work: Callable[[sa.Connection], T], *, writes: bool) -> T:
        """Do *work* in a transaction, and commit it."""
        del writes  # its locks are of rows, and are taken where they are needed
        if self._connection is None:
            self._connection = await self._engine.connect()
        async with self._connection.begin():
            return await self._connection.run_sync(work)

    async def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*self.errors):
                await connection.close()

    async def is_missing(self) -> bool:
        """Only its tables can be missing."""
        return False

    def passes(self, error: BaseException) -> bool:
        """True for what may be gone when one tries again."""
        return any(
            isinstance(each, OSError | TimeoutError)
            or getattr(each, "connection_invalidated", False)
            or str(getattr(each, "sqlstate", None) or "").startswith(_PASSING)
            for each in _chain(error)
        )

    def is_no_database(self, error: BaseException) -> bool:
        """A server is one."""
        del error
        return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "orig", None) or error.__cause__
