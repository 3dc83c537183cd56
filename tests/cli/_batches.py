"""Batches as commands: a server whose answers can be held, and processes to signal."""

from __future__ import annotations

import asyncio
import csv
import os
import sys

from contextlib import asynccontextmanager
from fnmatch import fnmatch

from click.testing import CliRunner

from dify_workflow_async.cli._app import cli
from dify_workflow_async.local import App, LocalServer, Node, Scenario, Sleep, Variable
from dify_workflow_async.local.faults import Silence, Stall


# Not in development mode, in which asyncio tells of all that takes long.
STRICT = [sys.executable, "-W", "error", "-m", "dify_workflow_async.cli"]
UNWANTED = {"NO_COLOR", "TERM", "PYTHONASYNCIODEBUG"}

INPUTS = (
    Variable(variable="query", type="paragraph", required=True),
    Variable(variable="marker", type="text-input"),
)
START = Node(type="start")
END = Node(type="end", outputs={"text": "{llm.text}", "list": [1, "{query}"]})
ANSWER = Scenario(
    steps=[START, Node(type="llm", text=["About ", "{query}"], tokens=7), END],
    inputs=INPUTS,
)
FAILING = Scenario(
    steps=[START, Node(type="code", status="failed", error="boom")], inputs=INPUTS
)
ENDLESS = Scenario(steps=[START, Sleep(seconds=600)], inputs=INPUTS)


class Held:
    """A server whose streams stop after their first events, until they may go on.

    Args:
        behaviour: of its app.
        after: how many runs are answered at once before.
        events: after how many events the others stop.
        path: of requests that are held altogether, such as ``*/stop``.
    """

    def __init__(
        self,
        behaviour: Scenario = ANSWER,
        *,
        after: int = 0,
        events: int = 2,
        path: str = "",
    ) -> None:
        self.app = App(behaviour)
        self.go_on = asyncio.Event()
        self.reached = asyncio.Event()
        self._path = path
        self._after = after
        self._events = events
        self._seen = 0
        self._more = asyncio.Condition()
        self.server = LocalServer([self.app], faults=self._plan)
        self._tasks: set[asyncio.Task[None]] = set()

    def _plan(self, request):
        if fnmatch(request.path, self._path):
            self.reached.set()
            return Silence(until=self.go_on)
        if request.path != "/v1/workflows/run":
            return None
        self._seen += 1
        self._tasks.add(asyncio.create_task(self._tell()))
        if self._seen <= self._after or self.go_on.is_set():
            return None
        return Stall(after_events=self._events, until=self.go_on)

    async def _tell(self):
        async with self._more:
            self._more.notify_all()

    async def runs(self, number: int) -> None:
        """Wait until so many runs were asked for."""
        async with self._more:
            await self._more.wait_for(lambda: self._seen >= number)

    async def __aenter__(self):
        await self.server.start()
        return self

    async def __aexit__(self, *_):
        self.go_on.set()
        await self.server.aclose()
        await asyncio.gather(*self._tasks)


def environment(server, **more):
    """What a command needs to know of a server."""
    kept = {k: v for k, v in os.environ.items() if k not in UNWANTED}
    told = {
        "DIFY_BASE_URL": server.base_url,
        "DIFY_API_KEY": server.apps[0].key,
        "DIFY_USER": "u",
        "COLUMNS": "120",
    }
    return kept | told | more


class Process:
    """A command that runs.

    Attributes:
        said: what it wrote to standard error so far.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""

    @classmethod
    @asynccontextmanager
    async def start(
        cls, server, *arguments, cwd, stderr=asyncio.subprocess.PIPE, **env
    ):
        """Start a command; it is killed if the test leaves before its end."""
        process = await asyncio.create_subprocess_exec(
            *STRICT,
            *map(str, arguments),
            cwd=cwd,
            env=environment(server, **env),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def says(self, text: str) -> None:
        """Wait until it says so."""
        while text not in self.said:
            line = await self._process.stderr.readline()
            assert line, self.said
            self.said += line.decode()

    async def read(self, number: int) -> str:
        """So many bytes of its standard output, all of them ASCII."""
        return (await self._process.stdout.readexactly(number)).decode()

    async def line(self) -> str:
        """The next line of its standard output."""
        return (await self._process.stdout.readline()).decode()

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def end(self) -> tuple[int, str]:
        """Its exit status, and what it wrote to standard output."""
        out, errors = await self._process.communicate()
        self.said += (errors or b"").decode()
        return self._process.returncode, out.decode()


async def run(server, *arguments, cwd, **env):
    """Run a command to its end: exit status, standard output, standard error."""
    async with Process.start(server, *arguments, cwd=cwd, **env) as process:
        return *await process.end(), process.said


def invoke(server, *arguments, **env):
    """Run a command in a thread of this process."""
    runner = CliRunner()
    arguments = [str(each) for each in arguments]
    return asyncio.to_thread(
        runner.invoke, cli, arguments, env=environment(server, **env)
    )


def table(path, rows, query="q"):
    """A CSV of so many rows, each with a marker."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", query, "marker"])
        writer.writerows([f"{i:03}", f"question {i}", f"m{i}"] for i in range(rows))
    return path
