"""What faults do on the wire, read from raw sockets."""

from __future__ import annotations

import asyncio
import re

from pathlib import Path
from typing import Any

import attrs
import pytest

from dify_workflow_async.local import App, LocalServer, Node, Scenario, faults
from dify_workflow_async.local.faults import (
    BadChunkSize,
    Busy,
    Cut,
    Drop,
    EndlessBody,
    EndlessLine,
    ErrorPage,
    Fault,
    Gzip,
    HangUp,
    Reorder,
    Silence,
    SlowHeaders,
    Stall,
    WrongType,
)

from ._faults_on_the_wire import (
    ALL,
    PAGE,
    PING,
    SCENARIO,
    TABLE,
    WHOLE,
    Heard,
    inflated,
)
from ._raw_lines import KEY, Line, line_to


def serve(*orders: Fault, version: str = "1.14.2", **settings: Any) -> LocalServer:
    server = LocalServer(
        [App(SCENARIO, key=KEY)], version=version, close_delay=0, **settings
    )
    for fault in orders:
        server.fail_next(fault)
    return server


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
async def test_on_the_wire(row):
    """Each fault does what it says, and says whether the run is started."""
    fault, enough, end, starts, events, check = row
    async with serve(fault) as server, line_to(server) as line:
        await line.ask()
        if end == "silent":
            heard = await hear_until_silent(line, len(events))
        elif end == "endless":
            heard = Heard(await line.reader.readexactly(100_000), end)
        else:
            heard = await line.hear(enough)
        assert heard.end == end
        if events is not None:
            assert heard.events == events
        assert check is None or check(heard)
        assert server.starts == ({"m": starts} if starts else {})
        assert fault.starts_run is bool(starts)
        (injected,) = server.injected
        assert injected.fault is fault
        assert injected.request is server.requests[0]


async def hear_until_silent(line: Line, count: int) -> Heard:
    """Read so many events, and then nothing for a while."""
    heard = Heard(b"", "silent")
    while True:
        try:
            async with asyncio.timeout(0.05):
                heard.data += await line.reader.read(1 << 16)
        except TimeoutError:
            if len(heard.events) >= count:
                return heard


@pytest.mark.parametrize("version", ["1.12.1", "1.14.2"])
async def test_events_are_counted_without_pings(version):
    """A newer server pings first, which is no event."""
    server = serve(Drop(after_events=1), version=version)
    async with server, line_to(server) as line:
        await line.ask()
        heard = await line.hear()
    assert heard.events == ALL[:1]
    assert (PING in heard.chunks) is (version == "1.14.2")


@pytest.mark.parametrize(
    ("fault", "enough"), [(Stall(after_events=2), PING), (Silence(), b"")]
)
async def test_until_told(fault, enough):
    """What was held back comes when the fault is over."""
    told = asyncio.Event()
    server = serve(attrs.evolve(fault, until=told))
    async with server, line_to(server) as line:
        await line.ask()
        before = await hear_until_silent(line, 2 * isinstance(fault, Stall))
        told.set()
        after = await line.hear(WHOLE)
    heard = Heard(before.data + after.data, after.end)
    assert before.events == ALL[: 2 * isinstance(fault, Stall)]
    assert heard.events == ALL
    assert server.starts == {"m": 1}


async def test_slow_headers_come_line_by_line():
    """Between two lines of the head there is time."""
    clock = asyncio.get_running_loop().time
    async with serve(SlowHeaders(interval=0.01)) as server, line_to(server) as line:
        began = clock()
        await line.ask()
        head = await line.reader.readuntil(b"\r\n\r\n")
    assert clock() - began >= 0.01 * head.count(b"\r\n")


async def test_a_client_that_leaves_ends_the_fault(until_gone):
    """An endless answer ends with its reader."""
    async with serve(EndlessBody(), EndlessLine()) as server:
        for _ in range(2):
            async with line_to(server) as line:
                await line.ask()
                await line.reader.readexactly(50_000)
        await until_gone()
        assert len(server.injected) == 2


@pytest.fixture
def until_gone():
    """Give a function that waits until no handler of a request is left."""

    async def wait() -> None:
        async with asyncio.timeout(5):
            while any(  # noqa: ASYNC110 - a condition of aiohttp's, not an event
                "RequestHandler" in repr(task) for task in asyncio.all_tasks()
            ):
                await asyncio.sleep(0)

    return wait


# -- which answers ---------------------------------------------------------------------


async def test_which_request_gets_it():
    """Orders are for a path, a method and a number of times; first come, first served."""
    async with serve() as server, line_to(server) as line:
        server.fail_next(Busy(), path="*/run", times=2)
        server.fail_next(ErrorPage(), method="GET")
        seen = []
        for method, path in [
            ("GET", "/v1/info"),
            ("POST", "/v1/workflows/tasks/x/stop"),
            *[("POST", "/v1/workflows/run")] * 3,
            ("GET", "/v1/info"),
        ]:
            await line.ask(method, path, mode="blocking")
            head = await line.reader.readuntil(b"\r\n\r\n")
            size = int(re.search(rb"Content-Length: (\d+)", head)[1])
            await line.reader.readexactly(size)
            seen.append(int(head.split()[1]))
    assert seen == [502, 200, 429, 429, 200, 200]
    assert [x.fault.__class__ for x in server.injected] == [ErrorPage, Busy, Busy]


