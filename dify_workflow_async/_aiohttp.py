"""The aiohttp face: sends requests, yields status and chunks, translates errors."""

from __future__ import annotations

import asyncio
import ssl as ssl_

from collections.abc import Mapping
from functools import lru_cache

import aiohttp

from yarl import URL

from ._config import Timeouts
from ._protocol import Request, checked_headers
from ._secret import Secret
from ._sending import Body
from ._watch import Expired, Watch
from .errors import (
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ConnectTimeout,
    DifyError,
    FirstByteTimeout,
    IdleTimeout,
    TotalTimeout,
    UnexpectedAnswer,
)


KEEPALIVE = 1.5
"""Seconds that an unused connection is kept. Real servers hang up after 2.0 s, and
nobody can tell then whether they had read the request that met the hang-up."""


class AiohttpTransport:
    """Sends over one `aiohttp.ClientSession`, its own or a borrowed one.

    Args:
        session: a session to borrow, which its owner closes; its connection limits
            and keep-alive are its owner's choice.
        ssl: what aiohttp takes for ``ssl``: a context, or False for no check.
        proxy: URL of an HTTP proxy.
        headers: sent with every request.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession | None = None,
        *,
        ssl: ssl_.SSLContext | bool = True,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._session = session
        self._owned = session is None
        self._ssl = ssl
        self._proxy = None if proxy is None else checked_proxy(proxy)
        self._headers = checked_headers(headers or {})

    async def send(
        self,
        request: Request,
        *,
        base_url: str,
        api_key: Secret,
        timeouts: Timeouts,
        deadline: float | None,
        overtime: float = 0.0,
        own_server: bool = True,
    ) -> AiohttpAnswer:
        """Send *request*; see `Transport.send`."""
        headers = dict(self._headers) if own_server else {}
        headers.update(request.headers)
        watch = Watch(None if deadline is None else deadline + overtime)
        body = None
        if request.content is not None:
            body = Body(request.content, timeouts)
            body.on_wait = watch.allow
        try:
            watch.allow(timeouts.first_byte)
            with watch:
                response = await self._request(
                    request,
                    base_url,
                    api_key,
                    headers=headers,
                    timeouts=timeouts,
                    body=body,
                )
        except Expired:
            watch.close()
        except BaseException:
            watch.close()
            raise
        else:
            watch.until(deadline)
            return AiohttpAnswer(response, timeouts, watch)
        if deadline is not None and asyncio.get_running_loop().time() >= deadline:
            raise _total_timeout(timeouts.total)
        raise _too_slow(timeouts, body)

    async def _request(
        self,
        request: Request,
        base_url: str,
        api_key: Secret,
        *,
        headers: dict[str, str],
        timeouts: Timeouts,
        body: Body | None,
    ) -> aiohttp.ClientResponse:
        """Have aiohttp send it.

        Frames of aiohttp's hold the headers, and with them the key: none of them is
        left in a traceback, and no error has one in its context.
        """
        if body is not None:
            headers["Content-Type"] = body.content_type
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.streamed:
            headers["Accept"] = "text/event-stream"
            # A proxy that compresses a stream holds back its events.
            headers["Accept-Encoding"] = "identity"
        try:
            return await self._open_session().request(
                request.method,
                _url(base_url + request.path),
                data=request.body if body is None else body,
                headers={**headers, **_authorization(api_key)},
                # The key must not follow to another host, scheme or port.
                allow_redirects=False,
                proxy=self._proxy,
                ssl=self._ssl,
                timeout=_client_timeout(timeouts.connect),
                raise_for_status=False,  # whatever a borrowed session does
            )
        except _FOREIGN as error:
            failure: BaseException = _ours(error, timeouts)
        except BaseException as error:
            error.__traceback__ = None  # of a cancellation, nearly always
            raise
        finally:
            if body is not None:
                body.on_wait = None  # an early answer leaves a body that is still sent
        if body is not None and body.failure is not None:
            failure = body.failure.with_traceback(body.traceback)
        raise failure  # out here, where it has no context

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Streams stay open: a limit would make the 101st wait unseen.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            # It would send a GET again by itself, which no policy allows and no hook
            # is told; there is no public way to say so.
            vars(self._session).update(_retry_connection=False)
        return self._session

    async def aclose(self) -> None:
        """Close the session, if it is not borrowed."""
        if self._owned and self._session is not None:
            await self._session.close()


class AiohttpAnswer:
    """An answer whose headers have come; see `Answer`."""

    def __init__(
        self, response: aiohttp.ClientResponse, timeouts: Timeouts, watch: Watch
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._timeouts = timeouts
        self._watch = watch
        self._broken: DifyError | None = None
        watch.allow(timeouts.idle)

    async def read_chunk(self) -> bytes:
        """The next bytes as they come; see `Answer.read_chunk`."""
        watch = self._watch
        watch.allow(self._timeouts.idle)
        if watch.is_over:
            raise _total_timeout(self._timeouts.total)
        if self._broken is not None:
            raise self._broken
        try:
            with watch:
                return await self._response.content.readany()
        except _FOREIGN as error:
            self._broken = _ours(error, self._timeouts)
        except Expired:
            raise self._timed_out() from None
        if rest := self._unread():
            return rest
        raise self._broken

    def _unread(self) -> bytes:
        """What came before the connection broke, and was not read yet.

        aiohttp's reader tells of the break first, and has no public way to the rest.
        """
        read = getattr(self._response.content, "_read_nowait", None)
        return read(-1) if read is not None else b""

    def lift_deadline(self) -> None:
        """See `Answer.lift_deadline`."""
        self._watch.until(None)

    def close(self) -> None:
        """See `Answer.close`; closing twice is harmless."""
        self._watch.close()
        self._response.close()

    def _timed_out(self) -> IdleTimeout | TotalTimeout:
        if self._watch.is_over:
            return _total_timeout(self._timeouts.total)
        idle = self._timeouts.idle
        return IdleTimeout(f"nothing came for {idle} s", seconds=idle)


def _authorization(api_key: Secret) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key.reveal()}"} if api_key else {}


@lru_cache(maxsize=64)
def _url(url: str) -> URL:
    """The parsed URL, which keeps what aiohttp asks of it for each request."""
    return URL(url, encoded=True)


@lru_cache(maxsize=64)
def _client_timeout(connect: float | None) -> aiohttp.ClientTimeout:
    """What aiohttp watches itself; all other deadlines are ours."""
    return aiohttp.ClientTimeout(total=None, sock_connect=connect)


def checked_proxy(proxy: str) -> str:
    """The proxy's URL.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        url = URL(proxy)
        usable = url.scheme in {"http", "https"} and url.host
    except ValueError:
        usable = False
    if not usable:
        # What it is instead is not told: it may hold a password.
        msg = "the proxy must look like http://host:port"
        raise ConfigurationError(msg)
    return proxy


