"""Which events came before, when a stream was opened again after it broke."""

from __future__ import annotations

from .events import (
    Event,
    HumanInputRequired,
    NodeFinished,
    NodeStarted,
    WorkflowStarted,
)


_CONTAINERS = frozenset({"iteration", "loop"})


class Repeats:
    """Remembers the events that a server tells again to who comes back."""

    def __init__(self) -> None:
        self._known: set[tuple[type[Event], str | None]] = set()

    def knows(self, event: Event, *, rejoined: bool) -> bool:
        """True if the event is to be passed over, since it came before.

        Args:
            event: it is remembered.
            rejoined: False for a stream that never broke: that one may repeat itself
                as it likes, for what the server sends is not judged.
        """
        match event:
            case NodeStarted(id=key) | NodeFinished(id=key):
                if rejoined and event.node_type in _CONTAINERS:
                    return True  # only summaries show iterations and loops as nodes
            case HumanInputRequired(form_id=key):
                pass
            case WorkflowStarted(reason=reason) if reason != "resumption":
                key = None
            case _:
                return False
        identity = event.__class__, key
        if rejoined and identity in self._known:
            return True
        self._known.add(identity)
        return False
