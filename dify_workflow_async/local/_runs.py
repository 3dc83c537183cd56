"""Runs: what the server remembers of each, and how its events reach readers.

A run appends its events to a list and never waits for anybody. Readers follow the
list at their own pace, from any position, as many as like. So a reader that is
slow, or gone, cannot hold up a run; what bounds the memory instead is the number
of events of a run and the number of runs that are kept.
"""

import asyncio
import time

from collections.abc import AsyncGenerator, Callable, Coroutine
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

import attrs

from ._forms import Form
from ._ids import new_id, unix_now
from ._steps import Json


# What a real server allows is 500 steps a run; with some hundred pieces of text
# each this is far above any honest scenario, and some 100 MB of events.
MAX_EVENTS_PER_RUN: Final = 100_000

Event: TypeAlias = dict[str, Any]
Signal: TypeAlias = Literal["ping", "disconnect"]
Status: TypeAlias = Literal[
    "running", "succeeded", "failed", "stopped", "partial-succeeded", "paused"
]


class TooManyEvents(RuntimeError):
    """Raised when a run sends more events than a run may."""


@attrs.define(kw_only=True, eq=False)
class Run:
    """One run, as the server remembers it.

    Args:
        id: The ``workflow_run_id``.
        task_id: The id that stops it.
        workflow_id: The workflow that ran.
        app_key: The API key of the app.
        app_id: The id of the app.
        user: The end user, as text.
        inputs: The inputs after they were checked, without ``sys.*``.
        files: The files that came with it, beside the inputs.
        link: Makes a link to an upload, if it has any; each event has new ones.
        status: How it stands. A stopped run is ``stopped`` here also where the
            stream or the run detail of that version says something else.
        outputs: The outputs, empty while there are none.
        error: Why it failed or was stopped.
        created_at: When it began, in unix seconds.
        finished_at: When it ended, in unix seconds.
        elapsed_time: How long it took, in seconds.
        total_tokens: Tokens of all its nodes.
        total_price: Their price.
        total_steps: Nodes that began, each attempt of a retried node counted.
        exceptions_count: Nodes that failed, each attempt counted.
        forms: The forms that it waited for, in order.
        form: The form that it waits for, or waited for last. Its ``answer`` lets
            the run go on.
        events: The objects that it sent so far, in order, without pings.
    """

    workflow_id: str
    app_key: str = attrs.field(repr=False)
    app_id: str
    user: str
    inputs: dict[str, Any]
    files: list[Json] = attrs.field(factory=list[Json])
    link: Callable[[str], str] | None = attrs.field(default=None, repr=False)
    id: str = attrs.field(factory=new_id)
    task_id: str = attrs.field(factory=new_id)

    # State
    status: Status = "running"
    outputs: dict[str, Any] = attrs.field(factory=dict[str, Any])
    error: str | None = None
    created_at: int = attrs.field(factory=unix_now)
    finished_at: int | None = None
    elapsed_time: float = 0.0
    total_tokens: int = 0
    total_price: Decimal = Decimal("0.0")
    total_steps: int = 0
    exceptions_count: int = 0
    forms: list[Form] = attrs.field(factory=list[Form], repr=False)

    _sent: list[Event | Signal] = attrs.field(
        factory=list["Event | Signal"], init=False, repr=False
    )
    _ended: bool = attrs.field(default=False, init=False, repr=False)
    _news: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)
    _task: "asyncio.Task[None] | None" = attrs.field(
        default=None, init=False, repr=False
    )
    _stopping: bool = attrs.field(default=False, init=False, repr=False)
    started: float = attrs.field(factory=time.perf_counter, init=False, repr=False)

    @property
    def form(self) -> Form | None:
        """The form that it waits for, or waited for last."""
        return self.forms[-1] if self.forms else None

    @property
    def open_forms(self) -> list[Form]:
        """The forms that it waits for, several if branches ask at the same time."""
        return [form for form in self.forms if form.is_open]

    @property
    def events(self) -> list[Event]:
        """The objects that were sent so far."""
        return [item for item in self._sent if not isinstance(item, str)]

    @property
    def position(self) -> int:
        """How much it has sent so far, events and signals."""
        return len(self._sent)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be sent."""
        return self._ended

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked to stop it."""
        return self._stopping

    @property
    def system_variables(self) -> dict[str, Any]:
        """The ``sys.*`` inputs that the server adds."""
        return {
            "sys.files": self.files,
            "sys.user_id": self.user,
            "sys.app_id": self.app_id,
            "sys.workflow_id": self.workflow_id,
            "sys.workflow_run_id": self.id,
        }

    def send(self, item: Event | Signal, *, last: bool = False) -> None:
        """Append an event, or a signal to the readers.

        Args:
            item: What to append.
            last: Whether it belongs to the end of the run, which is always told.

        Raises:
            RuntimeError: The run has sent too many already.
        """
        if len(self._sent) >= MAX_EVENTS_PER_RUN and not last:
            message = f"a run may send {MAX_EVENTS_PER_RUN} events"
            raise TooManyEvents(message)
        self._sent.append(item)
        self._announce()

    def end(self) -> None:
        """Tell that nothing more will be sent."""
        self._ended = True
        self._announce()

    def begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Begin the work in a task of its own, which the caller owns."""
        self._task = asyncio.create_task(work, name=f"run {self.id}")
        # A task that is cancelled before its first step never gets to its `finally`.
        self._task.add_done_callback(lambda _: self.end())
        return self._task

    def pause(self) -> None:
        """Mark the run as waiting for a person."""
        self.status = "paused"
        self._announce()

    def resume(self) -> None:
        """Mark the run as going on."""
        self.status = "running"

    def stop(self) -> None:
        """Ask the run to stop; without effect on one that is paused or over."""
        if self._task is not None and self.status == "running" and not self._stopping:
            self._stopping = True
            self._task.cancel()

    async def follow(self, silence: float | None) -> AsyncGenerator[Event | Signal]:
        """Read what was and will be sent, until the end.

        Args:
            silence: Seconds without anything after which a ``ping`` is read;
                ``None`` never pings.
        """
        position = 0
        while True:
            while position < len(self._sent):
                yield self._sent[position]
                position += 1
            if self._ended:
                return
            try:
                async with asyncio.timeout(silence):
                    await self._news.wait()
            except TimeoutError:
                yield "ping"

    async def join(
        self,
        position: int,
        *,
        silence: float | None,
        pings_in_pause: bool,
        idle_limit: float,
    ) -> AsyncGenerator[Event | Signal]:
        """Read what will be sent from a position on, until nothing comes any more.

        Unlike ``follow`` this does not end with the run, because a server that
        only relays does not know of that end.

        Args:
            position: How much is skipped.
            silence: Seconds without anything after which a ``ping`` is read, while
                the run goes on; ``None`` never pings.
            pings_in_pause: Whether pings are read while it waits for a person too.
            idle_limit: Seconds without anything, also without pings of a run that
                goes on, after which the reading ends.
        """
        clock = asyncio.get_running_loop().time
        heard = clock()
        while True:
            while position < len(self._sent):
                yield self._sent[position]
                position += 1
                heard = clock()
            lives = self.status == "running" and not self._ended
            rest = heard + idle_limit - clock()
            pings = lives or pings_in_pause
            limit = rest if silence is None or not pings else min(rest, silence)
            try:
                async with asyncio.timeout(limit):
                    await self._news.wait()
            except TimeoutError:
                if limit == rest:
                    return
                yield "ping"
                if lives:  # the worker sent it, through the same channel as events
                    heard = clock()

    async def settled(self, *, pause_counts: bool) -> None:
        """Wait until the run is over or, if that counts, paused."""
        while not self._ended and not (pause_counts and self.status == "paused"):
            await self._news.wait()

    def _announce(self) -> None:
        # Readers hold the old flag; the next news come with a new one.
        news, self._news = self._news, asyncio.Event()
        news.set()
