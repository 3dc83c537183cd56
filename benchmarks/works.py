"""The works: how a contender does each, and what must come of it."""

from __future__ import annotations

import asyncio
import time

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import memory
import workload


OPEN_FOR = 11.0  # seconds: one ping, which comes every 10 s, is seen by all

Told = dict[str, Any]


class Contender(Protocol):
    """See the package ``contenders``."""

    async def read(
        self, inputs: dict[str, Any], on_text: Callable[[str], object]
    ) -> int:
        """Run a workflow, and count its events."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something to measure.

    Attributes:
        title: what it is, for the table.
        n: how much of it.
        do: does *n* of it with a contender.
        expected: what *n* of it must give.
        inputs: what to ask the server for beforehand, so that it has it ready.
        warm: how much is done before the measurement.
        streams: how many are open at once.
        who: the contenders that take part.
        uvloop: whether on uvloop.
    """

    title: str
    n: int
    do: Callable[[Any, int], Awaitable[Told]]
    expected: Callable[[int], Told]
    warm: int
    inputs: dict[str, Any] = field(default_factory=dict)
    streams: int = 1
    who: tuple[str, ...] = ("floor", "this")
    uvloop: bool = False


# -- how they are done ---------------------------------------------------------------


async def long_stream(contender: Contender, n: int, *, way: str = "read") -> Told:
    """Read one stream of *n* texts."""
    texts: list[str] = []
    check = workload.Check()
    take = getattr(contender, way, contender.read)
    events = await take({"work": "text", "n": n}, texts.append)
    check.add(events, texts)
    return check.told()


async def small_runs(
    contender: Contender, n: int, *, at_once: int, way: str = "read"
) -> Told:
    """Do *n* small runs, *at_once* at a time."""
    check = workload.Check()
    take = getattr(contender, way, contender.read)
    left = iter(range(n))

    async def work() -> None:
        for _ in left:
            texts: list[str] = []
            events = await take({"work": "run"}, texts.append)
            check.add(events, texts)

    await together(work() for _ in range(min(at_once, n)))
    return check.told()


async def many_rows(contender: Any, n: int, *, at_once: int) -> Told:
    """Do *n* small runs as a batch, or as simply as can be where there is none."""
    if not hasattr(contender, "batch"):
        return await small_runs(contender, n, at_once=at_once)
    check = workload.Check()
    async for text in contender.batch({"work": "run"}, n, at_once):
        check.add(None, [text])
    return check.told()


async def open_streams(contender: Any, n: int) -> Told:
    """Hold *n* streams open, and see how much memory they take."""
    check = workload.Check()
    is_open = asyncio.Semaphore(0)
    before = memory.now()

    async def hold() -> None:
        texts: list[str] = []

        def take(text: str) -> None:
            texts.append(text)
            is_open.release()

        check.add(await contender.read({"work": "open"}, take), texts)

    async def watch() -> int:
        for _ in range(n):
            await is_open.acquire()
        await asyncio.sleep(OPEN_FOR if n > 10 else 0)
        grown = memory.now() - before
        await end_streams(contender.address)
        return grown

    grown, *_ = await together([watch(), *(hold() for _ in range(n))])
    return check.told() | {"per_stream": grown / n}


async def end_streams(address: str) -> None:
    """Have the server end all the streams that it holds open."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"POST /end HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def big_event(contender: Contender, size: int) -> Told:
    """Read one event of *size* bytes, and see how high memory went."""
    check = workload.Check()
    before = memory.now()
    memory.forget_peak()
    check.add(await contender.read({"work": "big", "size": size}, print), [])
    return check.told() | {"per_byte": (memory.peak() - before) / size}


async def delays(contender: Contender, n: int) -> Told:
    """Read *n* spaced texts that tell when they were sent; how late are they?"""
    late: list[int] = []
    check = workload.Check()

    def take(stamp: str) -> None:
        late.append(time.monotonic_ns() - int(stamp))

    check.add(await contender.read({"work": "delay", "n": n}, take), [])
    late.sort()
    return check.told() | {"delay_ms": late[len(late) // 2] / 1e6 if late else None}


async def together(coroutines: Iterable[Any]) -> list[Any]:
    """Do all at once; the first failure ends all."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
    return [task.result() for task in tasks]


# -- what must come of them ----------------------------------------------------------


def expect(n: int, events: int, texts: Iterable[str] = ()) -> Told:
    """What *n* streams of *events* each give."""
    check = workload.Check()
    all_texts = list(texts)
    for _ in range(n):
        check.add(events, all_texts)
    return check.told()


def _expect_text(n: int) -> Told:
    return expect(1, n + 2, workload.long_texts(n))


def _expect_runs(n: int) -> Told:
    return expect(n, workload.RUN_EVENTS, workload.small_texts())


# -- the works -----------------------------------------------------------------------


def _text(title: str, way: str = "read", **how: Any) -> Work:
    return Work(
        title=title,
        n=200_000,
        do=partial(long_stream, way=way),
        expected=_expect_text,
        inputs={"work": "text", "n": 200_000},
        warm=2_000,
        **how,
    )


def _runs(title: str, at_once: int, way: str = "run", **how: Any) -> Work:
    return Work(
        title=title,
        n=2_000,
        do=partial(small_runs, at_once=at_once, way=way),
        expected=_expect_runs,
        warm=50,
        streams=at_once,
        **how,
    )


def _rows(title: str, at_once: int) -> Work:
    return Work(
        title=title,
        n=10_000,
        do=partial(many_rows, at_once=at_once),
        expected=_expect_runs,
        warm=at_once,
        streams=at_once,
    )


def _big(megabytes: int) -> Work:
    size = megabytes * 1_000_000
    return Work(
        title=f"one event of {megabytes} MB",
        n=size,
        do=big_event,
        expected=lambda _: expect(1, 2),
        inputs={"work": "big", "size": size},
        warm=100_000,
    )


FLOOR, THIS = "floor", "this"
ALL = (
    *(FLOOR, THIS, "handmade"),
    *("dify-client-python", "dify-oapi2", "dify-sdk", "dify-api-client"),
)

WORKS: dict[str, Work] = {
    "text": _text("200,000 texts, `async for`", who=ALL),
    "handler": _text("200,000 texts, an async handler", "handler"),
    "unwanted": _text("200,000 texts that no handler wants", "unwanted"),
    "runs-50": _runs("2,000 runs, 50 at once", 50, who=ALL),
    "runs-1000": _runs("2,000 runs, 1,000 at once", 1_000, who=ALL),
    "runs-50-stream": _runs("2,000 runs, 50 at once, `async for`", 50, "read"),
    "rows-200": _rows("a batch of 10,000 rows, 200 at once, without journal", 200),
    "open": Work(
        title="5,000 streams open at once",
        n=5_000,
        do=open_streams,
        expected=lambda n: expect(n, 3, ["open"]),
        warm=1,
        streams=5_000,
    ),
    "big-10": _big(10),
    "big-20": _big(20),
    "delay": Work(
        title="an event every 2 ms",
        n=500,
        do=delays,
        expected=lambda n: expect(1, n + 2),
        warm=20,
        who=ALL,
    ),
    "text-uvloop": _text("200,000 texts, `async for`, uvloop", uvloop=True),
    "runs-50-uvloop": _runs("2,000 runs, 50 at once, uvloop", 50, uvloop=True),
}
