"""The commands of ``dify-workflow``, as Markdown for the page that has the marker.

They are read from the commands themselves when the documentation is built, so that the
page cannot tell of what is not there, nor be silent about what is.
"""

from __future__ import annotations

import inspect
import re

from collections.abc import Iterable, Iterator

import attrs
import click

from sphinx.application import Sphinx

from dify_workflow_async.cli._app import cli
from dify_workflow_async.cli._connection import Connection, connected
from dify_workflow_async.cli._exit import STATUSES


PROGRAM = "dify-workflow"
COMMANDS, CONNECTION = "<!-- commands -->", "<!-- connection -->"

SHARED = frozenset(attrs.fields_dict(Connection))
"""Options that most commands have, which are told once."""


def commands() -> str:
    """All commands, in the order of the alphabet."""
    parts = []
    top = click.Context(cli, info_name=PROGRAM)
    for name in cli.list_commands(top):
        command = cli.get_command(top, name)
        parts += _command(command, name, top)
    return "\n".join(parts)


def connection() -> str:
    """The options that most commands have."""
    command = click.command(connected(lambda **_: None))
    return "\n".join(_table(command.params, click.Context(command)))


def _command(command: click.Command, name: str, above: click.Context) -> Iterator[str]:
    # A group may be a command, too: without a command of its own it makes that one's.
    context = command.make_context(name, [], parent=above, resilient_parsing=True)
    yield from _section(context.command, context)
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name, parent=above)
        for below in command.list_commands(context):
            yield from _command(command.get_command(context, below), below, context)


def _section(command: click.Command, context: click.Context) -> Iterator[str]:
    """The heading, the usage, the help, and the options of one command."""
    yield f"### {context.command_path.removeprefix(PROGRAM).strip()}\n"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```\n"
    yield _prose(command.help or "")
    is_connected = {each.name for each in command.params} >= SHARED
    shared = SHARED if is_connected else frozenset()
    yield from _table((x for x in command.params if x.name not in shared), context)
    if is_connected:
        yield "Also [which app on which server, for whom](#which-app-for-whom).\n"
    if command.epilog and command.epilog != STATUSES:
        yield _prose(command.epilog)


def _table(parameters: Iterable[click.Parameter], context: click.Context) -> list[str]:
    options = (each for each in parameters if isinstance(each, click.Option))
    found = [each.get_help_record(context) for each in options]
    rows = [f"| `{_cell(each[0])}` | {_cell(each[1])} |" for each in found if each]
    return ["| option | |", "| --- | --- |", *rows, ""] if rows else []


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """A help text as Markdown: paragraphs, without click's marks."""
    text = inspect.cleandoc(text).replace("\b\n", "").partition("\f")[0]
    return re.sub(r"(?m)^ {2,}", "    ", text.strip()) + "\n"


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the commands where the markers are."""
    del app, docname
    if COMMANDS in source[0]:
        text = source[0].replace(COMMANDS, commands())
        source[0] = text.replace(CONNECTION, connection())


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx ask for each page."""
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True}
