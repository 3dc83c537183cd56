"""Looks at the way to the server: its name, its port, its TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs


PATIENCE = 10.0
"""Seconds for each step, as the client has for connecting."""


@attrs.frozen(kw_only=True)
class Step:
    """A step on the way to the server.

    Attributes:
        seconds: how long it took.
        error: why it failed.
        tells: what it brought: addresses, or facts of TLS.
    """

    seconds: float
    error: Exception | None = None
    tells: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


async def resolve(host: str, port: int) -> Step:
    """Find the addresses of a host."""
    begin = time.perf_counter()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Step(seconds=time.perf_counter() - begin, error=error)
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    return Step(seconds=time.perf_counter() - begin, tells={"addresses": addresses})


async def connect(host: str, port: int) -> Step:
    """Open a connection and close it again."""
    return await _opened(host, port, None)


async def shake_hands(host: str, port: int) -> Step:
    """Open a connection with TLS, checking as the client does, and close it again."""
    return await _opened(host, port, ssl.create_default_context())


async def _opened(host: str, port: int, context: ssl.SSLContext | None) -> Step:
    begin = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(
                host, port, ssl=context, happy_eyeballs_delay=0.25
            )
    except OSError as error:  # which errors of TLS and time-outs are, too
        return Step(seconds=time.perf_counter() - begin, error=error)
    seconds = time.perf_counter() - begin
    try:
        connection: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        tells: dict[str, Any] = {}
        if connection is not None:
            tells["version"] = connection.version()
            tells["certificate"] = connection.getpeercert()
        return Step(seconds=seconds, tells=tells)
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):  # the server may leave as it likes
            async with asyncio.timeout(1):
                await writer.wait_closed()
