"""The app's runs as the log has them: pages, and walks over all of them."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from aiohttp import web

from dify_workflow_async import errors
from dify_workflow_async.local import Node, Sleep


OLD, NEW = "1.12.1", "1.14.2"
END = Node(type="end", outputs={"answer": "42"})
FOREVER = Sleep(seconds=3600)


@pytest.fixture(params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    """Give the version of the server: one of each family."""
    return request.param


async def fill(client, count: int, **options: Any) -> None:
    """Run the app so often."""
    for number in range(count):
        await client.run_blocking({"number": number}, **options)


def ids_of(entries) -> list[str]:
    return [entry.workflow_run.id for entry in entries]


# -- a log that is written to while it is read -----------------------------------------


class Log:
    """A server with nothing but a log, of rows numbered from 1, and its bad habits.

    Attributes:
        rows: the ids, the oldest first.
        asked: the queries that came.
        arriving: how many rows arrive after each page that was told.
        deaf: whether it ignores the page, as behind a proxy that drops the query.
        silent: keys that its answers lack.
    """

    def __init__(self, rows: int) -> None:
        self.rows = list(range(1, rows + 1))
        self.asked: list[dict[str, str]] = []
        self.arriving: list[int] = []
        self.deaf = False
        self.silent: set[str] = set()
        self.base_url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Tell a page."""
        query = dict(request.query)
        self.asked.append(query)
        page = 1 if self.deaf else int(query["page"])
        limit = int(query["limit"])
        end = page * limit
        newest = self.rows[::-1]
        body = {
            "page": page,
            "limit": limit,
            "total": len(self.rows),
            "has_more": len(newest) > end,
            "data": [{"id": f"row{x}"} for x in newest[end - limit : end]],
        }
        if self.arriving:
            first = self.rows[-1] + 1
            self.rows += range(first, first + self.arriving.pop(0))
        return web.json_response(
            {k: v for k, v in body.items() if k not in self.silent}
        )


@pytest.fixture
async def keep(serve) -> AsyncIterator[Callable[..., Awaitable[Log]]]:
    """Give a function that serves a log of so many rows."""
    async with AsyncExitStack() as stack:

        async def start(rows: int) -> Log:
            log = Log(rows)
            app = web.Application()
            app.router.add_get("/v1/workflows/logs", log.answer)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            log.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            return log

        yield start


async def walk(logs, most: int = 1000) -> list[int]:
    """The numbers of the rows of a walk."""
    numbers: list[int] = []
    async for entry in logs:
        numbers.append(int(entry.id.removeprefix("row")))
        assert len(numbers) <= most, "the walk does not end"
    return numbers


def down(first: int, last: int = 1) -> list[int]:
    return list(range(first, last - 1, -1))


# -- pages -----------------------------------------------------------------------------


async def test_a_page(version, serve, connect):
    """Awaiting gives a page: its entries, typed, the newest first."""
    server = await serve(END, version=version)
    client = connect(server)
    await fill(client, 3, user="u3")
    page = await client.logs()
    assert ids_of(page) == [run.id for run in server.runs[::-1]]
    assert (len(page), page.number, page.limit, page.total) == (3, 1, 20, 3)
    assert page.has_more is False
    assert page.entries == tuple(page)
    assert repr(page) == "<Page 1: 3 of 3 runs>"
    entry = page.entries[0]
    assert (entry.workflow_run.status, entry.workflow_run.is_success) == (
        "succeeded",
        True,
    )
    assert entry.created_by_end_user.session_id == "u3"
    assert entry.created_at == entry.workflow_run.created_at
    assert entry.created_at.tzinfo is UTC
    assert await page.next_page() is None


async def test_one_page_after_another(version, serve, connect):
    """`next_page` leads to the end, with the same limit and filters."""
    server = await serve(END, version=version)
    client = connect(server)
    await fill(client, 5, user="u3")
    await fill(client, 1, user="u4")
    page = await client.logs(limit=2, user="u3")
    pages = []
    while page is not None:
        pages.append(page)
        page = await page.next_page()
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [page.number for page in pages] == [1, 2, 3]
    found = [x for page in pages for x in ids_of(page)]
    assert found == [run.id for run in server.runs[4::-1]]
    asked = [x.query for x in server.server.requests if x.path.endswith("/logs")]
    assert {x["created_by_end_user_session_id"] for x in asked} == {"u3"}


async def test_walking_all(version, serve, connect):
    """`async for` walks all pages, from the first one that was asked for."""
    server = await serve(END, version=version)
    client = connect(server)
    await fill(client, 5)
    newest = [run.id for run in server.runs[::-1]]
    assert ids_of([x async for x in client.logs()]) == newest
    assert ids_of([x async for x in client.logs(limit=2)]) == newest
    assert ids_of([x async for x in client.logs(page=2, limit=2)]) == newest[2:]
    logs = client.logs(limit=3)
    assert ids_of([x async for x in logs]) == ids_of([x async for x in logs])


