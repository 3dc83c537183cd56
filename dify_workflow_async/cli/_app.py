"""The group of commands, and what they have in common."""

from __future__ import annotations

from importlib import import_module
from typing import cast

import click


COMMANDS = {
    "attach": "_follow:attach",
    "batch": "_batch:batch",
    "completion": "_completion:completion",
    "demo": "_demo:demo",
    "doctor": "_doctor:doctor",
    "form": "_form:form",
    "get": "_runs:get",
    "info": "_app_info:info",
    "logs": "_logs:logs",
    "parameters": "_app_info:parameters",
    "profiles": "_profiles_list:profiles",
    "record": "_record:record",
    "run": "_run:run",
    "serve": "_serve:serve",
    "stop": "_runs:stop",
    "timeline": "_timeline:timeline",
    "upload": "_upload:upload",
    "wait": "_follow:wait",
}
"""The commands: a module of this package and its attribute, imported when used."""


class _Late(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of the alphabet."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, if there is one."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(f".{module}", __package__), attribute)
        return cast("click.Command", found)


@click.group(cls=_Late, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dify-workflow-async")
def cli() -> None:
    """Run Dify workflows, and a server to try them against."""
