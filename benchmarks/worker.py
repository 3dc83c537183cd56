"""Does one work with one contender, in a process of its own, and tells what it cost.

What is measured begins after the imports and a smaller piece of the same work.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import resource
import time

from typing import Any

import memory

from works import WORKS, Work


def cpu() -> float:
    """Seconds of processor that this process has used, in the system and outside."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(module: Any, work: Work, address: str, n: int) -> dict[str, Any]:
    """Do *n* of the work, and tell what came of it and what it cost."""
    contender = module.Contender(address, work.streams)
    contender.address = address
    async with contender:
        await work.do(contender, work.warm)
        wall, used = time.perf_counter(), cpu()
        told = await work.do(contender, n)
        used, wall = cpu() - used, time.perf_counter() - wall
    # Not ru_maxrss, which begins with that of the process that started this one.
    return told | {"cpu": used, "wall": wall, "peak": memory.peak()}


def main() -> None:
    """Print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contender")
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("address")
    parser.add_argument("--n", type=int)
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    work = WORKS[args.work]
    module = importlib.import_module(f"contenders.{args.contender.replace('-', '_')}")
    factory = None
    if work.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(
            measure(module, work, args.address, args.n or work.n),
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
