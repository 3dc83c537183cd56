"""Who listens for what, compiled for each class of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal
from weakref import WeakKeyDictionary, WeakSet

import attrs

from ..errors import ConfigurationError
from ..events import EVENTS, Event, UnknownEvent
from ._plan import Handler, Plan, Rescue, Step
from ._target import Target
from ._waiting import Wait


# The server names its events, so plans of unknown names are kept within a bound: ten
# times the names that this version knows.
_MAX_UNKNOWN = 256


@attrs.define(eq=False)
class Registry:
    """What a `Dispatcher` holds, and what its scopes read.

    Attributes:
        on_error: what becomes of an exception that nobody dealt with.
        version: grows whenever anything here, or in what is included, changes.
        simple: of the plans made since, those that are only to await functions, by the
            class of events; never replaced, so that scopes may hold on to it.
    """

    on_error: Literal["raise", "log"] | Target
    version: int = attrs.field(default=0, init=False)
    simple: dict[type[Event], tuple[Callable[..., Any], ...]] = attrs.field(
        factory=dict, init=False
    )
    _plans: dict[type[Event], Plan] = attrs.field(factory=dict, init=False)
    _unknown: dict[tuple[type[Event], str], Plan] = attrs.field(
        factory=dict, init=False
    )
    handlers: list[Handler] = attrs.field(factory=list, init=False)
    rescues: list[Rescue] = attrs.field(factory=list, init=False)
    waits: dict[Wait, None] = attrs.field(factory=dict, init=False)
    included: list[Registry] = attrs.field(factory=list, init=False)
    # Weakly: an included dispatcher may live longer than those that include it.
    including: WeakSet[Registry] = attrs.field(factory=WeakSet["Registry"], init=False)
    ended: WeakKeyDictionary[object, str | None] = attrs.field(
        factory=WeakKeyDictionary[object, "str | None"], init=False
    )

    def add_handler(self, handler: Handler) -> None:
        """Let *handler* take part from the next event on."""
        self.handlers.append(handler)
        self.changed()

    def add_rescue(self, rescue: Rescue) -> None:
        """Let *rescue* deal with exceptions from the next event on."""
        self.rescues.append(rescue)
        self.changed()

    def add_wait(self, wait: Wait, run: object | None) -> None:
        """Offer events to *wait* until it is over; at once, if its *run* has ended."""
        self.waits[wait] = None
        self.changed()
        if run is not None and run in self.ended:
            wait.end(run, self.ended[run])

    def forget(self, wait: Wait) -> None:
        """Offer no more events to *wait*; safe to call again."""
        if wait in self.waits:
            del self.waits[wait]
            self.changed()

    def include(self, other: Registry) -> None:
        """Let what *other* holds, and will hold, take part.

        Raises:
            ConfigurationError: it would include itself.
        """
        if self in other.family():
            msg = "a dispatcher cannot include itself"
            raise ConfigurationError(msg)
        if other not in self.included:
            self.included.append(other)
            other.including.add(self)
            self.changed()

    def family(self) -> Iterator[Registry]:
        """Give this registry and all that it includes, each once or more."""
        yield self
        for other in self.included:
            yield from other.family()

    def end(self, run: object, run_id: str | None) -> None:
        """Disappoint who waits for an event of *run*, now or later."""
        for registry in self.family():
            registry.ended[run] = run_id
            for wait in list(registry.waits):
                wait.end(run, run_id)

    def plan_of(self, event: Event) -> Plan:
        """Find or make the plan for *event*."""
        if isinstance(event, UnknownEvent):
            return self._plan_of_unknown(type(event), event.name)
        return self._plan_of_class(type(event))

    def plan_of_name(self, name: str) -> Plan:
        """Find or make the plan for events that the wire calls *name*."""
        if name in EVENTS:
            return self._plan_of_class(EVENTS[name])
        return self._plan_of_unknown(UnknownEvent, name)

    def _plan_of_class(self, event_class: type[Event]) -> Plan:
        plan = self._plans.get(event_class)
        if plan is None:
            plan = self._compile(event_class, event_class.event_name)
            self._plans[event_class] = plan
            if (simple := plan.simple) is not None:
                self.simple[event_class] = simple
        return plan

    def _plan_of_unknown(self, event_class: type[Event], name: str) -> Plan:
        plan = self._unknown.get((event_class, name))
        if plan is None:
            if len(self._unknown) >= _MAX_UNKNOWN:
                self._unknown.clear()
            plan = self._compile(event_class, name)
            self._unknown[event_class, name] = plan
        return plan

    def _compile(self, event_class: type[Event], name: str) -> Plan:
        found = [
            (handler, rescues)
            for handler, rescues in self.all_handlers((), set())
            if handler.interest.takes(event_class, name)
        ]
        found.sort(key=lambda x: (-x[0].priority, x[0].order))
        steps = tuple(
            Step(h.target, h.interest.test, h.concurrent, rescues, self.on_error)
            for h, rescues in found
        )
        waits = tuple(
            wait for wait in self._all_waits() if wait.interest.takes(event_class, name)
        )
        interests = [x.interest for x, _ in found] + [x.interest for x in waits]
        return Plan(
            steps=steps,
            waits=waits,
            wanted=bool(interests),
            asked=any(x.asks_for(event_class, name) for x in interests),
        )

    def all_handlers(
        self, outer: tuple[tuple[Rescue, ...], ...], seen: set[Registry]
    ) -> Iterator[tuple[Handler, tuple[tuple[Rescue, ...], ...]]]:
        """Give all handlers, each with the rescues around it, each once."""
        if self in seen:
            return
        seen.add(self)
        rescues = (tuple(self.rescues), *outer) if self.rescues else outer
        for handler in self.handlers:
            yield handler, rescues
        for other in self.included:
            yield from other.all_handlers(rescues, seen)

    def _all_waits(self) -> list[Wait]:
        waits: dict[Wait, None] = {}
        for registry in self.family():
            waits |= registry.waits
        return list(waits)

    def changed(self) -> None:
        self.version += 1
        self.simple.clear()
        self._plans.clear()
        self._unknown.clear()
        for including in self.including:
            including.changed()
