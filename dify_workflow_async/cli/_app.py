"""The group of commands, and what they have in common."""

from __future__ import annotations

import click

from ._app_info import info, parameters
from ._batch import batch
from ._demo import demo
from ._doctor import doctor
from ._form import form
from ._logs import logs
from ._record import record
from ._runs import get, stop
from ._serve import serve
from ._upload import upload


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dify-workflow-async")
def cli() -> None:
    """Run Dify workflows, and a server to try them against."""


cli.add_command(batch)
cli.add_command(demo)
cli.add_command(doctor)
cli.add_command(form)
cli.add_command(get)
cli.add_command(info)
cli.add_command(logs)
cli.add_command(parameters)
cli.add_command(record)
cli.add_command(serve)
cli.add_command(stop)
cli.add_command(upload)
