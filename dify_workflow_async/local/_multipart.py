"""Forms with files (``multipart/form-data``), read as they arrive.

A file goes to disk piece by piece, so its size does not matter to the memory. What
is beyond a file's limit is read and thrown away: like real servers this one answers
only when it has read everything, since many clients cannot take an answer earlier.
"""

import asyncio
import contextlib

from collections.abc import AsyncGenerator, Callable
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import Path
from typing import Final

import aiohttp
import attrs

from aiohttp import web
from aiohttp.http import HttpProcessingError

from ._errors import RequestRefused
from ._ids import new_id


SizeLimit = Callable[[str], float]

# More than a stream of aiohttp holds at once: its reader of parts gives back what it has
# above this, by a call that it warns of itself.
_READ_SIZE: Final = 512 * 1024
_WRITE_SIZE: Final = 1024 * 1024

# A field is kept in memory; werkzeug allows that many bytes as well.
_LARGEST_FIELD: Final = 500_000
_FIELD_TOO_LARGE: Final = "The data value transmitted exceeds the capacity limit."


@attrs.frozen(kw_only=True)
class FormFile:
    """A file of a form.

    Args:
        filename: Its name, as the client tells it.
        mime_type: Its MIME type without parameters; empty if the client told none.
        size: How many bytes came; more than there are on disk if there was a limit.
        path: Where the bytes are, while the form is open.
    """

    filename: str
    mime_type: str
    size: int
    path: Path


@attrs.frozen
class FormData:
    """A form; of a name that occurs twice, the first value.

    Args:
        fields: Texts by name.
        files: Files by name.
    """

    fields: dict[str, str] = attrs.field(factory=dict[str, str])
    files: dict[str, FormFile] = attrs.field(factory=dict[str, FormFile])


@contextlib.asynccontextmanager
async def read_form(
    request: web.Request, folder: Path, limit: SizeLimit
) -> AsyncGenerator[FormData]:
    """Read the form of a request; whoever wants to keep a file moves it away.

    Args:
        request: The request. If its body is no form, or breaks off being one, the
            form has what there was until then, as on real servers.
        folder: Where files are written to.
        limit: How many bytes of a file are written, by file name.

    Raises:
        RequestRefused: A text is too long.
    """
    form = FormData()
    paths: list[Path] = []

    def make_path() -> Path:
        paths.append(folder / new_id())
        return paths[-1]

    try:
        with contextlib.suppress(ValueError, HttpProcessingError):
            await _read_parts(request, form, make_path, limit)
        yield form
    finally:
        _remove(paths)


async def _read_parts(
    request: web.Request,
    form: FormData,
    make_path: Callable[[], Path],
    limit: SizeLimit,
) -> None:
    if request.content_type != "multipart/form-data":
        return
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, aiohttp.BodyPartReader):
            return  # a form inside the form, which nobody sends
        name, filename = _names(part)
        if filename is None:
            value = await _read_text(part)
            form.fields.setdefault(name, value)
        elif name in form.files:
            await part.release()
        else:
            path = make_path()
            size = await _save(part, path, limit(filename))
            form.files[name] = FormFile(
                filename=filename, mime_type=_mime_type(part), size=size, path=path
            )


def _names(part: aiohttp.BodyPartReader) -> tuple[str, str | None]:
    """Tell the name of a part, and the name of the file if it is one.

    aiohttp's own reader of this header drops slashes, and those must be refused.
    """
    header = Message()
    raw = part.headers.get("Content-Disposition", "")
    header["Content-Disposition"] = raw.encode("utf-8", "replace").decode()
    name, filename = (
        header.get_param(key, header="Content-Disposition")
        for key in ("name", "filename")
    )
    return (
        "" if name is None else collapse_rfc2231_value(name),
        None if filename is None else collapse_rfc2231_value(filename),
    )


def _mime_type(part: aiohttp.BodyPartReader) -> str:
    return part.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def _read_text(part: aiohttp.BodyPartReader) -> str:
    value = bytearray()
    while piece := await part.read_chunk(_READ_SIZE):
        value += piece
        if len(value) > _LARGEST_FIELD:
            raise RequestRefused(413, "request_entity_too_large", _FIELD_TOO_LARGE)
    return value.decode("utf-8", "replace")


async def _save(part: aiohttp.BodyPartReader, path: Path, limit: float) -> int:
    """Write a file up to a limit, and tell how large it is."""
    size = 0
    waiting = bytearray()
    # Not in a thread: whoever is cancelled meanwhile would leave the file open.
    with path.open("wb") as file:
        while piece := await part.read_chunk(_READ_SIZE):
            size += len(piece)
            if size > limit:
                continue
            waiting += piece
            if len(waiting) >= _WRITE_SIZE:
                await asyncio.to_thread(file.write, waiting)
                waiting = bytearray()
        await asyncio.to_thread(file.write, waiting)
    return size


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
