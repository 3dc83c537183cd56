"""``dify-workflow batch``, as processes against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys

import pytest

from dify_workflow_async.batch.tables import read_table
from dify_workflow_async.local import App, LocalServer

from ._batches import (
    ANSWER,
    ENDLESS,
    FAILING,
    Held,
    Process,
    environment,
    invoke,
    run,
    table,
)


@pytest.fixture
async def server():
    async with LocalServer([App(ANSWER)]) as server:
        yield server


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory of the test's own, which it is in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
async def test_from_table_to_table(server, tmp_path, ending):
    """Each row is run once; the table has its cells, its run and its outputs."""
    table(tmp_path / "in.csv", 25, query="question")
    out = tmp_path / f"out.{ending}"

    code, told, errors = await run(
        server,
        *("batch", "in.csv", "-o", out.name, "--map", "question=query"),
        *("--concurrency", "8", "--rate", "1000/s", "--key", "id"),
        cwd=tmp_path,
    )

    assert (code, errors) == (
        0,
        "25 rows in in.csv\nnot sent, since the app has no such input: id\n",
    )
    assert told.startswith("25 rows: 25 succeeded\n175 tokens\n")
    assert re.search(
        r"^of the rows 50 % within [\d.]+ s, .*100 % within", told, re.MULTILINE
    )
    assert told.endswith(f"\nwritten to {out.name}\n")
    rows = [row.cells for row in read_table(out)]
    assert [row["id"] for row in rows] == [f"{i:03}" for i in range(25)]
    assert [row["run.key"] for row in rows] == [f"{i:03}" for i in range(25)]
    assert rows[7]["output.text"] == "About question 7"
    assert len({row["run.id"] for row in rows}) == 25
    assert server.starts == {f"m{i}": 1 for i in range(25)}
    assert sorted(x.name for x in tmp_path.iterdir()) == ["in.csv", out.name]


async def test_rows_that_fail(tmp_path):
    """They are told, the first ten by name; all are in the table; the status is 1."""
    table(tmp_path / "in.csv", 12, query="query")
    async with LocalServer([App(FAILING)]) as server:
        code, told, errors = await run(
            server, "batch", "in.csv", "-o", "out.jsonl", cwd=tmp_path
        )

    assert code == 1
    assert told.startswith("12 rows: 12 failed\n")
    complaints = [x for x in errors.splitlines() if x.startswith("row ")]
    assert len(complaints) == 10
    assert re.fullmatch(
        r"row \d+ failed: the run failed in node 'code': boom \[run \S+\]",
        complaints[0],
    )
    assert errors.endswith("more rows did not succeed: the table tells which\n")
    rows = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert {row["run.error"] for row in rows} == {"the run failed in node 'code': boom"}


async def test_rows_that_are_refused(server, tmp_path):
    """What the app's form does not allow is told before anything is sent."""
    (tmp_path / "in.csv").write_text("query,marker\nyes,a\n,b\n")

    code, _, errors = await run(
        server, "batch", "in.csv", "-o", "out.csv", cwd=tmp_path
    )

    assert code == 1
    assert "row 2 refused: inputs.query: required, and not given\n" in errors
    assert server.starts == {"a": 1}


async def test_max_failures(tmp_path):
    """The batch ends after so many, and says that it is not whole."""
    table(tmp_path / "in.csv", 50, query="query")
    async with LocalServer([App(FAILING)]) as server:
        code, told, errors = await run(
            server,
            *("batch", "in.csv", "-o", "out.csv"),
            *("--max-failures", "3", "--concurrency", "2"),
            cwd=tmp_path,
        )

    assert code == 3
    assert re.match("[34] rows: [34] failed", told)
    assert "Error: 3 rows failed" in errors


# -- resuming ------------------------------------------------------------------------


async def test_again_with_the_journal(server, tmp_path):
    """Nothing is run twice, and the table is whole again."""
    table(tmp_path / "in.csv", 10, query="query")
    command = ("batch", "in.csv", "-o", "out.csv", "--journal", "runs.db")
    first = await run(server, *command, cwd=tmp_path)
    whole = (tmp_path / "out.csv").read_bytes()
    table(tmp_path / "in.csv", 12, query="query")

    code, told, errors = await run(server, *command, cwd=tmp_path)

    assert (first[0], code) == (0, 0)
    assert "the journal has 10 rows: going on where it ended\n" in errors
    assert told.startswith("12 rows: 12 succeeded (10 from the journal)\n")
    assert server.starts == {f"m{i}": 1 for i in range(12)}
    assert (tmp_path / "out.csv").read_bytes().startswith(whole)


