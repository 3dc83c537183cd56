"""``get`` and ``stop``, as processes against the local server."""

from __future__ import annotations

import json
import re

import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import Node, Pause, Sleep

from ._verbs import KEY, served


HOSTILE = "one\x1b[2J\n  two\u202e, \x9b3J"

FOREVER = Sleep(seconds=3600)


def client(place, user: str = "ada") -> WorkflowClient:
    return WorkflowClient(KEY, place.server.base_url, user)


@pytest.mark.parametrize("verb", ["get", "stop"])
async def test_help(verb):
    """Each tells how it is used, and what its exit statuses mean."""
    async with served() as place:
        done = await place.process(verb, "--help")

    assert done.status == 0
    assert "Usage: dify-workflow" in done.out
    assert re.search(r"130 +interrupted", done.out)
    options = done.out.partition("Exit status")[0]
    assert max(map(len, options.splitlines())) <= 80


async def test_get_a_run():
    """Its state, inputs and outputs are told; nothing in them steers the terminal."""
    async with served(Node(type="end", outputs={"text": HOSTILE, "n": 3})) as place:
        async with client(place) as own:
            run = await own.run({"topic": "rivers"})
        done = await place.process("get", str(run.workflow_run_id))
        told = await place.run("get", str(run.workflow_run_id), "--json")

    assert (done.status, done.err) == (0, "")
    facts = [line.split(None, 1) for line in done.lines]
    assert ["run", run.workflow_run_id] in facts
    assert ["status", "succeeded"] in facts
    assert any(line.startswith("input topic") for line in done.lines)
    assert "output text" in done.out
    assert re.search(r"one\ufffd\[2J\n +two", done.out)  # lines are kept
    assert not set("\x1b\x9b\u202e") & set(done.out + told.out)
    detail = json.loads(told.out)
    assert (detail["id"], detail["status"]) == (run.workflow_run_id, "succeeded")
    outputs = detail["outputs"]
    outputs = json.loads(outputs) if isinstance(outputs, str) else outputs
    assert outputs == {"text": HOSTILE, "n": 3}


async def test_get_a_run_on_a_terminal():
    """A terminal of 80 columns gets no longer line, and colours only if it may."""
    text = "word " * 60
    async with served(Node(type="end", outputs={"text": text})) as place:
        async with client(place) as own:
            run = await own.run()
        wanted = ("get", str(run.workflow_run_id))
        done = await place.on_terminal(*wanted)
        forced = await place.run(*wanted, FORCE_COLOR="1", TTY_COMPATIBLE="1")
        plain = await place.on_terminal(*wanted, NO_COLOR="1")

    assert "\x1b[32m" in done.out  # green
    assert "\x1b[32m" not in plain.out
    assert plain.width <= 80
    assert "\x1b" not in forced.out  # it is a pipe, whatever else is said
    assert text.strip() in forced.out


async def test_get_no_run():
    """What the server does not know is told in a sentence, with status 1."""
    async with served() as place:
        done = await place.run("get", "11111111-1111-4111-8111-111111111111")

    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("Error: ")


async def begun(own: WorkflowClient):
    """A run that goes on by itself."""
    async with own.stream({}, on_cancel="detach") as run:
        ref = await run.begun()
        run.detach()
    return ref


async def test_stop_by_the_task_id():
    """The server is asked; it does not tell what became of the run."""
    async with served(Node(type="llm"), FOREVER) as place, client(place) as own:
        ref = await begun(own)
        done = await place.process("stop", str(ref.task_id))
        run = await own.wait(ref, timeout=10, check=False)

    assert (done.status, done.err) == (0, "")
    assert done.out == f"asked the server to stop task {ref.task_id}\n"
    assert run.status == "stopped"


@pytest.mark.parametrize("stop_status", ["stopped", "failed"])
async def test_stop_by_the_run_id(stop_status):
    """The task id is learnt from the next event, for the user who started the run."""
    ticks = [
        step for _ in range(400) for step in (Node(type="code"), Sleep(seconds=0.1))
    ]
    app = {"stop_status": stop_status}
    async with served(*ticks, app=app) as place, client(place, "grace") as own:
        ref = await begun(own)
        done = await place.run("stop", ref.workflow_run_id, "--json")

    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == {
        "task_id": ref.task_id,
        "run_id": ref.workflow_run_id,
        "status": "stopped",
        "was_over": False,
    }


async def test_stop_a_run_that_is_over():
    """Nothing is asked for, and that is told."""
    async with served(Node(type="end")) as place:
        async with client(place) as own:
            run = await own.run()
        done = await place.run("stop", str(run.workflow_run_id))
        stops = [x for x in place.server.requests if x.path.endswith("/stop")]

    assert done.status == 0
    assert "nothing to stop" in done.out
    assert stops == []


async def test_stop_a_run_that_waits_for_a_person():
    """Servers stop no such run: the sentence says what to do instead."""
    async with served(Pause()) as place, client(place) as own:
        async with own.stream() as stream:
            await stream.result()
        done = await place.run("stop", str(stream.workflow_run_id))

    assert done.status == 2
    assert "answer its form" in done.err


async def test_stop_a_silent_run():
    """Without an event the task id stays unknown, and the sentence says what to do."""
    async with served(Node(type="llm"), FOREVER) as place, client(place) as own:
        ref = await begun(own)
        done = await place.run("stop", ref.workflow_run_id, "--timeout", "0.5")
        await own.stop(ref)

    assert done.status == 2
    assert "within 0.5 s" in done.err
    assert "--timeout" in done.err


@pytest.mark.parametrize(
    ("version", "says"),
    [("1.12.1", "before 1.14"), ("1.14.2", "another end user")],
    ids=["an old server", "another user"],
)
async def test_stop_by_a_run_id_that_does_not_do(version, says):
    """Where the task id cannot be learnt, the sentence says why."""
    async with (
        served(Node(type="llm"), FOREVER, version=version) as place,
        client(place) as own,
    ):
        ref = await begun(own)
        done = await place.run("stop", ref.workflow_run_id, "--user", "somebody")
        await own.stop(ref)

    assert done.status == 2
    assert says in done.err


async def test_without_a_server():
    """A server that is not there is another exit status than one that says no."""
    async with served() as place:
        pass
    done = await place.run("get", "x")

    assert done.status == 3
    assert done.err.startswith("Error: no connection")
