"""One engine process, as the server sees it."""

import asyncio
import sys

from collections.abc import Mapping
from typing import Any, Final

from .._errors import DslError
from ._frames import Message, pack, receive
from ._workflow import Workflow


_MODULE: Final = "dify_workflow_async.local.engine.worker"

LOST: Final = "the engine's process has ended"

# How long a process that was told to end may take.
_PATIENCE: Final = 5.0


class EngineProcess:
    """A process with the engine: many graphs, many runs.

    Attributes:
        runs: Where the facts of each run under way go.
    """

    def __init__(self) -> None:
        self.runs: dict[str, asyncio.Queue[Message]] = {}
        self._loaded: dict[int, asyncio.Future[None]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked for anything."""
        return self._reader is not None and not self._reader.done()

    async def start(self, hello: Mapping[str, Any]) -> None:
        """Start the process, and tell it about the server; it answers later."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _MODULE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self._reader = asyncio.create_task(
            self._read(self._process.stdout), name="engine process"
        )
        self.send({"do": "hello", **hello})

    async def load(self, number: int, workflow: Workflow) -> None:
        """Let it load a graph; without effect on one that is loaded.

        Args:
            number: What the graph is called from now on.
            workflow: What it is the graph of.

        Raises:
            DslError: The engine refuses it.
        """
        if number not in self._loaded:
            future = asyncio.get_running_loop().create_future()
            self._loaded[number] = future
            described = workflow.describe()
            self.send({"do": "load", "graph": number, "workflow": described})
        # Whoever stops waiting must not stop the others.
        await asyncio.shield(self._loaded[number])

    def send(self, message: Message) -> None:
        """Send it a message.

        It reads all the time, so nothing has to be waited for.
        """
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(pack(message))

    async def aclose(self) -> None:
        """End the process, and its runs with it."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reader

    async def _read(self, stream: asyncio.StreamReader) -> None:
        """Hand out what it tells, until it ends."""
        try:
            while (message := await receive(stream)) is not None:
                if "loaded" in message:
                    self._note(message)
                elif (facts := self.runs.get(message.get("run", ""))) is not None:
                    facts.put_nowait(message)
        finally:
            self._bury()

    def _note(self, message: Message) -> None:
        future = self._loaded[message["loaded"]]
        if future.done():
            return
        if message["problem"] is None:
            future.set_result(None)
        else:
            future.set_exception(DslError("", message["problem"]))

    def _bury(self) -> None:
        """Tell everybody who waits for it that it is gone."""
        for facts in self.runs.values():
            facts.put_nowait({"fact": "failed", "error": LOST})
        for future in self._loaded.values():
            if not future.done():
                future.set_exception(DslError("", LOST))