async def test_killed_and_resumed(tmp_path):
    """SIGKILL leaves whole lines; the runs under way are found again, not started."""
    table(tmp_path / "in.csv", 30, query="query")
    command = (
        *("batch", "in.csv", "-o", "out.parquet", "--journal", "runs.db"),
        *("--concurrency", "4"),
    )
    async with (
        Held(after=10) as held,
        Process.start(held.server, *command, cwd=tmp_path) as process,
    ):
        await held.runs(14)
        states = {}
        while states.get("running") != 4:  # until the ids of their runs are kept
            _, told, errors = await run(
                held.server, "batch", "status", "runs.db", "--json", cwd=tmp_path
            )
            assert not errors
            states = json.loads(told)["states"]
        process.send(signal.SIGKILL)
        code, _ = await process.end()
        assert code == -signal.SIGKILL
        assert states == {"running": 4, "succeeded": 10}
        part = (tmp_path / "out.parquet.part").read_bytes()
        assert part.endswith(b"\n")
        assert len([json.loads(line) for line in part.splitlines()]) == 10
        assert not (tmp_path / "out.parquet").exists()

        held.go_on.set()
        code, told, _ = await run(held.server, *command, cwd=tmp_path)

        assert code == 0
        assert told.startswith("30 rows: 30 succeeded (10 from the journal)\n")
        assert held.server.starts == {f"m{i}": 1 for i in range(30)}
    rows = [row.cells for row in read_table(tmp_path / "out.parquet")]
    assert [row["run.row"] for row in rows] == list(range(1, 31))
    assert not (tmp_path / "out.parquet.part").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name
)
async def test_interrupted_once(tmp_path, number):
    """What runs goes on to its end, no more starts, and the table has whole rows."""
    table(tmp_path / "in.csv", 20, query="query")
    command = (
        *("batch", "in.csv", "-o", "out.jsonl", "--journal", "runs.db"),
        *("--concurrency", "3"),
    )
    async with (
        Held(after=5) as held,
        Process.start(held.server, *command, cwd=tmp_path) as process,
    ):
        await held.runs(8)
        process.send(number)
        await process.says("stopping: no more rows start; 3 that run go on")
        held.go_on.set()
        code, told = await process.end()

        assert code == 3
        assert told.startswith("8 rows: 8 succeeded\n")
        lines = (tmp_path / "out.jsonl").read_text().splitlines()
        assert [json.loads(x)["run.state"] for x in lines] == ["succeeded"] * 8
        assert held.server.starts.total() == 8

        code, told, _ = await run(held.server, *command, cwd=tmp_path)
        assert code == 0
        assert held.server.starts == {f"m{i}": 1 for i in range(20)}


async def test_by_profile(server, tmp_path):
    """Server, user and key come from the config file, by a name."""
    table(tmp_path / "in.csv", 2, query="query")
    (tmp_path / "config.toml").write_text(
        f"[profiles.here]\nbase_url = '{server.base_url}'\nuser = 'ada'\n"
        "[profiles.here.keys]\nrows = { env = 'ROWS_KEY' }\n"
    )
    env = {
        "DIFY_WORKFLOW_CONFIG": "config.toml",
        "ROWS_KEY": server.apps[0].key,
        "DIFY_API_KEY": "app-wrong",
        "DIFY_BASE_URL": "http://127.0.0.1:9/v1",
    }
    command = ("batch", "in.csv", "-o", "out.csv", "--profile", "here")
    code, _, errors = await run(server, *command, cwd=tmp_path, **env)

    assert code == 0, errors
    assert [each.user for each in server.runs] == ["ada", "ada"]


async def test_interrupted_at_the_last_row(tmp_path):
    """Whoever interrupts when no more rows were to start has a whole batch."""
    table(tmp_path / "in.csv", 2, query="query")
    command = ("batch", "in.csv", "-o", "out.csv")
    async with (
        Held() as held,
        Process.start(held.server, *command, cwd=tmp_path) as process,
    ):
        await held.runs(2)
        process.send(signal.SIGINT)
        await process.says("2 that run go on")
        held.go_on.set()
        code, told = await process.end()

    assert code == 0
    assert told.startswith("2 rows: 2 succeeded\n")


