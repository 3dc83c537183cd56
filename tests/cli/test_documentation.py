"""The page of the command line, which is made of the commands."""

from __future__ import annotations

import importlib.util
import re

from pathlib import Path
from types import ModuleType

import click
import pytest

from dify_workflow_async.cli._app import cli
from dify_workflow_async.cli._exit import STATUSES


DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference/command-line.md"


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """Give the extension that makes it; Sphinx is not needed for what it makes."""
    pytest.importorskip("sphinx")
    path = DOCS / "_make/command_line.py"
    spec = importlib.util.spec_from_file_location("command_line", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def every() -> list[tuple[str, click.Command]]:
    """All commands, by what one writes for them."""
    context = click.Context(cli)
    found = [
        (name, cli.get_command(context, name)) for name in cli.list_commands(context)
    ]
    for name, command in list(found):
        if isinstance(command, click.Group):
            found += [(f"{name} {x}", y) for x, y in command.commands.items()]
    return found


@pytest.mark.parametrize(
    ("name", "command"),
    every(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_command_is_told(made, name, command):
    """Its usage, and each of its options, stand in its own section."""
    sections = re.split(r"(?m)^### ", made.commands())
    (section,) = [each for each in sections if each.startswith(f"{name}\n")]

    assert f"dify-workflow {name} " in section
    told = section + made.connection()
    for option in command.params:
        if isinstance(option, click.Option):
            assert max(option.opts, key=len) in told
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)


def test_the_page_has_the_places(made):
    """The markers are on the page, so that what is made gets there."""
    source = [PAGE.read_text(encoding="utf-8")]
    made.fill_in(None, "reference/command-line", source)

    assert "### logs" in source[0]
    assert "`--profile" in source[0]
    assert "<!--" not in source[0]


def test_each_exit_status_is_told():
    """Those of the commands' own help stand on the page."""
    page = PAGE.read_text(encoding="utf-8")
    statuses = re.findall(r"(?m)(?:^ *|: |; )(\d+) ", STATUSES)
    assert {"0", "1", "2", "3", "4", "5", "130"} <= set(statuses)
    for status in statuses:
        assert re.search(rf"(?m)^\| {status} \|", page)