async def test_leaving_a_walk(keep, connect, in_use):
    """Nothing is read ahead, and no connection is held."""
    log = await keep(10)
    client = connect(log)
    async for _ in client.logs(limit=2):
        break
    assert [x["page"] for x in log.asked] == ["1"]
    assert in_use(client) == 0


async def test_an_empty_log(version, serve, connect):
    """It has one page, without entries, and a walk that ends at once."""
    server = await serve(END, version=version)
    client = connect(server)
    page = await client.logs()
    assert (len(page), page.total, page.has_more) == (0, 0, False)
    assert await page.next_page() is None
    assert [x async for x in client.logs()] == []


async def test_a_page_behind_the_last(serve, connect):
    """It is empty, like the walk that begins there."""
    server = await serve(END)
    client = connect(server)
    await fill(client, 1)
    assert len(await client.logs(page=99_999)) == 0
    assert [x async for x in client.logs(page=7)] == []


async def test_runs_that_go_on(serve, connect):
    """They are told as what they are, although no filter selects them."""
    server = await serve(FOREVER)
    client = connect(server)
    ref = await client.start()
    (entry,) = await client.logs()
    assert entry.workflow_run.id == ref.workflow_run_id
    assert (entry.workflow_run.status, entry.workflow_run.is_terminal) == (
        "running",
        False,
    )
    assert entry.workflow_run.finished_at is None


# -- filters ---------------------------------------------------------------------------


async def test_filters(version, serve, connect):
    """Each of them selects, and they add up."""
    server = await serve(END, version=version)
    client = connect(server)
    await fill(client, 2, user="ada")
    await fill(client, 1, user="bob")
    ada, bob = server.runs[:2][::-1], server.runs[2:]

    async def found(**filters: Any) -> list[str]:
        return ids_of(await client.logs(**filters))

    assert await found(user="ada") == [run.id for run in ada]
    assert await found(keyword="BOB") == [run.id for run in bob]
    assert await found(keyword=bob[0].id) == [bob[0].id]
    assert await found(status="failed") == []
    assert await found(status="succeeded", user="bob") == [run.id for run in bob]
    assert await found(user="nobody & co?page=2") == []


async def test_times(version, serve, connect):
    """Times are inclusive, and a zone is what it is."""
    server = await serve(END, version=version)
    client = connect(server)
    await fill(client, 1)
    begun = datetime.fromtimestamp(server.runs[0].created_at, UTC)
    second = timedelta(seconds=1)
    for zone in (
        UTC,
        timezone(timedelta(hours=5, minutes=30)),
        timezone(timedelta(hours=-9)),
    ):
        here = begun.astimezone(zone)
        assert len(await client.logs(before=here)) == 1
        assert len(await client.logs(after=here)) == 1
        assert len(await client.logs(after=here, before=here)) == 1
        assert len(await client.logs(before=here - second)) == 0
        assert len(await client.logs(after=here + second)) == 0


async def test_what_is_sent(keep, connect):
    """Exactly what was asked for, by the server's names."""
    log = await keep(0)
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    client = connect(log)
    await client.logs()
    await client.logs(
        page=3,
        limit=100,
        keyword="a&b=ü #+",
        status="stopped",
        before=moment,
        after=moment,
        user="u1",
        account="a@b.c",
    )
    assert log.asked == [
        {"page": "1", "limit": "20"},
        {
            "page": "3",
            "limit": "100",
            "keyword": "a&b=ü #+",
            "status": "stopped",
            "created_at__before": "2026-01-02T03:04:05+02:00",
            "created_at__after": "2026-01-02T03:04:05+02:00",
            "created_by_end_user_session_id": "u1",
            "created_by_account": "a@b.c",
        },
    ]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("page", x) for x in (0, -1, 100_000, "1", 1.0, None)),
        *(("limit", x) for x in (0, 101, "20", None)),
        *((x, "2026-01-01") for x in ("before", "after")),
        *((x, datetime(2026, 1, 1)) for x in ("before", "after")),  # noqa: DTZ001
    ],
)
async def test_what_cannot_be_meant(argument, value, keep, connect):
    """It is refused before anything is asked, whichever way the log is read."""
    log = await keep(3)
    client = connect(log)
    with pytest.raises(errors.ConfigurationError, match=argument):
        await client.logs(**{argument: value})
    with pytest.raises(errors.ConfigurationError, match=argument):
        await walk(client.logs(**{argument: value}))
    assert log.asked == []