async def test_orders_without_end_are_healed():
    """`times=None` fails for ever, and `heal()` ends that, and the plan."""
    async with serve(faults=lambda _: HangUp()) as server:
        server.fail_next(Busy(), times=None)
        server.fail_next(Busy(), times=0)
        heads = []
        for step in range(4):
            if step == 3:
                server.heal()
            async with line_to(server) as line:
                await line.ask("GET", "/v1/info")
                heads.append((await line.reader.readline()).split()[1:2])
    assert heads == [[b"429"]] * 3 + [[b"200"]]


async def test_a_plan():
    """A plan sees the request, and picks a fault or none."""

    def plan(request) -> Fault | None:
        asked.append(request.json)
        return HangUp() if len(asked) == 1 else None

    asked: list[Any] = []
    async with serve(faults=plan) as server:
        async with line_to(server) as line:
            await line.ask()
            assert (await line.hear()).end == "fin"
        async with line_to(server) as line:
            await line.ask()
            assert (await line.hear(WHOLE)).events == ALL
    assert [body["inputs"] for body in asked] == [{"marker": "m"}] * 2
    assert server.starts == {"m": 1}


@pytest.mark.parametrize("fault", [Gzip(), Reorder()], ids=["gzip", "reorder"])
async def test_state_is_of_one_answer(fault):
    """A fault that is used twice begins anew."""
    async with serve(fault, fault) as server, line_to(server) as line:
        seen = []
        for _ in range(2):
            await line.ask()
            heard = await line.hear(WHOLE)
            body = inflated(heard) if isinstance(fault, Gzip) else heard.body
            seen.append(body.count(b"data: {"))
    assert seen == [len(ALL)] * 2


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (Cut(after_bytes=80), "fin"),
        (Cut(after_bytes=80, how="rst"), "rst"),
        (HangUp(starts_run=True), "fin"),
        (ErrorPage(status=504, starts_run=True), "open"),
        (Gzip(), "open"),
        (BadChunkSize(after_events=0), "open"),
        (WrongType(), "open"),
    ],
    ids=lambda x: x.__class__.__name__ if isinstance(x, Fault) else x,
)
async def test_blocking_runs(fault, end):
    """Answers that are no stream are spoiled, too."""
    endings = {Gzip: WHOLE, ErrorPage: PAGE, BadChunkSize: b"XYZ\r\n", WrongType: b"}}"}
    async with serve(fault) as server, line_to(server) as line:
        await line.ask(mode="blocking")
        heard = await line.hear(endings.get(fault.__class__))
    assert heard.end == end
    assert server.starts == {"m": 1}


async def test_stops_that_are_not_obeyed(begin_slow):
    """A stop whose answer is replaced is not carried out, unless the fault says so."""
    for starts_run, status in [(False, "running"), (True, "stopped")]:
        fault = ErrorPage(starts_run=starts_run)
        async with serve() as server, line_to(server) as line:
            run = await begin_slow(server)
            server.fail_next(fault, path="*/stop")
            await line.ask("POST", f"/v1/workflows/tasks/{run.task_id}/stop")
            await line.hear(PAGE)
            if starts_run:
                await run.settled(pause_counts=False)
            assert run.status == status


@pytest.fixture
def begin_slow():
    """Give a function that begins a run which takes for ever."""

    async def begin(server: LocalServer) -> Any:
        slow = Scenario(steps=[Node(type="llm", delay=3600)])
        server.apps[0].behaviour = slow
        async with line_to(server) as line:
            await line.ask()
            await line.reader.readuntil(b"workflow_started")
        return server.runs[-1]

    return begin


async def test_a_download_is_cut(http, tmp_path):
    """Files do not get past a fault."""
    app = App(SCENARIO, key=KEY)
    async with LocalServer([app]) as server:
        headers = {"Authorization": f"Bearer {KEY}"}
        form = {"file": Path(__file__).open("rb")}  # noqa: ASYNC230, SIM115
        url = f"{server.base_url}/files/upload"
        async with http.post(url, data=form, headers=headers) as response:
            link = (await response.json())["source_url"]
        server.fail_next(Cut(after_bytes=500))
        async with line_to(server) as line:
            path = link.partition(str(server.port))[2]
            await line.ask("GET", path)
            heard = await line.hear()
    assert (heard.end, len(heard.data)) == ("fin", 500)


def test_a_page_behind_events_needs_a_run():
    """What cannot be is refused."""
    assert ErrorPage(after_events=1).starts_run
    assert not ErrorPage().starts_run
    with pytest.raises(ValueError, match="needs a run"):
        ErrorPage(after_events=1, starts_run=False)


def test_every_fault_is_in_the_table():
    """No fault is public without a row."""
    kinds = {getattr(faults, name) for name in faults.__all__}
    kinds = {x for x in kinds if isinstance(x, type) and issubclass(x, Fault)}
    assert kinds == {row[0].__class__ for row in TABLE.values()} | {Fault}
    assert faults.__all__ == sorted(faults.__all__)
