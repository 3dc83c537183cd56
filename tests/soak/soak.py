"""Runs all kinds of runs for long, and fails if memory grows: ``nox -s soak``.

There are three processes: a server, and two that call it over and over. Between two
rounds of calls, when nothing is at work, they measure. One has tracemalloc tell what
Python has allocated. The other does without, since the tables of tracemalloc grow
themselves, and tear holes into the heap: it measures what the C library has given out,
and what of the process's own is resident, after the C library has given back what it
keeps free. Pages of files are no part of that: they come and go as the system likes.

What growing means is told in ``judging.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import os
import re
import sys
import time
import tracemalloc

from array import array
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dify_workflow_async import RetryPolicy, Timeouts, WorkflowClient
from dify_workflow_async.local import LocalServer


sys.path.insert(0, str(Path(__file__).parent))

from judging import TooFewMeasurements, judge
from works import WORKS, Work, apps


AT_ONCE = 8
A_ROUND = 2 * len(WORKS)  # calls
ROUNDS_A_SECOND = 100  # there are about ten
SHOWN_EVERY = 30.0  # seconds

ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",  # one heap, or threads make more
    "PYTHONHASHSEED": "0",
}
PAGE = float(os.sysconf("SC_PAGE_SIZE"))


# -- what is measured ------------------------------------------------------------------


class Mallinfo(ctypes.Structure):
    """What the GNU C library tells of its heap."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks"),
            *("fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


LIBC = ctypes.CDLL("libc.so.6")
LIBC.mallinfo2.restype = Mallinfo


def traced() -> tuple[float, ...]:
    """What Python has allocated, in bytes."""
    return (float(tracemalloc.get_traced_memory()[0]),)


def plain() -> tuple[float, ...]:
    """What the C library has given out, and what is resident of it, in bytes."""
    LIBC.malloc_trim(0)
    heap = LIBC.mallinfo2()
    status = Path("/proc/self/status").read_text("ascii")
    resident = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    assert resident is not None
    return float(heap.uordblks + heap.hblkhd), float(resident[1]) * 1024


# By process: what is measured there, how it is judged, and what measures it.
MEASURES: dict[
    str, tuple[dict[str, dict[str, Any]], Callable[[], tuple[float, ...]]]
] = {
    "traced": ({"allocated": {"step": 1.0}}, traced),
    "plain": (
        {"given out": {"step": PAGE}, "resident": {"step": PAGE, "wanders": True}},
        plain,
    ),
}


# -- the processes ---------------------------------------------------------------------


async def serve() -> None:
    """Serve until the input ends; prints the base URL."""
    async with LocalServer(apps(), close_delay=0) as server:
        print(server.base_url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def soak(args: argparse.Namespace) -> array[float]:
    """Work for so long: calls so far and what was measured, round by round."""
    async with WorkflowClient(
        *("app-good", args.url, "u1"),
        retry=RetryPolicy(base=0.01),
        timeouts=Timeouts(recovery=10),
    ) as client:
        works = [work for work in WORKS if args.only in {None, work.__name__}]
        return await rounds(client, works, args)


async def rounds(
    client: WorkflowClient, works: list[Work], args: argparse.Namespace
) -> array[float]:
    """Do rounds until the time is over."""
    names, measure = MEASURES[args.measure]
    gate = asyncio.Semaphore(AT_ONCE)
    width = 1 + len(names)
    seconds = args.minutes * 60
    # All of it now: what grew with each round would be measured, too.
    most = args.rounds or int(seconds * ROUNDS_A_SECOND) + 1
    numbers = array("d", bytes(8 * width * most))
    used = calls = 0
    works = works * max(1, args.calls // len(works))
    start = shown = time.monotonic()
    leaked: list[bytes] = []
    if args.measure == "traced":
        tracemalloc.start()

    async def once(work: Work) -> None:
        async with gate:
            await work(client)
        if args.leak:
            leaked.append(bytes(args.leak))

    while (now := time.monotonic()) - start < seconds and used < len(numbers):
        async with asyncio.TaskGroup() as group:
            for work in works:
                _ = group.create_task(once(work))
        calls += len(works)
        await idle()
        gc.collect()
        measured = (calls, *measure())
        numbers[used : used + width] = array("d", measured)
        used += width
        if now - shown >= SHOWN_EVERY:
            shown = now
            show(now - start, dict(zip(("calls", *names), measured, strict=True)))
    return numbers[:used]


async def idle() -> None:
    """Wait until the stops that were left behind have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=10)


def show(seconds: float, measured: dict[str, float]) -> None:
    """Print how it goes, where it does not mix with the numbers."""
    calls = measured.pop("calls")
    shares = (f"{x / 1e6:.3f} MB {name}" for name, x in measured.items())
    print(f"{seconds:4.0f} s, {calls:.0f} calls:", *shares, file=sys.stderr, flush=True)


# -- the whole -------------------------------------------------------------------------


@asynccontextmanager
async def child(*args: str):
    """Run this file with other arguments; it ends when its input does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", __file__, *args),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        await process.wait()


async def measured_by(how: str, url: str, argv: list[str]) -> list[float]:
    """Have a process of its own measure."""
    async with child("--measure", how, "--url", url, *argv) as process:
        assert process.stdout is not None
        text = await process.stdout.read()
    if process.returncode:
        msg = f"the process that measures ({how}) failed"
        raise SystemExit(msg)
    numbers: list[float] = json.loads(text)
    return numbers


async def measured(argv: list[str]) -> dict[str, list[float]]:
    """Have all measured, side by side."""
    async with child("--serve") as server:
        assert server.stdout is not None
        url = (await server.stdout.readline()).decode().strip()
        if not url:
            msg = "the server does not begin"
            raise SystemExit(msg)
        each = await asyncio.gather(*(measured_by(how, url, argv) for how in MEASURES))
    return dict(zip(MEASURES, each, strict=True))


def verdict(numbers: dict[str, list[float]]) -> bool:
    """Print what each measure does, and tell whether one grows."""
    grows = False
    for how, (names, _) in MEASURES.items():
        width = 1 + len(names)
        calls, *columns = (numbers[how][i::width] for i in range(width))
        for (name, options), column in zip(names.items(), columns, strict=True):
            found = judge(list(zip(calls, column, strict=True)), **options)
            print(f"{name}: {found}")
            grows = grows or found.grows
    return grows


def main() -> int:
    """Soak, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", choices=[work.__name__ for work in WORKS])
    parser.add_argument("--calls", type=int, default=A_ROUND, help="in a round")
    parser.add_argument("--rounds", type=int, help="at most so many")
    parser.add_argument("--leak", type=int, default=0, help="bytes to leak in a call")
    parser.add_argument("--keep", type=Path, help="a file for all that was measured")
    for hidden in ("--url", "--measure"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve())
        return 0
    if args.measure:
        # It warns of runs that were left before they were known: they are meant to be.
        logging.getLogger("dify_workflow_async").setLevel(logging.ERROR)
        print(json.dumps(list(asyncio.run(soak(args)))))
        return 0
    numbers = asyncio.run(measured(sys.argv[1:]))
    if args.keep:
        args.keep.write_text(json.dumps(numbers), "utf-8")
    try:
        return int(verdict(numbers))
    except TooFewMeasurements as error:
        print(error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
