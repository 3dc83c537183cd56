"""``dify-workflow completion``: scripts by which shells complete the command."""

from __future__ import annotations

import os

from pathlib import PurePath

import click

from click.shell_completion import BashComplete, FishComplete, ZshComplete


NAME = "dify-workflow"
VARIABLE = "_DIFY_WORKFLOW_COMPLETE"
"""By which such a script asks the command; click's name for it."""

SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}

EPILOG = """\b
bash, from 4.4 on, in ~/.bashrc:
  eval "$(dify-workflow completion bash)"
zsh, in ~/.zshrc:
  eval "$(dify-workflow completion zsh)"
fish, in ~/.config/fish/config.fish:
  dify-workflow completion fish | source
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(list(SHELLS)), required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the script that teaches SHELL to complete this command.

    SHELL is the one that the variable SHELL names, if it is not given.
    """
    shell = shell or PurePath(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        msg = f"which shell? It is one of: {', '.join(SHELLS)}"
        raise click.UsageError(msg)
    command = ctx.find_root().command
    click.echo(SHELLS[shell](command, {}, NAME, VARIABLE).source())
