"""The group of commands, and what they have in common."""

from __future__ import annotations

import click

from ._batch import batch
from ._demo import demo
from ._record import record
from ._serve import serve
from ._timeline import timeline


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dify-workflow-async")
def cli() -> None:
    """Run Dify workflows, and a server to try them against."""


cli.add_command(batch)
cli.add_command(demo)
cli.add_command(record)
cli.add_command(serve)
cli.add_command(timeline)
