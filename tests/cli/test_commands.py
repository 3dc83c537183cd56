"""The commands, run as processes and in the process of the tests."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys

from pathlib import Path

import click
import pytest

from click.testing import CliRunner

from dify_workflow_async import WorkflowClient, events, models
from dify_workflow_async.cli._app import COMMANDS, cli
from dify_workflow_async.cli._lines import describe, summarize

from ._stderr import faults


RECORDING = Path(__file__).parents[1] / "recordings/dify-1.14.2/run_llm_streaming.http"

# What a person sees must not depend on how wide the terminal of the tests is.
STRICT = [sys.executable, "-W", "error", "-X", "dev", "-m", "dify_workflow_async.cli"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*STRICT, *arguments], capture_output=True, text=True, timeout=50, check=False
    )


def test_demo_as_a_process():
    """The demo ends with 0, shows every kind of event and the result, and leaks nothing.

    Warnings are errors in it, and whatever a task, socket or session left behind would
    say goes to standard error.
    """
    done = run("demo", "--topic", "rivers")

    assert faults(done.stderr) == ""
    assert done.returncode == 0
    shown = re.findall(r"^ *[0-9.]+ s  (\w+)", done.stdout, re.MULTILINE)
    assert shown[0] == "workflow_started"
    assert set(shown) == {
        *("workflow_started", "workflow_finished", "node_started", "node_finished"),
        *("text_chunk", "tts_message", "tts_message_end"),
        *("iteration_started", "iteration_next", "iteration_completed"),
    }
    # Speech goes on after the end of the run, and ends by itself.
    assert shown[-1] == "tts_message_end"
    assert shown.index("workflow_finished") < len(shown) - 2
    assert re.search(r"^status +succeeded", done.stdout, re.MULTILINE)
    assert "about “rivers”" in done.stdout


async def test_help():
    """Every command tells in 80 columns how it is used, each in a process of its own."""
    names = ["", *COMMANDS]

    async def helped(name):
        process = await asyncio.create_subprocess_exec(
            *(*STRICT, *filter(None, [name]), "--help"),
            env=os.environ | {"COLUMNS": "80"},
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        return process.returncode, told.decode()

    for at in range(0, len(names), 4):
        some = names[at : at + 4]
        for name, (code, told) in zip(
            some, await asyncio.gather(*map(helped, some)), strict=True
        ):
            assert code == 0
            assert told.startswith(f"Usage: dify-workflow {name or '[OPTIONS]'} ")
            assert "-h, --help" in told
            assert max(map(len, told.splitlines())) <= 80, told


def test_commands_by_name():
    """The table names commands that are called so, in the order of the alphabet."""
    assert list(COMMANDS) == sorted(COMMANDS)
    for name in COMMANDS:
        assert cli.get_command(click.Context(cli), name).name == name
    assert cli.get_command(click.Context(cli), "unheard-of") is None


def test_version():
    """The version is that of the package."""
    from dify_workflow_async import __version__

    assert __version__ in CliRunner().invoke(cli, ["--version"]).output


def interruptible() -> None:
    """Behind nohup, or in the background of a script, Ctrl-C would be ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, None], ids=["Ctrl-C", "| head"])
