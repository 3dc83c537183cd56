"""Measures batches: ``nox -s bench -- --batch``; see docs/explanation/batch.md.

The same rows are run without a journal and with one, each in a process of its own, in
turn. The server is the local one, in another process, or the load server, which answers
faster and sends all events of a run at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import memory

from bench import served

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import App, LocalServer, Node, Scenario


KEY = "app-bench"
WARM = 200  # rows before the measurement
EARLY = 1_000  # from this row on memory must not grow
TEXTS = [f"piece {i} of the answer, " for i in range(12)]
WITH_JOURNAL, WITHOUT = "journal", "none"

# As docs/explanation/batch.md has it: of a journal's CPU against the local server, since
# runs of the load server cost the client too little to compare; of memory in any case.
MOST_SHARE = 0.25
MOST_GROWTH = 20e6  # bytes


def scenario() -> Scenario:
    """A run of 24 events: its start and end, five nodes, twelve texts."""
    nodes = [Node(type=name) for name in ("start", "http-request", "code")]
    answer = Node(type="llm", text=TEXTS, tokens=57, price="0.0001425")
    return Scenario(
        steps=[*nodes, answer, Node(type="end", outputs={"text": "{marker}"})]
    )


async def serve() -> None:
    """Serve until the input ends; then tell how often rows were started."""
    async with LocalServer([App(scenario(), key=KEY)], close_delay=0) as server:
        print(server.base_url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        starts = server.starts
        print(json.dumps([len(starts), max(starts.values())]), flush=True)


@contextmanager
def local_server() -> Iterator[str]:
    """Run the local server, and check that it started each row once."""
    with subprocess.Popen(
        [sys.executable, __file__, "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()
        markers, most = json.loads(server.stdout.readline())
        print(f"the server was asked for {markers} rows, each {most} time")
        assert most == 1, "a row was run twice"


def cpu() -> float:
    """Seconds of processor that this process has used, in all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def run(address: str, args: argparse.Namespace, journal: Path | None) -> Any:
    """Run the rows, and tell what it cost."""
    async with WorkflowClient(KEY, address, "u1") as client:
        await one_batch(client, WARM, args.concurrency, journal, f"warm {os.getpid()}")
        used, began = cpu(), time.perf_counter()
        name = f"row {os.getpid()}"
        told = await one_batch(client, args.rows, args.concurrency, journal, name)
        return told | {"cpu": cpu() - used, "wall": time.perf_counter() - began}


async def one_batch(
    client: WorkflowClient, n: int, at_once: int, journal: Path | None, name: str
) -> dict[str, float]:
    """Run *n* rows; see that all of them come out, and how memory grows."""
    rows = ({"work": "run", "marker": f"{name}.{i}"} for i in range(n))
    seen: set[int] = set()
    early = 0
    async with client.batch(rows, concurrency=at_once, journal=journal) as batch:
        async for item in batch:
            if item.error is not None:
                raise item.error
            seen.add(item.index)
            if len(seen) == EARLY:
                early = memory.now()
        grown = memory.now() - early if early else 0
    assert len(seen) == n
    return {"grown": grown, "p50": batch.summary.percentiles[50]}


def measure(address: str, args: argparse.Namespace, kind: str) -> dict[str, float]:
    """The same in a process of its own."""
    command = [
        *(sys.executable, __file__, "--one", kind, "--address", address),
        *(f"--rows={args.rows}", f"--concurrency={args.concurrency}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    told: dict[str, float] = json.loads(done.stdout)
    print(
        f"{kind:8} {told['cpu']:6.2f} s CPU, {told['wall']:6.2f} s, "
        f"memory grew by {told['grown'] / 1e6:5.2f} MB after row {EARLY:,}",
        flush=True,
    )
    return told


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=["local", "load"], default="local")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if args.serve:
        asyncio.run(serve())
    elif args.one:
        with tempfile.TemporaryDirectory() as directory:
            journal = Path(directory, "runs.db") if args.one == WITH_JOURNAL else None
            print(json.dumps(asyncio.run(run(args.address, args, journal))))
    else:
        with local_server() if args.server == "local" else served() as address:
            wrong = compare(address, args)
        if wrong:
            raise SystemExit("\n".join(wrong))


def compare(address: str, args: argparse.Namespace) -> list[str]:
    """With a journal and without, in turn; tell what is more than it may be."""
    shares: list[float] = []
    grown: list[float] = []
    for _ in range(args.rounds):
        without = measure(address, args, WITHOUT)
        kept = measure(address, args, WITH_JOURNAL)
        shares.append(1 - without["cpu"] / kept["cpu"])
        grown += without["grown"], kept["grown"]
    print(
        f"the journal's share of CPU: {statistics.median(shares):.0%} in the median of"
    )
    print(", ".join(f"{share:.0%}" for share in shares))
    wrong: list[str] = []
    if args.server == "local" and statistics.median(shares) >= MOST_SHARE:
        wrong.append(f"the journal's share is {MOST_SHARE:.0%} or more")
    if max(grown) >= MOST_GROWTH:
        wrong.append(f"memory grew by {MOST_GROWTH / 1e6:.0f} MB or more")
    return wrong


if __name__ == "__main__":
    main()
