"""``dify-workflow attach`` and ``wait``: runs that were started before, by `run -d`."""

from __future__ import annotations

import json
import signal

import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import (
    App,
    LocalServer,
    Loop,
    Node,
    Pause,
    Scenario,
    Sleep,
)

from ._batches import Process, invoke, run
from ._terminal import Terminal


START = Node(type="start", title="Start")
END = Node(type="end", title="End", outputs={"text": "done"})
PAUSED = Scenario(steps=[START, Pause(title="Approve"), END])
ENDLESS = Scenario(steps=[START, Sleep(seconds=600)])
QUICK = Scenario(steps=[START, END])


async def detached(server, tmp_path, *words):
    """Start a run, and give what the command tells of it."""
    code, told, errors = await run(server, "run", "--detach", *words, cwd=tmp_path)
    assert (code, errors) == (0, "")
    return told


async def answered(server):
    """Answer the form of the first run."""
    (form,) = server.runs[0].forms
    async with WorkflowClient(server.apps[0].key, server.base_url, "u") as client:
        await client.submit_form(form.token, action="approve")


async def test_detached(tmp_path):
    """A run is started, its ids are told, and it goes on."""
    async with LocalServer([App(ENDLESS)]) as server:
        told = json.loads(await detached(server, tmp_path))
        (started,) = server.runs
        assert told == {
            "workflow_run_id": started.id, "task_id": started.task_id, "user": "u",
        }  # fmt: skip
        assert started.status == "running"

        for style, shape in [
            ("table", "run   {}\ntask  {}\nuser  u\n"),
            ("text", "{}\n"),
        ]:
            told = await detached(server, tmp_path, "-o", style)
            newest = server.runs[-1]
            assert told == shape.format(newest.id, newest.task_id)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("-d --timeline x.html", "--detach does not wait for what --timeline"),
        ("-d --json --download x", "for what --json, --download is to have"),
        ("-d --save-audio x.mp3", "--save-audio"),
        ("--json -o text", "--json prints events and no result"),
    ],
)
async def test_options_that_exclude_each_other(words, says):
    """None is dropped without a word, and nothing is run."""
    async with LocalServer([App(QUICK)]) as server:
        result = await invoke(server, "run", *words.split())
        assert server.runs == []
    assert result.exit_code == 2
    assert says in result.stderr


async def test_attach(tmp_path):
    """What ran before is told, then what comes, then the result."""
    async with LocalServer([App(PAUSED)]) as server:
        run_id = (await detached(server, tmp_path, "-o", "text")).strip()
        async with Process.start(
            server, "attach", run_id, "--continue-on-pause", cwd=tmp_path
        ) as process:
            await process.says("Start succeeded")
            await answered(server)
            code, told = await process.end()

    assert (code, json.loads(told)) == (0, {"text": "done"})
    assert "End succeeded" in process.said


async def test_attach_to_a_run_that_waits(tmp_path):
    """Without --continue-on-pause the pause is the end, and the form is told."""
    async with LocalServer([App(PAUSED)]) as server:
        run_id = (await detached(server, tmp_path, "-o", "text")).strip()
        code, told, errors = await run(server, "attach", run_id, cwd=tmp_path)
        token = server.runs[0].forms[0].token

    assert (code, told) == (5, "")
    assert f"dify-workflow form {token} --action approve" in errors


async def test_attach_in_a_terminal(tmp_path):
    """The tree has what ran before; Ctrl-C leaves the run alone."""
    async with LocalServer([App(ENDLESS)]) as server:
        run_id = (await detached(server, tmp_path, "-o", "text")).strip()
        async with Terminal.start(server, "attach", run_id, cwd=tmp_path) as terminal:
            await terminal.until("└─ ✓ Start")
            terminal.type("\x03")
            assert await terminal.end() == 130
        assert server.runs[0].status == "running"
    assert f"left: the run may go on; `dify-workflow attach {run_id}" in (
        terminal.whole.replace("\n", "")
    )


async def test_attach_and_stop(tmp_path):
    """With --on-cancel stop an interrupt stops the run, once an event told its task."""
    step = Node(type="code", title="Code", delay=0.05)
    lively = Scenario(steps=[Loop(count=10_000, steps=[step])])
    async with LocalServer([App(lively)]) as server:
        run_id = (await detached(server, tmp_path, "-o", "text")).strip()
        words = ("attach", run_id, "--on-cancel", "stop", "--timeout", "50")
        async with Process.start(server, *words, cwd=tmp_path) as process:
            await process.says("Code succeeded")
            process.send(signal.SIGINT)
            code, _ = await process.end()

        assert (code, server.runs[0].status) == (130, "stopped")
    assert process.said.endswith("the run has ended stopped\n")


async def test_attach_to_an_old_server(tmp_path):
    """It cannot, and the sentence names what can."""
    async with LocalServer([App(QUICK)], version="1.12.1") as server:
        await invoke(server, "run", "-q")
        run_id = server.runs[0].id
        result = await invoke(server, "attach", run_id)

    assert result.exit_code == 1
    assert f"`dify-workflow wait {run_id}` works with all" in result.stderr


@pytest.mark.parametrize("verb", ["attach", "wait"])
async def test_no_such_run(verb):
    """It is told as the server tells it."""
    async with LocalServer([App(QUICK)]) as server:
        result = await invoke(server, verb, "00000000-0000-4000-8000-000000000000")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "404" in result.stderr
    assert "works with all" not in result.stderr


async def test_wait(tmp_path):
    """It reads the run until it has ended, and prints the result."""
    async with LocalServer([App(PAUSED)]) as server:
        run_id = (await detached(server, tmp_path, "-o", "text")).strip()
        await answered(server)
        code, told, errors = await run(server, "wait", run_id, cwd=tmp_path)

    assert (code, json.loads(told), errors) == (0, {"text": "done"}, "")


async def test_wait_for_a_run_that_waits_itself(tmp_path):
    """A pause is an end; the status tells."""
    async with LocalServer([App(PAUSED)]) as server:
        run_id = (await detached(server, tmp_path, "-o", "text")).strip()
        code, told, errors = await run(
            server, "wait", run_id, "-o", "json", cwd=tmp_path
        )

    assert (code, json.loads(told)["status"]) == (5, "paused")
    assert errors.splitlines() == [
        "the run waits for a person",
        f"then follow it: dify-workflow attach {run_id}",
    ]


async def test_wait_no_longer(tmp_path):
    """When the time is up the run may still be going, which the status tells."""
    async with LocalServer([App(ENDLESS)]) as server:
        run_id = (await detached(server, tmp_path, "-o", "text")).strip()
        code, told, errors = await run(
            server, "wait", run_id, "--timeout", "0.3", cwd=tmp_path
        )

    assert (code, told) == (4, "")
    assert run_id in errors


async def test_wait_in_a_terminal(tmp_path):
    """It tells what it waits for; Ctrl-C ends the waiting."""
    async with LocalServer([App(ENDLESS)]) as server:
        run_id = (await detached(server, tmp_path, "-o", "text")).strip()
        async with Terminal.start(server, "wait", run_id, cwd=tmp_path) as terminal:
            await terminal.until(f"waiting for run {run_id}")
            terminal.type("\x03")
            assert await terminal.end() == 130
        assert server.runs[0].status == "running"
    assert terminal.shows_cursor
    assert "Traceback" not in terminal.whole
