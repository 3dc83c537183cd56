"""Host: the graphs and the runs of one process, at the server's command."""

import threading

from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ..._file_links import FileLinks
from .._frames import ENDS, Message, pack, read
from ._graph import LoadedGraph
from ._run import EngineRun
from ._values import revive


class Sender:
    """Sends messages, from any thread.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message."""
        frame = pack(message)
        with self._lock:
            self._stream.write(frame)
            self._stream.flush()


class Host:
    """Does what the server asks for.

    Args:
        sender: Where the answers and facts go.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._graphs: dict[int, LoadedGraph] = {}
        self._runs: dict[str, EngineRun] = {}
        self._folder = Path()
        self._links = FileLinks(access_timeout=0)

    def serve(self, stream: BinaryIO) -> None:
        """Do what is asked until nothing more can be."""
        while (message := read(stream)) is not None:
            getattr(self, f"_do_{message['do']}")(message)

    def _do_hello(self, message: Message) -> None:
        self._folder = Path(message["folder"])
        self._links = FileLinks(
            access_timeout=message["access_timeout"],
            base_url=message["base_url"],
            secret=bytes.fromhex(message["secret"]),
        )
        self._sender.send({"hello": True})

    def _do_load(self, message: Message) -> None:
        problem = None
        try:
            graph = LoadedGraph(message["workflow"])
            self._try(graph)
            self._graphs[message["graph"]] = graph
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with a graph
            problem = str(exc) or repr(exc)
        self._sender.send({"loaded": message["graph"], "problem": problem})

    def _try(self, graph: LoadedGraph) -> None:
        """Build a graph as a run would, to see whether it can be."""
        order: dict[str, Any] = {
            "workflow_id": "",
            "started_at": 0.0,
            "system": {},
            "inputs": {},
        }
        run = self._make(graph, order, "")
        graph.build(graph.new_state(order, revive), run.surroundings)

    def _do_run(self, message: Message) -> None:
        run_id, graph = message["run"], self._graphs[message["graph"]]
        self._runs[run_id] = self._make(graph, message, run_id)
        self._runs[run_id].begin()

    def _do_resume(self, message: Message) -> None:
        run = self._runs.get(message["run"])
        if run is not None:
            run.resume(message["answers"])

    def _do_stop(self, message: Message) -> None:
        run = self._runs.pop(message["run"], None)
        if run is not None:
            run.stop()

    def _make(self, graph: LoadedGraph, order: Message, run_id: str) -> EngineRun:
        return EngineRun(
            graph,
            order,
            folder=self._folder,
            links=self._links,
            send=partial(self._tell, run_id),
        )

    def _tell(self, run_id: str, fact: Message) -> None:
        if fact["fact"] in ENDS:
            self._runs.pop(run_id, None)
        self._sender.send({"run": run_id, **fact})