@pytest.mark.parametrize("journal", [(), ("--journal", "runs.db")], ids=["", "journal"])
async def test_interrupted_twice(tmp_path, journal):
    """The runs are stopped on the server, and the table says of which rows."""
    table(tmp_path / "in.csv", 20, query="query")
    command = ("batch", "in.csv", "-o", "out.csv", "--concurrency", "3", *journal)
    async with (
        Held(ENDLESS, after=99) as held,  # nothing is held: the runs have no end
        Process.start(held.server, *command, cwd=tmp_path) as process,
    ):
        await held.runs(3)
        process.send(signal.SIGINT)
        await process.says("stopping: ")
        process.send(signal.SIGINT)
        code, told = await process.end()

        assert code == 3
        assert "stopping 3 runs\n" in process.said
        assert [each.status for each in held.server.runs] == ["stopped"] * 3
    rows = [row.cells for row in read_table(tmp_path / "out.csv")]
    assert [row["run.row"] for row in rows] == ["1", "2", "3"]
    assert {row["run.state"] for row in rows} <= {"running", "unknown", "stopped"}
    assert told.startswith("3 rows: ")


async def test_interrupted_three_times(tmp_path):
    """Who cannot wait for the stops to be answered need not."""
    table(tmp_path / "in.csv", 4, query="query")
    command = ("batch", "in.csv", "-o", "out.csv", "--concurrency", "2")
    async with (
        Held(ENDLESS, after=99, path="*/stop") as held,
        Process.start(held.server, *command, cwd=tmp_path) as process,
    ):
        await held.runs(2)
        process.send(signal.SIGINT)
        await process.says("stopping: ")
        process.send(signal.SIGINT)
        await held.reached.wait()
        process.send(signal.SIGINT)
        code, _ = await process.end()

    assert code == 130
    assert "Traceback" not in process.said


async def test_interrupted_before_it_begins(tmp_path):
    """Then nothing is run, and nothing is left."""
    table(tmp_path / "in.csv", 4, query="query")
    command = ("batch", "in.csv", "-o", "out.csv", "--journal", "runs.db")
    async with (
        Held(path="*/parameters") as held,
        Process.start(held.server, *command, cwd=tmp_path) as process,
    ):
        await held.reached.wait()
        process.send(signal.SIGINT)
        code, told = await process.end()

        assert (code, told) == (130, "")
        assert "Traceback" not in process.said
        assert not held.server.runs
    assert [x.name for x in tmp_path.iterdir()] == ["in.csv"]


# -- the terminal --------------------------------------------------------------------


async def on_terminal(tmp_path, **env):
    """What a terminal shows of a batch of 6 rows, 2 of which are held for a while."""
    table(tmp_path / "in.csv", 6, query="query")
    master, slave = os.openpty()
    shown = bytearray()
    loop = asyncio.get_running_loop()
    over, seen = asyncio.Event(), asyncio.Event()

    def read():
        try:
            shown.extend(os.read(master, 65_536))
        except OSError:  # the other end was closed
            loop.remove_reader(master)
            over.set()
        if b"2 running" in shown:
            seen.set()

    command = ("batch", "in.csv", "-o", "out.csv")
    async with (
        Held(after=4) as held,
        Process.start(
            held.server, *command, cwd=tmp_path, stderr=slave, **env
        ) as process,
    ):
        os.close(slave)
        loop.add_reader(master, read)
        await seen.wait()
        held.go_on.set()
        code, told = await process.end()
        await over.wait()
    os.close(master)
    assert (code, told[:6]) == (0, "6 rows")
    return shown.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
async def test_a_terminal(tmp_path):
    """One line changes in place, in colours, and is gone in the end."""
    shown = await on_terminal(tmp_path, TERM="xterm-256color")

    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "6 rows in in.csv" in plain
    assert re.search(r"\d/6 rows · (\d succeeded · )?\d running", plain)
    assert "\x1b[32m" in shown  # green
    assert "\x1b[2K" in shown  # the line is removed


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
async def test_a_terminal_without_colours(tmp_path):
    """NO_COLOR takes the colours, and leaves the line."""
    shown = await on_terminal(tmp_path, TERM="xterm-256color", NO_COLOR="1")

    assert "running" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", shown)


async def test_quiet(server, tmp_path):
    """Only what goes wrong is told, and the end."""
    (tmp_path / "in.csv").write_text("query\nyes\n\n\n")

    _, told, errors = await run(
        server, "batch", "in.csv", "-o", "out.csv", "-q", cwd=tmp_path
    )

    assert errors == ""
    assert told.startswith("1 row: 1 succeeded\n")


