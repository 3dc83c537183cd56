"""A process with a journal, which does what it is told on its standard input.

``python _peer.py WHERE LEASE HEARTBEAT``; a line of JSON for each command and answer.
"""

from __future__ import annotations

import asyncio
import json
import sys

from pathlib import Path
from typing import Any, Self

from dify_workflow_async.batch._values import Record, Row, State
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.errors import LeaseLost
from dify_workflow_async.models import RunRef


# -- in the process ------------------------------------------------------------------


def row_of(key: str) -> Row:
    """The row that a key stands for in these tests."""
    return Row(index=0, key=key, inputs={"key": key}, digest="d")


async def obey(journal: Journal, command: str, keys: list[str]) -> Any:
    """Do what was told with each of the rows."""
    rows = [row_of(key) for key in keys]
    match command:
        case "offer":
            return [claim.verdict.value for claim in await journal.offer(rows)]
        case "known":
            for row in rows:
                await journal.known(row, RunRef(workflow_run_id=f"run-{row.key}"))
        case "finish":
            for row in rows:
                await journal.finish(
                    Record(key=row.key, digest=row.digest, state=State.SUCCEEDED)
                )
        case "sure":
            return journal.is_sure
    return None


async def serve(where: str, lease: float, heartbeat: float) -> None:
    """Obey until the input ends."""
    async with Journal.open(where, lease=lease, heartbeat=heartbeat) as journal:
        print(json.dumps("ready"), flush=True)  # noqa: T201
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                answer = await obey(journal, *json.loads(line))
            except LeaseLost as error:
                answer = f"lost {error.key}"
            print(json.dumps(answer), flush=True)  # noqa: T201


# -- in the tests --------------------------------------------------------------------


class Peer:
    """Such a process, as the tests see it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, where: str, *, lease: float, heartbeat: float) -> Self:
        """Start one, and wait until it has opened its journal."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__)),
            where,
            str(lease),
            str(heartbeat),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        peer = cls(process)
        assert await peer.answer() == "ready"
        return peer

    async def answer(self) -> Any:
        """The next answer."""
        return json.loads(await self.process.stdout.readline())

    async def do(self, command: str, *keys: str) -> Any:
        """Tell it to do something, and wait until it has."""
        self.process.stdin.write(json.dumps([command, keys]).encode() + b"\n")
        await self.process.stdin.drain()
        return await self.answer()

    async def end(self) -> None:
        """Have it close its journal and end; or see that it has ended."""
        self.process.stdin.close()
        await self.process.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
