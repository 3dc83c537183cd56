"""``dify-workflow run`` in a terminal: what a person sees on the screen."""

from __future__ import annotations

import re

import pytest

from dify_workflow_async.local import (
    App,
    Iteration,
    LocalServer,
    Node,
    Scenario,
    Sleep,
    Variable,
)

from ._batches import Held, run
from ._terminal import Terminal


START = Node(type="start", title="Start")
MODEL = Node(
    type="llm",
    title="Model",
    text=["First line\n", "second\x1b[31m "],
    tokens=1200,
    price="0.25",
)
EACH = Iteration(
    id="each",
    title="For each",
    items=["a", "b", "c"],
    steps=[Node(type="code", id="code", title="Code", outputs={"x": "{item}"})],
)
END = Node(type="end", title="End", outputs={"text": "{llm.text}", "list": [1]})
SPINNER = "[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]"
TIME = r"\d+ min \d\d s|\d+(\.\d)? s"


def seen(screen):
    """A screen without what changes from run to run."""
    screen = re.sub(TIME, "T", re.sub(SPINNER, "*", screen))
    return re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID", screen)


async def test_the_live_tree(tmp_path):
    """Nodes are shown in their state, under the text, and turn into the final tree.

    The server holds the run in the second round of an iteration; meanwhile the clock
    and the spinner go on. At the end the tree stays, with the result below it.
    """
    steps = [START, MODEL, EACH, END]
    held = Held(Scenario(steps=steps), events=13)
    async with held, Terminal.start(held.server, "run", cwd=tmp_path) as terminal:
        screen = await terminal.until("round 1")
        assert seen(screen).splitlines() == [
            "run ID",
            "First line",
            "second�[31m",
            "* running  T · 2 of 5 nodes running · 1,200 tokens, 0.250000 USD",
            "├─ ✓ Start  T",
            "├─ ✓ Model  T · 1,200 tokens, 0.250000 USD",
            "└─ * For each  2/3 rounds · T",
            "   ├─ ✓ 1 round, 1 node",
            "   └─ round 1",
            "      └─ * Code  T",
        ]
        (first,) = re.findall(r"running  (\d+\.\d) s", screen)
        turning = {re.findall(SPINNER, screen)[0]}
        while len(turning) < 3:
            screen = await terminal.until(lambda new, old=screen: new != old)
            turning.update(re.findall(SPINNER, screen))
        await terminal.until(lambda new: f"running  {first} s" not in new)
        assert not terminal.shows_cursor

        held.go_on.set()
        code = await terminal.end()

    assert code == 0
    assert terminal.shows_cursor
    assert seen(terminal.whole).splitlines() == [
        "run ID",
        "First line",
        "second�[31m",
        "✓ succeeded  T · 7 nodes · 1,200 tokens, 0.250000 USD",
        "├─ ✓ Start  T",
        "├─ ✓ Model  T · 1,200 tokens, 0.250000 USD",
        "├─ ✓ For each  3/3 rounds · T",
        "│  └─ ✓ 3 rounds, 3 nodes",
        "└─ ✓ End  T",
        "status   succeeded",
        "text     (the text above, 23 characters)",
        "list     [1]",
        *(x for x in seen(terminal.whole).splitlines() if x.startswith("seconds  ")),
        "tokens   1200",
        "price    0.25 USD",
        "run      ID",
    ]


async def test_a_node_that_fails(tmp_path):
    """The tree shows where, and the sentence below says why."""
    bad = Node(type="code", title="Code", status="failed", error="boom")
    async with (
        LocalServer([App(Scenario(steps=[START, bad]))]) as server,
        Terminal.start(server, "run", cwd=tmp_path) as terminal,
    ):
        assert await terminal.end() == 1

    lines = seen(terminal.whole).splitlines()
    assert lines[1:4] == [
        "✗ failed  T · 2 nodes · 1 failed",
        "├─ ✓ Start  T",
        "└─ ✗ Code  T  boom",
    ]
    assert lines[-2].startswith("Error: the run failed in node 'Code': boom [run ")