def _too_slow(timeouts: Timeouts, body: Body | None) -> IdleTimeout | FirstByteTimeout:
    """What a server did not do in time: take the body, or answer."""
    if body is not None and not body.sent:
        idle = timeouts.idle
        return IdleTimeout(f"the server took nothing for {idle} s", seconds=idle)
    seconds = timeouts.first_byte
    return FirstByteTimeout(f"no answer began within {seconds} s", seconds=seconds)


def _total_timeout(seconds: float | None) -> TotalTimeout:
    return TotalTimeout(f"the call took longer than {seconds} s", seconds=seconds)


# All that aiohttp raises, and what passes through it from below.
_FOREIGN = (aiohttp.ClientError, OSError, RuntimeError, ValueError)


def _ours(error: Exception, timeouts: Timeouts) -> DifyError:
    """The error of ours for one of aiohttp's, the most specific first.

    aiohttp's own are not chained, since the repr of some holds the request's headers,
    and with them the key.
    """
    match error:
        case aiohttp.ConnectionTimeoutError():
            msg = f"no connection within {timeouts.connect} s"
            return ConnectTimeout(msg, seconds=timeouts.connect)
        case aiohttp.ClientHttpProxyError():
            msg = f"the proxy refused: {error.status} {error.message}"
            return ConnectionFailed(msg)
        case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
            return ConnectionFailed(f"no connection: {error}")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | ValueError():
            # ValueError: a host name that has no form in DNS, for example.
            return ConfigurationError(f"not a URL to send to: {error}")
        case aiohttp.ClientResponseError():
            return UnexpectedAnswer(f"the answer is not HTTP: {error.message}")
        case aiohttp.ClientError() | OSError():
            reason = str(error) or type(error).__name__
            return ConnectionLost(f"the connection broke: {reason}")
        case _:
            # aiohttp says so of a closed session, and of a closed loop.
            return ClientClosed(str(error))
