"""Messages between the server and its engine processes: JSON, with its length before.

Both sides use it; the processes have nothing else of the server's.
"""

import asyncio
import json
import struct

from typing import Any, BinaryIO, Final, TypeAlias, cast


Message: TypeAlias = dict[str, Any]

# The facts after which nothing more is told of a run.
ENDS: Final = frozenset({"succeeded", "failed", "aborted"})

_LENGTH: Final = struct.Struct(">I")


def pack(message: Message) -> bytes:
    """Write a message as one frame."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return _LENGTH.pack(len(body)) + body


def read(stream: BinaryIO) -> Message | None:
    """Read a message from a pipe; ``None`` at its end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    return _parse(body) if len(body) == length else None


async def receive(reader: asyncio.StreamReader) -> Message | None:
    """Read a message from a process; ``None`` at its end."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return _parse(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _parse(body: bytes) -> Message:
    return cast("Message", json.loads(body))
