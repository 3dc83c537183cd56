"""Runs all kinds of runs for long, and fails if memory grows: ``nox -s soak``.

The server is another process. Between two rounds, when nothing is at work, resident
size and what Python has allocated are measured. What the second half of the time adds,
by the slope through its measurements, must not be more than the noise of the first half
and what a leak of a hundred bytes for each call would add.
"""

from __future__ import annotations

import argparse
import asyncio
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
NOISE = 3.0  # so many times its deviation may the first half have been off
LEAK = 100  # bytes for each call: no object that is left over is that small
ARENA = 1 << 20  # in which Python takes memory from the system

Sample = tuple[float, float, float, float]  # seconds, calls, resident, allocated


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
    numbers = array("d")  # which takes little itself
    start = time.monotonic()
    shown = start
    tracemalloc.start()

    async def once(index: int) -> None:
        async with gate:
            await WORKS[index % len(WORKS)](client)

    while (now := time.monotonic()) - start < seconds:
        async with asyncio.TaskGroup() as group:
            for index in range(OF_EACH * len(WORKS)):
                _ = group.create_task(once(index))
        calls += OF_EACH * len(WORKS)
        await idle()
        gc.collect()
        allocated, _ = tracemalloc.get_traced_memory()
        resident = resident_size()
        numbers.extend((now - start, calls, resident, allocated))
        if now - shown >= 15:
            shown = now
            print(
                f"{now - start:5.0f} s {calls:7} calls {resident / 1e6:8.2f} MB "
                f"resident {allocated / 1e6:7.3f} MB allocated",
                flush=True,
            )
    return list(zip(*(numbers[i::4] for i in range(4)), strict=True))


async def idle() -> None:
    """Wait until the stops that were left behind have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=10)


def resident_size() -> int:
    """Tell how many bytes of this process are in memory."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


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
    for name, column, step in (("resident", 2, ARENA), ("allocated", 3, 0)):
        noise = deviation([(x[0], x[column]) for x in first])
        pairs = [(x[0], x[column]) for x in second]
        slope = statistics.linear_regression(*zip(*pairs, strict=True)).slope
        growth = slope * (pairs[-1][0] - pairs[0][0])
        bound = max(NOISE * noise, LEAK * calls, step)
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