def test_demo_that_is_left(number):
    """It ends as other commands do: with a status, and without a traceback."""
    with subprocess.Popen(
        [*STRICT, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=interruptible,  # noqa: PLW1509 - there are none
    ) as process:
        process.stdout.readline()
        if number is None:
            process.stdout.close()
        else:
            process.send_signal(number)
        said = faults(process.stderr.read())
    assert (process.returncode, said) == (130 if number else 141, "")


def test_demo_in_a_narrow_terminal():
    """The demo runs where there is no terminal at all."""
    result = CliRunner().invoke(cli, ["demo"])

    assert result.exit_code == 0, result.output
    assert "workflow_finished" in result.output


async def serve(*arguments: str) -> tuple[asyncio.subprocess.Process, dict[str, str]]:
    """Start the server in a process and give what it tells to export."""
    process = await asyncio.create_subprocess_exec(
        *(*STRICT, "serve", "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told: dict[str, str] = {}
    while "DIFY_API_KEY" not in told:
        line = (await process.stdout.readline()).decode()
        assert line, (await process.stderr.read()).decode()
        name, _, value = line.removeprefix("export ").split()[0].partition("=")
        told[name] = value
    return process, told


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name
)
async def test_serve(number):
    """The server serves its demo until it is told to end, which is no error."""
    process, told = await serve("--key", "app-mine")
    try:
        assert told["DIFY_API_KEY"] == "app-mine"
        async with WorkflowClient("app-mine", told["DIFY_BASE_URL"], "u") as client:
            async with client.stream({"topic": "x"}) as stream:
                started = await anext(stream)
            assert isinstance(started, events.WorkflowStarted)
    finally:
        process.send_signal(number)
        _, errors = await process.communicate()
    assert (process.returncode, faults(errors)) == (0, "")


async def test_serve_a_recording_and_a_scenario(tmp_path):
    """Several apps are served, each with its key, as the version that is asked for."""
    scenario = tmp_path / "greet.yml"
    scenario.write_text(
        "steps:\n"
        "  - node: {type: start}\n"
        "  - node: {type: end, outputs: {text: 'Hello'}}\n"
    )
    process, told = await serve(
        *("--dify", "1.12.1", "--key", "app-1", "--key", "app-2"),
        *(str(scenario), str(RECORDING)),
    )
    try:
        async with WorkflowClient("app-1", told["DIFY_BASE_URL"], "u") as client:
            assert (await client.run()).outputs == {"text": "Hello"}
            recorded = client.with_options(api_key="app-2")
            assert (await recorded.run()).total_tokens == 19
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def test_record(tmp_path):
    """What a server answers is recorded until the command is told to end."""
    process, told = await serve("--key", "app-1")
    folder = tmp_path / "recordings"
    recorder = await asyncio.create_subprocess_exec(
        *(*STRICT, "record", str(folder), "--port", "0"),
        *("--base-url", told["DIFY_BASE_URL"]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        line = (await recorder.stdout.readline()).decode()
        url = line.removeprefix("export DIFY_BASE_URL=").strip()
        async with WorkflowClient("app-1", url, "u") as client:
            assert (await client.info()).name == "demo"
    finally:
        recorder.terminate()
        process.terminate()
        said, errors = await recorder.communicate()
        await process.communicate()
    assert (recorder.returncode, faults(errors)) == (0, "")
    assert said == b"# 1 answers recorded\n"
    assert (folder / "001-get-info.http").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--base-url", "dify"], "not a base URL"),
        (["--base-url", "http://x", "--host", "192.0.2.1"], "192.0.2.1"),
    ],
    ids=["base URL", "address"],
)
def test_what_cannot_be_recorded(tmp_path, arguments, says):
    """A wrong setting is said in a line."""
    result = CliRunner().invoke(cli, ["record", str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert says in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--key", "a", "--key", "b"], "2 keys for 1 apps"),
        (["--dify", "newest"], "version"),
        (["nowhere.yml"], "does not exist"),
        ([str(Path(__file__))], "test_commands.py"),
        (["--host", "192.0.2.1", "--port", "0"], "192.0.2.1"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_serve_what_cannot_be_served(arguments, says):
    """What cannot be served is told in a sentence, and ends with an error."""
    result = CliRunner().invoke(cli, ["serve", *arguments])

    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("missing", ["click", "rich", "yaml"])
def test_without_the_extra(missing):
    """Without the extra the command says what to install."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None; "
        "from dify_workflow_async.cli import main; "
        "sys.argv = ['dify-workflow', 'demo', '--help']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    if missing == "yaml":  # only what reads YAML needs it
        assert done.returncode == 0
    else:
        assert done.returncode == 1
        assert done.stderr == (
            f"dify-workflow needs {missing}: pip install 'dify-workflow-async[cli]'\n"
        )


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (events.WorkflowStarted(workflow_run_id="r"), "run r"),
        (events.NodeStarted(title="Start"), "Start"),
        (events.IterationStarted(title="Each"), "Each"),
        (events.LoopStarted(title="Until"), "Until"),
        (events.IterationNext(index=0), "round 0"),
        (events.LoopNext(index=1), "round 1"),
        (events.TextChunk(text="a\nb"), r"'a\nb'"),
        (events.TextReplace(text="c"), "'c'"),
        (
            events.NodeRetry(title="Ask", retry_index=1, error="busy"),
            "Ask: try 1 after busy",
        ),
        (
            events.NodeFinished(title="Ask", status="failed", error="no"),
            "Ask failed (no)",
        ),
        (
            events.IterationCompleted(title="Each", status="succeeded", elapsed_time=2),
            "Each succeeded after 2.00 s",
        ),
        (events.LoopCompleted(title="Until"), "Until ended"),
        (events.WorkflowFinished(status="stopped"), "stopped"),
        (events.WorkflowPaused(paused_nodes=("a", "b")), "waits for a person at a, b"),
        (events.Error(code="x", message="why"), "x: why"),
        (events.Error(message="why"), "no code: why"),
        (events.TtsMessage(audio="AAAA"), "about 3 bytes of speech"),
        (events.TtsMessageEnd(), ""),
        (events.UnknownEvent(name="of_tomorrow"), "of_tomorrow"),
    ],
    ids=lambda value: value.event_name if isinstance(value, events.Event) else value,
)
def test_lines(event, line):
    """Each event says in a few words what a person wants to know of it."""
    assert describe(event) == line


def test_summary_of_a_failure():
    """The lines of a result tell why it failed."""
    result = models.RunResult(status="failed", error="why", outputs={"a": 1})

    assert dict(summarize(result)) == {
        "status": "failed",
        "a": "1",
        "error": "why",
        "seconds": "0.00",
        "tokens": "0",
        "run": "unknown",
    }
