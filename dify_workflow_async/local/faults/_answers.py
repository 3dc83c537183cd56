"""Faults of proxies and of busy servers: another answer instead."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Literal, TypeAlias

import attrs

from .._errors import RequestRefused
from ._base import Fault
from ._wire import Head, Wire


Target: TypeAlias = Literal["itself", "loop", "host", "port", "scheme"]

_REASONS: Final = {
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
    524: "A timeout occurred",
}
_PAGE: Final = """\
<html>\r
<head><title>{title}</title></head>\r
<body>\r
<center><h1>{title}</h1></center>\r
<hr><center>{server}</center>\r
</body>\r
</html>\r
"""
_BUSY: Final = (
    "Too many requests. Please try again later. The current maximum concurrent "
    "requests allowed for this app is 1."
)


@attrs.frozen(kw_only=True)
class ErrorPage(Fault):
    """A proxy answers with a page of HTML.

    Args:
        status: Such as 502, 503, 504 or 524.
        after_events: How many events of a stream are sent before the page, which is
            the rest of the body then; ``None`` if the page is the whole answer.
        starts_run: Whether the request is carried out; it is in mid-stream.
    """

    status: int = 502
    after_events: int | None = None
    starts_run: bool = attrs.field(
        default=attrs.Factory(lambda self: self.after_events is not None, True)
    )

    def __attrs_post_init__(self) -> None:
        if self.after_events is not None and not self.starts_run:
            message = "a page behind events needs a run: starts_run=True"
            raise ValueError(message)

    async def before(self, wire: Wire) -> None:
        """Send the page, if it is the whole answer."""
        if self.after_events is None:
            kind = {"Content_Type": "text/html", "Server": self._server}
            await wire.answer(self.status, self._reason, self._page, **kind)

    async def on_head(self, wire: Wire, head: Head) -> None:
        """Send the head."""
        await super().on_head(wire, head)
        await self._interrupt(wire)

    async def on_piece(self, wire: Wire, piece: bytes) -> None:
        """Send a piece."""
        await wire.send(piece)
        await self._interrupt(wire)

    async def _interrupt(self, wire: Wire) -> None:
        if wire.events == self.after_events:
            await wire.send(self._page)
            await wire.end()
            wire.finish()

    @property
    def _page(self) -> bytes:
        title = f"{self.status} {self._reason}"
        return _PAGE.format(title=title, server=self._server).encode("ascii")

    @property
    def _reason(self) -> str:
        return _REASONS.get(self.status, "Error")

    @property
    def _server(self) -> str:
        return "cloudflare" if self.status > 511 else "nginx"


@attrs.frozen(kw_only=True)
class Busy(Fault):
    """The server refuses because it has too much to do; no run is started.

    Args:
        status: 429 with ``too_many_requests``, or 400 with ``invalid_param``.
        retry_after: The ``Retry-After`` header: seconds, a date, or any text;
            ``None`` sends none.
    """

    starts_run: bool = attrs.field(default=False, init=False)
    status: Literal[400, 429] = 429
    retry_after: float | datetime | str | None = None

    async def before(self, wire: Wire) -> None:
        """Refuse."""
        del wire
        after = self.retry_after
        if isinstance(after, datetime):
            after = format_datetime(after.astimezone(UTC), usegmt=True)
        headers = {} if after is None else {"Retry-After": str(after)}
        code = "invalid_param" if self.status == 400 else "too_many_requests"
        raise RequestRefused(self.status, code, _BUSY, headers)


@attrs.frozen(kw_only=True)
class Redirect(Fault):
    """The client is sent elsewhere; no run is started.

    Args:
        to: ``itself`` is the same URL, ``loop`` goes back and forth between two,
            ``host``, ``port`` and ``scheme`` lead to another one; else the value of
            the ``Location`` header.
        status: Such as 301, 302, 307 or 308.
    """

    starts_run: bool = attrs.field(default=False, init=False)
    to: Target | str = "itself"
    status: int = 307

    async def before(self, wire: Wire) -> None:
        """Send the client away."""
        url = wire.request.url
        match self.to:
            case "itself":
                target = str(url)
            case "loop":
                target = str(url.with_query(None if "hop" in url.query else "hop=1"))
            case "host":
                target = str(url.with_host("localhost"))
            case "port":
                target = str(url.with_port(1))
            case "scheme":
                target = str(url.with_scheme("https"))
            case _:
                target = self.to
        await wire.answer(self.status, "Redirect", b"", Location=target)


@attrs.frozen(kw_only=True)
class WrongType(Fault):
    """The answer is as ever, but for its content type.

    Args:
        content_type: What it says instead.
    """

    content_type: str = "text/html"

    async def on_head(self, wire: Wire, head: Head) -> None:
        """Send the head."""
        head.headers["Content-Type"] = self.content_type
        await super().on_head(wire, head)
