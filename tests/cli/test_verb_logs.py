"""``logs``: its filters, its forms, and following."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import signal

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.cli._follow_logs import WINDOW, Follower
from dify_workflow_async.local import Node, Sleep
from dify_workflow_async.local.faults import ErrorPage
from dify_workflow_async.models import LogEntry, LogRun

from ._verbs import KEY, begin, ended, served, settings


END = Node(type="end", outputs={"said": "{topic}"})
FAILURE = Node(type="code", status="failed", error="=1+1,\nor \x1b[31mworse")


def client(place, user: str = "ada") -> WorkflowClient:
    return WorkflowClient(KEY, place.server.base_url, user)


async def runs(place, *topics: str, user: str = "ada") -> list[str]:
    """Run the workflow for each topic; the ids."""
    async with client(place, user) as own:
        done = [await own.run({"topic": topic}, check=False) for topic in topics]
    return [str(each.workflow_run_id) for each in done]


async def test_help():
    """It tells of every filter."""
    async with served() as place:
        done = await place.process("logs", "--help")

    assert done.status == 0
    for option in ("--keyword", "--status", "--after", "--before", "--follow", "--csv"):
        assert option in done.out


async def test_the_newest_first():
    """Each run is a line; a limit is a number of runs, over several pages."""
    async with served(END) as place:
        ids = await runs(place, *map(str, range(5)))
        done = await place.process("logs")
        some = await place.run("logs", "--limit", "2")
        many = await place.run("logs", "--limit", "101")
        every = await place.run("logs", "--all")

    assert (done.status, done.err) == (0, "")
    head, *lines = done.lines
    assert head.split()[:3] == ["began", "(UTC)", "run"]
    assert [line.split()[2] for line in lines] == ids[::-1]
    assert all("succeeded" in line and line.endswith("ada") for line in lines)
    assert len(some.lines) == 3
    assert many.lines == every.lines == done.lines


@pytest.mark.parametrize(
    ("options", "which"),
    [
        (["--keyword", "lakes"], [1]),
        (["--of-user", "grace"], [2]),
        (["--status", "succeeded"], [2, 1, 0]),
        (["--status", "stopped"], []),
        (["--after", "1h"], [2, 1, 0]),
        (["--before", "1h"], []),
        (["--before", "2999-01-01", "--after", "2000-01-01T00:00:00Z"], [2, 1, 0]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
async def test_filters(options, which):
    """Each filter goes to the server."""
    async with served(END) as place:
        ids = await runs(place, "rivers", "lakes")
        ids += await runs(place, "seas", user="grace")
        done = await place.run("logs", *options)

    assert done.status == 0
    assert [line.split()[2] for line in done.lines[1:]] == [ids[n] for n in which]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--after", "yesterday"], "'yesterday' is neither a time"),
        (["--after", "99999999999w"], "is neither a time"),
        (["--csv", "--json"], "exclude each other"),
        (["--follow", "--before", "1h"], "--before is over"),
        (["--status", "running"], "is not one of"),
        (["--limit", "0"], "0 is not in the range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_what_cannot_be_meant(options, says):
    """It is told before anything is sent."""
    async with served() as place:
        done = await place.run("logs", *options)
        assert list(place.server.requests) == []

    assert done.status == 2
    assert says in done.err


async def test_csv():
    """All columns, with a header; texts are what they are, and none ends its row."""
    async with served(FAILURE) as place:
        (run,) = await runs(place, "rivers", user='a "user", or two')
        done = await place.run("logs", "--csv")

    assert done.status == 0
    header, row = csv.reader(io.StringIO(done.out))
    told = dict(zip(header, row, strict=True))
    assert told["run"] == run
    assert told["status"] == "failed"
    assert told["user"] == 'a "user", or two'
    assert told["error"] == FAILURE.error
    assert datetime.fromisoformat(told["created_at"]).tzinfo is not None


async def test_json():
    """A line for each run, as the server told it."""
    async with served(FAILURE) as place:
        ids = await runs(place, "a", "b")
        done = await place.run("logs", "--json")

    told = [json.loads(line) for line in done.lines]
    assert [x["workflow_run"]["id"] for x in told] == ids[::-1]
    assert "\x1b" not in done.out
    assert told[0]["workflow_run"]["error"] == FAILURE.error


async def test_on_a_terminal():
    """A run is one line of at most 80 columns, with its id whole."""
    async with served(FAILURE) as place:
        (run,) = await runs(place, "a", user="u" * 80)
        done = await place.on_terminal("logs")

    assert "\x1b[31mworse" not in done.out
    assert run in done.out
    assert done.width <= 80
    assert len(done.lines) == 2


# -- following -------------------------------------------------------------------------


async def next_run(process: asyncio.subprocess.Process) -> str:
    """The id of the run that is told next, as JSON."""
    assert process.stdout is not None
    line = await process.stdout.readline()
    return str(json.loads(line)["workflow_run"]["id"])


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name
)
async def test_follow(number):
    """Runs come as they end, each once, also over a bad moment; Ctrl-C is no failure."""
    async with served(END) as place:
        (first, second) = await runs(place, "a", "b")
        arguments = ("logs", "--follow", "--interval", "0.2", "--json", "--limit", "1")
        async with begin(*arguments, env=settings(place.server.base_url)) as process:
            assert await next_run(process) == second
            place.server.fail_next(ErrorPage(status=502), path="*/logs", times=8)
            third, fourth = await runs(place, "c", "d")
            assert await next_run(process) == third
            assert await next_run(process) == fourth
            process.send_signal(number)
            done = await ended(process)

    assert first not in done.out
    assert (done.status, done.out) == (0, "")
    assert done.err.count("trying again") == 1


async def test_follow_a_run_that_goes_on():
    """A run is told when it has ended, and not before."""
    steps = (Node(type="llm"), Sleep(seconds=0.6), END)
    async with served(*steps) as place, client(place) as own:
        ref = await own.start({"topic": "x"})
        arguments = ("logs", "-f", "--interval", "0.2", "--csv")
        async with begin(*arguments, env=settings(place.server.base_url)) as process:
            assert process.stdout is not None
            header = await process.stdout.readline()
            line = (await process.stdout.readline()).decode()
            process.send_signal(signal.SIGINT)
            done = await ended(process)

    assert header.startswith(b"created_at,")
    assert f"{ref.workflow_run_id},succeeded" in line
    assert (done.status, done.out, done.err) == (0, "", "")


NEWEST = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def entry(id_: str, minutes: float, status: str = "succeeded") -> LogEntry:
    """A run that began so long before the newest one."""
    run = LogRun(id=f"run of {id_}", status=status)
    begun = NEWEST - timedelta(minutes=minutes)
    return LogEntry(id=id_, workflow_run=run, created_at=begun)


class Log:
    """A log whose pages have two entries; it counts how many were read."""

    def __init__(self, *entries: LogEntry) -> None:
        self.entries = list(entries)
        self.read = 0

    def __call__(self, *, after: datetime | None) -> LogFrom:
        """From a time on."""
        return LogFrom(self, after)


class LogFrom:
    """A page of it, and those behind; it counts when it is awaited."""

    def __init__(self, log: Log, after: datetime | None, number: int = 1) -> None:
        found = [x for x in log.entries if after is None or x.created_at >= after]
        found.sort(key=lambda x: x.created_at, reverse=True)
        self.total = len(found)
        self._more = len(found) > 2 * number
        self._entries = found[2 * number - 2 : 2 * number]
        self._log, self._after, self._number = log, after, number

    def __await__(self) -> Any:
        """Read it."""

        async def page() -> LogFrom:
            self._log.read += 1
            return self

        return page().__await__()

    def __iter__(self):
        return iter(self._entries)

    async def __aiter__(self):
        page: LogFrom | None = await self
        while page is not None:
            for each in page:
                yield each
            page = await page.next_page()

    async def next_page(self) -> LogFrom | None:
        """The page after this one."""
        if not self._more:
            return None
        return await LogFrom(self._log, self._after, self._number + 1)


def told(entries: list[LogEntry]) -> list[str | None]:
    return [each.id for each in entries]


async def test_a_follower_begins_with_the_last_runs():
    """They are told the oldest first; those of the window are known from then on."""
    log = Log(*(entry(str(n), 10 * n) for n in range(10)))
    follower = Follower(log, None)

    assert told(await follower.begin(3)) == ["2", "1", "0"]
    assert told(await follower.look()) == []
    assert log.read == 4 + 1  # what has not changed is seen on the first page


async def test_a_follower_begins_with_all():
    """Without a number, all runs come, from the given time on."""
    log = Log(*(entry(str(n), 50 * n) for n in range(4)))

    assert told(await Follower(log, None).begin(None)) == ["3", "2", "1", "0"]
    after = NEWEST - timedelta(minutes=70)
    assert told(await Follower(log, after).begin(None)) == ["1", "0"]


async def test_a_follower_finds_what_a_filter_shows_late():
    """A run that failed only now stands behind newer ones, and is found all the same."""
    log = Log(*(entry(str(n), n) for n in range(5)))
    follower = Follower(log, None)
    await follower.begin(1)
    log.entries += [entry("late", 3.5), entry("new", -1)]

    assert told(await follower.look()) == ["late", "new"]
    assert told(await follower.look()) == []


async def test_a_follower_waits_for_the_end_of_a_run():
    """A run that goes on is told when it has ended; one that never does, at last."""
    log = Log(entry("a", 3), entry("b", 2, "running"), entry("c", 1), entry("d", 0))
    log.entries.append(entry("stuck", 3, "running"))
    follower = Follower(log, None)

    assert told(await follower.begin(10)) == ["a", "c", "d"]
    assert told(await follower.look()) == []
    log.entries[1] = entry("b", 2)
    assert told(await follower.look()) == ["b"]
    log.entries.append(entry("later", -WINDOW.total_seconds() / 60 - 3))
    assert told(await follower.look()) == ["stuck", "later"]
    assert told(await follower.look()) == []


async def test_a_follower_of_an_empty_log():
    """The first run of an app is told, too."""
    log = Log()
    follower = Follower(log, None)

    assert told(await follower.begin(5)) == []
    assert told(await follower.look()) == []
    log.entries.append(entry("first", 0))
    assert told(await follower.look()) == ["first"]


async def test_a_follower_after_a_page_that_failed():
    """What was met before the failure is told the next time."""
    log = Log(entry("a", 1))
    follower = Follower(log, None)
    await follower.begin(1)
    log.entries += [entry(str(n), -n) for n in range(1, 4)]
    broken = LogFrom.next_page

    async def fail(page: LogFrom) -> None:
        raise asyncio.CancelledError

    LogFrom.next_page = fail
    try:
        with pytest.raises(asyncio.CancelledError):
            await follower.look()
    finally:
        LogFrom.next_page = broken
    assert told(await follower.look()) == ["1", "2", "3"]
