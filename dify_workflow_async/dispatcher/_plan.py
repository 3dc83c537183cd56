"""What is to be done with an event, and with the exceptions of who does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import isawaitable
from itertools import count
from typing import Any, Literal

import attrs

from .._log import logger
from ..events import Event, UnknownEvent
from ._interest import Interest, Test, always
from ._target import Target
from ._waiting import Wait


_ORDER = count()  # one for all dispatchers: included ones mix by time of registration


@attrs.frozen(eq=False)
class Handler:
    """A handler as it was registered."""

    interest: Interest
    target: Target
    priority: int
    concurrent: bool
    order: int = attrs.field(factory=_ORDER.__next__, init=False)


@attrs.frozen(eq=False)
class Rescue:
    """A handler of exceptions."""

    types: tuple[type[Exception], ...]
    target: Target

    def distance(self, error: Exception) -> int | None:
        """Count the classes between *error* and the one registered; None: not ours."""
        ancestors = type(error).__mro__
        found = [ancestors.index(x) for x in self.types if x in ancestors]
        return min(found, default=None)


@attrs.frozen(eq=False)
class Step:
    """A handler in a plan.

    Attributes:
        target: the function.
        test: what an event must pass.
        concurrent: True if it runs beside others.
    """

    target: Target
    test: Test
    concurrent: bool
    # Its own dispatcher's, then those of the dispatchers around.
    _rescues: tuple[tuple[Rescue, ...], ...]
    _on_error: Literal["raise", "log"] | Target

    @property
    def is_simple(self) -> bool:
        """True if it is run by ``await function(event)`` and nothing else."""
        return (
            self.target.is_simple
            and self.test is always
            and not self.concurrent
            and not self._rescues
            and self._on_error == "raise"
        )

    async def run(self, event: Event, run: object, row: object) -> None:
        """Call the handler, and deal with its exception."""
        try:
            # What calling the target does, a coroutine less.
            result = self.target.start(event, run=run, row=row)
            if self.target.is_async or (result is not None and isawaitable(result)):
                await result
        except Exception as error:  # noqa: BLE001 (raised again unless dealt with)
            await self.deal_with(error, event, run, row)

    async def deal_with(
        self, error: Exception, event: Event, run: object, row: object
    ) -> None:
        """Have *error* dealt with, or raise it as it is."""
        for rescue in self._rescuers(error):
            try:
                await rescue.target(error, event, event=event, run=run, row=row)
            except Exception as raised:
                if raised is not error:
                    raise
            else:
                return
        if isinstance(self._on_error, Target):
            await self._on_error(error, event, event=event, run=run, row=row)
        elif self._on_error == "log":
            log_failure(error, event, self.target.name)
        else:
            raise error

    def _rescuers(self, error: Exception) -> Iterator[Rescue]:
        for level in self._rescues:
            near = [(rescue.distance(error), rescue) for rescue in level]
            fitting = [(way, rescue) for way, rescue in near if way is not None]
            for _, rescue in sorted(fitting, key=lambda x: x[0]):
                yield rescue


def log_failure(error: BaseException, event: Event, handler: str) -> None:
    """Log that *handler* failed; ids only, since an event may hold people's data."""
    name = wire_name(event)
    logger.error(
        "handler %s failed on %s",
        handler,
        name,
        exc_info=error,
        extra={
            "handler": handler,
            "event_name": name,
            "task_id": event.task_id,
            "workflow_run_id": event.workflow_run_id,
        },
    )


def wire_name(event: Event) -> str:
    """Give the name that *event* has, or would have, on the wire."""
    return event.name if isinstance(event, UnknownEvent) else event.event_name


@attrs.frozen(eq=False)
class Plan:
    """What to do with events of one class, or of one unknown name.

    Attributes:
        steps: the handlers in their order.
        waits: who may wait for such an event.
        wanted: True if there is anything to do.
        asked: True if somebody asked for such events, not only for all.
    """

    steps: tuple[Step, ...]
    waits: tuple[Wait, ...]
    wanted: bool
    asked: bool

    @property
    def simple(self) -> tuple[Callable[..., Any], ...] | None:
        """The functions to await one after another, if that is all there is to do."""
        if self.waits or not all(step.is_simple for step in self.steps):
            return None
        return tuple(step.target.function for step in self.steps)