# -- what cannot be run --------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "arguments", "says"),
    [
        ({}, [], "in.csv: No such file or directory"),
        ({"in.csv": ""}, [], "in.csv: the table has no header"),
        ({"in.csv": "query\na\nb,c\n"}, [], "in.csv, line 3: 2 cells, and the header"),
        ({"in.csv": "query,a\n"}, ["--map", "b=query"], "there is no column 'b'"),
        ({"in.csv": "a\n1\n"}, [], "the app requires 'query', and no column is called"),
        ({"in.csv": "query\n1\n"}, ["--key", "id"], "no column 'id' for --key"),
        ({"in.csv": "query\n1\n"}, ["--rate", "often"], "rate"),
        ({"in.csv": "query\n1\n"}, ["--encoding", "x"], "there is no encoding 'x'"),
        ({"in.csv": "query\n1\n", "out.csv": ""}, [], "out.csv: it is there already"),
        (
            {"in.csv": "query\n1\n", "out.csv.part": "query\n"},
            [],
            "out.csv.part: a batch that did not come to its end left this",
        ),
        ({"in.csv": "query\n1\n"}, ["-o", "in.csv"], "cannot take the place of the"),
        ({"in.csv": "query\n1\n"}, ["-o", "x/out.csv"], "No such file or directory"),
        ({"in.csv": "query\n1\n"}, ["-o", "out.txt"], "tables are written as .csv"),
        (
            {"in.csv": "query\n1\n", "runs.db": "not a database, but a text" * 99},
            ["--journal", "runs.db"],
            "runs.db",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_nothing_is_run(server, here, files, arguments, says):
    """What is wrong is told in a sentence, costs no run, and leaves no file."""
    for name, text in files.items():
        (here / name).write_text(text)

    result = await invoke(server, "batch", "in.csv", "-o", "out.csv", *arguments)

    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert says in result.stderr
    assert not server.runs
    assert {x.name for x in here.iterdir()} == set(files)
    assert all((here / name).read_text() == text for name, text in files.items())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing option '-o'"),
        (["-o", "out.csv", "--map", "query"], "'query' is not COLUMN=INPUT"),
        (["-o", "out.csv", "--map", "=query"], "'=query' is not COLUMN=INPUT"),
        (["-o", "out.csv", "--map", "a=b", "--map", "a=c"], "'a' is given twice"),
        (["-o", "out.csv", "--concurrency", "0"], "--concurrency"),
        (["-o", "out.csv", "--timeout", "0"], "--timeout"),
        (["-o", "out.csv", "--fresh"], "--fresh needs --journal"),
        (["-o", "out.csv", "--rerun-unknown"], "--rerun-unknown needs --journal"),
    ],
)
async def test_wrong_options(server, arguments, says):
    """Options that cannot be are told with how the command is used."""
    result = await invoke(server, "batch", "in.csv", *arguments)

    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.startswith("Usage: ")
    assert not server.requests


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"DIFY_API_KEY": ""}, "DIFY_API_KEY"),
        ({"DIFY_API_KEY": "app-wrong"}, "401"),
        ({"DIFY_BASE_URL": "http://127.0.0.1:9/v1"}, "127.0.0.1:9"),
        ({"DIFY_BASE_URL": "no URL"}, "the base URL must look like"),
    ],
    ids=str,
)
async def test_no_app(server, here, env, says):
    """Without key or server nothing is run, and no key is shown."""
    table(here / "in.csv", 3, query="query")

    result = await invoke(server, "batch", "in.csv", "-o", "out.csv", **env)

    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert "app-wrong" not in result.output
    assert "Traceback" not in result.output
    assert {x.name for x in here.iterdir()} == {"in.csv"}


async def test_a_journal_of_another_batch(server, here):
    """A journal is for one app and user, and with --fresh for one batch."""
    table(here / "in.csv", 3, query="query")
    command = ("batch", "in.csv", "-o", "out.csv", "--journal", "runs.db")
    assert (await invoke(server, *command)).exit_code == 0

    other = await invoke(server, *command, "--user", "other")
    fresh = await invoke(server, *command, "--fresh")

    assert (await invoke(server, *command, "--resume")).exit_code == 0
    assert (other.exit_code, fresh.exit_code) == (2, 2)
    assert "other" in other.stderr
    assert "the journal has 3 rows already, and --fresh wants a new one" in fresh.stderr
    assert server.starts.total() == 3
    assert {x.name for x in here.iterdir()} >= {"in.csv", "out.csv", "runs.db"}
    assert not (here / "out.csv.part").exists()
    (here / "out.csv.part").write_text("what another batch left")
    other = await invoke(server, *command, "--user", "other")
    assert other.exit_code == 2
    assert (here / "out.csv.part").read_text() == "what another batch left"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.csv", "name,run\na,b\n"),
        ("mine.jsonl", '{"name": "a"}\n'),
        ("mine.jsonl", ""),
        ("mine.parquet", "no parquet"),
    ],
)
async def test_going_on_with_other_results(server, here, name, text):
    """A table that is no batch's is not replaced unless that is asked for."""
    table(here / "in.csv", 3, query="query")
    command = ("batch", "in.csv", "--journal", "runs.db", "-o")
    for output in ("new.csv", "new.csv", "new.jsonl", "new.jsonl"):
        assert (await invoke(server, *command, output)).exit_code == 0
    (here / name).write_text(text)

    refused = await invoke(server, *command, name)
    assert refused.exit_code == 2
    assert f"{name}: it is there already" in refused.stderr
    assert (here / name).read_text() == text
    assert (await invoke(server, *command, name, "--overwrite")).exit_code == 0
    assert len(list(read_table(here / name))) == 3


