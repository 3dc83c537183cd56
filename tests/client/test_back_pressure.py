"""A consumer that sleeps slows the socket, not the heap.

Each reader is a process of its own, and is measured by its resident size while the
server has as much to send as it likes.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from pathlib import Path

import pytest

import dify_workflow_async


MB = 1 << 20
OFFERED = 64 * MB
MAY_BE_MORE = 4 * MB

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/statm").exists(), reason="resident sizes are Linux's"
    ),
]


@pytest.fixture
async def measure(wild, frame):
    """Give a function that has one reader sleep, and gives its resident size."""

    async def resident(how: str, text: str) -> int:
        one = frame("text_chunk", text=text)
        block = one * max(1, 64 * 1024 // len(one))
        taken = 0

        async def pour(peer) -> None:
            nonlocal taken
            await peer.begin()
            while taken < OFFERED:
                await peer.send(block)
                taken += len(block)
            await peer.gone()

        server = await wild(pour)
        reader = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(Path(__file__).with_name(f"{READER}.py"))),
            *(how, server.base_url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": PACKAGE, "PYTHONASYNCIODEBUG": ""},
        )
        assert reader.stdin is not None
        assert reader.stdout is not None
        try:
            assert await reader.stdout.readline() == b"begun\n"
            before = -1
            while before != taken:  # nobody tells that nothing more is taken
                before = taken
                await asyncio.sleep(0.2)
            assert before < OFFERED / 2, "the reader read on while it slept"
            reader.stdin.write(b"\n")
            return int(await reader.stdout.readline())
        finally:
            reader.stdin.close()
            await reader.wait()

    return resident


READER = "_sleeping_reader"
PACKAGE = str(Path(dify_workflow_async.__file__).parents[1])


@pytest.mark.parametrize("length", [20, 50_000], ids=["tokens", "large events"])
@pytest.mark.parametrize(
    ("how", "at_work"),
    [("iterating", 1), ("generating", 1), ("handling", 1), ("concurrent", 100)],
)
async def test_a_consumer_that_sleeps(how, at_work, length, measure):
    """Its process has at most 4 MB more than one that reads with aiohttp alone.

    Beside those come the events that are being handled, and their share of the run's
    text: with the hundred handlers that there may be, a hundred.
    """
    text = "x" * length
    bare = await measure("bare", text)
    ours = await measure(how, text)
    print(f"{how}: {(ours - bare) / MB:+.2f} MB on {bare / MB:.1f}")  # noqa: T201
    assert ours - bare < MAY_BE_MORE + 2 * at_work * length
