"""Files for a run, and files to fetch.

A value in ``inputs`` or ``files`` may be a file of this machine: a `pathlib.Path`, a
file open for reading bytes that has a name, or an `Upload`, which says more about it.
It may also be a `RemoteFile`, which the server fetches itself, or a file that was
uploaded before (`models.UploadedFile <dify_workflow_async.models.UploadedFile>`).
An app takes them as single values of ``file`` variables and in lists for
``file-list`` variables (specification, sections 2.1 and 2.2).

`Download` is what the client's ``download()`` gives.
"""

from __future__ import annotations

import re

from collections.abc import AsyncIterable
from os import PathLike
from typing import Any, Literal, Protocol, TypeGuard

import attrs

from ._download import Download
from .errors import InvalidInputs


__all__ = ["BinaryFile", "Download", "FileType", "RemoteFile", "Upload"]

FileType = Literal["image", "document", "audio", "video", "custom"]
"""What Dify tells files apart by."""

_TYPES = ("image", "document", "audio", "video", "custom")
_MIME_TYPE = re.compile(r"[!-~]+/[!-~]+(; ?[ -~]+)?")


class BinaryFile(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes, none at the end."""
        ...


def _is_bytes(value: object) -> TypeGuard[bytes | bytearray | memoryview[int]]:
    """True for bytes in any of their forms."""
    return isinstance(value, bytes | bytearray | memoryview)


def _shown(content: object) -> str:
    """What is uploaded, in few words."""
    if _is_bytes(content):
        return f"<{len(content)} bytes>"
    return repr(content)


@attrs.frozen(eq=False)
class Upload:
    """A file to upload for a run (specification, sections 1.10 and 2.2).

    Nothing is opened or read before the run is asked for.

    Args:
        content: a path, bytes, a file open for reading bytes, or an async iterable of
            bytes. The last, and a file without ``seek()``, can be sent once, so they
            are never sent again after a failure.
        name: the file's name, without slashes; servers cut it at 200 characters. Bytes
            and iterables need one. It tells the server what the file is.
        mime_type: such as ``"text/csv"``; else by the name, and failing that by the
            first bytes.
        type: ``image``, ``document``, ``audio``, ``video`` or ``custom``; else by the
            name and MIME type, and as the app's form allows.

    Raises:
        InvalidInputs: a type that there is not, or a name or MIME type that cannot
            be sent.
    """

    content: PathLike[str] | bytes | BinaryFile | AsyncIterable[bytes] = attrs.field(
        repr=_shown
    )
    name: str | None = attrs.field(default=None, kw_only=True)
    mime_type: str | None = attrs.field(default=None, kw_only=True)
    type: FileType | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        content: Any = self.content
        if isinstance(content, str):
            msg = (
                "Upload: a text is neither a path nor content: use Path() or .encode()"
            )
            raise InvalidInputs([msg])
        if self.mime_type is not None and not _MIME_TYPE.fullmatch(self.mime_type):
            raise InvalidInputs([f"Upload: {self.mime_type!r} is no MIME type"])
        _check_type(self)


@attrs.frozen
class RemoteFile:
    """A file that the server fetches itself (specification, section 2.2).

    The server asks the URL for name, type and size, so it has to reach it.

    Args:
        url: begins with ``http``.
        type: as for `Upload`; a server checks it against what it finds.
        name: the file's name, if the URL does not tell it; only to find the type.

    Raises:
        InvalidInputs: the URL does not begin with ``http``, or there is no such type.
    """

    url: str
    type: FileType | None = attrs.field(default=None, kw_only=True)
    name: str | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        url: Any = self.url
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            msg = "RemoteFile: the URL must begin with http:// or https://"
            raise InvalidInputs([msg])
        _check_type(self)


def _check_type(file: Upload | RemoteFile) -> None:
    if file.type is not None and file.type not in _TYPES:
        kinds = ", ".join(_TYPES)
        msg = f"{type(file).__name__}: the type is one of {kinds}, not {file.type!r}"
        raise InvalidInputs([msg])
