"""EngineRun: one run of a graph, from its beginning over its pauses to its end."""

import threading

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from graphon.engine import Engine
from graphon.engine.command import AbortCommand, InMemoryChannel
from graphon.engine.filter import EngineEventFilterContext, ResponseStreamFilter
from graphon.engine.layer import Layer
from graphon.engine_events.base import EngineEvent
from graphon.file.runtime import use_workflow_file_runtime
from graphon.runtime.runtime_state import RuntimeState

from ..._file_links import FileLinks
from .._frames import ENDS, Message
from ._factory import Surroundings
from ._facts import Teller
from ._files import Files, MadeFile
from ._graph import LoadedGraph
from ._human import HumanForms
from ._queue import PatientQueue, Waker
from ._values import plain, revive


_REASON: Final = "User requested stop"
_SILENT: Final = "the engine ended the run without a word"


class EngineRun:
    """One run; its work is done in threads of its own.

    Args:
        graph: The graph.
        order: What the server tells of the run.
        folder: Where the server has its files.
        links: What makes links to them.
        send: Sends a fact to the server.
    """

    def __init__(
        self,
        graph: LoadedGraph,
        order: Mapping[str, Any],
        *,
        folder: Path,
        links: FileLinks,
        send: Callable[[Message], None],
    ) -> None:
        self._graph = graph
        self._order = order
        self._send = send
        self._stopping = threading.Event()
        self._commands = InMemoryChannel()
        self._files = Files(folder, links, self._tell_file)
        self._forms = HumanForms()
        self.surroundings = Surroundings(
            settings=graph.settings,
            models=graph.models,
            files=self._files,
            forms=self._forms,
            stopping=self._stopping,
        )
        self._teller = Teller(graph.titles, self._forms)
        self._pause: tuple[str, str] | None = None

    def begin(self) -> None:
        """Run the graph."""
        self._start(self._first)

    def resume(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on after a pause, with answers by node."""
        self._forms.answer(answers)
        self._start(self._next)

    def stop(self) -> None:
        """Let the engine end the run; what a node is doing is not waited for."""
        self._stopping.set()
        self._commands.send_command(AbortCommand(reason=_REASON))

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._guard, args=[work], daemon=True).start()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            with use_workflow_file_runtime(self._files):
                work()
        except Exception as exc:  # noqa: BLE001 - the server must hear of any end
            self._send({"fact": "failed", "error": str(exc)})

    def _first(self) -> None:
        state = self._graph.new_state(self._order, revive)
        self._run(state, ResponseStreamFilter())

    def _next(self) -> None:
        if self._pause is None:
            message = "the run does not wait"
            raise RuntimeError(message)
        snapshot, stream = self._pause
        self._pause = None
        state = RuntimeState.from_snapshot(snapshot, ready_queue_factory=PatientQueue)
        responses = ResponseStreamFilter()
        responses.loads(stream)
        self._run(state, responses)

    def _run(self, state: RuntimeState, responses: ResponseStreamFilter) -> None:
        """Run the engine until it ends or pauses, and tell what happens."""
        engine = Engine(
            graph=self._graph.build(state, self.surroundings),
            runtime_state=state,
            command_channel=self._commands,
            workers=self._graph.workers,
            file_runtime=self._files,
        )
        ready = state.ready_queue
        if isinstance(ready, PatientQueue):
            engine.add_layer(Waker(ready))
        responses.initialize(EngineEventFilterContext.from_engine(engine))
        narrator = Narrator(responses, self._teller, state, self._send)
        engine.add_layer(narrator)
        try:
            for _ in engine.run():
                pass
        except Exception:
            # The engine tells a failure, and then raises it as well.
            if not narrator.has_ended:
                raise
        if narrator.error is not None:
            raise narrator.error
        if narrator.pause is not None:
            # Only now have its threads ended, so that its state can be kept.
            self._pause = state.dumps(), responses.dumps()
            self._send(narrator.pause)
        elif not narrator.has_ended:  # or the server would wait for ever
            raise RuntimeError(_SILENT)

    def _tell_file(self, made: MadeFile) -> None:
        self._send({"fact": "file", "file": plain(attrs.asdict(made))})


class Narrator(Layer):
    """Tells the events of an engine, at the moment when they happen.

    Who reads them from the engine later finds its variables further on than they were,
    and takes for one piece what came in many.

    Args:
        responses: Finds the text that is streamed.
        teller: Words the events.
        state: How the run stands.
        send: Sends a fact to the server.

    Attributes:
        has_ended: Whether the end was told.
        pause: What is to be told of a pause, once the engine has come to rest.
        error: What went wrong here, which the engine passes over.
    """

    def __init__(
        self,
        responses: ResponseStreamFilter,
        teller: Teller,
        state: RuntimeState,
        send: Callable[[Message], None],
    ) -> None:
        super().__init__()
        self.has_ended = False
        self.pause: Message | None = None
        self.error: Exception | None = None
        self._responses = responses
        self._teller = teller
        self._state = state
        self._send = send

    def on_event(self, event: EngineEvent) -> None:
        """Tell an event, and the text that can be told because of it."""
        try:
            for one in self._responses.on_event(event):
                fact = self._teller.tell(one, self._state)
                if fact is not None:
                    self._pass_on(fact)
        except Exception as exc:
            self.error = exc
            raise

    def _pass_on(self, fact: Message) -> None:
        self.has_ended = self.has_ended or fact["fact"] in ENDS
        if fact["fact"] == "paused":
            self.pause = fact
        else:
            self._send(fact)
