"""Where the bytes of an upload come from: paths, bytes, open files, iterables.

Files are read in threads, piece by piece, so that neither a large one nor a slow disk
holds up the event loop.
"""

from __future__ import annotations

import asyncio
import threading

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from .._protocol import is_a
from ..errors import UsageError
from ..files import BinaryFile


PIECE = 256 * 1024
"""Bytes that are read at once: few enough to wait on a slow line for each."""


@attrs.frozen(kw_only=True, eq=False)
class Source:
    """A file to upload, and how to read it.

    Attributes:
        size: in bytes; None if it is not known beforehand.
        repeatable: True if `chunks` may be asked for again.
        chunks: reads it from its beginning.
    """

    name: str
    mime_type: str
    size: int | None
    repeatable: bool
    chunks: Callable[[], AsyncGenerator[bytes]]


def chunks_of_path(
    path: Path, name: str, size: int
) -> Callable[[], AsyncGenerator[bytes]]:
    """How to read a file of this machine; it is opened when it is read."""

    async def chunks() -> AsyncGenerator[bytes]:
        reader = _Reader(lambda: path.open("rb", buffering=0))
        try:
            async for piece in _pieces(reader, name, size):
                yield piece
        except OSError as error:
            msg = f"{name!r} cannot be read: {error.strerror or error}"
            raise UsageError(msg) from error
        finally:
            # Not by this thread, nor while another one reads. Whoever is cancelled
            # does not wait for it.
            loop = asyncio.get_running_loop()
            closed = loop.run_in_executor(None, reader.close)
        await closed

    return chunks


def chunks_of_file(
    file: BinaryFile, name: str, start: int | None, size: int | None
) -> Callable[[], AsyncGenerator[bytes]]:
    """How to read the user's open file, from *start* if it can go back there."""
    lock = threading.Lock()

    def rewound() -> BinaryFile:
        if start is not None:
            seekable: Any = file
            seekable.seek(start)
        return file

    async def chunks() -> AsyncGenerator[bytes]:
        reader = _Reader(rewound, lock)
        try:
            async for piece in _pieces(reader, name, size):
                yield piece
        finally:
            reader.leave()

    return chunks


async def chunks_of_bytes(content: bytes) -> AsyncGenerator[bytes]:
    """Cut *content* into pieces."""
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


async def chunks_of_iterable(
    content: AsyncIterable[bytes], name: str
) -> AsyncGenerator[bytes]:
    """Take what *content* gives, and close it."""
    iterator = aiter(content)
    try:
        async for piece in iterator:
            if given := _checked(piece, name):
                yield given
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


async def _pieces(
    reader: _Reader, name: str, size: int | None
) -> AsyncGenerator[bytes]:
    """What *reader* gives, if it is neither less nor more than *size*."""
    loop = asyncio.get_running_loop()
    total = 0
    while True:
        piece = _checked(await loop.run_in_executor(None, reader.read, PIECE), name)
        total += len(piece)
        if size is not None and (total > size or (total < size and not piece)):
            more = "more" if total > size else f"{total}"
            msg = f"{name!r} changed while it was sent: {more} instead of {size} bytes"
            raise UsageError(msg)
        if not piece:
            return
        yield piece


def _checked(piece: Any, name: str) -> bytes:
    """A piece of the content, if it is one."""
    if isinstance(piece, bytes):
        return piece
    if is_a(bytearray, piece) or is_a(memoryview, piece):
        return bytes(piece)
    msg = f"the content of {name!r} gave {type(piece).__name__}, not bytes"
    raise UsageError(msg)


class _Reader:
    """A file that one thread after another reads.

    A task that is cancelled leaves a thread that still reads, or has yet to begin.
    """

    def __init__(
        self, open_: Callable[[], BinaryFile], lock: threading.Lock | None = None
    ) -> None:
        self._open = open_
        self._lock = lock or threading.Lock()
        self._file: Any = None
        self._left = False

    def read(self, size: int) -> Any:
        with self._lock:
            if self._left:
                return b""
            if self._file is None:
                self._file = self._open()
            return self._file.read(size)

    def leave(self) -> None:
        """Read no more; the file stays open."""
        self._left = True

    def close(self) -> None:
        with self._lock, suppress(OSError):
            self._left = True
            if self._file is not None:
                self._file.close()
