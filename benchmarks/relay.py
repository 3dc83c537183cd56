"""What relaying a run to a browser costs, over reading it alone.

A process relays a thousand runs to a thousand browsers at once, which are plain
sockets: each of them must get every event, in order. Its CPU time is compared with that
of a process that reads as many runs and shows them to nobody. Run it as::

    python benchmarks/relay.py --browsers 1000 --events 300 --rounds 3
    python benchmarks/relay.py --browsers 10 --events 300 --rounds 3 --spaced

In the first the events of a run come as fast as they are taken, so that several go
together; in the second they come one by one, 2 ms apart, which costs most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time

from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import workload

from aiohttp import web

from dify_workflow_async import WorkflowClient
from dify_workflow_async.integrations.aiohttp_web import (
    CLIENT,
    HUB,
    relay_response,
    setup,
    view_of,
)


HERE = Path(__file__).parent
MODES = {
    "read": "read by `async for`, relayed to nobody",
    "relay": "`run.relay()`, one browser each",
    "hub": "`RelayHub`, one browser each",
}
WARM = 20


def allow_sockets() -> None:
    """Have as many sockets as the system lets one have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# -- the process that is measured ------------------------------------------------------


async def worker(address: str, inputs: dict[str, Any]) -> None:
    """Obey the standard input: a number is how many runs to read, CPU is told."""
    app = web.Application()
    app.add_routes([web.get("/relay", direct), web.get("/hub", shared)])
    app[INPUTS] = inputs
    setup(app, lambda: WorkflowClient("app-bench", address, "u1"))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    print(runner.addresses[0][1], flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() != "cpu":
            count = int(line)
            runs = (read(app[CLIENT], inputs) for _ in range(count))
            assert set(await asyncio.gather(*runs)) == {inputs["n"] + 2}
        print(time.process_time(), flush=True)
    await runner.cleanup()


INPUTS: web.AppKey[dict[str, Any]] = web.AppKey("inputs", dict)


async def read(client: WorkflowClient, inputs: dict[str, Any]) -> int:
    """Read a run, and count its events."""
    count = 0
    async with client.stream(inputs) as run:
        async for _ in run:
            count += 1
    return count


async def direct(request: web.Request) -> web.StreamResponse:
    """Relay a run to the one who asks."""
    async with request.app[CLIENT].stream(request.app[INPUTS]) as run:
        return await relay_response(request, run.relay())


async def shared(request: web.Request) -> web.StreamResponse:
    """Relay a run by the hub."""
    run_id = await request.app[HUB].start(request.app[INPUTS])
    return await relay_response(request, view_of(request, run_id))


# -- browsers --------------------------------------------------------------------------


async def browse(port: int, path: str, texts: list[str] | int) -> None:
    """Be a browser, and see that every event comes, in order."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    await reader.readuntil(b"\r\n\r\n")
    body = b"".join([data async for data in chunks(reader)])
    writer.close()
    frames = [x for x in body.split(b"\n\n") if x.startswith(b"id: ")]
    ids = [int(frame.partition(b"\n")[0][4:]) for frame in frames]
    events = [json.loads(frame.partition(b"\ndata: ")[2]) for frame in frames]
    got = [x["data"]["text"] for x in events[1:-1]]
    if isinstance(texts, int):  # which tell when they were sent
        texts = sorted(got, key=int) if len(got) == texts else []
    assert ids == list(range(1, len(texts) + 3)), f"{len(ids)} events"
    assert got == texts
    assert events[-1]["event"] == "workflow_finished"


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Give the HTTP chunks of a body."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


async def crowd(port: int, path: str, count: int, texts: list[str] | int) -> None:
    """Be many browsers at once."""
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(browse(port, path, texts))


# -- measuring -------------------------------------------------------------------------


@contextmanager
def process(*command: str) -> Any:
    """Run a Python program that ends with its standard input."""
    with subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield running
        running.stdin.close()
        running.wait(30)


def ask(running: Any, line: object) -> float:
    """Tell a worker something; give its CPU seconds after that."""
    running.stdin.write(f"{line}\n")
    running.stdin.flush()
    return float(running.stdout.readline())


def measure(
    mode: str, address: str, browsers: int, events: int, *, spaced: bool
) -> float:
    """CPU microseconds for each event."""
    inputs = json.dumps({"work": "delay" if spaced else "text", "n": events})
    texts = events if spaced else list(workload.long_texts(events))
    with process(str(HERE / "relay.py"), "--worker", address, inputs) as running:
        port = int(running.stdout.readline())

        def go(count: int) -> float:
            if mode == "read":
                return ask(running, count)
            asyncio.run(crowd(port, mode, count, texts))
            return ask(running, "cpu")

        before = go(WARM)
        return (go(browsers) - before) / (browsers * (events + 2)) * 1e6


def main() -> None:
    """Measure in rounds, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--browsers", type=int, default=1000)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spaced", action="store_true")
    options = parser.parse_args()
    allow_sockets()
    if options.worker:
        address, inputs = options.worker
        asyncio.run(worker(address, json.loads(inputs)))
        return
    found: dict[str, list[float]] = {mode: [] for mode in MODES}
    with process(str(HERE / "server.py")) as server:
        address = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        for _ in range(options.rounds):
            for mode in MODES:
                cost = measure(
                    mode,
                    address,
                    options.browsers,
                    options.events,
                    spaced=options.spaced,
                )
                found[mode].append(cost)
    print(f"{options.browsers} runs at once, {options.events + 2} events each")
    for mode, costs in found.items():
        ratios = [x / y for x, y in zip(costs, found["read"], strict=True)]
        print(
            f"{MODES[mode]}: {statistics.median(costs):.1f} µs of CPU for each event,"
            f" {statistics.median(ratios):.2f} times reading"
        )


if __name__ == "__main__":
    main()
