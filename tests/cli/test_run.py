"""``dify-workflow run``, as a process whose outputs are pipes, against a real server."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess

from pathlib import Path

import pytest

from dify_workflow_async.local import (
    App,
    LocalServer,
    Loop,
    Node,
    Pause,
    Scenario,
    Sleep,
    Speech,
    Variable,
)
from dify_workflow_async.local.faults import Busy, Drop, HangUp, Stall

from ._batches import STRICT, Held, Process, environment, invoke, run


FORM = (
    Variable(variable="topic", required=True, max_length=20),
    Variable(variable="n", type="number"),
    Variable(variable="on", type="checkbox"),
    Variable(variable="data", type="json_object"),
    Variable(variable="kind", type="select", options=["long", "short"]),
    Variable(variable="doc", type="file"),
    Variable(variable="docs", type="file-list", max_length=3),
)
START = Node(type="start", title="Start")
MODEL = Node(
    type="llm",
    title="Model",
    text=["About ", "{topic}:\n", "all of it."],
    tokens=7,
    price="0.00014",
)
END = Node(type="end", title="End", outputs={"text": "{llm.text}", "list": [1, "é"]})
ANSWER = Scenario(inputs=FORM, steps=[START, MODEL, END])
TEXT = "About rivers:\nall of it."
ENDLESS = Scenario(steps=[START, Sleep(seconds=600)])
FAILING = Scenario(
    steps=[
        START,
        Node(type="code", title="Code", status="failed", error="boom\x1b[31m"),
    ]
)


@pytest.fixture
async def server():
    async with LocalServer([App(ANSWER)]) as server:
        yield server


# -- the result ----------------------------------------------------------------------


async def test_in_pipes(server, tmp_path):
    """Standard output has the outputs and nothing else, standard error a line an event."""
    code, told, errors = await run(server, "run", "-i", "topic=rivers", cwd=tmp_path)

    assert code == 0
    assert json.loads(told) == {"text": TEXT, "list": [1, "é"]}
    lines = [re.sub(r"^ *\d+\.\d s  |\d+\.\d+ s$", "", x) for x in errors.splitlines()]
    assert lines == [
        f"run {server.runs[0].id}",
        *("Start began", "Start succeeded after "),
        *("Model began", "Model succeeded after "),
        *("End began", "End succeeded after "),
        "succeeded after ",
    ]
    assert server.runs[0].user == "u"


@pytest.mark.parametrize("quiet", [(), ("-q",)], ids=["", "quiet"])
async def test_all_of_it_as_json(server, tmp_path, quiet):
    """JSON has the status, the outputs, the ids and the cost."""
    code, told, errors = await run(
        server, *("run", "-i", "topic=rivers", "-o", "json", *quiet), cwd=tmp_path
    )

    assert code == 0
    result = json.loads(told)
    assert result.pop("elapsed_time") >= 0
    assert result.pop("task_id")
    assert result == {
        "status": "succeeded",
        "outputs": {"text": TEXT, "list": [1, "é"]},
        "error": None,
        "workflow_run_id": server.runs[0].id,
        "total_steps": 3,
        "total_tokens": 7,
        "total_price": "0.00014",
        "currency": "USD",
        "files": [],
        "reasons": [],
    }
    assert bool(errors) != bool(quiet)


async def test_as_a_table(server, tmp_path):
    """A table has a line for each fact; texts of several lines stay so."""
    code, told, _ = await run(
        server, "run", "-i", "topic=rivers", "-o", "table", cwd=tmp_path
    )

    assert code == 0
    assert re.sub(r"\d+\.\d\d\n", "N\n", told) == (
        "status   succeeded\n"
        "text     About rivers:\n"
        "         all of it.\n"
        'list     [1, "é"]\n'
        "seconds  N\n"
        "tokens   7\n"
        "price    0.00014 USD\n"
        f"run      {server.runs[0].id}\n"
    )


async def test_as_text(tmp_path):
    """The text comes as it is streamed, long before the run's end."""
    go_on = asyncio.Event()

    def plan(request):
        return Stall(after_events=5, until=go_on) if request.json else None

    async with (
        LocalServer([App(ANSWER)], faults=plan) as server,
        Process.start(
            server, "run", "-i", "topic=rivers", "-o", "text", cwd=tmp_path
        ) as process,
    ):
        assert await process.read(6) == "About "
        go_on.set()
        assert await process.end() == (0, "rivers:\nall of it.\n")


