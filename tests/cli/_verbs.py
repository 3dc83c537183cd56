"""A server with an app, and the command beside it: as a process, or in a thread."""

from __future__ import annotations

import asyncio
import os
import re
import sys

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import attrs

from click.testing import CliRunner

from dify_workflow_async.cli._app import cli
from dify_workflow_async.local import App, LocalServer, Scenario

from ._stderr import faults


KEY = "app-s3cr3t0f7h3c0mm4nd"

COMMAND = [sys.executable, "-W", "error", "-X", "dev", "-m", "dify_workflow_async.cli"]

# What a person sees must not depend on who runs the tests.
_FOREIGN = ("DIFY_", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "SSL_", "TTY_")


@attrs.frozen
class Done:
    """A command that has ended; no key is in what it said."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed, line by line."""
        return self.out.splitlines()

    @property
    def width(self) -> int:
        """Of the longest line, without what styles it."""
        bare = re.sub(r"\x1b\[[0-9;]*m", "", self.out)
        return max(len(line.rstrip()) for line in bare.splitlines())

    def checked(self) -> Done:
        """The same, if it shows no key and no traceback."""
        assert KEY not in self.out + self.err
        assert "Traceback" not in self.err, self.err
        return self


def settings(base_url: str | None = None, **more: str) -> dict[str, str]:
    """The environment for a command: none of the tester's own settings."""
    kept = {x: y for x, y in os.environ.items() if not x.startswith(_FOREIGN)}
    own = {"DIFY_API_KEY": KEY, "DIFY_WORKFLOW_CONFIG": "/nowhere/config.toml"}
    if base_url is not None:
        own["DIFY_BASE_URL"] = base_url
    return kept | own | more


@asynccontextmanager
async def begin(
    *arguments: str, env: dict[str, str], stdin: int | None = asyncio.subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the command; what is left of it at the end is killed."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=env,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ended(
    process: asyncio.subprocess.Process, given: bytes | None = None
) -> Done:
    """Wait for a command's end."""
    out, err = await process.communicate(given)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), faults(err)).checked()


class OnTerminal(CliRunner):
    """Gives commands a standard output that says it were a terminal."""

    @contextmanager
    def isolation(self, *args: Any, **options: Any) -> Iterator[Any]:
        """Let standard output be one, too."""
        with super().isolation(*args, **options) as streams:
            out: Any = sys.stdout
            out.isatty = lambda: True
            yield streams


def invoked(
    arguments: tuple[str, ...],
    env: dict[str, str],
    given: bytes | None = None,
    kind: type[CliRunner] = CliRunner,
) -> Done:
    """Run the command in this thread, which takes a tenth of a process's time."""
    unset = dict.fromkeys(x for x in os.environ if x not in env)
    runner = kind(env={**unset, **env})
    result = runner.invoke(cli, arguments, input=given, prog_name="dify-workflow")
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr).checked()


@attrs.frozen
class Served:
    """A local server, and commands that use it."""

    server: LocalServer
    app: App

    async def run(
        self, *arguments: str, given: bytes | None = None, **env: str
    ) -> Done:
        """Run the command to its end, in a thread."""
        own = settings(self.server.base_url, **env)
        return await asyncio.to_thread(partial(invoked, arguments, own, given))

    async def on_terminal(self, *arguments: str, **env: str) -> Done:
        """Run the command to its end, in a thread, as if on 80 columns."""
        shown = {"COLUMNS": "80", "TERM": "xterm"} | env
        own = settings(self.server.base_url, **shown)
        return await asyncio.to_thread(invoked, arguments, own, None, OnTerminal)

    async def process(
        self, *arguments: str, given: bytes | None = None, **env: str
    ) -> Done:
        """Run the command to its end, as a process."""
        stdin = asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE
        own = settings(self.server.base_url, **env)
        async with begin(*arguments, env=own, stdin=stdin) as process:
            return await ended(process, given)


@asynccontextmanager
async def served(
    *steps: Any, app: dict[str, Any] | None = None, inputs: Any = None, **options: Any
) -> AsyncIterator[Served]:
    """Serve an app that plays *steps*."""
    one = App(Scenario(steps=steps, inputs=inputs), key=KEY, **(app or {}))
    async with LocalServer([one], **options) as server:
        yield Served(server, one)
