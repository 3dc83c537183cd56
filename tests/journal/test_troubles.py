"""Databases that are away, locked, full or forbidden: one of our errors, no password."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

from collections.abc import Iterator
from pathlib import Path

import pytest

from dify_workflow_async.batch._values import Record, Row, State, Verdict
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.errors import (
    ConfigurationError,
    JournalUnavailable,
    NotAJournal,
)
from dify_workflow_async.models import RunRef

from .._postgresql import PostgreSQL, programs


ROW = Row(index=0, key="k", inputs={}, digest="d")
REF = RunRef(workflow_run_id="r")
END = Record(key="k", digest="d", state=State.SUCCEEDED)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("mysql://user:s3cret@host/database", "not in mysql"),
        ("sqlite://", "memory"),
        ("sqlite:///:memory:", "memory"),
        (":memory:", "memory"),
        ("://s3cret", "cannot be read"),
        ("postgresql://user:s3cret@host:port/database", "cannot be read"),
    ],
)
def test_places_where_no_journal_can_be(where, says):
    """The error tells why, and no password."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        Journal.open(where)

    assert "s3cret" not in str(caught.value)


def test_repr_names_the_place_only():
    """Neither user nor password are shown."""
    journal = Journal.open("postgresql://ann:s3cret@db.example/runs")
    assert repr(journal) == "<Journal db.example/runs>"
    assert repr(Journal.open("postgresql://h:1/d")) == "<Journal h:1/d>"
    assert repr(Journal.open("sqlite:///a/b.db")) == "<Journal a/b.db>"


async def test_directory_that_is_missing(tmp_path):
    """SQLite cannot open it; the error names the file."""
    with pytest.raises(JournalUnavailable, match=r"none/runs\.db: unable to open"):
        async with Journal.open(tmp_path / "none" / "runs.db"):
            pass


async def test_server_that_is_missing():
    """It is told at once, without the password."""
    where = "postgresql://ann:s3cret@127.0.0.1:1/runs"
    async with asyncio.timeout(10):
        with pytest.raises(JournalUnavailable, match=r"127\.0\.0\.1:1/runs") as caught:
            async with Journal.open(where):
                pass

    assert "s3cret" not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.postgresql
async def test_database_that_is_missing(postgresql: PostgreSQL):
    """The server says so."""
    where = postgresql.new_database() + "x"
    with pytest.raises(JournalUnavailable, match=r'database "test\d+x" does not exist'):
        async with Journal.open(where):
            pass


READER = """
import asyncio, os, sys
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.batch._values import Row
from dify_workflow_async.errors import JournalUnavailable

async def main():
    async with Journal.open(sys.argv[2]) as journal:
        await journal.counts()  # all modules are loaded now, which others cannot read
    if os.geteuid() == 0:
        os.setuid(65534)
    file = sys.argv[1]
    async with Journal.open(file, create=False, lease=1, heartbeat=0.5) as journal:
        print(sum((await journal.counts()).values()))
        try:
            await journal.offer([Row(index=1, key="x", inputs={})])
        except JournalUnavailable as error:
            print(error)

asyncio.run(main())
"""


def run_python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a program."""
    return subprocess.run(
        [sys.executable, "-Werror", "-c", code, *args],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a directory that others may look into: those of pytest are closed."""
    directory = Path(tempfile.mkdtemp())
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


def read_as_a_stranger(file: Path, own: Path) -> subprocess.CompletedProcess[str]:
    """Read a journal that may only be read, after one that may be written."""
    for part in file.parent.iterdir():
        part.chmod(0o444)
    file.parent.chmod(0o555)
    return run_python(READER, str(file), str(own))


async def test_file_that_may_only_be_read(directory, tmp_path):
    """It can be looked at, and no row be claimed."""
    file = directory / "runs.db"
    async with Journal.open(file) as journal:
        await journal.offer([ROW])
        done = await asyncio.to_thread(read_as_a_stranger, file, tmp_path / "own.db")

    assert done.stdout.startswith("1\n"), done.stderr
    assert "attempt to write a readonly database" in done.stdout


async def test_lock_that_passes(tmp_path):
    """Who writes waits for it."""
    file = tmp_path / "runs.db"
    async with Journal.open(file) as journal:
        other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        offering = asyncio.create_task(journal.offer([ROW]))
        assert await journal_is_read(file) == {}  # readers need not wait
        await asyncio.sleep(2.5)  # longer than SQLite itself waits
        assert not offering.done()
        other.execute("ROLLBACK")
        other.close()

        (claim,) = await offering
        assert claim.verdict is Verdict.RUN


async def journal_is_read(file: Path) -> object:
    """Read in a journal of one's own."""
    async with Journal.open(file) as journal:
        return await journal.counts()


async def test_lock_that_does_not_pass(tmp_path):
    """After the time of a lease it is told, and closing does not wait for long."""
    file = tmp_path / "runs.db"
    async with Journal.open(file, lease=1, heartbeat=0.3) as journal:
        await journal.offer([ROW])
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(JournalUnavailable, match="locked"):
            await journal.finish(END)
        async with asyncio.timeout(10):
            await journal.aclose()
        other.execute("ROLLBACK")
        other.close()


@pytest.fixture
def own_server(postgresql) -> Iterator[PostgreSQL]:
    """Give a server that a test may end."""
    server = PostgreSQL(programs())
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.mark.postgresql
async def test_server_that_comes_back(own_server):
    """What was asked meanwhile is done, and nothing is lost."""
    async with Journal.open(own_server.new_database()) as journal:
        await journal.offer([ROW])
        await asyncio.to_thread(own_server.stop)
        finishing = asyncio.create_task(journal.finish(END))
        counting = asyncio.create_task(journal.counts())
        await asyncio.to_thread(own_server.start)

        await finishing
        assert await counting in ({State.SUCCEEDED: 1}, {State.STARTED: 1})
        assert await journal.counts() == {State.SUCCEEDED: 1}


