"""What stands between a client and a server on a bad day, on sockets of this machine."""

from __future__ import annotations

import asyncio
import ssl

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def page(
    status: str = "200 OK", body: bytes = b"<html>Dify</html>", **headers: str
) -> bytes:
    """An answer, as bytes; HTML if nothing else is said."""
    told = {"Content-Type": "text/html", "Content-Length": str(len(body))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [
        f"HTTP/1.1 {status}",
        *(f"{name}: {value}" for name, value in told.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def listening(
    handle: Handler, *, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server that does what *handle* does; its port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError, TimeoutError):
            await writer.wait_closed()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def saying(*answers: bytes) -> Handler:
    """What answers each request of a connection with the next of *answers*."""

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return handle


def proxy(
    port: int,
    *,
    change: Callable[[bytes], bytes] = lambda head: head,
    collects: bool = False,
) -> Handler:
    """What passes requests on to *port*, one a connection.

    Args:
        port: of the server behind it.
        change: what becomes of the head of each answer.
        collects: whether answers are collected before they are passed on.
    """

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        behind, to_server = await asyncio.open_connection("127.0.0.1", port)
        to_server.write(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        passing = asyncio.create_task(_pass_on(reader, to_server))
        try:
            writer.write(change(await behind.readuntil(b"\r\n\r\n")))
            if collects:
                writer.write(await behind.read())
            while piece := await behind.read(65_536):
                writer.write(piece)
                await writer.drain()
        finally:
            passing.cancel()
            to_server.close()

    return handle


async def _pass_on(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        to.write(piece)


# -- certificates ----------------------------------------------------------------------


def authority(folder: Path) -> tuple[trustme.CA, str]:
    """An authority, and where its certificate is."""
    ca = trustme.CA()
    path = folder / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return ca, str(path)


def context_for(
    ca: trustme.CA, *names: str, ends_in: timedelta = timedelta(days=90)
) -> ssl.SSLContext:
    """What a server shows that has a certificate of *ca*."""
    ends = datetime.now(UTC) + ends_in
    certificate = ca.issue_cert(*names, not_before=ends - timedelta(90), not_after=ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def self_signed() -> ssl.SSLContext:
    """What a server shows whose certificate is its own authority's."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with ca.private_key_pem.tempfile() as key, ca.cert_pem.tempfile() as own:
        context.load_cert_chain(own, key)
    return context
