"""Recorded responses: the bytes of a file, taken apart.

A recording is up to three files of one name: ``NAME.http`` has the response as it
came, ``NAME.req`` the request, ``NAME.timing`` when the bytes arrived.
"""

import json

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast

import attrs

from ._errors import RecordingError
from ._json import is_object


End = Literal["end", "cut", "hold"]

# They describe the recorded connection, not the answer; the server that replays
# makes its own.
_HOP_HEADERS: Final = frozenset({"transfer-encoding", "content-length", "date"})


@attrs.frozen(kw_only=True)
class Chunk:
    """A piece of a recorded body.

    Args:
        data: Its bytes, without the framing of HTTP.
        offset: Where in the file its last byte is.
    """

    data: bytes
    offset: int


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """What a recording answers.

    Args:
        method: The method.
        target: The path with its query.
        body: The JSON body, or ``None``.
    """

    method: str
    target: str
    body: Any


@attrs.frozen(kw_only=True)
class Recording:
    """One recorded response.

    Args:
        status: The HTTP status.
        reason: The reason phrase.
        headers: The headers, without those of the connection.
        chunks: The body, as it was cut into chunks.
        is_chunked: Whether the body had chunks at all.
        end: How it ended: regularly, cut in mid-body, or with silence.
        arrivals: When the bytes arrived: seconds and the offset reached.
        request: What was asked, if that is known.
    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    chunks: tuple[Chunk, ...]
    is_chunked: bool
    end: End
    arrivals: tuple[tuple[float, int], ...] = ()
    request: RecordedRequest | None = None

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(chunk.data for chunk in self.chunks)

    def seconds_at(self, offset: int) -> float:
        """Tell when the byte at an offset had arrived, from the first byte on."""
        first = self.arrivals[0][0] if self.arrivals else 0.0
        for seconds, reached in self.arrivals:
            if reached >= offset:
                return seconds - first
        return 0.0

    def events(self) -> list[dict[str, Any]]:
        """Read the events of the body, as far as it has any.

        A blocking answer is the last event of its run.
        """
        lines = self.body.split(b"\n")
        frames = [line[6:] for line in lines if line.startswith(b"data: {")]
        events = [json.loads(frame) for frame in frames if frame.endswith(b"}")]
        return events or [*_blocking(self.body)]


def _blocking(body: bytes) -> Iterator[dict[str, Any]]:
    """Read the end of a run from a blocking answer; any other answer has none."""
    try:
        answer = json.loads(body)
    except ValueError:
        return
    if is_object(answer) and "workflow_run_id" in answer and is_object(answer["data"]):
        waits = answer["data"]["status"] == "paused"
        yield {"event": "workflow_paused" if waits else "workflow_finished", **answer}


def read_recording(path: Path) -> Recording:
    """Read a recording and the files beside it.

    Raises:
        RecordingError: The file is no HTTP response.
        OSError: The file cannot be read.
    """
    raw = path.read_bytes()
    head, separator, _ = raw.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    words = status_line.split(" ", 2)
    if not separator or not words[0].startswith("HTTP/1.") or len(words) != 3:
        message = f"{path}: not a recorded HTTP response"
        raise RecordingError(message)
    headers = [_header(line) for line in lines]
    named = {name.lower(): value for name, value in headers}
    chunked = named.get("transfer-encoding", "").lower() == "chunked"
    start = len(head) + len(separator)
    if chunked:
        chunks, complete = _split_chunks(raw, start, path)
    else:
        chunks = [Chunk(data=raw[start:], offset=len(raw))]
        complete = len(raw) - start >= int(named.get("content-length", "0"))
    timing = _read_timing(path.with_suffix(".timing"))
    held = timing.get("closed") == "timeout"
    return Recording(
        status=int(words[1]),
        reason=words[2],
        headers=tuple(item for item in headers if item[0].lower() not in _HOP_HEADERS),
        chunks=tuple(chunks),
        is_chunked=chunked,
        end="end" if complete else "hold" if held else "cut",
        arrivals=_arrivals(timing.get("recv", ())),
        request=_read_request(path.with_suffix(".req")),
    )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


def _split_chunks(raw: bytes, start: int, path: Path) -> tuple[list[Chunk], bool]:
    """Take the chunks of a body apart (RFC 9112, section 7.1)."""
    chunks: list[Chunk] = []
    while (line_end := raw.find(b"\r\n", start)) >= 0:
        try:
            size = int(raw[start:line_end].split(b";")[0], 16)
        except ValueError:
            message = f"{path}: bad chunk size at byte {start}"
            raise RecordingError(message) from None
        if size == 0:
            return chunks, True
        data_start = line_end + 2
        data = raw[data_start : data_start + size]
        start = data_start + size + 2
        chunks.append(Chunk(data=data, offset=min(start, len(raw))))
    return chunks, False


def _read_timing(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    return cast("Mapping[str, Any]", json.loads(path.read_text("utf-8")))


def _arrivals(received: Iterable[list[float]]) -> tuple[tuple[float, int], ...]:
    return tuple(
        (seconds, int(offset + length)) for seconds, offset, length in received
    )


def _read_request(path: Path) -> RecordedRequest | None:
    if not path.exists():
        return None
    head, _, body = path.read_bytes().partition(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
    try:
        value = json.loads(body)
    except ValueError:  # no body, or none that is JSON
        value = None
    return RecordedRequest(method=method, target=target, body=value)
