"""Runs all kinds of runs for long, and fails if memory grows: ``nox -s soak``.

The server is another process. Between two rounds, when nothing is at work, three things
are measured: what Python has allocated, what the C library has given out, and resident
size, after the C library has given back what it keeps free. It keeps more and more of
that where connections break, in pieces, also under aiohttp alone: that is no leak, and
the second measure tells the two apart.

What the second half of the time adds, by the slope through its measurements, must be
less than three times the noise of the first half. There is no other allowance.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import statistics
import sys
import time
import tracemalloc

from array import array
from pathlib import Path

from dify_workflow_async import RetryPolicy, Timeouts, WorkflowClient
from dify_workflow_async.local import LocalServer


sys.path.insert(0, str(Path(__file__).parent))

from works import WORKS, apps


AT_ONCE = 8
OF_EACH = 2  # in a round
ROUNDS_A_SECOND = 50  # there are about ten
NOISE = 3.0  # so many times its deviation may the first half have been off

Sample = tuple[float, ...]  # seconds, calls, and each of MEASURES
MEASURES = ("allocated", "given out", "resident")


async def serve() -> None:
    """Serve until the input ends; prints the base URL."""
    async with LocalServer(apps(), close_delay=0) as server:
        print(server.base_url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def soak(seconds: float) -> list[Sample]:
    """Work, and measure after each round."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", __file__, "--serve"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        url = (await server.stdout.readline()).decode().strip()
        if not url:
            msg = "the server does not begin"
            raise SystemExit(msg)
        async with WorkflowClient(
            *("app-good", url, "u1"),
            retry=RetryPolicy(base=0.01),
            timeouts=Timeouts(recovery=10),
        ) as client:
            return await rounds(client, seconds)
    finally:
        server.stdin.close()
        await server.wait()


async def rounds(client: WorkflowClient, seconds: float) -> list[Sample]:
    """Do rounds until the time is over."""
    gate = asyncio.Semaphore(AT_ONCE)
    calls = 0
    width = 2 + len(MEASURES)
    most = int(seconds * ROUNDS_A_SECOND) + 1
    # All of it now: what grew with each round would be measured, too.
    numbers = array("d", bytes(8 * width * most))
    used = 0
    start = time.monotonic()
    shown = start
    tracemalloc.start()

    async def once(index: int) -> None:
        async with gate:
            await WORKS[index % len(WORKS)](client)

    while (now := time.monotonic()) - start < seconds and used < len(numbers):
        async with asyncio.TaskGroup() as group:
            for index in range(OF_EACH * len(WORKS)):
                _ = group.create_task(once(index))
        calls += OF_EACH * len(WORKS)
        await idle()
        gc.collect()
        measured = measure()
        numbers[used : used + width] = array("d", (now - start, calls, *measured))
        used += width
        if now - shown >= 15:
            shown = now
            shares = (
                f"{x / 1e6:8.3f} {n}" for n, x in zip(MEASURES, measured, strict=True)
            )
            print(f"{now - start:5.0f} s {calls:7} calls, MB:", *shares, flush=True)
    return list(zip(*(numbers[i:used:width] for i in range(width)), strict=True))


async def idle() -> None:
    """Wait until the stops that were left behind have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=10)


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


def measure() -> tuple[int, int, int]:
    """Tell the bytes of each of MEASURES."""
    allocated, _ = tracemalloc.get_traced_memory()
    LIBC.malloc_trim(0)
    heap = LIBC.mallinfo2()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return allocated, heap.uordblks + heap.hblkhd, pages * os.sysconf("SC_PAGE_SIZE")


def judge(samples: list[Sample]) -> bool:
    """Print what each measure does, and tell whether one grows."""
    middle = samples[-1][0] / 2
    # What is made once, such as caches, is made in the first tenth.
    first = [x for x in samples if middle / 5 <= x[0] < middle]
    second = [x for x in samples if x[0] >= middle]
    grows = False
    if min(len(first), len(second)) < 10:
        print("too few rounds: more time is needed")
        return True
    calls = int(second[-1][1] - second[0][1])
    for column, name in enumerate(MEASURES, 2):
        noise = deviation([(x[0], x[column]) for x in first])
        pairs = [(x[0], x[column]) for x in second]
        slope = statistics.linear_regression(*zip(*pairs, strict=True)).slope
        growth = slope * (pairs[-1][0] - pairs[0][0])
        bound = NOISE * noise
        grew = growth > bound
        grows = grows or grew
        print(
            f"{name}: {growth / 1e3:+.1f} kB in {calls} calls "
            f"({growth / calls:+.1f} bytes for each), noise {noise / 1e3:.1f} kB, "
            f"at most {bound / 1e3:.1f} kB: {'it grows' if grew else 'fine'}"
        )
    return grows


def deviation(pairs: list[tuple[float, float]]) -> float:
    """How far the values are from a line through them, as a standard deviation."""
    slope, start = statistics.linear_regression(*zip(*pairs, strict=True))
    return statistics.pstdev(y - (start + slope * x) for x, y in pairs)


def main() -> int:
    """Soak, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve())
        return 0
    # It warns of runs that were left before they were known: they are meant to be.
    logging.getLogger("dify_workflow_async").setLevel(logging.ERROR)
    samples = asyncio.run(soak(args.minutes * 60))
    return int(judge(samples))


if __name__ == "__main__":
    sys.exit(main())
