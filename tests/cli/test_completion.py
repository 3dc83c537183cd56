"""Completion: the scripts, and what shells ask the command."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess

from functools import partial

import pytest

from dify_workflow_async.local import App, LocalServer, Scenario

from ._batches import STRICT, environment, run


CONFIG = """
[profiles.work]
base_url = "https://work.example/v1"
[profiles.work.keys]
sums = { env = "A" }
reports = { env = "B" }
[profiles.home.keys]
games = { env = "C" }
"""


@pytest.fixture
async def server():
    async with LocalServer([App(Scenario())]) as server:
        yield server


def config(folder, text=CONFIG):
    path = folder / "config.toml"
    path.write_text(text)
    return {"DIFY_WORKFLOW_CONFIG": str(path), "DIFY_PROFILE": ""}


async def completed(server, folder, *words, shell="bash", text=CONFIG):
    """What the command proposes for its last word."""
    asked = {
        "_DIFY_WORKFLOW_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(["dify-workflow", *words]),
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words)),
    }
    code, told, errors = await run(server, cwd=folder, **config(folder, text), **asked)
    assert (code, errors) == (0, "")
    lines = told.splitlines()
    if shell == "zsh":
        return [
            name for kind, name in zip(lines[::3], lines[1::3], strict=True) if kind
        ]
    return [line.split(",")[1].split("\t")[0] for line in lines if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_names_of_profiles(server, tmp_path, shell):
    """Each shell gets the names of the config file, in its own format."""
    words = ("run", "--profile", "")
    assert await completed(server, tmp_path, *words, shell=shell) == ["work", "home"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["wa"], ["wait"]),
        (["run", "--prof"], ["--profile"]),
        (["run", "--profile", "h"], ["home"]),
        (["run", "--profile", "work", "--app", ""], ["sums", "reports"]),
        (["run", "--profile", "home", "--app", ""], ["games"]),
        (["run", "--app", ""], []),
        (["run", "--output", "t"], ["table", "text"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
    ids=" ".join,
)
async def test_words(server, tmp_path, words, names):
    """Commands, options and their values are proposed."""
    assert await completed(server, tmp_path, *words) == names


async def test_a_faulty_config_file(server, tmp_path):
    """It proposes nothing, and says nothing: the shell is no place for that."""
    words = ("run", "--profile", "")
    assert await completed(server, tmp_path, *words, text="[") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_scripts(server, tmp_path, shell):
    """Each script asks the command by its name, and is what its shell reads."""
    code, told, errors = await run(server, "completion", shell, cwd=tmp_path)

    assert (code, errors) == (0, "")
    assert f"_DIFY_WORKFLOW_COMPLETE={shell}_complete" in told
    assert "dify-workflow" in told
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here that could read it")
    reads = partial(subprocess.run, [program, "-n"], input=told, text=True, check=True)
    await asyncio.to_thread(reads)


async def test_the_script_of_the_shell_in_use(server, tmp_path):
    """Without a name it is that of the variable SHELL; others are refused."""
    _, of_fish, _ = await run(server, "completion", "fish", cwd=tmp_path)
    code, told, _ = await run(server, "completion", cwd=tmp_path, SHELL="/usr/bin/fish")
    assert (code, told) == (0, of_fish)

    code, told, errors = await run(server, "completion", cwd=tmp_path, SHELL="/bin/csh")
    assert (code, told) == (2, "")
    assert "which shell? It is one of: bash, zsh, fish" in errors


async def test_in_a_real_bash(server, tmp_path):
    """The script, read by bash, makes it propose what the command proposes."""
    command = tmp_path / "dify-workflow"
    command.write_text(f'#!/bin/sh\nexec {" ".join(STRICT)} "$@"\n')
    command.chmod(0o755)
    script = (
        'eval "$(dify-workflow completion bash)"\n'
        "COMP_WORDS=(dify-workflow run --profile wo); COMP_CWORD=3\n"
        "_dify_workflow_completion dify-workflow wo --profile\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        cwd=tmp_path,
        env=environment(server, **config(tmp_path))
        | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, errors = await process.communicate()

    assert (told, errors) == (b"work\n", b"")