async def test_overwriting(server, here):
    """What is there is replaced when that is asked for."""
    table(here / "in.csv", 3, query="query")
    (here / "out.csv").write_text("old")
    (here / "out.csv.part").write_text("old")

    result = await invoke(server, "batch", "in.csv", "-o", "out.csv", "--overwrite")

    assert result.exit_code == 0, result.output
    assert len(list(read_table("out.csv"))) == 3
    assert {x.name for x in here.iterdir()} == {"in.csv", "out.csv"}


async def test_a_table_that_cannot_be_written(tmp_path):
    """The rows are kept beside it, and the command says where."""
    table(tmp_path / "in.csv", 2, query="query")
    command = ("batch", "in.csv", "-o", "out.csv")
    async with (
        Held() as held,
        Process.start(held.server, *command, cwd=tmp_path) as process,
    ):
        await held.runs(2)
        (tmp_path / "out.csv").mkdir()
        held.go_on.set()
        code, told = await process.end()

    assert (code, told) == (3, "")
    assert (
        "Error: out.csv: Is a directory (the rows are in out.csv.part)" in process.said
    )
    lines = (tmp_path / "out.csv.part").read_text().splitlines()
    assert [json.loads(x)["run.state"] for x in lines] == ["succeeded"] * 2


@pytest.mark.parametrize(
    ("missing", "name", "extra"),
    [
        ("pyarrow", "out.parquet", "tables"),
        ("xlsxwriter", "out.xlsx", "tables"),
        ("sqlalchemy", "out.csv", "batch"),
    ],
)
async def test_without_an_extra(server, tmp_path, missing, name, extra):
    """What is missing is told with what to install, before anything is run."""
    table(tmp_path / "in.csv", 2, query="query")
    script = (
        f"import sys; sys.modules[{missing!r}] = None; "
        "from dify_workflow_async.cli import main; main()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, "batch", "in.csv", "-o", name),
        *("--journal", "runs.db"),
        cwd=tmp_path,
        env=environment(server),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()

    assert process.returncode == 2
    assert f"pip install 'dify-workflow-async[{extra}]'" in errors.decode()
    assert b"Traceback" not in errors
    assert not server.runs


# -- status --------------------------------------------------------------------------


async def test_status(server, here):
    """It tells how many rows stand where, what they cost, and which are which."""
    (here / "in.csv").write_text("id,query\n1,a\n2,b\n3,\n")
    command = (
        "batch",
        "in.csv",
        "-o",
        "out.csv",
        "--journal",
        "runs.db",
        "--key",
        "id",
    )
    assert (await invoke(server, *command)).exit_code == 1

    told = await invoke(server, "batch", "status", "runs.db")
    listed = await invoke(server, "batch", "status", "runs.db", "--list", "refused")
    data = await invoke(
        server, "batch", "status", "runs.db", "--json", "--list", "succeeded"
    )

    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.startswith(
        "3 rows: 2 succeeded, 1 refused\n14 tokens, 0.000000 USD\nbegun "
    )
    assert f"base url: {server.base_url}\n" in told.stdout
    assert server.apps[0].key not in told.stdout
    last = listed.stdout.splitlines()[-1]
    assert last == "3 no run inputs.query: required, and not given"
    object_ = json.loads(data.stdout)
    assert object_["states"] == {"succeeded": 2, "refused": 1}
    assert {row["key"] for row in object_["listed"]} == {"1", "2"}
    assert all(row["run"] for row in object_["listed"])


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "there is no journal at"), ("a text" * 999, "runs.db")],
    ids=["none", "a text"],
)
async def test_status_of_no_journal(server, here, content, says):
    """Nothing is made where there is none."""
    if content is not None:
        (here / "runs.db").write_text(content)

    result = await invoke(server, "batch", "status", "runs.db")

    assert result.exit_code == 2
    assert says in result.stderr
    assert [x.name for x in here.iterdir()] == ["runs.db"] * (content is not None)