@pytest.mark.postgresql
async def test_server_that_stays_away(own_server):
    """It is told after the time of a lease, to each of those who asked."""
    where = own_server.new_database()
    async with Journal.open(where, lease=0.5, heartbeat=0.2) as journal:
        await journal.offer([ROW])
        await asyncio.to_thread(own_server.stop)

        outcomes = await asyncio.gather(
            journal.finish(END), journal.counts(), return_exceptions=True
        )

        assert [type(outcome) for outcome in outcomes] == [JournalUnavailable] * 2
        assert outcomes[0] is not outcomes[1]
        assert not journal.is_sure
        await asyncio.to_thread(own_server.start)
        assert await journal.counts() == {State.STARTED: 1}


async def test_commit_whose_answer_is_lost(opened, monkeypatch):
    """It is repeated, and comes to the same: nothing is run, or told, twice."""
    journal, other = await opened(), await opened()
    driver = journal._database._driver
    run = driver.run
    lost = 0

    async def lose_every_second(work, *, writes):
        nonlocal lost
        answer = await run(work, writes=writes)
        if (lost := lost + 1) % 2:
            raise driver.errors[0]
        return answer

    monkeypatch.setattr(driver, "run", lose_every_second)
    monkeypatch.setattr(driver, "passes", lambda _: True)
    second = Row(index=1, key="l", inputs={}, digest="d")

    assert [c.verdict for c in await journal.offer([ROW, second])] == [Verdict.RUN] * 2
    await journal.known(ROW, REF)
    await journal.known(second, REF)
    await journal.finish(END)
    await journal.release(second)
    (again,) = await journal.offer([second])

    assert (again.verdict, again.record.ref) == (Verdict.RECOVER, REF)
    assert lost >= 12  # or more, if a heartbeat came in between
    assert [c.verdict for c in await other.offer([ROW, second])] == [
        Verdict.DONE,
        Verdict.HELD,
    ]


async def test_tables_that_are_gone(where):
    """Trying again does not help, so it is told at once."""
    async with Journal.open(where) as journal:
        await journal.offer([ROW])
        await journal._database.transaction(
            lambda connection: connection.exec_driver_sql("DROP TABLE dify_batch_rows"),
            writes=True,
        )
        async with asyncio.timeout(10):
            with pytest.raises(JournalUnavailable, match="dify_batch_rows"):
                await journal.counts()


async def test_one_bad_question_among_many(where):
    """A row that cannot be read is told to whoever asks for it, and to nobody else."""
    good = Row(index=1, key="good", inputs={})
    async with Journal.open(where) as journal:
        await journal.add([ROW], batch="b")
        await journal._database.transaction(
            lambda connection: connection.exec_driver_sql(
                "UPDATE dify_batch_rows SET state = 'odd'"
            ),
            writes=True,
        )

        bad, (claim,) = await asyncio.gather(
            journal.offer([ROW]), journal.offer([good]), return_exceptions=True
        )

        assert isinstance(bad, NotAJournal)
        assert claim.verdict is Verdict.RUN


async def test_writer_that_is_cancelled(tmp_path):
    """Who still waits for it when the loop ends is cancelled, too."""
    file = tmp_path / "runs.db"
    async with Journal.open(file) as journal:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.create_task(journal.offer([ROW]))
        await asyncio.sleep(0.01)  # in the thread now, which waits for the lock
        second = asyncio.create_task(journal.counts())
        await asyncio.sleep(0)
        journal._writer._task.cancel()
        other.execute("ROLLBACK")
        other.close()

        outcomes = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2


async def test_loop_that_ends_before_the_journal(where):
    """A program that leaves without closing hears of no lost task."""
    code = f"""
import asyncio
from dify_workflow_async.batch.journal import Journal

async def main():
    journal = Journal.open({where!r})
    await journal.__aenter__()
    asyncio.create_task(journal.counts())

asyncio.run(main())
"""
    done = await asyncio.to_thread(run_python, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_driver_that_is_missing(monkeypatch):
    """It is told when the journal is made, before anything is opened."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(ConfigurationError, match=r"dify-workflow-async\[postgresql\]"):
        Journal.open("postgresql://h/d")


def test_packages_that_are_missing_at_import(monkeypatch):
    """What we can name we name; a fault of our own is not hidden by that."""
    name = "dify_workflow_async.batch.journal"
    for module in [name for name in sys.modules if name.startswith("sqlalchemy")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    for module in [each for each in sys.modules if each.startswith(name)]:
        monkeypatch.delitem(sys.modules, module)

    with pytest.raises(ConfigurationError, match="needs SQLAlchemy: pip install"):
        importlib.import_module(name)

    monkeypatch.setitem(sys.modules, f"{name}._journal", None)
    with pytest.raises(ModuleNotFoundError, match="_journal"):
        importlib.import_module(name)


@pytest.mark.parametrize(
    ("package", "extra"),
    [("sqlalchemy", "batch"), ("greenlet", "postgresql"), ("asyncpg", "postgresql")],
)
def test_package_that_is_missing(package, extra):
    """The error says what to install."""
    code = f"""
import sys
sys.modules[{package!r}] = None
from dify_workflow_async.errors import ConfigurationError
try:
    from dify_workflow_async.batch.journal import Journal
    Journal.open("postgresql://h/d")
except ConfigurationError as error:
    print(error)
"""
    done = run_python(code)

    assert package in done.stdout.lower()
    assert f"pip install 'dify-workflow-async[{extra}]'" in done.stdout
