"""What the client asks of I/O: send a request, read the answer.

`_aiohttp` is the one implementation; a test may bring another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ._config import Timeouts
from ._protocol import Request
from ._secret import Secret


class Answer(Protocol):
    """An answer whose headers have come, and whose body is read as it comes."""

    status: int
    headers: Mapping[str, str]
    """Compares names without regard to case."""

    async def read_chunk(self) -> bytes:
        """The next bytes as they come; empty at the end.

        Raises:
            IdleTimeout: nothing came for ``Timeouts.idle`` seconds.
            TotalTimeout: the call's deadline has passed.
            ConnectionLost: the connection broke.
        """
        ...

    def lift_deadline(self) -> None:
        """Read on after the call's deadline; whoever does so has a limit of its own."""
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        ...


class Transport(Protocol):
    """Sends requests to one server."""

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
    ) -> Answer:
        """Send *request* and wait for the headers of its answer.

        Redirects are answers, too. *deadline* is a time of the loop's clock, at which
        ``Timeouts.total`` is over. A body that is sent piece by piece has
        ``Timeouts.idle`` for each piece to be taken, and then ``first_byte``.
        The headers are waited for *overtime* seconds longer than until the *deadline*:
        whoever owns a run that began too late needs its stream to stop it.

        An empty *api_key* is not sent, and another server than the client's *own_server*
        gets none of the headers that the user has set.

        Raises:
            ConnectionFailed, ConnectTimeout: nothing was sent.
            FirstByteTimeout: nothing came back in ``Timeouts.first_byte`` seconds.
            IdleTimeout: nothing of a body was taken in ``Timeouts.idle`` seconds.
            TotalTimeout: nor before the deadline.
            ConnectionLost: the connection broke before the headers came.
            Exception: what the maker of the body has raised, as it is.
        """
        ...

    async def aclose(self) -> None:
        """Close what was opened; what was borrowed stays open."""
        ...
