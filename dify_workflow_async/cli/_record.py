"""``dify-workflow record``: what a real server answers, into files to replay."""

from __future__ import annotations

import asyncio

from pathlib import Path

import click

from ..local import Recorder
from ._signals import on_interrupt


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--base-url",
    envvar="DIFY_BASE_URL",
    required=True,
    help="The real server; else DIFY_BASE_URL.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8001, show_default=True, help="0 takes a free one.")
def record(folder: Path, base_url: str, host: str, port: int) -> None:
    """Pass requests on to a real server, and write its answers into FOLDER.

    Let your program use the base URL that is told, with its key as ever; then serve
    FOLDER to replay what was recorded. API keys, cookies and uploaded files are not
    written down; all else is, so look at it before you share it.
    """
    try:
        recorder = Recorder(base_url, folder, host=host, port=port)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    asyncio.run(_record(recorder))


async def _record(recorder: Recorder) -> None:
    """Record until an interrupt or a termination, both of which are a clean end."""
    stop = asyncio.Event()
    with on_interrupt(stop.set):
        try:
            await recorder.start()
        except OSError as error:
            raise click.UsageError(str(error)) from error
        try:
            click.echo(f"export DIFY_BASE_URL={recorder.base_url}")
            await stop.wait()
        finally:
            await recorder.aclose()
    click.echo(f"# {len(recorder.written)} answers recorded")
