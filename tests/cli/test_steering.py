"""What servers write goes to terminals with nothing in it that steers them."""

from __future__ import annotations

import csv
import io
import json
import shlex

import pytest

from dify_workflow_async.cli._text import command_line
from dify_workflow_async.local import (
    App,
    LocalServer,
    Node,
    Scenario,
    Variable,
)

from ._batches import run
from ._terminal import Terminal


EVIL = "a\x1b]0;T\x07\x1b[31m\x9b32m\x7f\u202eb"
RAW = [b"\x1b]0;T", b"\x1b[31m", b"\x9b32m", b"\xc2\x9b", b"\x7f", "\u202e".encode()]
START = Node(type="start", title="Start")
STREAMED = Scenario(
    steps=[
        START,
        Node(type="llm", title="Model", text=[EVIL, "\n"]),
        Node(type="end", outputs={"text": "{llm.text}"}),
    ]
)
SILENT = Scenario(steps=[START, Node(type="end", outputs={"text": EVIL})])
FAILING = Scenario(steps=[Node(type="code", status="failed", error=EVIL)])


def steers(raw: bytes) -> bool:
    """True if a terminal was steered by what the server wrote."""
    return any(piece in raw for piece in RAW)


@pytest.mark.parametrize("scenario", [STREAMED, SILENT], ids=["streamed", "at the end"])
async def test_a_text(tmp_path, scenario):
    """A terminal gets it without what steers; a pipe gets each character."""
    words = ("run", "-q", "-o", "text")
    async with LocalServer([App(scenario)]) as server:
        async with Terminal.start(server, *words, cwd=tmp_path) as terminal:
            assert await terminal.end() == 0
        code, told, _ = await run(server, *words, cwd=tmp_path)

    assert "a�]0;T��[31m�32m��b" in terminal.whole
    assert not steers(terminal.raw)
    assert (code, told) == (0, f"{EVIL}\n")


async def test_events(tmp_path):
    """A terminal gets escapes, which mean the same; a pipe what the server wrote."""
    words = ("run", "--json")
    async with LocalServer([App(SILENT)]) as server:
        async with Terminal.start(
            server, *words, cwd=tmp_path, columns=2000
        ) as terminal:
            assert await terminal.end() == 0
        code, told, _ = await run(server, *words, cwd=tmp_path)

    assert not steers(terminal.raw)
    *_, shown = map(json.loads, terminal.whole.splitlines())
    *_, piped = told.splitlines()
    assert shown["data"]["outputs"] == {"text": EVIL}
    assert code == 0
    assert json.loads(piped)["data"]["outputs"] == {"text": EVIL}
    assert "\x9b32m\x7f\u202e" in piped


async def test_the_log_as_csv(tmp_path):
    """As for texts: it is the error of a run that is shown."""
    async with LocalServer([App(FAILING)]) as server:
        await run(server, "run", "-q", cwd=tmp_path)
        async with Terminal.start(
            server, "logs", "--csv", cwd=tmp_path, columns=500
        ) as terminal:
            assert await terminal.end() == 0
        _, told, _ = await run(server, "logs", "--csv", cwd=tmp_path)

    assert "a�]0;T��[31m�32m��b" in terminal.whole
    assert not steers(terminal.raw)
    (row,) = csv.DictReader(io.StringIO(told))
    assert row["error"] == EVIL


async def test_a_default(tmp_path):
    """What a form proposes is shown safely, and answered as it is."""
    form = [Variable(variable="topic", label="Topic", required=True, default=EVIL)]
    scenario = Scenario(inputs=form, steps=[START])
    async with (
        LocalServer([App(scenario)]) as server,
        Terminal.start(server, "run", cwd=tmp_path) as terminal,
    ):
        await terminal.until("Topic [a�]0;T��[31m�32m��b]:")
        terminal.type("\r")
        assert await terminal.end() == 0, terminal.whole
        (one,) = server.runs
        assert one.inputs["topic"] == EVIL
    assert not steers(terminal.raw)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["attach", "6f-1"], "dify-workflow attach 6f-1"),
        (["attach", "1; rm -rf ~"], "dify-workflow attach '1; rm -rf ~'"),
        (["attach", "--help"], "dify-workflow attach -- --help"),
        (["form", "-t", "--action", "a b"], "dify-workflow form --action 'a b' -- -t"),
        (["attach", "a\x1b[31m\nb"], "dify-workflow attach 'a�[31m�b'"),
        (["form", "x" * 400], "dify-workflow form " + "x" * 400),
    ],
    ids=ascii,
)
def test_a_command_to_copy(words, line):
    """Each word stays one, none is cut, and none steers."""
    assert command_line(*words) == line
    assert len(shlex.split(line)) >= len(words) + 1
