"""``form``: what a paused run asks, and its answer."""

from __future__ import annotations

import json
import re

import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import Node, Pause

from ._verbs import KEY, served


FIELDS = [
    {"output_variable_name": "comment", "type": "paragraph"},
    {
        "output_variable_name": "tone",
        "type": "select",
        "option_source": {
            "type": "constant",
            "selector": [],
            "value": ["kind", "firm"],
        },
    },
]
BUTTONS = [
    {"id": "send", "title": "Send\x1b[2J", "button_style": "primary"},
    {"id": "drop", "title": "Drop", "button_style": "default"},
]
QUESTION = Pause(
    form_content="Send this\nto {name}?",
    inputs=FIELDS,
    actions=BUTTONS,
    default_values={"comment": "as it is"},
)
STEPS = (QUESTION, Node(type="end", outputs={"said": "{human.comment}"}))


async def paused(place, **inputs) -> str:
    """Let a run wait; the token of its form."""
    async with (
        WorkflowClient(KEY, place.server.base_url, "ada") as own,
        own.stream({"name": "Grace", **inputs}) as run,
    ):
        result = await run.result()
    return str(result.reasons[0].form_token)


async def test_help():
    """It tells how a form is answered."""
    async with served() as place:
        done = await place.process("form", "--help")

    assert done.status == 0
    assert "--action" in done.out
    assert re.search(r"130 +interrupted", done.out)


async def test_show():
    """Its text, its fields, its buttons and its end."""
    async with served(*STEPS) as place:
        token = await paused(place)
        done = await place.process("form", token)
        told = await place.run("form", token, "--json")

    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("Send this\nto Grace?\n\n")
    rows = [line.split() for line in done.lines]
    assert ["field", "type", "proposed", "takes"] in rows
    assert ["comment", "paragraph", "as", "it", "is"] in rows
    assert ["tone", "select", "kind", "|", "firm"] in rows
    assert ["drop", "Drop"] in rows
    assert any(row[:1] == ["expires"] and row[-1] == "UTC" for row in rows)
    assert "\x1b" not in done.out + told.out
    assert json.loads(told.out)["user_actions"] == BUTTONS


async def test_answer():
    """What is not filled in gets what the form proposes, and the run goes on."""
    async with served(*STEPS) as place:
        token = await paused(place)
        done = await place.process(
            *("form", token, "--action", "send", "--input", "tone=kind")
        )
        (run,) = place.server.runs
        async with WorkflowClient(KEY, place.server.base_url, "ada") as own:
            result = await own.wait(run.id, timeout=10)

    assert (done.status, done.err) == (0, "")
    assert done.out == "answered with send: the run goes on\n"
    assert result.outputs == {"said": "as it is"}
    assert run.form.submitted == {"comment": "as it is", "tone": "kind"}


async def test_answer_for_programs():
    """What was sent is told."""
    async with served(*STEPS) as place:
        token = await paused(place)
        answer = ("--action", "drop", "-i", "tone=firm", "-i", "comment=a=b")
        done = await place.run("form", token, *answer, "--json")

    assert json.loads(done.out) == {
        "action": "drop",
        "inputs": {"comment": "a=b", "tone": "firm"},
    }


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            ["--action", "buy", "-i", "tone=kind"],
            "there is no 'buy'; the form has send",
        ),
        (["--action", "send"], "tone: must be filled in"),
        (["--action", "send", "-i", "tone=loud"], "'loud' is none of kind, firm"),
        (
            ["--action", "send", "-i", "tone=kind", "-i", "x=1"],
            "x: the form has no such",
        ),
        (["--action", "send", "-i", "tone=kind", "-i", "tone=firm"], "given twice"),
        (["--action", "send", "-i", "tone"], "'tone': NAME=TEXT"),
        (["-i", "tone=kind"], "--action says which"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_answers_that_do_not_fit(answer, says):
    """They are refused before anything is sent, and the form stays open."""
    async with served(*STEPS) as place:
        token = await paused(place)
        done = await place.run("form", token, *answer)
        assert place.server.runs[0].form.is_open

    assert done.status == 2
    assert says in done.err


async def test_files(tmp_path):
    """Those of this machine are uploaded, a URL is for the server to fetch."""
    kinds = {"allowed_file_types": ["document", "image"]}
    fields = [
        {"output_variable_name": "one", "type": "file", **kinds},
        {"output_variable_name": "many", "type": "file-list", **kinds},
    ]
    (tmp_path / "a.txt").write_text("x")
    path, link = str(tmp_path / "a.txt"), "http://127.0.0.1:1/b.png"
    async with served(Pause(inputs=fields), version="1.15.0") as place:
        token = await paused(place)
        shown = await place.run("form", token)
        done = await place.run(
            *("form", token, "--action", "approve", "--user", "ada"),
            *("-i", f"one=@{path}", "-i", f"many={link}", "-i", f"many=@{path}"),
            "--json",
        )

    assert any(line.split()[-2:] == ["document,", "image"] for line in shown.lines)
    sent = json.loads(done.out)["inputs"] if done.out else done.err
    assert sent["one"] == sent["many"][1] | {
        "upload_file_id": sent["one"]["upload_file_id"]
    }
    assert (sent["one"]["type"], sent["one"]["transfer_method"]) == (
        "document",
        "local_file",
    )
    assert sent["many"][0] == {
        "type": "image",
        "transfer_method": "remote_url",
        "url": link,
    }


async def test_a_form_that_was_answered():
    """It is too late, which is the server's no."""
    async with served(*STEPS) as place:
        token = await paused(place)
        answer = ("form", token, "--action", "send", "-i", "tone=kind")
        first, second = await place.run(*answer), await place.run(*answer)

    assert first.status == 0
    assert second.status == 1
    assert "already been submitted" in second.err


async def test_no_form():
    """A token of nobody is the server's no, too."""
    async with served() as place:
        done = await place.run("form", "of-nobody")

    assert done.status == 1
    assert done.err.startswith("Error: ")
