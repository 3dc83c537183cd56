"""A client that nobody has to close: it closes with the event loop that it was used in.

A fixture cannot know which library runs the loop of a test, and when it ends it.
"""

from __future__ import annotations

import asyncio
import contextlib

from collections.abc import AsyncGenerator, Awaitable, Callable

import attrs

from .. import WorkflowClient
from .._lifetime import Lifetime


# The event loop itself does not keep them.
_closers: set[AsyncGenerator[None]] = set()


def make_client(api_key: str, base_url: str, user: str) -> WorkflowClient:
    """Make a client that closes with its loop."""
    client = WorkflowClient(api_key, base_url, user)
    lifetime = _LoopLifetime()
    lifetime.aclose = client.aclose
    client._api = attrs.evolve(client._api, lifetime=lifetime)  # pyright: ignore[reportPrivateUsage]
    return client


class _LoopLifetime(Lifetime):
    """Ends with the loop of the first use."""

    def __init__(self) -> None:
        super().__init__()
        self.aclose: Callable[[], Awaitable[None]]

    def check(self) -> asyncio.AbstractEventLoop:
        """The loop; on the first use it is asked to close the client at its end."""
        is_first = self._loop is None and not self.closed
        loop = super().check()
        if is_first:
            _at_end_of_loop(self.aclose)
        return loop


def _at_end_of_loop(aclose: Callable[[], Awaitable[None]]) -> None:
    """Call something when the running loop ends its generators, as its runner does."""

    async def wait() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await aclose()
            _closers.discard(closer)

    closer = wait()
    _closers.add(closer)
    with contextlib.suppress(StopIteration):
        next(anext(closer).__await__())  # up to its yield