@pytest.mark.parametrize("number", [1, 99_999])
@pytest.mark.parametrize("limit", [1, 100])
async def test_what_is_just_allowed(number, limit, serve, connect):
    """The limits themselves are within the limits, here and there."""
    server = await serve(END)
    page = await connect(server).logs(page=number, limit=limit)
    assert (page.number, page.limit, page.total) == (number, limit, 0)


@pytest.mark.parametrize("filters", [{"status": "running"}, {"account": "a@b.c"}])
async def test_what_the_server_refuses(filters, version, serve, connect):
    """A filter that only the server knows to be wrong is its error."""
    server = await serve(END, version=version)
    client = connect(server)
    with pytest.raises(errors.InvalidParam):
        await client.logs(**filters)
    with pytest.raises(errors.InvalidParam):
        await walk(client.logs(**filters))


async def test_nothing_is_asked_before(keep, connect):
    """`logs()` alone sends nothing, and a closed client says so when it is read."""
    log = await keep(3)
    client = connect(log)
    logs = client.logs(limit=2)
    assert log.asked == []
    page = await logs
    await client.aclose()
    for read in (logs, page.next_page(), walk(logs)):
        with pytest.raises(errors.ClientClosed):
            await read
    assert len(log.asked) == 1


# -- rows that arrive meanwhile --------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 20])
@pytest.mark.parametrize(
    "arriving",
    [[1], [2], [3], [1, 1, 1], [2, 2], [4], [5], [7, 0, 3], [40], [1, 2, 3, 4, 5]],
    ids=str,
)
async def test_rows_that_arrive_meanwhile(arriving, limit, keep, connect):
    """They push others onto later pages: none comes twice, and none is missed."""
    log = await keep(9)
    log.arriving = list(arriving)
    numbers = await walk(connect(log).logs(limit=limit))
    assert len(set(numbers)) == len(numbers)
    assert [x for x in numbers if x <= 9] == down(9)


async def test_runs_that_are_started_while_one_walks(serve, connect):
    """The same on the local server: the walk gives the runs of its beginning."""
    server = await serve(END)
    client = connect(server)
    await fill(client, 6)
    begun = [run.id for run in server.runs[::-1]]
    seen = []
    async for entry in client.logs(limit=2):
        seen.append(entry.workflow_run.id)
        if len(seen) < 5:
            await fill(client, 1)
    assert [x for x in seen if x in begun] == begun
    assert len(set(seen)) == len(seen)


# -- servers with bad habits -----------------------------------------------------------


@pytest.mark.parametrize("silent", [(), ("page",), ("page", "total")], ids=str)
@pytest.mark.parametrize("rows", [3, 4, 40])
async def test_a_server_that_ignores_the_page(rows, silent, keep, connect):
    """The walk ends when a page says nothing new, however often it is repeated."""
    log = await keep(rows)
    log.deaf, log.silent = True, set(silent)
    async with asyncio.timeout(5):
        numbers = await walk(connect(log).logs(limit=2))
    assert numbers == down(rows, rows - 1)
    assert len(log.asked) == 2


async def test_a_server_that_always_has_more(wild, connect):
    """An empty page ends the walk, whatever the server says."""

    async def script(peer) -> None:
        full = {"data": [{"id": "a"}], "has_more": True}
        empty = {"data": [], "has_more": True}
        await peer.answer(200, full if "page=1&" in peer.path else empty)

    server = await wild(script)
    async with asyncio.timeout(5):
        assert len([x async for x in connect(server).logs()]) == 1
    assert len(server.requests) == 2


async def test_rows_without_ids(wild, connect):
    """They cannot be told apart, so they are given as they come."""

    async def script(peer) -> None:
        first = "page=1&" in peer.path
        rows = [{"workflow_run": {"id": "a"}}, {"workflow_run": {"id": "b"}}]
        await peer.answer(200, {"data": rows, "has_more": first, "total": 4})

    server = await wild(script)
    found = ids_of([x async for x in connect(server).logs()])
    assert found == ["a", "b", "a", "b"]


async def test_an_answer_with_nothing_in_it(wild, connect):
    """Missing values are None, and the page is the last one."""

    async def script(peer) -> None:
        await peer.answer(200, {})

    server = await wild(script)
    page = await connect(server).logs()
    told = SimpleNamespace(limit=page.limit, total=page.total, more=page.has_more)
    assert told == SimpleNamespace(limit=None, total=None, more=False)
    assert list(page) == []


async def test_little_is_remembered(serve, connect, monkeypatch):
    """A walk over many pages forgets the first ones, and still gives each run once."""
    monkeypatch.setattr("dify_workflow_async._logs._REMEMBERED", 2)
    server = await serve(Node(type="start"))
    client = connect(server)
    for _ in range(5):
        await client.run()
    found = [entry.workflow_run.id async for entry in client.logs(limit=2)]
    assert sorted(found) == sorted(run.id for run in server.runs)
