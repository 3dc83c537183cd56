"""PatientQueue: a queue of ready nodes that wakes nobody in vain.

The engine's own queue is asked a hundred times a second by each run, also by one that
waits for a model. With two hundred runs that is all that a processor can do.
"""

import queue
import threading

from collections import deque
from typing import Final

from graphon.engine.layer import Layer
from graphon.engine_events.base import EngineEvent
from graphon.engine_events.graph import (
    GraphRunAbortedEvent,
    GraphRunFailedEvent,
    GraphRunPartialSucceededEvent,
    GraphRunStartedEvent,
    GraphRunSucceededEvent,
)
from graphon.engine_events.node import NodeRunPauseRequestedEvent
from graphon.runtime.ready_queue import InMemoryReadyQueue, ReadyQueue, ReadyTask


# If a wake is ever missed, that is what it costs.
_PATIENCE: Final = 0.5

_ENDS: Final = (
    GraphRunAbortedEvent,
    GraphRunFailedEvent,
    GraphRunPartialSucceededEvent,
    GraphRunSucceededEvent,
    NodeRunPauseRequestedEvent,
)


class PatientQueue(ReadyQueue):
    """Holds the nodes that are ready to run, and lets workers wait for them."""

    def __init__(self) -> None:
        self._items: deque[ReadyTask] = deque()
        self._news = threading.Condition()
        self._closed = False

    def open(self) -> None:
        """Let workers wait."""
        with self._news:
            self._closed = False

    def close(self) -> None:
        """Let no worker wait any longer."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    def put(self, item: ReadyTask) -> None:
        """Add a node."""
        with self._news:
            self._items.append(item)
            self._news.notify()

    def get(self, timeout: float | None = None) -> ReadyTask:
        """Take the next node, waiting longer for it than the engine asks for.

        Raises:
            queue.Empty: There is none.
        """
        with self._news:
            if self._closed:  # the worker is about to be told to end
                self._news.wait_for(lambda: self._items, timeout)
            else:
                self._news.wait_for(lambda: self._items or self._closed, _PATIENCE)
            if not self._items:
                raise queue.Empty
            return self._items.popleft()

    def task_done(self) -> None:
        """Do nothing: nobody joins."""

    def qsize(self) -> int:
        """Tell how many nodes wait."""
        return len(self._items)

    def take_all(self) -> list[ReadyTask]:
        """Take all nodes that wait."""
        with self._news:
            items = list(self._items)
            self._items.clear()
        return items

    def dumps(self) -> str:
        """Write what waits, as the engine's own queue writes it."""
        copy = InMemoryReadyQueue()
        for item in self._items:
            copy.put(item)
        return copy.dumps()

    def loads(self, data: str) -> None:
        """Read what the engine's own queue, or this one, has written."""
        copy = InMemoryReadyQueue()
        copy.loads(data)
        with self._news:
            self._items = deque(copy.take_all())


class Waker(Layer):
    """Closes a queue when its graph comes to an end or a pause."""

    def __init__(self, ready: PatientQueue) -> None:
        super().__init__()
        self._ready = ready

    def on_event(self, event: EngineEvent) -> None:
        """Open the queue at the beginning, and close it at the end."""
        if isinstance(event, GraphRunStartedEvent):
            self._ready.open()
        elif isinstance(event, _ENDS):
            self._ready.close()
