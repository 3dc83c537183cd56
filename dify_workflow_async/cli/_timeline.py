"""``dify-workflow timeline``: where the time and the tokens went, as a picture."""

from __future__ import annotations

import asyncio

from pathlib import Path

import click

from ..errors import DifyError
from ..timeline import BatchTimeline, Picture, Timeline, check_path


_SQLITE = b"SQLite format 3\0"


@click.command()
@click.argument("source", metavar="FILE|URL")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The picture: .html, which shows more where one points, .svg or .png.",
)
def timeline(source: str, output: Path) -> None:
    """Draw where the time and the tokens of a run, or of a batch, went.

    A run is read from a FILE with its events: JSON, one event in each line; the text of
    an event stream; or an answer that `dify-workflow record` wrote (.http). A batch is
    read from its journal, also while it runs.
    """
    try:
        check_path(output)
        click.echo(_picture(source).save(output))
    except DifyError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        told = f"{error.filename or source}: {error.strerror or error}"
        raise click.UsageError(told) from error


def _picture(source: str) -> Picture:
    if _is_journal(source):
        return asyncio.run(BatchTimeline.read(source))
    return Timeline.read(source)


def _is_journal(source: str) -> bool:
    if "://" in source:
        return True
    path = Path(source)
    if not path.is_file():  # a pipe can be read once only
        return False
    with path.open("rb") as file:
        return file.peek(len(_SQLITE)).startswith(_SQLITE)