async def test_as_text_without_a_stream(tmp_path):
    """An app that streams no text has its outputs as texts."""
    end = Node(type="end", outputs={"a": "one\ntwo", "b": [1], "c": "€"})
    async with LocalServer([App(Scenario(steps=[end]))]) as server:
        code, told, _ = await run(server, "run", "-o", "text", cwd=tmp_path)

    assert (code, told) == (0, "one\ntwo\n[1]\n€\n")


@pytest.mark.parametrize("style", ["text", "table"])
async def test_a_narrow_encoding(server, tmp_path, style):
    """What a terminal of yesterday cannot show is no reason to fail."""
    server.apps[0].behaviour = Scenario(
        inputs=FORM, steps=[MODEL, Node(type="end", outputs={"text": "{llm.text}"})]
    )
    code, told, errors = await run(
        server,
        *("run", "-i", "topic=€", "-o", style, "-q"),
        cwd=tmp_path,
        PYTHONIOENCODING="latin-1",
    )
    assert (code, errors) == (0, "")
    assert "About \\u20ac:" in told


# -- events --------------------------------------------------------------------------


async def test_events_for_pipes(server, tmp_path):
    """Each event is one line, as the server sent it; nothing else is written."""
    code, told, errors = await run(
        server, "run", "-i", "topic=rivers", "--json", cwd=tmp_path
    )

    assert (code, errors) == (0, "")
    events = [json.loads(line) for line in told.splitlines()]
    assert [event["event"] for event in events] == [
        *("workflow_started", "node_started", "node_finished", "node_started"),
        *("text_chunk",) * 3,
        *("node_finished", "node_started", "node_finished", "workflow_finished"),
    ]
    assert {event["workflow_run_id"] for event in events} == {server.runs[0].id}
    assert events[-1]["data"]["outputs"]["text"] == TEXT


async def test_events_are_written_at_once(tmp_path):
    """The first is there while the server holds the others."""
    words = ("run", "-i", "topic=x", "--json")
    async with (
        Held(ANSWER) as held,
        Process.start(held.server, *words, cwd=tmp_path) as process,
    ):
        first = await process.line()
        assert json.loads(first)["event"] == "workflow_started"
        held.go_on.set()
        code, told = await process.end()

    assert code == 0
    assert json.loads(told.splitlines()[-1])["event"] == "workflow_finished"


async def test_an_end_that_only_the_detail_told(tmp_path):
    """It is an event like the others, in their shape."""
    async with LocalServer([App(ANSWER)], version="1.12.1") as server:
        server.fail_next(Drop(how="rst", after_events=2), path="*/run")
        code, told, _ = await run(
            server, "run", "-i", "topic=x", "--json", cwd=tmp_path
        )

    assert code == 0
    last = json.loads(told.splitlines()[-1])
    assert last["event"] == "workflow_finished"
    assert last["workflow_run_id"] == server.runs[0].id
    assert last["data"]["status"] == "succeeded"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("words", ["run -q", "run --json", "run -q -o text", "logs"])
async def test_a_disk_that_is_full(tmp_path, words):
    """It is told in one sentence, and the status is 1."""
    async with LocalServer([App(Scenario(steps=[START, END]))]) as server:
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-c", " ".join([*STRICT, words, "> /dev/full"])),
            env=environment(server),
            cwd=tmp_path,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await shell.communicate()

    assert (shell.returncode, errors) == (1, b"Error: No space left on device\n")


@pytest.mark.parametrize("words", ["run --json |", "run 2>&1 |"])
async def test_a_reader_that_has_enough(tmp_path, words):
    """A pipe that closes stops the run on the server, and nothing is said."""
    step = Node(type="code", title="Code", delay=0.05)
    lively = Scenario(steps=[START, Loop(count=10_000, steps=[step])])
    async with LocalServer([App(lively)]) as server:
        command = " ".join([*STRICT, f"{words} head -1; exit ${{PIPESTATUS[0]}}"])
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            env=environment(server),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, errors = await shell.communicate()

        assert (shell.returncode, errors) == (141, b"")
        assert server.runs[0].id in told.decode()
        assert [each.status for each in server.runs] == ["stopped"]


# -- inputs --------------------------------------------------------------------------


