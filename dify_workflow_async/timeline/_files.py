"""Events of a run that was recorded in a file."""

from __future__ import annotations

import re
import sys

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from .._config import Limits
from .._convert import is_object
from .._stream import EventStream
from .._wire import loads, structure_event
from ..errors import UnexpectedAnswer
from ..events import Event


_BOM = b"\xef\xbb\xbf"
_CHUNKED = re.compile(rb"transfer-encoding:\s*chunked", re.IGNORECASE)
_PIECE = 2**18


def read_events(path: str | PathLike[str]) -> Iterator[Event]:
    """The events in a file, whichever form it has.

    Raises:
        UnexpectedAnswer: something in it is no event.
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        begin = file.peek(512).removeprefix(_BOM).lstrip()
        if begin.startswith(b"HTTP/"):
            yield from _in_stream(_body(file))
        elif begin.startswith(b"{"):
            yield from _in_lines(file)
        else:
            yield from _in_stream(_pieces(file))


def _in_lines(file: BinaryIO) -> Iterator[Event]:
    for line in file:
        text = line.removeprefix(_BOM).strip()
        if not text:
            continue
        try:
            obj = loads(text)
        except UnexpectedAnswer:
            if line.endswith(b"\n"):
                raise
            return  # who wrote it was ended in the middle of its last line
        if not is_object(obj):
            msg = f"a line has no event, but {text[:80].decode('utf-8', 'replace')!r}"
            raise UnexpectedAnswer(msg)
        yield structure_event(obj)


def _in_stream(chunks: Iterator[bytes]) -> Iterator[Event]:
    """Decode server-sent events; those of a run that went on after a pause, too."""
    stream = EventStream(Limits().max_event_bytes, ends_on_pause=False)
    for chunk in chunks:
        yield from stream.feed(chunk)
        if stream.failure is not None:
            raise stream.failure


def _body(file: BinaryIO) -> Iterator[bytes]:
    """The body of a recorded HTTP response, which may be cut off anywhere."""
    chunked = False
    for line in file:
        if line == b"\r\n":
            break
        chunked |= bool(_CHUNKED.match(line))
    if not chunked:
        yield from _pieces(file)
    while chunked and (size := file.readline().partition(b";")[0].strip()):
        try:
            length = int(size, 16)
        except ValueError:
            msg = f"the recorded response has a chunk of {size[:20]!r} bytes"
            raise UnexpectedAnswer(msg) from None
        yield from _pieces(file, length)
        file.readline()


def _pieces(file: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """The next *size* bytes, or all that are left."""
    left = sys.maxsize if size is None else size
    while left > 0 and (piece := file.read(min(left, _PIECE))):
        yield piece
        left -= len(piece)
