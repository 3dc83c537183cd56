"""What a hub asks of a client, and of the runs that it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ..events import Event
from ._selection import Selection


class Stream(Protocol):
    """A run that can be relayed, as `RunStream` is."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events."""
        ...

    async def stop(self) -> None:
        """Ask the server to stop the run."""
        ...


Entering = AbstractAsyncContextManager[Stream]


class Client(Protocol):
    """What starts runs, as `WorkflowClient` does."""

    @property
    def stream(self) -> Callable[..., Entering]:
        """Run the workflow and stream its events."""
        ...


def originals_of(run: Stream, selection: Selection) -> Callable[[Event], bytes | None]:
    """What gives the data of an event as it came, if that is wanted and known."""
    keep = getattr(run, "originals", None) if selection.sends_originals else None
    return keep() if keep is not None else lambda _: None
