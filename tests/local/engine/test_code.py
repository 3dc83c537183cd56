"""The Python of code nodes: its limits, and what is told of its faults."""

from __future__ import annotations

import time

import attrs
import pytest

from dify_workflow_async.local import App, CodeLimits

from . import _dsl as dsl


pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMITS = CodeLimits(seconds=0.5, megabytes=200, output_megabytes=2)


@pytest.fixture
def run(apps, server, play):
    """Give a function that runs code with limits, and gives the end of its run."""

    async def execute(source, outputs=None, limits=LIMITS):
        node = dsl.code(source, outputs)
        told = {name: f"code.{name}" for name in outputs or {"r": "string"}}
        text = dsl.line(dsl.start(), node, dsl.end(**told))
        app = server.add(App.from_dsl(text, code=limits))
        return (await play(server, app))[-1]["data"]

    return execute


async def test_code_gives_values(run):
    """What it returns is what the node gives; what it prints is not in the way."""
    source = "def main():\n  print('<noise>')\n  return {'r': 'é\\u2028', 'n': 1.5}"
    end = await run(source, {"r": "string", "n": "number"})
    assert end["outputs"] == {"r": "é\u2028", "n": 1.5}


async def test_code_does_not_see_the_environment(run):
    """What is in the environment, such as keys, is not passed on."""
    source = "import os\ndef main():\n  return {'r': ' '.join(os.environ)}"
    end = await run(source)
    told = set(end["outputs"]["r"].split())
    assert told <= {"PATH", "HOME", "LANG", "TMPDIR", "LC_CTYPE"}


async def test_code_that_takes_too_long(run):
    """It is ended, and the run fails soon."""
    began = time.monotonic()
    end = await run("def main():\n  while True: pass")
    assert "more than 0.5 s" in end["error"]
    assert time.monotonic() - began < 5


async def test_code_that_takes_too_much_memory(run):
    """It fails with Python's own word for it."""
    end = await run("def main():\n  return {'r': str(len(bytearray(10**9)))}")
    assert end["status"] == "failed"
    assert "MemoryError" in end["error"]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_code_that_prints_too_much(run, stream):
    """It is ended long before its time, and the error says why."""
    began = time.monotonic()
    source = f"import sys\ndef main():\n  while True: sys.{stream}.write('x' * 65536)"
    end = await run(source, limits=attrs.evolve(LIMITS, seconds=60))
    assert end["status"] == "failed"
    assert "the code printed more than 2 MB" in end["error"]
    assert time.monotonic() - began < 30


async def test_code_that_prints_much(run):
    """What is within the limit is no harm, on both streams."""
    source = (
        "import sys\ndef main():\n  print('x' * 10**6, file=sys.stderr)\n"
        "  print('x' * 10**6)\n  return {'r': 'a'}"
    )
    end = await run(source, limits=attrs.evolve(LIMITS, seconds=60))
    assert end["outputs"] == {"r": "a"}


async def test_code_that_prints_nothing_more(run):
    """Code that has closed what it prints to is still ended in time."""
    source = "import os\ndef main():\n  os.close(1); os.close(2)\n  while True: pass"
    end = await run(source)
    assert "more than 0.5 s" in end["error"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def main(): return 1", "must be a dict"),
        ("def main(): return {}", "r"),
        ("def main(:", "SyntaxError"),
        ("import sys\ndef main(): sys.exit(3)", "exit status 3"),
        ("def main(): return {'r': 1}", "r"),
    ],
)
async def test_code_that_is_wrong(run, source, says):
    """The run fails, and its error says why."""
    end = await run(source)
    assert end["status"] == "failed"
    assert says in end["error"]
