"""``dify-workflow upload``: files for later runs."""

from __future__ import annotations

import sys

from pathlib import Path

import click

from .. import WorkflowClient
from ..errors import (
    BadRequest,
    DifyError,
    FileTooLarge,
    InvalidInputs,
    UnsupportedFileType,
)
from ..files import BinaryFile, Upload
from ..models import UploadedFile
from ._connection import Connection, connected
from ._exit import STATUSES, carry_out, status_of
from ._show import show_json, show_table, shown
from ._text import printable


_OF_THE_FILE = (BadRequest, FileTooLarge, InvalidInputs, UnsupportedFileType)
"""What is wrong with one file, so that others may still be taken."""


@click.command(epilog=STATUSES)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--name", help="The file's name, if not its own; `-` needs one.")
@click.option("--mime-type", help="Such as text/csv; else by the name or the content.")
@click.option("--json", "as_json", is_flag=True, help="A list, as the server told it.")
@connected
def upload(
    files: tuple[str, ...],
    *,
    name: str | None,
    mime_type: str | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Upload each FILE, and tell the ids by which runs take them; `-` is stdin.

    A file that is not taken is told of, and the others are uploaded all the same.
    """
    if len(files) > 1 and (name or mime_type):
        msg = "--name and --mime-type are for one file"
        raise click.UsageError(msg)
    if "-" in files and not name:
        msg = "what comes from stdin needs a --name"
        raise click.UsageError(msg)
    carry_out(_upload(files, name, mime_type, connection, as_json=as_json))


async def _upload(
    files: tuple[str, ...],
    name: str | None,
    mime_type: str | None,
    connection: Connection,
    *,
    as_json: bool,
) -> int:
    done: list[UploadedFile] = []
    status = 0
    try:
        async with connection.client() as client:
            for file in files:
                given = _given(file, name, mime_type)
                status = await _one(client, file, given, done) or status
    finally:  # what was uploaded has an id that nobody else tells
        if as_json:
            show_json([dict(each.raw) for each in done])
        elif done:
            _show(done)
    return status


def _given(file: str, name: str | None, mime_type: str | None) -> Upload:
    content: BinaryFile | Path = Path(file)
    if file == "-":
        content = sys.stdin.buffer
    return Upload(content, name=name, mime_type=mime_type)


async def _one(
    client: WorkflowClient, file: str, given: Upload, done: list[UploadedFile]
) -> int:
    """Upload one; the status that it ends with, if it is not taken.

    Raises:
        DifyError: the others would not be taken either.
    """
    try:
        done.append(await client.upload(given))
    except _OF_THE_FILE as error:
        failure: DifyError = error
    else:
        return 0
    click.echo(f"Error: {printable(f'{file}: {failure}')}", err=True)
    return status_of(failure)


def _show(done: list[UploadedFile]) -> None:
    show_table(
        ("id", "name", "size", "type"),
        [(x.id or "", x.name or "", shown(x.size), x.mime_type or "") for x in done],
    )
