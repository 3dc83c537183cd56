"""Bodies of uploads: ``multipart/form-data``, one file and who sends it.

Written here and not by aiohttp, which percent-encodes names that servers want raw, and
holds no promise about the length. The rules are those of browsers (WHATWG HTML, section
"multipart form data"; RFC 7578).
"""

from __future__ import annotations

import os

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ._sources import Source


class FormBody:
    """A form with one file, as `_protocol.Content`."""

    def __init__(self, head: bytes, source: Source, tail: bytes, boundary: str) -> None:
        self._head = head
        self._source = source
        self._tail = tail
        around = len(head) + len(tail)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.size = None if source.size is None else around + source.size
        self.repeatable = source.repeatable

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The form, with the file as it is read."""
        yield self._head
        async with aclosing(self._source.chunks()) as pieces:
            async for piece in pieces:
                yield piece
        yield self._tail


def form_body(source: Source, *, user: str, boundary: str | None = None) -> FormBody:
    """Make the body of an upload.

    Args:
        source: the file.
        user: the end user, in a part of its own.
        boundary: what parts the parts; else 128 random bits, which no file holds.
    """
    boundary = boundary or os.urandom(16).hex()
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="user"\r\n\r\n{user}\r\n'
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; '
        f'filename="{_escaped(source.name)}"\r\n'
        f"Content-Type: {source.mime_type}\r\n\r\n"
    )
    return FormBody(
        head.encode("utf-8", "replace"),  # a name from a disk may be no Unicode
        source,
        f"\r\n--{boundary}--\r\n".encode(),
        boundary,
    )


def _escaped(name: str) -> str:
    """A name between quotes: raw but for what would end it."""
    return name.replace("\n", "%0A").replace("\r", "%0D").replace('"', "%22")
