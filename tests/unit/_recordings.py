"""Recordings of real servers, and their frames, read without the package's own code."""

from __future__ import annotations

import json

from pathlib import Path
from typing import Any

import attrs


HOME = Path(__file__).parent.parent / "recordings"
VERSIONS = ("dify-1.12.1", "dify-1.14.2")


@attrs.frozen
class Recording:
    """An answer as it came, its chunks joined."""

    name: str
    status: int
    headers: dict[str, str]
    body: bytes = attrs.field(repr=False)

    @property
    def is_stream(self) -> bool:
        """True for a stream of events."""
        return self.headers["Content-Type"].startswith("text/event-stream")

    @property
    def frames(self) -> list[bytes]:
        """The complete frames of a stream, pings among them."""
        return self.body.split(b"\n\n")[:-1]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON of a stream's frames."""
        return [json.loads(x[6:]) for x in self.frames if x.startswith(b"data: ")]


def read(path: Path) -> Recording:
    """Read one ``.http`` file."""
    head, _, body = path.read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("Transfer-Encoding") == "chunked":
        body = _joined(body)
    name = f"{path.parent.name.removeprefix('dify-')}-{path.stem}"
    return Recording(name, int(first.split(" ")[1]), headers, body)


def _joined(chunked: bytes) -> bytes:
    body = b""
    while chunked:
        size, _, chunked = chunked.partition(b"\r\n")
        length = int(size, 16)
        body += chunked[:length]
        chunked = chunked[length + 2 :]
    return body


ALL = {
    recording.name: recording
    for version in VERSIONS
    for recording in map(read, sorted((HOME / version).glob("*.http")))
}
STREAMS = {name: each for name, each in ALL.items() if each.is_stream}