async def test_a_text_longer_than_the_screen(tmp_path):
    """All of it is there to scroll back to, once, and the tree is below it.

    It has a line that alone is longer than the screen.
    """
    pieces = [f"line {number}\n" for number in range(100)]
    pieces += [f"word{number:04} " for number in range(400)]
    pieces += ["\n", *(f"end {number}\n" for number in range(50)), "the last"]
    model = Node(type="llm", title="Model", text=pieces)
    end = Node(type="end", outputs={})
    held = Held(Scenario(steps=[START, model, end]), events=3 + 350)
    async with (
        held,
        Terminal.start(held.server, "run", cwd=tmp_path, rows=12) as terminal,
    ):
        screen = await terminal.until("word0248")
        assert len(screen.splitlines()) <= 12
        assert "├─ ✓ Start" in screen
        assert "line 99" in screen
        held.go_on.set()
        assert await terminal.end() == 0

    whole = terminal.whole
    words = re.findall(r"line \d+$|word\d{4}|end \d+$|the last", whole, re.MULTILINE)
    assert words == [
        *(f"line {number}" for number in range(100)),
        *(f"word{number:04}" for number in range(400)),
        *(f"end {number}" for number in range(50)),
        "the last",
    ]
    assert whole.count("├─ ✓ Start") == 1  # nothing of what was drawn before is left


async def test_hundreds_of_executions(tmp_path):
    """The tree has no more rows than the screen, and tells how many it leaves out."""
    each = Iteration(
        title="For each",
        items=list(range(300)),
        steps=[Node(type="code", id="code", title="Code")],
    )
    many = [Node(type="code", id=f"n{x}", title=f"Step {x}") for x in range(40)]
    scenario = Scenario(steps=[START, each, *many, Sleep(seconds=600)])
    async with (
        LocalServer([App(scenario)]) as server,
        Terminal.start(server, "run", cwd=tmp_path, rows=15) as terminal,
    ):
        head = "* running  T · 342 nodes"
        screen = await terminal.until(
            lambda screen: head in seen(screen).splitlines() and "Step 39" in screen
        )
        assert len(seen(screen).splitlines()) <= 15
        assert re.search(r"⋮  \d+ more rows", screen)
        terminal.type("\x03")
        assert await terminal.end() == 130

    whole = seen(terminal.whole)
    assert "│  └─ ✓ 300 rounds, 300 nodes" in whole
    assert whole.count("Step 0  T") == 1


async def test_another_size(tmp_path):
    """After the window has changed, rows fit into it again."""
    title = "A node whose title is so long that it does not fit into a narrow window"
    steps = [Node(type="code", title=f"{number} {title}") for number in range(3)]
    scenario = Scenario(steps=[*steps, Sleep(seconds=600)])
    async with (
        LocalServer([App(scenario)]) as server,
        Terminal.start(server, "run", cwd=tmp_path, columns=100) as terminal,
    ):
        await terminal.until(f"2 {title}")
        terminal.resize(10, 40)
        await terminal.until("2 A node whose title is so long th…")
        terminal.resize(24, 100)
        screen = await terminal.until(f"2 {title}")
        assert screen.count(title) == 3
        terminal.type("\x03")
        assert await terminal.end() == 130


async def test_ctrl_c(tmp_path):
    """The run is stopped, which the tree shows, and the cursor is there again."""
    async with (
        LocalServer([App(Scenario(steps=[START, Sleep(seconds=600)]))]) as server,
        Terminal.start(server, "run", cwd=tmp_path) as terminal,
    ):
        await terminal.until("Start")
        terminal.type("\x03")
        assert await terminal.end() == 130
        assert server.runs[0].status == "stopped"

    assert terminal.shows_cursor
    assert seen(terminal.whole).splitlines() == [
        "run ID",
        "stopping the run; interrupt once more to leave at once",
        "■ stopped  T · 1 node",
        "└─ ✓ Start  T",
        "the run has ended stopped",
    ]


@pytest.mark.parametrize(
    ("env", "words", "escapes", "is_live"),
    [
        ({}, (), True, True),
        ({"NO_COLOR": "1"}, (), False, True),
        ({"TERM": "dumb"}, (), False, False),
        ({}, ("--quiet",), True, False),
    ],
    ids=["", "NO_COLOR", "dumb", "quiet"],
)
async def test_colours(tmp_path, env, words, escapes, is_live):
    """NO_COLOR has no colours, and a dumb terminal gets plain lines."""
    async with (
        LocalServer([App(Scenario(steps=[START, END]))]) as server,
        Terminal.start(server, "run", *words, cwd=tmp_path, **env) as terminal,
    ):
        assert await terminal.end() == 0

    colours = re.findall(rb"\x1b\[[0-9;]*3[0-7][0-9;]*m", terminal.raw)
    assert bool(colours) == escapes
    assert ("├─ ✓ Start" in terminal.whole) == is_live
    assert "succeeded" in terminal.whole


