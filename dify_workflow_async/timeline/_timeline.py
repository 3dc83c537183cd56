"""`Timeline`: where the time and the tokens of a run went."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Self

from ..errors import UnexpectedAnswer
from ..events import (
    Error,
    Event,
    IterationCompleted,
    LoopCompleted,
    NodeFinished,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from ..views import Nodes, NodeState, Usage
from ._bars import Bar, arranged
from ._clock import Clock
from ._nesting import Nesting
from ._picture import Picture


if TYPE_CHECKING:
    from altair import HConcatChart


class Timeline(Picture):
    """A picture of a run: a bar for each execution of a node.

    It is a live view: `add` changes it, and it can be drawn at any time. All that it
    tells is told by the events, their own times too, so that a recorded run gives the
    picture that the run itself gave.

    Attributes:
        workflow_run_id: of the run; None until an event tells it.
        status: ``running``, then how the run ended; None before any event.
    """

    def __init__(self) -> None:
        self.workflow_run_id: str | None = None
        self.status: str | None = None
        self._nodes = Nodes()
        self._clock = Clock()
        self._nesting = Nesting()
        self._starts: dict[str, float] = {}
        self._ends: dict[str, float] = {}
        self._from_its_beginning = False

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """The timeline of a run whose events are at hand, in their order."""
        timeline = cls()
        for event in events:
            timeline.add(event)
        return timeline

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """The timeline of a run that was recorded.

        It blocks: call it in a thread where an event loop runs.

        Args:
            path: a file with events as JSON, one in each line; the text of an event
                stream; or an HTTP response with one, as ``dify-workflow record``
                writes it.

        Raises:
            UnexpectedAnswer: there are no events of a run in it.
            OSError: the file cannot be read.
        """
        from ._files import read_events

        timeline = cls.of(read_events(path))
        if timeline.status is None:
            msg = f"there are no events of a run in {path}"
            raise UnexpectedAnswer(msg)
        return timeline

    def __repr__(self) -> str:
        run = self.workflow_run_id
        return f"<Timeline {len(self._nodes)} bars, {self.seconds:.3f} s, run={run}>"

    # -- what it tells ---------------------------------------------------------------

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The executions so far, in the order in which they are drawn."""
        return arranged(map(self._bar, self._nodes.values()))

    @property
    def seconds(self) -> float:
        """From the run's beginning to its end, or to the last event."""
        return self._clock.now

    @property
    def usage(self) -> Usage:
        """Tokens and prices, of all executions so far."""
        return self._nodes.usage

    def _bar(self, state: NodeState) -> Bar:
        start = self._starts.get(state.id, 0.0)
        end = self._ends.get(state.id, self._clock.now)
        return Bar(
            state=state,
            parent=state.parent or self._nesting.parent(state.id),
            start=start,
            seconds=max(0.0, end - start),
        )

    def _drawn(self) -> HConcatChart:
        from ._chart import chart_of

        return chart_of(self)

    # -- events ----------------------------------------------------------------------

    @staticmethod
    def heeds(event_name: str) -> bool:
        """True if events of this name on the wire change the picture."""
        return event_name == WorkflowStarted.event_name or Nodes.heeds(event_name)

    def add(self, event: Event) -> None:
        """Take in what an event tells; one that tells nothing of this is ignored."""
        if not self.heeds(event.event_name):
            return
        self.workflow_run_id = self.workflow_run_id or event.workflow_run_id
        self.status = self.status or "running"
        state = self._nodes.add(event)
        match event:
            case WorkflowStarted():
                self._began(event)
            case WorkflowFinished() | WorkflowPaused() | Error():
                self._over(event)
            case _ if state is None:
                pass  # it came before, or tells too little
            case NodeFinished() | IterationCompleted() | LoopCompleted():
                self._start(state)
                self._end(state)
            case _:
                self._start(state)

    def _began(self, event: WorkflowStarted) -> None:
        is_first = not self._clock.has_begun
        self._clock.at(event.created_at)
        self._from_its_beginning |= is_first and event.reason != "resumption"
        self.status = "running"

    def _over(self, event: WorkflowFinished | WorkflowPaused | Error) -> None:
        self.status = "failed"
        if isinstance(event, Error):
            return
        if self._from_its_beginning or not self._clock.has_begun:
            self._clock.until(event.elapsed_time or 0)
        if isinstance(event, WorkflowPaused):
            self.status = "paused"
        else:
            self.status = event.status or self.status
            self._clock.at(event.finished_at)

    def _start(self, state: NodeState) -> None:
        """Take note of an execution that goes on, or of something in it."""
        is_new = state.id not in self._starts
        if is_new:
            self._starts[state.id] = self._clock.at(state.started_at)
        if state.rounds is None:
            self._nesting.happened(state.parent, running=1 if is_new else 0)
        elif is_new:
            self._nesting.block_began(state.id)
        else:
            self._nesting.happened(state.id)

    def _end(self, state: NodeState) -> None:
        self._ends[state.id] = self._clock.end(
            self._starts[state.id], state.elapsed_time, state.finished_at
        )
        if state.rounds is None:
            self._nesting.happened(state.parent, running=-1)
        else:
            self._nesting.block_ended(state.id)
