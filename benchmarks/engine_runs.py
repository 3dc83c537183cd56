"""Two hundred runs at once on Dify's engine: how long, and what the loop feels of it.

``python benchmarks/engine_runs.py [--runs N] [--processes N]``; needs the extra
``engine``. Client and server share one event loop, as in a test of a user's own.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from pathlib import Path

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import App, LocalServer, StubModel, StubReply


EXAMPLES = Path(__file__).parents[1] / "examples"

# How often the loop is asked whether it still goes round.
TICK = 0.001

# An app whose model takes its time: what many runs at once are in earnest.
SLOW = StubModel(replies=[StubReply(text=['{"category_id": "2"}'], delay=2.0)])


class Pauses:
    """Measures how long the event loop does not go round."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def watch(self) -> None:
        """Measure, until cancelled."""
        clock = time.perf_counter
        while True:
            before = clock()
            await asyncio.sleep(TICK)
            self.seconds.append(clock() - before - TICK)

    def at(self, part: float) -> float:
        """Tell the pause that a part of all pauses does not exceed, in ms."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000


async def measure(app: App, inputs: dict[str, str], runs: int, processes: int) -> None:
    """Run an app many times at once, and print what it took."""
    async with (
        LocalServer([app], engine_processes=processes, close_delay=0) as server,
        WorkflowClient(app.key, server.base_url, user="bench") as client,
    ):
        await client.run(inputs)
        pauses = Pauses()
        watcher = asyncio.create_task(pauses.watch())
        began = time.perf_counter()
        results = await asyncio.gather(*(client.run(inputs) for _ in range(runs)))
        seconds = time.perf_counter() - began
        watcher.cancel()
    good = sum(result.status == "succeeded" for result in results)
    ids = len({result.workflow_run_id for result in results})
    print(
        f"{app.name}: {good} of {runs} succeeded, {ids} different, in {seconds:.1f} s; "
        f"pauses of the loop {pauses.at(0.99):.0f} ms at p99, {pauses.at(1):.0f} ms "
        "at most"
    )


async def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    greeting = App.from_dsl(EXAMPLES / "greeting.yml")
    await measure(greeting, {"name": "Ada"}, options.runs, options.processes)
    slow = App.from_dsl(EXAMPLES / "classify.yml", model=SLOW, name="slow model")
    await measure(slow, {"message": "?"}, options.runs, options.processes)


if __name__ == "__main__":
    asyncio.run(main())