async def test_without_signs(tmp_path):
    """A terminal that has no such signs gets others."""
    async with (
        LocalServer([App(Scenario(steps=[START, END]))]) as server,
        Terminal.start(
            server, "run", cwd=tmp_path, PYTHONIOENCODING="latin-1"
        ) as terminal,
    ):
        assert await terminal.end() == 0
    assert "|- + Start" in terminal.whole


async def test_the_result_goes_elsewhere(tmp_path):
    """Standard output into a file: it has the result alone, and the terminal the tree."""
    async with (
        LocalServer([App(Scenario(steps=[START, MODEL, END]))]) as server,
        Terminal.start(
            server, "run", cwd=tmp_path, stdout=tmp_path / "out"
        ) as terminal,
    ):
        assert await terminal.end() == 0

    assert '"list": [' in (tmp_path / "out").read_text()
    assert "└─ ✓ End" in terminal.whole
    assert "status" not in terminal.whole


# -- questions -----------------------------------------------------------------------


FORM = [
    Variable(variable="topic", label="Topic", required=True, max_length=10),
    Variable(variable="kind", type="select", options=["long", "short"], required=True),
    Variable(variable="n", type="number", required=True),
    Variable(variable="on", type="checkbox", required=True),
    Variable(variable="doc", type="file", required=True),
    Variable(variable="docs", type="file-list", max_length=3, required=True),
    Variable(variable="data", type="json_object", required=True),
    Variable(variable="optional"),
]


async def test_questions(tmp_path):
    """What is required and not given is asked for; what is wrong is asked again."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    scenario = Scenario(inputs=FORM, steps=[START, END])
    async with (
        LocalServer([App(scenario)]) as server,
        Terminal.start(server, "run", "-i", 'data:={"a": 1}', cwd=tmp_path) as terminal,
    ):
        for asks, answer in [
            ("Topic: ", "much too long"),
            ("Error: 13 characters, and 10 are allowed", "@rivers"),
            ("kind (long, short): ", "medium"),
            ("Error: 'medium' is none of 'long', 'short'", "short"),
            ("n: ", "many"),
            ("Error: 'many' is no number", "3"),
            ("on [y/N]: ", "y"),
            ("doc (path or https://...): ", "nowhere"),
            ("Error: there is no file 'nowhere'", "a.txt"),
            ("docs (path or https://..., 0 so far, Enter ends): ", "nowhere.txt"),
            ("Error: there is no file 'nowhere.txt'", "a.txt"),
            ("docs (path or https://..., 1 so far, Enter ends): ", "b.txt"),
            ("docs (path or https://..., 2 so far, Enter ends): ", ""),
        ]:
            await terminal.until(asks.rstrip())
            terminal.type(f"{answer}\r")
        assert await terminal.end() == 0, terminal.whole
        inputs = dict(server.runs[0].inputs)

    assert inputs.pop("doc")["filename"] == "a.txt"
    assert [x["filename"] for x in inputs.pop("docs")] == ["a.txt", "b.txt"]
    assert inputs == {
        "topic": "@rivers", "kind": "short", "n": 3, "on": True, "data": {"a": 1},
        "optional": None,
    }  # fmt: skip


async def test_a_question_that_is_interrupted(tmp_path):
    """Ctrl-C ends the command there and then, and nothing was run."""
    scenario = Scenario(inputs=FORM, steps=[START])
    async with (
        LocalServer([App(scenario)]) as server,
        Terminal.start(server, "run", cwd=tmp_path) as terminal,
    ):
        await terminal.until("Topic:")
        terminal.type("r")
        await terminal.until("Topic: r")  # whose echo tells that it listens
        terminal.type("\x03")
        assert await terminal.end() == 130
        assert server.runs == []
    assert "Traceback" not in terminal.whole


async def test_no_questions_in_pipes(tmp_path):
    """Where nobody could answer, what is missing is an error."""
    async with LocalServer([App(Scenario(inputs=FORM, steps=[START]))]) as server:
        code, _, errors = await run(server, "run", cwd=tmp_path)
    assert code == 2
    assert "Error: inputs.topic: required, and not given\n" in errors
