"""The API key: nothing that shows objects shows it, and nobody sends it in clear unseen.

Whatever prints local variables, such as a reporter of errors, prints the key of each
frame that holds it as text. So the client's frames hold a `Secret`, which is opened only
in the expression that makes the header.
"""

from __future__ import annotations

import os
import warnings

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NoReturn, Self, final
from urllib.parse import urlsplit

from .errors import ConfigurationError, InsecureConnectionWarning


@final
class Secret:
    """A text that only `reveal` shows.

    It cannot be pickled: whoever sends a client to another process would write the key
    to wherever pickles go.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str | Secret | None = None) -> None:
        self._text: str = text._text if isinstance(text, Secret) else text or ""

    def reveal(self) -> str:
        """The text. Do not give it a name: frames show what has one."""
        return self._text

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell it from others, and tell nothing of it."""
        import hashlib

        return hashlib.sha256(self._text.encode()).hexdigest()[:8]

    def redacted(self, text: str) -> str:
        """*text*, without this in it."""
        return text.replace(self._text, "***") if self._text else text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return f"<Secret {'***' if self._text else 'empty'}>"

    def __eq__(self, other: object) -> bool:
        return (
            self._text == other._text if isinstance(other, Secret) else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        del memo
        return self

    def __reduce__(self) -> NoReturn:
        msg = "an API key is not pickled: make a client in each process"
        raise TypeError(msg)


NO_KEY = Secret()
"""None is sent."""


def find_key(given: Secret, other: Secret | None = None) -> Secret:
    """The key that was given, else *other*, else that of the environment.

    Raises:
        ConfigurationError: there is none, or one that no header can carry.
    """
    key = given or other or Secret(os.environ.get("DIFY_API_KEY"))
    key = Secret(key.reveal().strip())
    if not key:
        msg = "no API key: give api_key=... or set DIFY_API_KEY"
        raise ConfigurationError(msg)
    if not is_sendable(key.reveal()):
        msg = "the API key holds characters that no HTTP header can carry"
        raise ConfigurationError(msg)
    return key


def is_sendable(key: str) -> bool:
    """True if a header can carry it."""
    return key.isascii() and key.isprintable() and " " not in key


_warned: set[str] = set()


def warn_of_clear_text(base_url: str, *, stacklevel: int) -> None:
    """Warn, once for each server and process, if the key would travel unencrypted.

    A connection that does not leave this machine is no matter.
    """
    parts = urlsplit(base_url)
    if parts.scheme != "http" or _is_loopback(parts.hostname or ""):
        return
    if parts.netloc in _warned:
        return
    msg = (
        f"http://{parts.netloc} is not encrypted: everybody on the way can read the API "
        "key, and all that is sent; use https://"
    )
    warnings.warn(msg, InsecureConnectionWarning, stacklevel=stacklevel + 1)
    _warned.add(parts.netloc)  # not before: a warning may be made an error


def _is_loopback(host: str) -> bool:
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback
