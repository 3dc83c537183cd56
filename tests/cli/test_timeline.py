"""``dify-workflow timeline``, as a process and in the process of the tests."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from pathlib import Path

import pytest

from click.testing import CliRunner

from dify_workflow_async import WorkflowClient
from dify_workflow_async.cli._app import cli
from dify_workflow_async.local import App, LocalServer

from ._batches import ANSWER, STRICT


RECORDING = (
    Path(__file__).parents[1] / "recordings/dify-1.14.2/run_parallel_streaming.http"
)


def run(*arguments, **options):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONASYNCIODEBUG"}
    command = [*STRICT, "timeline", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env=env,
        **options,
    )


def invoke(*arguments):
    return CliRunner().invoke(cli, ["timeline", *map(str, arguments)])


def test_a_recording_as_a_process(tmp_path):
    """The command writes the picture, tells where it is, and nothing else."""
    done = run(RECORDING, "-o", "run.html", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "run.html\n", "")
    assert "Branch 1" in (tmp_path / "run.html").read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["run.html"]


async def test_a_batch(tmp_path):
    """The journal of a batch becomes a picture."""
    journal = tmp_path / "runs.db"
    async with (
        LocalServer([App(ANSWER)]) as server,
        WorkflowClient(server.apps[0].key, server.base_url, "u") as client,
    ):
        rows = [{"query": f"q{n}"} for n in range(3)]
        async with client.batch(rows, journal=journal) as batch:
            assert len([item async for item in batch]) == 3
    # The command has an event loop of its own.
    done = await asyncio.to_thread(invoke, journal, "-o", tmp_path / "batch.svg")
    assert (done.exit_code, done.output) == (0, f"{tmp_path / 'batch.svg'}\n")
    assert "Batch: 3 rows" in (tmp_path / "batch.svg").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such file")
def test_events_through_a_pipe(tmp_path):
    """What a command prints can be drawn without a file in between."""
    event = {"event": "node_started", "data": {"id": "1", "title": "Alone"}}
    path = tmp_path / "run.svg"
    done = run("/dev/stdin", "-o", path, input=json.dumps(event) + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Alone" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["missing", "-o", "x.svg"], 2, "Error: missing: No such file or directory"),
        ([RECORDING, "-o", "x.pdf"], 2, "drawn as .html, .svg, .png, not .pdf: x.pdf"),
        ([RECORDING, "-o", "nowhere/x.svg"], 2, "there is no folder nowhere"),
        (["empty", "-o", "x.svg"], 2, "there are no events of a run in empty"),
        (["mysql://h/d", "-o", "x.svg"], 2, "in SQLite or PostgreSQL, not in mysql"),
        ([RECORDING, "-o", f"{'x' * 300}.svg"], 2, "File name too long"),
        ([RECORDING], 2, "Missing option '-o'"),
    ],
    ids=["missing", "format", "folder", "empty", "database", "unwritable", "no-output"],
)
def test_what_cannot_be(tmp_path, monkeypatch, arguments, code, told):
    """One sentence says why, and no file is left."""
    monkeypatch.chdir(tmp_path)
    Path("empty").touch()
    done = invoke(*arguments)
    assert done.exit_code == code
    assert told in done.output
    assert list(Path().iterdir()) == [Path("empty")]


def test_without_the_extra(monkeypatch, tmp_path):
    """It tells what to install."""
    monkeypatch.setitem(sys.modules, "altair", None)
    done = invoke(RECORDING, "-o", tmp_path / "x.svg")
    assert done.exit_code == 2
    assert "pip install 'dify-workflow-async[timeline]'" in done.output
