"""What goes wrong between the program and the server."""

from __future__ import annotations

from typing import Any

from ._base import DifyError


class TransportError(DifyError):
    """Raised when a request or its answer did not get through."""


class ConnectionFailed(TransportError):
    """Raised when no connection could be made: nothing was sent."""

    safe_to_repeat = True


class ConnectionLost(TransportError):
    """Raised when a connection broke while it was in use."""


class Timeout(TransportError, TimeoutError):
    """Raised when a time limit passed; its subclass says which.

    Attributes:
        seconds: the limit.
    """

    def __init__(
        self, message: str = "", *, seconds: float | None = None, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.seconds = seconds


class ConnectTimeout(Timeout):
    """Raised when no connection was made within ``Timeouts.connect``."""

    safe_to_repeat = True


class FirstByteTimeout(Timeout):
    """Raised when no answer began within ``Timeouts.first_byte``."""


class IdleTimeout(Timeout):
    """Raised when nothing came, not even a ping, for ``Timeouts.idle``."""


class TotalTimeout(Timeout):
    """Raised when a call took longer than ``Timeouts.total``."""


class WaitTimeout(Timeout):
    """Raised when ``Dispatcher.wait_for()`` saw no matching event in time."""


class ProtocolError(TransportError):
    """Raised when what came back is not what Dify's API sends."""


class UnexpectedAnswer(ProtocolError):
    """Raised for HTML, a redirect, broken JSON, or JSON instead of a stream."""


class TooLarge(ProtocolError):
    """Raised when an event or a body is larger than its limit (``Limits``)."""
