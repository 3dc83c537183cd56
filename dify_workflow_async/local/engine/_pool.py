"""Engines: the processes that the graphs of a server run in."""

import asyncio
import os

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from .._uploads import FileStore
from ._frames import ENDS, Message
from ._process import LOST, EngineProcess
from ._workflow import Workflow


# More processes than that only take memory: each has the engine's 150 MB.
_MOST: Final = 4


class Session:
    """The line to one run on an engine.

    Args:
        process: Where it runs.
        graph: What the process calls the graph.
        run_id: The run.
    """

    def __init__(self, process: EngineProcess, graph: int, run_id: str) -> None:
        self._process = process
        self._graph = graph
        self._run_id = run_id
        self._facts: asyncio.Queue[Message] = asyncio.Queue()
        process.runs[run_id] = self._facts
        if not process.is_alive:  # it has just died, and told the others before
            self._facts.put_nowait({"fact": "failed", "error": LOST})
        self._ended = False

    def begin(self, order: Message) -> None:
        """Begin the run."""
        self._send("run", graph=self._graph, **order)

    def resume(self, answers: dict[str, Any]) -> None:
        """Let the run go on after a pause."""
        self._send("resume", answers=answers)

    async def hear(self) -> Message | None:
        """Hear what happens next; ``None`` after the end of the run."""
        if self._ended:
            return None
        fact = await self._facts.get()
        self._ended = fact["fact"] in ENDS
        return fact

    def close(self) -> None:
        """Hear no more; a run that is still going is stopped."""
        del self._process.runs[self._run_id]
        if not self._ended and self._process.is_alive:
            self._send("stop")

    def _send(self, do: str, **more: Any) -> None:
        self._process.send({"do": do, "run": self._run_id, **more})


class Engines:
    """The engine processes of a server, started when they are first needed.

    Args:
        files: The files of the server.
        count: How many processes; ``None`` leaves one processor to the server.
    """

    def __init__(self, files: FileStore, count: int | None = None) -> None:
        spare = (os.cpu_count() or 1) - 1
        self._count = min(max(1, spare), _MOST) if count is None else count
        self._files = files
        self._processes: list[EngineProcess] = []
        self._numbers: dict[Workflow, int] = {}
        self._starting = asyncio.Lock()

    async def load(self, workflow: Workflow) -> None:
        """Let every process load a workflow.

        Raises:
            DslError: The engine refuses it.
        """
        await self._fill()
        number = self._numbers.setdefault(workflow, len(self._numbers))
        await asyncio.gather(
            *(process.load(number, workflow) for process in self._processes)
        )

    @asynccontextmanager
    async def open(self, workflow: Workflow, run_id: str) -> AsyncGenerator[Session]:
        """Open a line to a new run, on the process that has the fewest.

        Raises:
            DslError: The engine refuses the workflow.
        """
        await self.load(workflow)
        process = min(self._processes, key=lambda one: len(one.runs))
        session = Session(process, self._numbers[workflow], run_id)
        try:
            yield session
        finally:
            session.close()

    async def aclose(self) -> None:
        """End all processes."""
        processes, self._processes = self._processes, []
        await asyncio.gather(*(process.aclose() for process in processes))

    async def _fill(self) -> None:
        """Start the processes that are not there, or no longer."""
        async with self._starting:
            dead = [one for one in self._processes if not one.is_alive]
            self._processes = [one for one in self._processes if one.is_alive]
            for process in dead:
                await process.aclose()
            while len(self._processes) < self._count:
                process = EngineProcess()
                await process.start(self._hello())
                self._processes.append(process)

    def _hello(self) -> Message:
        links = self._files.links
        return {
            "folder": str(self._files.folder),
            "base_url": links.base_url,
            "secret": links.secret.hex(),
            "access_timeout": links.access_timeout,
        }
