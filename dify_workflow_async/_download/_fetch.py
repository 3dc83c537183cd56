"""Opens what a URL names, on this server or another one, with no key.

The client's own headers go to its own server only, whatever a redirect says.
"""

from __future__ import annotations

from urllib.parse import SplitResult, quote, urljoin, urlsplit

import attrs

from .. import _protocol
from .._config import Timeouts
from .._exchange import Exchange
from .._secret import NO_KEY
from .._transport import Answer
from ..errors import (
    ConfigurationError,
    Forbidden,
    NotFound,
    UnexpectedAnswer,
)


MAX_REDIRECTS = 10

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
# All that has a meaning in a URL, and so must stay as it is.
_AS_IT_IS = "%/:?#[]@!$&'()*+,;=~-._"

_EXPIRED = (
    "signed URLs expire, after 300 s by default: get a new one, by reading the run "
    "again, for example"
)


@attrs.frozen
class Target:
    """Where something is.

    Attributes:
        origin: scheme, host and port.
        path: the rest, with the query.
    """

    origin: str
    path: str

    @property
    def url(self) -> str:
        """Both together."""
        return self.origin + self.path


def target_of(url: str, base: str) -> Target:
    """The place that *url* names, which may be relative to that of *base*.

    Raises:
        ConfigurationError: it is no http(s) URL, or holds a password.
    """
    try:
        parts = urlsplit(urljoin(base, quote(url.strip(), safe=_AS_IT_IS)))
        host = _host(parts)
    except ValueError:  # UnicodeError is one
        host, parts = "", urlsplit("")
    if parts.scheme not in _PORTS or not host:
        msg = "a file's URL must look like http://host/path or /path"
        raise ConfigurationError(msg)
    if "@" in parts.netloc:
        msg = "a file's URL must hold no user and password"
        raise ConfigurationError(msg)
    query = f"?{parts.query}" if parts.query else ""
    return Target(f"{parts.scheme}://{host}", f"{parts.path or '/'}{query}")


def _host(parts: SplitResult) -> str:
    """Host and port as they are compared: small, in ASCII, without the usual port."""
    host = parts.hostname or ""
    # quote() has hidden what is not ASCII.
    if "%" in host:
        raise ValueError
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return host if port in {None, _PORTS.get(parts.scheme)} else f"{host}:{port}"


async def open_target(
    api: Exchange, target: Target, timeouts: Timeouts
) -> tuple[Answer, str]:
    """Ask for a file, following redirects.

    Returns:
        The answer, and what was asked for in the end, as errors tell it.

    Raises:
        Forbidden, NotFound: most likely a signed URL that has expired.
        UnexpectedAnswer: a redirect that leads nowhere, or too many of them.
        DifyError: it was not got.
    """
    own = target_of("/", api.base_url).origin
    for _ in range(MAX_REDIRECTS + 1):
        exchange = attrs.evolve(
            api,
            base_url=target.origin,
            api_key=NO_KEY,
            own_server=target.origin == own,
        )
        request = _protocol.fetch_request(target.path)
        try:
            answer = await exchange.send(request, timeouts)
        except (Forbidden, NotFound) as error:
            # Without a code it is a page of whoever keeps the file.
            what = error.message if error.code else "the file is not given out"
            error.reword(f"{what}; {_EXPIRED}")
            raise
        except UnexpectedAnswer as error:
            target = _redirected(error, target)
        else:
            return answer, exchange.describe(request)
    msg = f"more than {MAX_REDIRECTS} redirects"
    raise UnexpectedAnswer(msg, request=f"GET {target.url.partition('?')[0]}")


def _redirected(error: UnexpectedAnswer, target: Target) -> Target:
    """Where the answer that *error* tells of points to, or the error itself."""
    headers = error.headers or {}
    location = next((v for k, v in headers.items() if k.lower() == "location"), "")
    if error.status not in _REDIRECTS or not location:
        raise error
    try:
        return target_of(location, target.url)
    except ConfigurationError:
        msg = "the server redirects to what is no http(s) URL"
        raise UnexpectedAnswer(
            msg, status=error.status, request=error.request, headers=headers
        ) from None
