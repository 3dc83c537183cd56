"""Two thousand runs on a bad day: nothing runs twice, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import os
import random

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dify_workflow_async import DifyError, Limits, RetryPolicy, Timeouts, WorkflowClient
from dify_workflow_async.local import App, LocalServer, Node, Scenario, faults
from dify_workflow_async.models import RunResult


SEED = int(os.environ.get("CHAOS_SEED", "20240613"))
DESCRIPTORS = Path("/proc/self/fd")
RUNS, CONCURRENCY, EVERY = 2_000, 100, 3

SCENARIO = Scenario(
    steps=[
        Node(type="start"),
        Node(type="llm", text=["a ", "b ", "c"], delay=0.005, chunk_delay=0.002),
        Node(type="end", outputs={"answer": "{marker}"}),
    ]
)
APP = App(SCENARIO)
TIMEOUTS = Timeouts(
    connect=5.0,
    first_byte=1.0,
    idle=0.5,
    stall=0.7,
    recovery=2.5,
    request=2.0,
    total=6.0,
    stop=1.0,
)
LIMITS = Limits(
    max_event_bytes=1 << 18, max_body_bytes=1 << 18, max_error_bytes=1 << 14
)
RETRY = RetryPolicy(attempts=4, base=0.01, cap=0.1)

Make = Callable[[random.Random], faults.Fault]


def how(dice: random.Random) -> Any:
    return dice.choice(["fin", "rst"])


# Any request may meet these; those of the second table need a stream.
ANYWHERE: list[Make] = [
    lambda d: faults.HangUp(how=how(d), starts_run=d.random() < 0.5),
    lambda d: faults.Cut(after_bytes=d.randint(1, 1500), how=how(d)),
    lambda d: faults.Silence(starts_run=d.random() < 0.5),
    lambda d: faults.SlowHeaders(interval=d.choice([0.001, 0.3])),
    lambda d: faults.ErrorPage(status=d.choice([502, 503, 504, 524])),
    lambda d: faults.ErrorPage(status=504, starts_run=True),
    lambda d: faults.Busy(status=d.choice([429, 400])),
    lambda d: faults.Busy(retry_after=d.choice([0, 0.01, 3600, "soon"])),
    lambda d: faults.Busy(
        retry_after=datetime(d.choice([2020, 2099]), 1, 1, tzinfo=UTC)
    ),
    lambda d: faults.Redirect(
        to=d.choice(["itself", "loop", "host", "port", "scheme"])
    ),
    lambda d: faults.WrongType(content_type=d.choice(["text/html", "", "a/b"])),
    lambda d: faults.EndlessBody(status=d.choice([200, 400, 500]), starts_run=True),
    lambda d: faults.EndlessHeaders(
        starts_run=d.random() < 0.5, line=d.choice([9, 9000])
    ),
    lambda _: faults.Gzip(),
    lambda _: faults.GzipBomb(size=1 << 22),
]
IN_STREAMS: list[Make] = [
    lambda d: faults.Drop(
        after_events=d.randint(0, 10), how=how(d), in_chunk=d.random() < 0.5
    ),
    lambda d: faults.BadChunkSize(after_events=d.randint(0, 10)),
    lambda d: faults.Stall(after_events=d.randint(0, 10)),
    lambda d: faults.Stall(after_events=d.randint(0, 10), pings=0.05),
    lambda d: faults.ErrorPage(after_events=d.randint(0, 10)),
    lambda d: faults.Insert(
        data=d.choice(
            [faults.BROKEN_JSON, faults.BROKEN_UTF8, b"\0\n\n", b"data: []\n\n"]
        ),
        after_events=d.randint(0, 10),
    ),
    lambda d: faults.EndlessLine(after_events=d.randint(0, 10)),
    lambda d: faults.Omit(events=d.choice(["workflow_started", "workflow_finished"])),
    lambda _: faults.Duplicate(),
    lambda d: faults.Reorder(window=d.randint(2, 12)),
    lambda d: faults.Unended(how=how(d)),
]


KINDS = {type(make(random.Random(0))) for make in ANYWHERE + IN_STREAMS}


def plan(dice: random.Random) -> Callable[[Any], faults.Fault | None]:
    """Make a plan that spoils every third run, and as many of the other answers."""
    starts = 0

    def pick(request: Any) -> faults.Fault | None:
        nonlocal starts
        if request.path.endswith("/run"):
            starts += 1
            if starts % EVERY:
                return None
            return dice.choice(ANYWHERE + IN_STREAMS)(dice)
        if dice.random() * EVERY >= 1:
            return None
        streamed = request.path.endswith("/events")
        return dice.choice(ANYWHERE + IN_STREAMS * streamed)(dice)

    return pick


def descriptors() -> dict[str, str]:
    """What this process has open."""
    found = {}
    for link in DESCRIPTORS.iterdir():
        with suppress(FileNotFoundError):  # of the listing itself
            found[link.name] = str(link.readlink())
    return found


@contextmanager
def foreign_errors() -> Iterator[list[dict[str, Any]]]:
    """Collect what nobody caught."""
    loop, found = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: found.append(context))
    try:
        yield found
    finally:
        gc.collect()  # tasks whose exception nobody took say so now
        loop.set_exception_handler(None)


async def run_all(clients: list[WorkflowClient]) -> dict[str, Any]:
    """Run them all, so many at a time, by turns: the result or what was raised."""
    outcomes: dict[str, Any] = {}
    numbers = iter(range(RUNS))

    async def work() -> None:
        for number in numbers:
            client, marker = clients[number % len(clients)], f"m{number}"
            try:
                outcomes[marker] = await client.run({"marker": marker})
            except Exception as error:  # noqa: BLE001 - judged by the test
                outcomes[marker] = error

    async with asyncio.timeout(55), asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(work())
    return outcomes


def serve(version: str, dice: random.Random) -> LocalServer:
    """Make a server of that version, on a bad day."""
    return LocalServer(
        [APP],
        version=version,
        close_delay=0,
        ping_interval=0.2,
        faults=plan(dice),
    )


def connect(server: LocalServer) -> WorkflowClient:
    """Make its client."""
    return WorkflowClient(
        *(APP.key, server.base_url, "u"), timeouts=TIMEOUTS, limits=LIMITS, retry=RETRY
    )


@pytest.mark.slow
@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs /proc")
async def test_a_bad_day():
    """Every run ends in a result or an error of ours, and was started once at most.

    They are shared out between an old server and a new one.
    """
    print(f"CHAOS_SEED={SEED}")  # noqa: T201 - shown when it fails
    before, tasks = descriptors(), asyncio.all_tasks()
    dice = random.Random(SEED)
    with foreign_errors() as foreign:
        async with (
            serve("1.12.1", dice) as old,
            serve("1.14.2", dice) as new,
            connect(old) as one,
            connect(new) as other,
        ):
            outcomes = await run_all([one, other])
    assert foreign == []
    assert len(outcomes) == RUNS
    starts = old.starts + new.starts
    assert starts.total() <= RUNS
    for marker, outcome in outcomes.items():
        assert starts[marker] <= 1, marker
        assert isinstance(outcome, RunResult | DifyError), (marker, outcome)
        if isinstance(outcome, RunResult):
            assert starts[marker] == 1, marker
            assert outcome.outputs == {"answer": marker}
        elif outcome.safe_to_repeat:
            assert starts[marker] == 0, (marker, outcome)
    results = [x for x in outcomes.values() if isinstance(x, RunResult)]
    assert len(results) > RUNS * (1 - 1 / EVERY)
    assert {x.recovered.how for x in results if x.recovered} == {"read", "attached"}
    injected = [*old.injected, *new.injected]
    assert {type(x.fault) for x in injected} == KINDS
    spoiled = [x for x in injected if x.request.path.endswith("/run")]
    assert len(spoiled) >= RUNS // EVERY - 1  # of each server, the last one or two
    for _ in range(20):  # what was closed may need some rounds to end
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    assert descriptors() == before
