"""The load server: answers ``POST /v1/workflows/run`` from a plain socket.

What it sends is told by the ``inputs`` of the request, and is built before it is
asked for wherever that takes time, so that the server is never what is measured.
Each event is an HTTP chunk of its own, as Dify sends it; TCP makes of them what it
will. Run as a program it prints its port, and lives until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
import time

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ClassVar, cast

import workload


HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\n"
    b"X-Version: 1.14.2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
LAST = b"0\r\n\r\n"
PING_EVERY = 10.0
SLICE = 256 * 1024  # what one write hands over of a long answer
SMALL = 16 * 1024
SPACED = 0.002


def chunked(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(frames: Iterable[bytes]) -> bytes:
    """A whole answer, of one HTTP chunk per event."""
    return HEAD + b"".join(map(chunked, frames)) + LAST


@cache
def long_answer(n: int) -> bytes:
    """One stream of *n* texts; its last event repeats only how many there were."""
    texts = map(workload.text_chunk, workload.long_texts(n))
    return answer([workload.started(), *texts, workload.finished(str(n))])


@cache
def run_answer() -> bytes:
    """One small run."""
    return answer(workload.small_run())


@cache
def big_answer(size: int) -> list[bytes]:
    """One event of *size* bytes, in HTTP chunks of 16 KB."""
    event = workload.finished(workload.big_text(size))
    parts = [event[i : i + SMALL] for i in range(0, len(event), SMALL)]
    return [HEAD + chunked(workload.started()), *map(chunked, parts), LAST]


class Connection(asyncio.Protocol):
    """One connection; it stays open for further requests."""

    held: ClassVar[set[Connection]] = set()

    def __init__(self) -> None:
        self.transport = cast("asyncio.Transport", None)
        self._received = b""
        self._can_write = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and let it buffer little."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=SLICE)
        self._can_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was under way."""
        del exc
        self.held.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Wait: the client is slower."""
        self._can_write.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._can_write.set()

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            length = content_length(head)
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._answer(head, rest[:length])

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST /end"):
            for connection in list(self.held):
                connection.end()
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif head.startswith(b"POST /v1/workflows/run"):
            inputs = json.loads(body)["inputs"]
            inputs = inputs.get("inputs", inputs)  # dify-oapi2 nests them once more
            ANSWERS[inputs["work"]](self, inputs)
        else:
            self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    # -- works -----------------------------------------------------------------------

    def text(self, inputs: dict[str, Any]) -> None:
        """Send one long stream, as fast as it is taken."""
        self._task = asyncio.ensure_future(self._send(long_answer(inputs["n"])))

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(data), SLICE):
            await self._can_write.wait()
            self.transport.write(view[start : start + SLICE])

    def run(self, inputs: dict[str, Any]) -> None:
        """Send one small run."""
        del inputs
        self.transport.write(run_answer())

    def big(self, inputs: dict[str, Any]) -> None:
        """Send one big event, slowly enough to be read in small pieces."""
        self._task = asyncio.ensure_future(self._send_parts(inputs["size"]))

    async def _send_parts(self, size: int) -> None:
        for part in big_answer(size):
            await self._can_write.wait()
            self.transport.write(part)
            await asyncio.sleep(0.0002)

    def delay(self, inputs: dict[str, Any]) -> None:
        """Send texts that tell when they were sent."""
        self._task = asyncio.ensure_future(self._send_stamps(inputs["n"]))

    async def _send_stamps(self, n: int) -> None:
        self.transport.write(HEAD + chunked(workload.started()))
        for _ in range(n):
            await asyncio.sleep(SPACED)
            stamp = str(time.monotonic_ns())
            self.transport.write(chunked(workload.text_chunk(stamp)))
        self.transport.write(chunked(workload.finished(str(n))) + LAST)

    def open(self, inputs: dict[str, Any]) -> None:
        """Send the beginning of a stream, and pings until ``POST /end``."""
        del inputs
        self.held.add(self)
        begin = (workload.started(), workload.text_chunk("open"))
        self.transport.write(HEAD + b"".join(map(chunked, begin)))
        self._ping_later()

    def _ping_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PING_EVERY, self._ping)

    def _ping(self) -> None:
        self.transport.write(chunked(workload.PING))
        self._ping_later()

    def end(self) -> None:
        """End a stream that is held open."""
        self.held.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self.transport.write(chunked(workload.finished("open")) + LAST)


ANSWERS: dict[str, Callable[[Connection, dict[str, Any]], None]] = {
    "text": Connection.text,
    "run": Connection.run,
    "big": Connection.big,
    "delay": Connection.delay,
    "open": Connection.open,
}


def content_length(head: bytes) -> int:
    """How long a request's body is."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def main() -> None:
    """Serve until the standard input ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    run_answer()
    server = await loop.create_server(Connection, sock=listening, backlog=4096)
    print(listening.getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
