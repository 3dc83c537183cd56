"""The tables of a journal, and how older ones become these.

Moments are seconds since 1970 by the database's clock.
"""

from __future__ import annotations

import sqlalchemy as sa

from ...errors import JournalTooNew, JournalUnavailable, NotAJournal


_METADATA = sa.MetaData()

VERSIONS = sa.Table(
    "dify_batch_versions",
    _METADATA,
    sa.Column("version", sa.Integer),
)

BINDING = sa.Table(
    "dify_batch_binding",
    _METADATA,
    sa.Column("name", sa.Text),
    sa.Column("value", sa.Text),
)

OWNERS = sa.Table(
    "dify_batch_owners",
    _METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("token", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("machine", sa.Text),
    sa.Column("pid", sa.BigInteger),
    sa.Column("process", sa.Text),
    sa.Column("wish", sa.Text),
    sa.Column("expires_at", sa.Double),
)
"""Who may hold claims. One that is not in here is gone, and does not come back."""

ROWS = sa.Table(
    "dify_batch_rows",
    _METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("identity", sa.LargeBinary),
    sa.Column("key", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("batch", sa.Text),
    sa.Column("number", sa.BigInteger),
    sa.Column("inputs", sa.Text),
    sa.Column("state", sa.Text),
    sa.Column("owner", sa.BigInteger),
    sa.Column("attempts", sa.BigInteger),
    sa.Column("run_id", sa.Text),
    sa.Column("task_id", sa.Text),
    sa.Column("run_user", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("outputs", sa.Text),
    sa.Column("error_type", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("elapsed_time", sa.Double),
    sa.Column("total_tokens", sa.BigInteger),
    sa.Column("total_price", sa.Text),
    sa.Column("currency", sa.Text),
    sa.Column("started_at", sa.Double),
    sa.Column("finished_at", sa.Double),
)

# One tuple of statements for each version. What was released is never changed: add a
# tuple, and what it makes to the tables above.
MIGRATIONS: list[tuple[str, ...]] = [
    (
        "CREATE TABLE dify_batch_versions (version INTEGER PRIMARY KEY)",
        "CREATE TABLE dify_batch_binding (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        # Ids of owners are never given again: a claim of one that is gone stays so.
        """CREATE TABLE dify_batch_owners (
            id {id},
            token TEXT NOT NULL UNIQUE,
            host TEXT NOT NULL,
            machine TEXT,
            pid BIGINT NOT NULL,
            process TEXT,
            wish TEXT,
            expires_at {float} NOT NULL
        )""",
        """CREATE TABLE dify_batch_rows (
            id {id},
            identity {bytes} NOT NULL UNIQUE,
            key TEXT NOT NULL,
            digest TEXT NOT NULL,
            batch TEXT,
            number BIGINT NOT NULL,
            inputs TEXT,
            state TEXT NOT NULL,
            owner BIGINT,
            attempts BIGINT NOT NULL,
            run_id TEXT,
            task_id TEXT,
            run_user TEXT,
            status TEXT,
            outputs TEXT,
            error_type TEXT,
            error TEXT,
            elapsed_time {float},
            total_tokens BIGINT,
            total_price TEXT,
            currency TEXT,
            started_at {float},
            finished_at {float}
        )""",
        # Only for rows that are given out: the others do not pay for it.
        """CREATE INDEX dify_batch_rows_batch ON dify_batch_rows (batch, state, id)
            WHERE batch IS NOT NULL""",
    ),
]

_TYPES = {
    "sqlite": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "bytes": "BLOB",
        "float": "REAL",
    },
    "postgresql": {
        "id": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "bytes": "BYTEA",
        "float": "DOUBLE PRECISION",
    },
}

# Any number will do that nobody else locks in the same database.
_LOCK = 0x64696679


def is_current(connection: sa.Connection) -> bool:
    """True if there is a journal, and it is of the version that is used here.

    Raises:
        JournalTooNew: a later version of this package made it.
    """
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise JournalTooNew(version, len(MIGRATIONS))
    return version == len(MIGRATIONS)


def migrate(connection: sa.Connection, *, create: bool) -> None:
    """Bring the tables up to date, in the transaction of *connection*.

    Raises:
        JournalUnavailable: there is none, and none is to be made.
        NotAJournal: a file has other tables.
        JournalTooNew: as with `is_current`.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    if is_current(connection):  # by another process, just now
        return
    version = _version(connection)
    if not version:
        _check_that_it_may_be_made(connection, create=create)
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        for statement in statements:
            connection.exec_driver_sql(statement.format_map(_TYPES[dialect]))
        connection.execute(VERSIONS.insert(), {"version": number})


def _version(connection: sa.Connection) -> int:
    if not sa.inspect(connection).has_table(VERSIONS.name):
        return 0
    return connection.scalar(sa.select(sa.func.max(VERSIONS.c.version))) or 0


def _check_that_it_may_be_made(connection: sa.Connection, *, create: bool) -> None:
    if connection.dialect.name == "sqlite" and sa.inspect(connection).get_table_names():
        msg = "the file is a database, but no journal of a batch"
        raise NotAJournal(msg)
    if not create:
        msg = "there is no journal in the database"
        raise JournalUnavailable(msg)