async def test_inputs_by_the_form(server, tmp_path):
    """Each becomes what the app's form wants; files are uploaded."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "in.json").write_text(
        '{"topic": "no", "kind": "long", "docs": ["@b.txt"]}'
    )

    code, _, errors = await run(
        server,
        *("run", "--inputs", "in.json", "-i", "topic=rivers", "-i", "n=12"),
        *("-i", "on=yes", "-i", 'data:={"a": 1}', "-i", "doc=@a.txt"),
        cwd=tmp_path,
    )

    assert code == 0, errors
    (done,) = server.runs
    inputs = dict(done.inputs)
    assert inputs.pop("doc")["filename"] == "a.txt"
    assert [file["filename"] for file in inputs.pop("docs")] == ["b.txt"]
    assert inputs == {
        "topic": "rivers", "n": 12, "on": True, "kind": "long", "data": {"a": 1},
    }  # fmt: skip
    assert sorted(file.name for file in server.files) == ["a.txt", "b.txt"]


async def test_inputs_from_standard_input(server, tmp_path):
    """A program before the pipe may make them."""
    process = await asyncio.create_subprocess_exec(
        *(*STRICT, "run", "--inputs", "-", "-q"),
        env=environment(server),
        cwd=tmp_path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate(b'{"topic": "rivers"}')

    assert process.returncode == 0
    assert json.loads(told)["text"] == TEXT


async def test_files_beside_the_inputs(tmp_path):
    """Apps that take files so get them."""
    (tmp_path / "a.txt").write_text("a")
    settings = {"enabled": True, "number_limits": 3, "allowed_file_types": ["document"]}
    app = App(Scenario(steps=[START]), parameters={"file_upload": settings})
    async with LocalServer([app]) as server:
        code, _, errors = await run(server, "run", "--file", "a.txt", cwd=tmp_path)
        assert code == 0, errors
        assert [file["filename"] for file in server.runs[0].files] == ["a.txt"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], ["inputs.topic: required, and not given"]),
        (["-i", "topic"], ["--input 'topic': NAME=TEXT, NAME=@FILE or NAME:=JSON is needed"]),
        (
            ["-i", "topic=x", "-i", "n=a", "-i", "doc=@nowhere"],
            ["input 'n': 'a' is no number", "input 'doc': there is no file 'nowhere'"],
        ),
        (
            ["-i", f"topic={'x' * 21}", "-i", "kind=medium"],
            [
                "inputs.topic: 21 characters, and 20 are allowed",
                "inputs.kind: 'medium' is none of 'long', 'short'",
            ],
        ),
        (["-i", "tpoic=x", "-i", "topic=x"], ["inputs.tpoic: the app has no such input; it has topic, n, on, data, kind, doc, docs"]),
        (["--inputs", "nowhere.json"], ["'nowhere.json' cannot be read: No such file or directory"]),
        (["--file", "nowhere", "-i", "topic=x"], ["there is no file 'nowhere'"]),
        (["-i", "topic=x", "--save-audio", "no/a.mp3"], ["no/a.mp3: there is no folder 'no'"]),
        (["-i", "topic=x", "--trace-id", "a b"], ["trace_id"]),
    ],
    ids=lambda value: " ".join(value)[:30],
)  # fmt: skip
async def test_what_cannot_be_run(server, tmp_path, monkeypatch, words, says):
    """All that is wrong is told, a line each; the status is 2, and no run began."""
    monkeypatch.chdir(tmp_path)
    result = await invoke(server, "run", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert len(lines) == len(says)
    for line, sentence in zip(lines, says, strict=True):
        assert line.startswith("Error: ")
        assert sentence in line
    assert server.runs == []
    assert server.files == []


async def test_without_comparing_with_the_form(server, tmp_path):
    """What the form would refuse is left to the server."""
    code, _, errors = await run(
        server,
        *("run", "-i", "topic=x", "-i", "kind=medium", "--no-validate"),
        cwd=tmp_path,
    )
    assert code == 1
    assert "kind in input form must be one of the following" in errors.splitlines()[-1]


# -- how it ends ---------------------------------------------------------------------


async def test_a_run_that_fails(tmp_path):
    """Why is told, with nothing that steers the terminal; the status is 1."""
    async with LocalServer([App(FAILING)]) as server:
        code, told, errors = await run(server, "run", cwd=tmp_path)

    assert (code, told) == (1, "")
    assert errors.splitlines()[-1] == (
        f"Error: the run failed in node 'Code': boom�[31m [run {server.runs[0].id}]"
    )
    assert "\x1b" not in errors


async def test_a_run_that_waits_for_a_person(tmp_path):
    """How to answer is told, in whole words and with all fields; the status is 5."""
    fields = ["the comment", *(f"a_rather_long_name_{i}" for i in range(12))]
    filled = " ".join(["-i 'the comment=...'", *(f"-i {x}=..." for x in fields[1:])])
    pause = Pause(
        title="Approve",
        form_content="Send\nthis?",
        inputs=[{"output_variable_name": x, "type": "paragraph"} for x in fields],
        actions=[
            {"id": "yes", "title": "Send", "button_style": "primary"},
            {"id": "no; id", "title": "Drop", "button_style": "default"},
        ],
    )
    async with LocalServer([App(Scenario(steps=[START, pause]))]) as server:
        code, told, errors = await run(server, "run", "-o", "json", cwd=tmp_path)

        (run_,) = server.runs
        result = json.loads(told)
        token = result["reasons"][0]["form_token"]
        assert (code, result["status"]) == (5, "paused")
        assert errors.splitlines()[-4:] == [
            "Approve waits for a person: Send this?",
            f"  Send: dify-workflow form {token} --action yes {filled}",
            f"  Drop: dify-workflow form {token} --action 'no; id' {filled}",
            f"then follow it: dify-workflow attach {run_.id}",
        ]


async def test_no_server(tmp_path, server):
    """That nothing was reached is a status of its own."""
    code, told, errors = await run(
        server, "run", cwd=tmp_path, DIFY_BASE_URL="http://127.0.0.1:9/v1"
    )
    assert (code, told) == (3, "")
    assert errors.startswith("Error: ")


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        (Busy(), 1, "Error: "),
        (HangUp(), 4, "Error: "),
    ],
    ids=["refused", "no answer"],
)
async def test_a_start_that_goes_wrong(server, tmp_path, fault, status, says):
    """A refusal is a failure; of a start without an answer nobody knows."""
    server.fail_next(fault, times=20, path="*/workflows/run")
    code, told, errors = await run(server, "run", "-i", "topic=x", cwd=tmp_path)

    assert (code, told) == (status, "")
    assert says in errors


async def test_a_run_that_takes_too_long(tmp_path):
    """It is stopped, as with any other end of the time; the status tells."""
    async with LocalServer([App(ENDLESS)]) as server:
        code, _, errors = await run(server, "run", "--timeout", "0.5", cwd=tmp_path)
        assert code == 4
        assert f"run {server.runs[0].id}" in errors.splitlines()[-1]
        assert server.runs[0].status == "stopped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
async def test_interrupted(tmp_path, number):
    """The run is stopped on the server, which is told; the status is 130."""
    async with LocalServer([App(ENDLESS)]) as server:
        async with Process.start(server, "run", cwd=tmp_path) as process:
            await process.says("Start succeeded")
            process.send(number)
            code, told = await process.end()

        assert (code, told) == (130, "")
        assert (
            "stopping the run; interrupt once more to leave at once\n" in process.said
        )
        assert process.said.endswith("the run has ended stopped\n")
        assert server.runs[0].status == "stopped"


async def test_interrupted_twice(tmp_path):
    """The second time it is left at once, whatever the server does."""
    async with Held(ENDLESS, after=1, path="*/stop") as held:
        async with Process.start(held.server, "run", cwd=tmp_path) as process:
            await process.says("Start succeeded")
            process.send(signal.SIGINT)
            await held.reached.wait()
            process.send(signal.SIGINT)
            code, _ = await process.end()

        assert code == 130
        run_id = held.server.runs[0].id
        assert (
            f"left: the run may go on; `dify-workflow attach {run_id}`" in process.said
        )


async def test_interrupted_where_stopping_fails(tmp_path):
    """That is told, and the run is left."""
    async with LocalServer([App(ENDLESS)]) as server:
        server.fail_next(Busy(), times=20, path="*/stop")
        async with Process.start(server, "run", cwd=tmp_path) as process:
            await process.says("Start succeeded")
            process.send(signal.SIGINT)
            code, _ = await process.end()

    assert code == 130
    assert "the run could not be stopped: " in process.said
    assert "left: the run may go on" in process.said


async def test_interrupted_before_it_began(tmp_path):
    """While its start has no answer, it is stopped behind the scenes, or never began."""
    async with (
        Held(ENDLESS, path="*/workflows/run") as held,
        Process.start(held.server, "run", cwd=tmp_path) as process,
    ):
        await held.reached.wait()
        process.send(signal.SIGINT)
        code, told = await process.end()
    assert (code, told) == (130, "")
    assert "Traceback" not in process.said


async def test_interrupted_and_left_alone(tmp_path):
    """With --on-cancel detach the run goes on, and how to find it is told."""
    async with LocalServer([App(ENDLESS)]) as server:
        async with Process.start(
            server, "run", "--on-cancel", "detach", cwd=tmp_path
        ) as process:
            await process.says("Start succeeded")
            process.send(signal.SIGINT)
            code, _ = await process.end()

        assert code == 130
        assert "left: the run may go on; `dify-workflow attach" in process.said
        assert server.runs[0].status == "running"


# -- files ---------------------------------------------------------------------------


async def test_speech(tmp_path):
    """It is written as it is; where there is none, no file is made."""
    speech = Speech(audio=[b"one", b"two"])
    async with LocalServer([App(Scenario(steps=[START, speech, END]))]) as server:
        code, _, _ = await run(server, "run", "--save-audio", "a.mp3", cwd=tmp_path)
        assert code == 0
        assert (tmp_path / "a.mp3").read_bytes() == b"onetwo"

        server.apps[0].behaviour = Scenario(steps=[START])
        code, _, _ = await run(server, "run", "--save-audio", "b.mp3", cwd=tmp_path)
        assert code == 0
        assert not (tmp_path / "b.mp3").exists()


async def test_speech_that_cannot_be_written(tmp_path):
    """The result is printed all the same, and the status tells."""
    (tmp_path / "full").symlink_to("/dev/full")
    speech = Speech(audio=[b"one"])
    end = Node(type="end", outputs={"a": 1})
    async with LocalServer([App(Scenario(steps=[speech, end]))]) as server:
        code, told, errors = await run(
            server, "run", "--save-audio", "full", cwd=tmp_path
        )

    assert (code, json.loads(told)) == (1, {"a": 1})
    assert "No space left on device" in errors


async def test_files_of_the_result(server, tmp_path):
    """They are saved, each of them, also where two have one name."""
    for folder, content in (("a", "one"), ("b", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text(content)
    outputs = {"files": "{docs}"}
    server.apps[0].behaviour = Scenario(
        inputs=FORM, steps=[START, Node(type="end", outputs=outputs)]
    )

    code, told, errors = await run(
        server,
        *("run", "-i", "topic=x", "-i", "docs=@a/x.txt", "-i", "docs=@b/x.txt"),
        *("--download", "out/deep", "-o", "table", "-q"),
        cwd=tmp_path,
    )

    assert code == 0, errors
    saved = tmp_path / "out" / "deep"
    assert [(saved / x).read_text() for x in ("x.txt", "2/x.txt")] == ["one", "two"]
    assert "saved out/deep/x.txt (text/plain, 3 bytes)\n" in errors
    assert re.search(r"^file +x.txt http://127", told, re.MULTILINE)


async def test_files_that_cannot_be_saved(server, tmp_path):
    """A folder that cannot be made is told of in a sentence."""
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "plain").write_text("")
    server.apps[0].behaviour = Scenario(
        inputs=FORM, steps=[Node(type="end", outputs={"file": "{doc}"})]
    )
    code, _, errors = await run(
        server,
        *("run", "-i", "topic=x", "-i", "doc=@a.txt", "--download", "plain/deep"),
        cwd=tmp_path,
    )
    assert code == 1  # the run was, and cost what it did
    assert errors.endswith("Error: plain/deep: Not a directory\n")


async def test_a_timeline(server, tmp_path):
    """The nodes of a run are drawn into a file, whose kind is looked at before."""
    code, _, errors = await run(
        server, "run", "-i", "topic=x", "--timeline", "out.html", cwd=tmp_path
    )
    assert code == 0, errors
    assert "Model" in (tmp_path / "out.html").read_text()

    code, _, errors = await run(
        server, "run", "-i", "topic=x", "--timeline", "out.docx", cwd=tmp_path
    )
    assert code == 2
    assert len(server.runs) == 1


def test_start_up_imports_little():
    """The command loads no library that only others need."""
    script = (
        "import sys\n"
        "from dify_workflow_async.cli._app import cli\n"
        "try: cli.main(['run', '--help'], prog_name='dify-workflow')\n"
        "except SystemExit: pass\n"
        "heavy = {'distributed', 'dask', 'sqlalchemy', 'pyarrow', 'graphon', 'asyncpg',\n"
        "         'aiohttp.web', 'dify_workflow_async.local'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [STRICT[0], "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"
    assert "dify-workflow run" in done.stdout
