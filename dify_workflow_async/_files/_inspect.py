"""What the user gave for a file: looked at in a thread, before anything is sent."""

from __future__ import annotations

import asyncio
import io
import stat

from functools import partial
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

from .. import models
from .._protocol import holds_line_break, is_a
from ..errors import InvalidInputs
from ..files import RemoteFile, Upload
from ._kinds import HEAD, OCTETS, mime_of_bytes, mime_of_name
from ._sources import (
    Source,
    chunks_of_bytes,
    chunks_of_file,
    chunks_of_iterable,
    chunks_of_path,
)


_BYTES = (bytes, bytearray, memoryview)
_AS_IT_IS = Upload(b"")  # what a file that is no Upload says of itself: nothing


def is_file(value: object) -> bool:
    """True for a file, and for what its user may take for one."""
    kinds = (Upload, RemoteFile, models.UploadedFile, PathLike, *_BYTES)
    return isinstance(value, kinds) or is_stream(value)


def is_stream(value: object) -> bool:
    """True for what has a place that reading moves: not for two readers."""
    return hasattr(value, "read") or hasattr(value, "__aiter__")


async def inspect(file: object, path: str) -> Source:
    """What is to be sent for a file of this machine.

    Raises:
        InvalidInputs: it is none, or cannot be read; the problem begins with *path*.
    """
    return await asyncio.get_running_loop().run_in_executor(None, look, file, path)


def look(file: object, path: str) -> Source:
    """The same, in this thread, which waits for the disk."""
    upload = file if isinstance(file, Upload) else _AS_IT_IS
    content: Any = file if upload is _AS_IT_IS else upload.content
    if any(is_a(kind, content) for kind in _BYTES):
        return _of_bytes(upload, content, path)
    if is_a(PathLike, content):
        return _of_path(upload, content, path)
    if hasattr(content, "__aiter__"):  # some of them have an async read(), too
        return _of_iterable(upload, content, path)
    if hasattr(content, "read"):
        return _of_file(upload, content, path)
    msg = (
        f"{path}: {type(content).__name__} is no file to upload: "
        "give a Path, an open file or an Upload"
    )
    raise InvalidInputs([msg])


def _of_bytes(upload: Upload, given: Any, path: str) -> Source:
    name, content = _name(upload, None, path), bytes(given)
    return Source(
        name=name,
        mime_type=upload.mime_type or mime_of_name(name) or mime_of_bytes(content),
        size=len(content),
        repeatable=True,
        chunks=partial(chunks_of_bytes, content),
    )


def _of_iterable(upload: Upload, content: Any, path: str) -> Source:
    name = _name(upload, None, path)
    return Source(
        name=name,
        mime_type=upload.mime_type or mime_of_name(name) or OCTETS,
        size=None,
        repeatable=False,
        chunks=partial(chunks_of_iterable, content, name),
    )


def _of_path(upload: Upload, given: Any, path: str) -> Source:
    content = Path(given)
    name = _name(upload, content.name, path)
    mime_type = upload.mime_type or mime_of_name(name)
    size, fault = 0, ""
    try:
        info = content.stat()
        if stat.S_ISDIR(info.st_mode):
            fault = "is a directory"
        elif not stat.S_ISREG(info.st_mode):  # whose end may never come
            fault = "is no regular file"
        else:
            size = info.st_size
            with content.open("rb", buffering=0) as opened:  # to see that it can be
                mime_type = mime_type or mime_of_bytes(opened.read(HEAD))
    except (OSError, ValueError) as error:
        fault = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if fault:
        raise InvalidInputs([f"{path}: {str(content)!r} {fault}"])
    return Source(
        name=name,
        mime_type=mime_type or OCTETS,
        size=size,
        repeatable=True,
        chunks=chunks_of_path(content, name, size),
    )


def _of_file(upload: Upload, content: Any, path: str) -> Source:
    fault = None
    if is_a(io.TextIOBase, content):
        fault = "is open for text: open it with 'rb'"
    elif getattr(content, "closed", False):
        fault = "is closed"
    elif not getattr(content, "readable", lambda: True)():
        fault = "is not open for reading"
    if fault:
        raise InvalidInputs([f"{path}: the file {fault}"])
    given = getattr(content, "name", None)
    name = _name(upload, PurePath(given).name if isinstance(given, str) else None, path)
    mime_type = upload.mime_type or mime_of_name(name)
    start, size = _extent(content)
    if mime_type is None and start is not None:
        mime_type = mime_of_bytes(content.read(HEAD))
        content.seek(start)
    return Source(
        name=name,
        mime_type=mime_type or OCTETS,
        size=size,
        repeatable=start is not None,
        chunks=chunks_of_file(content, name, start, size),
    )


def _extent(file: Any) -> tuple[int, int] | tuple[None, None]:
    """Where an open file stands and how much is to come; None if it cannot go back."""
    try:
        start: int = file.tell()
        end: int = file.seek(0, io.SEEK_END)
        file.seek(start)
    except (AttributeError, OSError, ValueError):
        return None, None
    return start, max(0, end - start)


def _name(upload: Upload, known: str | None, path: str) -> str:
    """The file's name, if it has one that a server takes."""
    name = known if upload.name is None else upload.name
    if not name:
        msg = f"{path}: what is uploaded needs a name: Upload(..., name='report.pdf')"
        raise InvalidInputs([msg])
    if "/" in name or "\\" in name:
        msg = f"{path}: a file name holds no slashes, as {name!r} does: use name="
        raise InvalidInputs([msg])
    if holds_line_break(name):
        msg = f"{path}: a file name holds no line breaks, as {name!r} does: use name="
        raise InvalidInputs([msg])
    return name
