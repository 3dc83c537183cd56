"""What faults do on the wire: one table."""

from __future__ import annotations

import re
import zlib

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs

from dify_workflow_async.local import Node, Scenario
from dify_workflow_async.local.faults import (
    BROKEN_JSON,
    BROKEN_UTF8,
    BadChunkSize,
    Busy,
    Cut,
    Drop,
    Duplicate,
    EndlessBody,
    EndlessHeaders,
    EndlessLine,
    ErrorPage,
    Fault,
    Gzip,
    GzipBomb,
    HangUp,
    Insert,
    Omit,
    Redirect,
    Reorder,
    Silence,
    SlowHeaders,
    Stall,
    Unended,
    WrongType,
)


ALL = (
    *("workflow_started", "node_started", "text_chunk", "text_chunk"),
    *("node_finished", "workflow_finished"),
)
SCENARIO = Scenario(steps=[Node(type="llm", text=["one ", "two"])])
PING = b"event: ping\n\n"


@attrs.define
class Heard:
    """What came over a socket, and how it ended: ``fin``, ``rst`` or ``open``."""

    data: bytes
    end: str

    @property
    def head(self) -> str:
        """Status line and headers."""
        return self.data.partition(b"\r\n\r\n")[0].decode()

    @property
    def body(self) -> bytes:
        """The body as it came, with its framing."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def chunks(self) -> list[bytes]:
        """The whole chunks of the body; the zero chunk is the empty one."""
        found, rest = [], self.body
        while match := re.match(rb"([0-9a-f]+)\r\n", rest):
            size = int(match[1], 16)
            begin, end = match.end(), match.end() + size
            if rest[end : end + 2] != b"\r\n":
                break
            found.append(rest[begin:end])
            rest = rest[end + 2 :]
        return found

    @property
    def events(self) -> tuple[str, ...]:
        """The names of the events that came in whole chunks."""
        data = (x for x in self.chunks if x.startswith(b"data: {"))
        return tuple(re.findall(rb'"event":\s*"(\w+)"', x)[0].decode() for x in data)


def is_page(status: int, server: str) -> Callable[[Heard], bool]:
    return lambda heard: (
        heard.head.startswith(f"HTTP/1.1 {status} ")
        and f"Server: {server}" in heard.head
        and "Content-Type: text/html" in heard.head
        and f"<h1>{status} ".encode() in heard.body
        and "X-Version" not in heard.head
    )


def says(text: str) -> Callable[[Heard], bool]:
    return lambda heard: text in heard.head


def inflated(heard: Heard) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(b"".join(heard.chunks))


DATE = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
WHOLE = b"0\r\n\r\n"
PAGE = b"</html>\r\n"
JSON_END = b"}\n"

# The fault, what is read up to (None: to the end of the connection), how the
# connection is then, how many runs were started, the events that came, and what else
# must be so.
TABLE: dict[str, tuple[Fault, bytes | None, str, int, tuple[str, ...] | None, Any]] = {
    # -- faults that break the connection
    "hang-up": (HangUp(), None, "fin", 0, (), lambda h: h.data == b""),
    "hang-up-rst": (HangUp(how="rst"), None, "rst", 0, (), lambda h: h.data == b""),
    "hang-up-late": (HangUp(starts_run=True), None, "fin", 1, (), None),
    "drop-0": (Drop(after_events=0), None, "fin", 1, (), says("200 OK")),
    "drop-2": (Drop(after_events=2), None, "fin", 1, ALL[:2], None),
    "drop-2-rst": (Drop(after_events=2, how="rst"), None, "rst", 1, ALL[:2], None),
    "drop-last": (Drop(after_events=6), None, "fin", 1, ALL, None),
    "drop-in-chunk": (
        Drop(after_events=2, in_chunk=True),
        *(None, "fin", 1, ALL[:2]),
        lambda h: h.body.endswith(b'100\r\ndata: {"event": "text_ch'),
    ),
    "cut": (Cut(after_bytes=20), None, "fin", 1, (), lambda h: len(h.data) == 20),
    "cut-rst": (
        Cut(after_bytes=300, how="rst"),
        *(None, "rst", 1, None),
        lambda h: len(h.data) == 300,
    ),
    "unended": (Unended(), None, "fin", 1, ALL, lambda h: h.chunks[-1] != b""),
    "bad-chunk": (BadChunkSize(after_events=1), b"XYZ\r\n", "open", 1, ALL[:1], None),
    # -- delays
    "silence": (Silence(), None, "silent", 0, (), None),
    "silence-late": (Silence(starts_run=True), None, "silent", 1, (), None),
    "slow-headers": (SlowHeaders(interval=0), WHOLE, "open", 1, ALL, None),
    "stall": (Stall(after_events=3), None, "silent", 1, ALL[:3], None),
    "stall-pings": (
        Stall(after_events=1, pings=0.001),
        *(PING + b"\r\nd\r\n" + PING + b"\r\nd\r\n" + PING + b"\r\n", "open", 1),
        *(ALL[:1], None),
    ),
    # -- other answers
    "502": (ErrorPage(), PAGE, "open", 0, (), is_page(502, "nginx")),
    "503": (ErrorPage(status=503), PAGE, "open", 0, (), is_page(503, "nginx")),
    "504-late": (
        ErrorPage(status=504, starts_run=True),
        *(PAGE, "open", 1, (), is_page(504, "nginx")),
    ),
    "524": (ErrorPage(status=524), PAGE, "open", 0, (), is_page(524, "cloudflare")),
    "502-mid": (
        ErrorPage(after_events=2),
        *(WHOLE, "open", 1, ALL[:2]),
        lambda h: b"<h1>502 " in h.chunks[-2] and "200 OK" in h.head,
    ),
    "429": (
        Busy(),
        *(JSON_END, "open", 0, ()),
        lambda h: b'"too_many_requests"' in h.body and "Retry-After" not in h.head,
    ),
    "429-int": (Busy(retry_after=2), JSON_END, *("open", 0, ()), says("ter: 2\r\n")),
    "429-float": (Busy(retry_after=0.5), JSON_END, *("open", 0, ()), says("r: 0.5")),
    "429-date": (
        Busy(retry_after=DATE),
        *(JSON_END, "open", 0, (), says("After: Wed, 02 Jan 2030 03:04:05 GMT\r\n")),
    ),
    "429-text": (Busy(retry_after="soon"), JSON_END, "open", 0, (), says("r: soon")),
    "400-busy": (
        Busy(status=400),
        *(JSON_END, "open", 0, ()),
        lambda h: b'"invalid_param"' in h.body and "400 BAD REQUEST" in h.head,
    ),
    "redirect": (
        Redirect(),
        *(b"\r\n\r\n", "open", 0, ()),
        lambda h: re.search(r"Location: http://127.0.0.1:\d+/v1/work", h.head),
    ),
    "redirect-loop": (Redirect(to="loop"), b"\r\n\r\n", "open", 0, (), says("?hop=1")),
    "redirect-host": (Redirect(to="host"), b"\r\n\r\n", "open", 0, (), says("//local")),
    "redirect-port": (Redirect(to="port"), b"\r\n\r\n", "open", 0, (), says(".1:1/v1")),
    "redirect-scheme": (
        Redirect(to="scheme", status=301),
        *(b"\r\n\r\n", "open", 0, ()),
        lambda h: "Location: https://" in h.head and " 301 " in h.head,
    ),
    "redirect-text": (Redirect(to="/x"), b"\r\n\r\n", "open", 0, (), says(": /x")),
    "wrong-type": (WrongType(), WHOLE, "open", 1, ALL, says("Type: text/html")),
    # -- events
    "broken-json": (
        Insert(data=BROKEN_JSON),
        *(WHOLE, "open", 1, None, lambda h: BROKEN_JSON in h.chunks),
    ),
    "broken-utf8": (
        Insert(data=BROKEN_UTF8, after_events=0),
        *(WHOLE, "open", 1, None, lambda h: h.chunks[0] == BROKEN_UTF8),
    ),
    "omit-first": (Omit(events="workflow_started"), WHOLE, "open", 1, ALL[1:], None),
    "omit-last": (
        Omit(events="workflow_finished"),
        *(WHOLE, "open", 1, ALL[:5], lambda h: h.chunks[-1] == b""),
    ),
    "duplicate": (
        Duplicate(),
        *(WHOLE, "open", 1, tuple(x for x in ALL for _ in range(2)), None),
    ),
    "duplicate-one": (
        Duplicate(events="node_started"),
        *(WHOLE, "open", 1, (*ALL[:2], *ALL[1:]), None),
    ),
    "reorder": (
        Reorder(),
        *(WHOLE, "open", 1),
        *((ALL[1], ALL[0], ALL[3], ALL[2], *ALL[4:]), None),
    ),
    "reorder-all": (Reorder(window=9), WHOLE, "open", 1, (*ALL[4::-1], ALL[5]), None),
    # -- sizes
    "gzip": (
        Gzip(),
        *(WHOLE, "open", 1, ()),
        lambda h: inflated(h).count(b"data: {") == len(ALL),
    ),
    "bomb": (
        GzipBomb(size=10_000_000),
        *(WHOLE, "open", 1, ()),
        lambda h: len(inflated(h)) > 10_000_000 and len(h.data) < 20_000,
    ),
    "endless-headers": (
        EndlessHeaders(),
        *(None, "endless", 0, (), lambda h: h.data.count(b"\r\nX-Pad-") > 100),
    ),
    "endless-body": (
        EndlessBody(),
        *(None, "endless", 0, (), lambda h: "500" in h.head and len(h.body) > 50_000),
    ),
    "endless-line": (
        EndlessLine(after_events=1),
        *(None, "endless", 1, None, lambda h: len(h.body) > 50_000),
    ),
}
