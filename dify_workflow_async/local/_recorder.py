"""Recorder: passes requests on to a real server, and writes down what it answers.

What it writes is what `Replay` reads, without what is nobody's business: API keys,
cookies, and the bytes of uploaded files.
"""

import json
import re
import time

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import aiohttp
import attrs

from aiohttp import web
from yarl import URL

from ._answers import refusal
from ._eraser import NO_KEY, Eraser
from ._errors import RequestRefused


# Of one connection, or of its encoding, which are the recorder's own on each side.
_HOP: Final = frozenset(
    (
        *("connection", "keep-alive", "transfer-encoding", "content-length"),
        *("content-encoding", "accept-encoding", "host", "te", "trailer", "upgrade"),
    )
)
_SECRET: Final = frozenset(
    ("cookie", "set-cookie", "proxy-authorization", "x-api-key", "x-forwarded-for")
)
_PREFIX: Final = "/v1"


class Recorder:
    """A server on this machine that passes everything on, and keeps what it sees.

    Args:
        upstream: The base URL of the real server, with or without ``/v1``.
        folder: Where the recordings go; made if it is not there.
        host: The address to listen on.
        port: The port; 0 takes a free one.

    Attributes:
        written: The recordings, the oldest first.

    Raises:
        ValueError: The base URL is none.

    Example:
        .. code-block:: python

            async with Recorder("https://dify.example", "recordings") as recorder:
                ...  # a client with recorder.base_url
    """

    def __init__(
        self,
        upstream: str,
        folder: str | Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._upstream = _base(upstream)
        self._folder = Path(folder)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._count = 0
        self.written: list[Path] = []

    @property
    def base_url(self) -> str:
        """What clients take as their base URL."""
        return f"http://{self._host}:{self._port}{_PREFIX}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address cannot be listened on, or the folder not be made.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._count = len(list(self._folder.glob("*.http")))
        application = web.Application(client_max_size=0)
        application.router.add_route("*", f"{_PREFIX}/{{path:.*}}", self._pass_on)
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
        # Redirects and cookies are the client's business.
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            # No key is seen in what is compressed.
            headers={"Accept-Encoding": "identity"},
        )

    async def aclose(self) -> None:
        """Close all connections; what was not answered to its end is kept so far."""
        runner, self._runner = self._runner, None
        session, self._session = self._session, None
        if runner is not None:
            await runner.cleanup()
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None  # noqa: S101 - it is open while this listens
        kept = await _kept_body(request)
        url = f"{self._upstream}{request.raw_path.removeprefix(_PREFIX)}"
        try:
            async with self._session.request(
                request.method,
                URL(url, encoded=True),
                headers=[*_passed(request.headers)],
                data=request.content if kept is None else kept or None,
                allow_redirects=False,
            ) as answer:
                return await self._record(request, kept or b"", answer)
        except aiohttp.ClientError as exc:
            message = f"The recorder got no answer: {type(exc).__name__}"
            return refusal(RequestRefused(502, "bad_gateway", message))

    async def _record(
        self, request: web.Request, body: bytes, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in _passed(answer.headers):
            response.headers.add(name, value)
        self._count += 1
        eraser = Eraser(request.headers.get("Authorization", ""))
        told = eraser.text(request.path.removeprefix(_PREFIX))
        slug = re.sub(r"\W+", "-", told).strip("-")
        name = f"{self._count:03}-{request.method.lower()}-{slug[:60]}"
        path = self._folder / f"{name}.http"
        path.with_suffix(".req").write_bytes(_request_bytes(request, body, eraser))
        self.written.append(path)
        with path.open("wb") as file:
            tape = _Tape(file, path.with_suffix(".timing"), eraser)
            try:
                tape.head(answer)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    tape.chunk(chunk)
                    await response.write(chunk)
                tape.end()
            except aiohttp.ClientError:  # it broke off, and so it must here
                if request.transport is not None:
                    request.transport.close()
            finally:
                tape.close()
        return response


@attrs.define
class _Tape:
    """Writes one answer, and when its bytes came."""

    _file: BinaryIO
    _timing: Path
    _eraser: Eraser
    _began: float = attrs.field(factory=time.monotonic, init=False)
    _offset: int = attrs.field(default=0, init=False)
    _received: list[tuple[float, int, int]] = attrs.field(
        factory=list[tuple[float, int, int]], init=False
    )

    def head(self, answer: aiohttp.ClientResponse) -> None:
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        lines += [
            f"{name}: {value}" for name, value in _told(answer.headers, self._eraser)
        ]
        lines += ["Transfer-Encoding: chunked", "", ""]
        self._write("\r\n".join(lines).encode("latin-1", "replace"))

    def chunk(self, data: bytes) -> None:
        self._write_chunk(self._eraser.feed(data))

    def end(self) -> None:
        self._write_chunk(self._eraser.rest())
        self._write(b"0\r\n\r\n")

    def close(self) -> None:
        # What is still held back is half a key, of an answer that broke off.
        told: dict[str, Any] = {"closed": None, "recv": self._received}
        self._timing.write_text(json.dumps(told), "utf-8")

    def _write_chunk(self, data: bytes) -> None:
        if data:  # an empty chunk would be the last one
            self._write(b"%x\r\n%b\r\n" % (len(data), data))

    def _write(self, data: bytes) -> None:
        seconds = round(time.monotonic() - self._began, 4)
        self._received.append((seconds, self._offset, len(data)))
        self._offset += len(data)
        self._file.write(data)


async def _kept_body(request: web.Request) -> bytes | None:
    """Read a body that is kept; ``None`` is one that is only passed on."""
    if request.content_type.startswith("multipart/"):
        return None
    return await request.content.read()


def _base(url: str) -> str:
    base = url.rstrip("/")
    if not base.startswith(("http://", "https://")):
        message = f"not a base URL: {url!r}"
        raise ValueError(message)
    return base if base.endswith(_PREFIX) else f"{base}{_PREFIX}"


def _passed(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Tell the headers that go to the other side; nothing is compressed."""
    for name, value in headers.items():
        if name.lower() not in _HOP:
            yield name, value


def _told(headers: Mapping[str, str], eraser: Eraser) -> Iterator[tuple[str, str]]:
    """Tell the headers that are written down."""
    for name, value in _passed(headers):
        if name.lower() not in _SECRET:
            yield name, eraser.text(value)


def _request_bytes(request: web.Request, body: bytes, eraser: Eraser) -> bytes:
    lines = [f"{request.method} {eraser.text(request.raw_path)} HTTP/1.1"]
    for name, value in _told(request.headers, eraser):
        is_key = name.lower() == "authorization"
        lines.append(f"{name}: {f'Bearer {NO_KEY}' if is_key else value}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    return head + eraser.whole(body)
