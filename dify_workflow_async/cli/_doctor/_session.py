"""A session that remembers what the server's answers said beside their bodies."""

from __future__ import annotations

import time

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace

import aiohttp
import attrs


@attrs.frozen(kw_only=True)
class Heard:
    """An answer whose headers came.

    Attributes:
        began: when it was asked for, by the wall clock, in UTC.
        at: when its headers came, likewise.
        seconds: between both.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    began: datetime
    at: datetime
    seconds: float


@attrs.define
class Ear:
    """What a session hears; it keeps no request, and so no key."""

    heard: list[Heard] = attrs.field(factory=list[Heard])

    def session(self) -> aiohttp.ClientSession:
        """A session like the client's own, which is closed by who asked for it."""
        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(self._begin)
        tracing.on_request_end.append(self._end)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
        )

    async def _begin(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        del session, params
        context.began, context.begin = datetime.now(UTC), time.perf_counter()

    async def _end(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        del session
        self.heard.append(
            Heard(
                method=params.method,
                path=params.url.path,
                status=params.response.status,
                headers=params.response.headers.copy(),
                began=context.began,
                at=datetime.now(UTC),
                seconds=time.perf_counter() - context.begin,
            )
        )
