"""Journals of other versions, and what is no journal."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from dify_workflow_async.batch._values import Row, State
from dify_workflow_async.batch.journal import Journal, _schema
from dify_workflow_async.errors import JournalTooNew, JournalUnavailable, NotAJournal


ROW = Row(index=0, key="k", inputs={}, digest="d")


@pytest.fixture
def next_version(monkeypatch):
    """Make a version of the tables after the last one, as a later package would."""

    def make(*statements: str) -> None:
        monkeypatch.setattr(
            _schema, "MIGRATIONS", [*_schema.MIGRATIONS, tuple(statements)]
        )

    return make


async def execute(where: str, *statements: str) -> None:
    """Do something to a database behind our back."""
    import sqlalchemy as sa

    journal = Journal.open(where)
    await journal._database.transaction(
        lambda connection: [connection.execute(sa.text(s)) for s in statements],
        writes=True,
    )
    await journal._database.disconnect()


async def test_older_journal_is_brought_up_to_date(where, next_version):
    """Its rows are still there, and it is used as if it had been made now."""
    async with Journal.open(where) as journal:
        await journal.offer([ROW])
    next_version("ALTER TABLE dify_batch_rows ADD COLUMN colour TEXT DEFAULT 'red'")

    async with Journal.open(where) as journal:
        assert await journal.counts() == {State.STARTED: 1}
        await journal.offer([Row(index=1, key="l", inputs={})])

    await execute(where, "UPDATE dify_batch_rows SET colour = colour || 'der'")


async def test_many_bring_a_journal_up_to_date_at_once(where, next_version):
    """One does, and the others wait for it."""
    async with Journal.open(where):
        pass
    next_version("ALTER TABLE dify_batch_rows ADD COLUMN colour TEXT")

    async def use() -> None:
        async with Journal.open(where) as journal:
            await journal.offer([ROW])

    await asyncio.gather(*(use() for _ in range(5)))

    await execute(where, "UPDATE dify_batch_rows SET colour = 'red'")
    async with Journal.open(where) as journal:
        assert sum((await journal.counts()).values()) == 1


async def test_failed_step_leaves_the_journal_as_it_was(where, next_version):
    """All steps are one transaction."""
    async with Journal.open(where):
        pass
    next_version(
        "ALTER TABLE dify_batch_rows ADD COLUMN colour TEXT", "ALTER TABLE nothing"
    )

    with pytest.raises(JournalUnavailable, match="syntax"):
        async with Journal.open(where):
            pass

    _schema.MIGRATIONS.pop()
    next_version("ALTER TABLE dify_batch_rows ADD COLUMN colour TEXT")
    async with Journal.open(where) as journal:
        assert await journal.counts() == {}


async def test_newer_journal_is_refused(where):
    """The error tells both versions, and nothing is written."""
    async with Journal.open(where):
        pass
    await execute(where, "INSERT INTO dify_batch_versions VALUES (99)")

    with pytest.raises(JournalTooNew, match="has version 99") as caught:
        async with Journal.open(where):
            pass

    assert (caught.value.version, caught.value.known) == (99, 1)


async def test_newer_journal_that_another_makes_meanwhile(where):
    """Who waits for the lock looks again."""
    journal = Journal.open(where)
    async with Journal.open(where):
        pass
    await execute(where, "INSERT INTO dify_batch_versions VALUES (99)")

    with pytest.raises(JournalTooNew):
        await journal._database.transaction(
            lambda connection: _schema.migrate(connection, create=True), writes=True
        )
    await journal._database.disconnect()


async def test_file_of_another_kind(tmp_path):
    """A table of rows is no journal of them, and is left alone."""
    file = tmp_path / "rows.csv"
    file.write_text("query\n" * 1000)

    with pytest.raises(NotAJournal, match=r"rows\.csv: file is not a database"):
        async with Journal.open(file):
            pass

    assert file.read_text() == "query\n" * 1000


async def test_database_of_another_program(tmp_path):
    """No table is added to it."""
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE things (id INTEGER)")
    connection.close()

    with pytest.raises(NotAJournal, match="no journal"):
        async with Journal.open(tmp_path / "x.db"):
            pass


@pytest.mark.parametrize(
    "change",
    ["state = 'gone'", "outputs = '{'", "total_price = 'much'", "inputs = '{'"],
)
async def test_rows_that_somebody_changed(where, change):
    """What cannot be read is said, and by its key."""
    async with Journal.open(where) as journal:
        await journal.add([ROW], batch="b")
        await execute(where, f"UPDATE dify_batch_rows SET {change}")
        if "inputs" not in change:
            await execute(
                where,
                "UPDATE dify_batch_rows SET state = 'failed' WHERE state = 'pending'",
            )

        with pytest.raises(NotAJournal, match="row 'k'"):
            await (journal.take(1, batch="b") if "inputs" in change else read(journal))


async def read(journal: Journal) -> None:
    """Read all that is in it."""
    async for _ in journal.records():
        pass
