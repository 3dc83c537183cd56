"""Run the examples of both READMEs and docs/ as tests, against a local server.

Every ``python`` block is run, in the order of its page. Blocks of a page share their
names, one event loop and one directory, ``folder``, and may use ``await`` as in
``python -m asyncio``. Of every ``console`` block the commands behind ``$`` are run, and
what they print is compared with what the block shows. A ``python`` or ``yaml`` block that
begins with ``# name.py`` is kept as that file instead, for a command to use.
"""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading

from collections.abc import Iterator
from concurrent.futures import Future
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from inspect import CO_COROUTINE
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sybil import Example, Sybil
from sybil.evaluators.python import pad
from sybil.parsers.myst import (
    CodeBlockParser,
    DocTestDirectiveParser,
    PythonCodeBlockParser,
    SkipParser,
)


if TYPE_CHECKING:
    from dify_workflow_async.local import LocalServer

API_KEY = "app-documentation"
RUNNER = "_runner"
FOLDER = "_folder"
SERVERS = "_servers"
SETTINGS = "_settings"


TESTS = Path(__file__).parent / "tests"

# What starts many processes of its own, or counts on its share of the machine.
SLOW = (str(TESTS / "distributed"), str(TESTS / "local/engine"))

# What runs the command again and again; `test_commands` does so on each Python.
ONCE, NOT_ONCE = str(TESTS / "cli"), TESTS / "cli/test_commands.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, and measure no coverage in their processes.

    That would make those slower still. The workers of pytest-xdist have been started by
    now, and are measured.
    """
    for item in items:
        if str(item.path).startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if str(item.path).startswith(ONCE) and item.path != NOT_ONCE:
            item.add_marker(pytest.mark.once)
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def demo_server() -> Iterator[LocalServer]:
    """Serve the demo app from a thread, as examples call ``asyncio.run()``."""
    from dify_workflow_async.local import App, LocalServer, demo_scenario

    started: Future[tuple[LocalServer, asyncio.AbstractEventLoop, asyncio.Event]]
    started = Future()

    async def serve() -> None:
        app = App(key=API_KEY, behaviour=demo_scenario())
        try:
            async with LocalServer([app], version="1.12.1") as server:
                stop = asyncio.Event()
                started.set_result((server, asyncio.get_running_loop(), stop))
                await stop.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=[serve()], name="demo-server")
    thread.start()
    server, loop, stop = started.result(timeout=10)
    yield server
    loop.call_soon_threadsafe(stop.set)
    thread.join(timeout=10)
    if thread.is_alive():
        pytest.fail("the local server of the documentation does not end")


@pytest.fixture
def local_server(
    demo_server: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> LocalServer:
    """Give an example the settings for the local server; it may change directory.

    Hidden blocks may look into ``local_server``.
    """
    monkeypatch.setenv("DIFY_API_KEY", API_KEY)
    monkeypatch.setenv("DIFY_BASE_URL", demo_server.base_url)
    monkeypatch.setenv("DIFY_USER", "reader")
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # which requests and httpx would ask
    monkeypatch.chdir(tmp_path)
    return demo_server


def keep(example: Example) -> bool:
    """Keep a block as the file that its first line names, if it does."""
    named = re.match(r"# ([\w-]+\.(?:py|yml))\n", example.parsed)
    if named:
        example.namespace["folder"].joinpath(named[1]).write_text(example.parsed)
    return named is not None


def evaluate(example: Example) -> None:
    """Execute a block; if it awaits at the top level, in the loop of its page."""
    if keep(example):
        return
    source = pad(example.parsed, example.line + example.parsed.line_offset)
    code = compile(
        source,
        example.path,
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    namespace = example.namespace
    os.chdir(namespace[FOLDER].name)  # which `local_server` undoes
    if code.co_flags & CO_COROUTINE:
        namespace[RUNNER].run(eval(code, namespace))  # noqa: S307
    else:
        exec(code, namespace)  # noqa: S102


def keep_yaml(example: Example) -> None:
    """Keep a block of YAML, if it names its file."""
    keep(example)


def run_console(example: Example) -> str | None:
    """Run the commands of a block; what they print, if it is not what the block shows."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    folder = example.namespace[FOLDER].name
    settings = example.namespace[SETTINGS]
    for block in example.parsed.removeprefix("$ ").split("\n$ "):
        lines = block.splitlines()
        # A command goes on behind a backslash.
        last = next(n for n, line in enumerate(lines) if not line.endswith("\\"))
        done = subprocess.run(  # noqa: S602 - the commands are ours
            "\n".join(lines[: last + 1]),
            check=False,
            shell=True,
            cwd=folder,
            # As a reader's is, who has no debug mode.
            env=os.environ | settings | {"PATH": path, "PYTHONASYNCIODEBUG": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=50,
        )
        shown = "\n".join([*lines[last + 1 :], ""])
        same = OutputChecker().check_output
        if not same(shown, done.stdout, ELLIPSIS | NORMALIZE_WHITESPACE):
            return f"{lines[0]}\nprints\n{done.stdout}\nand not\n{shown}"
    return None


def open_page(namespace: dict[str, Any]) -> None:
    """Make a page a program of its own, with a loop that outlives its blocks."""
    namespace["__name__"] = "__main__"
    namespace[RUNNER] = asyncio.Runner()
    namespace[FOLDER] = tempfile.TemporaryDirectory()
    namespace[SERVERS], namespace[SETTINGS] = [], {}
    namespace["folder"] = Path(namespace[FOLDER].name)
    namespace["serve"] = lambda *apps: serve(namespace, *apps)


def serve(namespace: dict[str, Any], *apps: str) -> None:
    """Start ``dify-workflow serve`` for the commands of a page, with what it prints."""
    command = [sys.executable, "-m", "dify_workflow_async.cli", "serve", "--port=0"]
    server = subprocess.Popen(  # noqa: S603 - the command is ours
        [*command, *apps],
        cwd=namespace["folder"],
        stdout=subprocess.PIPE,
        text=True,
    )
    namespace[SERVERS].append(server)
    for _ in range(2):
        export = re.match(r"export (\w+)=(\S+)", server.stdout.readline())
        namespace[SETTINGS][export[1]] = export[2]


def close_page(namespace: dict[str, Any]) -> None:
    """Close the loop of a page, cancelling what it left running."""
    namespace[RUNNER].close()
    for server in namespace[SERVERS]:
        server.terminate()
        server.communicate(timeout=10)
    namespace[FOLDER].cleanup()


python_blocks = PythonCodeBlockParser(doctest_optionflags=ELLIPSIS)
python_blocks.codeblock_parser = CodeBlockParser("python", evaluate)

pytest_collect_file = Sybil(
    parsers=[
        DocTestDirectiveParser(ELLIPSIS),
        python_blocks,
        CodeBlockParser("yaml", keep_yaml),
        CodeBlockParser("console", run_console),
        SkipParser(),
    ],
    patterns=["README.md", "README.zh.md", "docs/*.md", "docs/*/*.md"],
    setup=open_page,
    teardown=close_page,
    fixtures=["local_server"],
).pytest()
