"""A run on the engine: its facts into the events that a server would send."""

import asyncio

from collections.abc import Coroutine, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from .. import _wire_format as wire
from .. import _wire_nodes as nodes
from .._dialect import Dialect
from .._end_users import EndUser
from .._errors import NodeFailed
from .._file_values import files_in, in_shape_of
from .._forms import Form
from .._runs import Run
from .._uploads import FileStore, StoredFile
from .._wire_nodes import Container, Cost, Execution, Result, Scope
from ._frames import Message
from ._pool import Engines, Session
from ._workflow import Workflow


class EnginePerformance:
    """What happens in a run, as the engine lets it happen.

    Args:
        run: Where the events go.
        workflow: What runs.
        dialect: The version of the server.
        engines: Where it runs.
        files: Where the files go that it makes.
        tenant_id: The workspace, which old file values tell.
    """

    def __init__(
        self,
        run: Run,
        workflow: Workflow,
        *,
        dialect: Dialect,
        engines: Engines,
        files: FileStore,
        tenant_id: str,
    ) -> None:
        self.outputs: dict[str, Any] = {}
        self.truncate_at: int | None = None
        self.speech_tail: list[str] | None = None
        self._run = run
        self._workflow = workflow
        self._dialect = dialect
        self._engines = engines
        self._files = files
        self._tenant_id = tenant_id
        self._executions: dict[str, Execution] = {}

    async def perform(self) -> None:
        """Run the graph; a cancellation stops it on the engine, too.

        Raises:
            NodeFailed: The run failed.
        """
        async with self._engines.open(self._workflow, self._run.id) as session:
            session.begin(self._order())
            while (fact := await session.hear()) is not None:
                self._count(fact)
                if fact["fact"] == "paused":
                    await self._wait(session)
                else:
                    self._hear(fact)

    def _order(self) -> Message:
        run = self._run
        return {
            "workflow_id": run.workflow_id,
            "started_at": float(run.created_at),
            "inputs": run.inputs,
            "system": {
                **{
                    name.removeprefix("sys."): value
                    for name, value in run.system_variables.items()
                },
                "timestamp": run.created_at,
            },
        }

    def _count(self, fact: Message) -> None:
        """Note what the run has come to so far."""
        if "steps" in fact:
            self._run.total_steps = fact["steps"]
            self._run.total_tokens = fact["tokens"]
            self._run.total_price = Decimal(fact["price"])
            self._run.exceptions_count = fact["exceptions"]

    def _hear(self, fact: Message) -> None:
        match fact["fact"]:
            case "chunk":
                node_id, *names = fact["selector"]
                selector = (node_id, ".".join(names))
                self._run.send(wire.text_chunk(self._run, fact["text"], selector))
            case "node_started":
                self._start_node(fact)
            case "node_retry":
                result = self._result(fact)
                execution = self._execution(fact)
                index = fact["retry_index"]
                self._run.send(nodes.node_retry(self._run, execution, result, index))
            case "node_ended":
                result, execution = self._result(fact), self._execution(fact)
                self._run.send(nodes.node_finished(self._run, execution, result))
            case "container_started" | "container_next" | "container_ended":
                self._run.send(self._lap(fact))
            case "form":
                self._ask(fact["form"])
            case "file":
                self._keep(fact["file"])
            case "succeeded":
                self.outputs = self._shaped(fact["outputs"])
            case "failed":
                raise NodeFailed(fact["error"])
            case _:  # what is told to nobody, such as an end that the server asked for
                pass

    # Nodes

    def _execution(self, fact: Message) -> Execution:
        """Find the execution that a fact is about, or make it."""
        found = self._executions.get(fact["id"])
        if found is None:
            scope = Scope(iteration_id=fact["iteration_id"], loop_id=fact["loop_id"])
            found = self._executions[fact["id"]] = Execution(
                id=fact["id"],
                node_id=fact["node_id"],
                node_type=fact["node_type"],
                title=fact["title"],
                scope=scope,
                created_at=int(fact["at"]),
            )
        return found

    def _start_node(self, fact: Message) -> None:
        self._executions.pop(fact["id"], None)  # a node that asked runs once more
        execution = self._execution(fact)
        self._run.send(nodes.node_started(self._run, execution))
        form = self._form_of(fact)
        if form is not None and form.has_expired:
            self._run.send(wire.human_input_form_timeout(self._run, form))
        elif form is not None:
            self._run.send(wire.human_input_form_filled(self._run, form))

    def _result(self, fact: Message) -> Result:
        inputs, outputs = self._shaped(fact["inputs"]), self._shaped(fact["outputs"])
        form = self._form_of(fact)
        if fact["node_type"] == "start":
            inputs = outputs = self._start_values()
        elif form is not None:
            inputs = form.typed_inputs
        seconds = fact.get("seconds")
        return Result(
            inputs=inputs,
            outputs=outputs,
            status=fact["status"],
            process_data=self._shaped(fact["process_data"]),
            error=fact["error"],
            metadata=fact["metadata"],
            files=tuple(files_in(outputs)),
            elapsed_time=None if seconds is None else round(seconds, 6),
        )

    def _start_values(self) -> dict[str, Any]:
        """Tell what the Start node shows; the engine would show all it knows."""
        shown = dict(self._run.inputs)
        if self._dialect.start_shows_system_variables:
            shown |= self._run.system_variables
            shown["sys.timestamp"] = self._run.created_at
        return shown

    def _shaped(self, value: Any) -> Any:
        """Give file values the shape that this version has."""
        return in_shape_of(self._dialect, value, self._tenant_id)

    # Iterations and loops

    def _lap(self, fact: Message) -> dict[str, Any]:
        container = Container(
            kind=fact["node_type"], id=fact["node_id"], title=fact["title"]
        )
        if fact["fact"] == "container_next":
            return nodes.container_next(self._run, container, fact["index"])
        inputs = self._shaped(fact["inputs"])
        if fact["fact"] == "container_started":
            length = fact["length"]
            return nodes.container_started(
                self._run, container, length=length, inputs=inputs
            )
        metadata = dict(fact["metadata"])
        cost = Cost(
            tokens=metadata.pop("total_tokens", 0),
            price=Decimal(metadata.pop("total_price", "0.0")),
            currency=metadata.pop("currency", "USD"),
        )
        return nodes.container_completed(
            self._run,
            container,
            inputs=inputs,
            outputs=self._shaped(fact["outputs"]),
            status=fact["status"],
            elapsed_time=round(fact["seconds"], 6),
            cost=cost,
            metadata=metadata,
            steps=fact["laps"],
        )

    # Forms

    def _form_of(self, fact: Message) -> Form | None:
        """Find the form of a node that was answered, or has expired."""
        forms = (form for form in self._run.forms if not form.is_open)
        return next((form for form in forms if form.node_id == fact["node_id"]), None)

    def _ask(self, described: dict[str, Any]) -> None:
        form = Form(**described)
        self._run.forms.append(form)
        if self._dialect.announces_pause:
            self._run.send(wire.human_input_required(self._run, form))

    async def _wait(self, session: Session) -> None:
        """Wait for a person; if several forms are open, for one of them."""
        open_forms = self._run.open_forms
        if self._dialect.announces_pause:
            self._run.send(wire.workflow_paused(self._run, open_forms))
        self._run.pause()
        await _first(form.wait() for form in open_forms)
        self._run.resume()
        started = wire.workflow_started(self._run, self._dialect, "resumption")
        self._run.send(started)
        session.resume(
            {
                form.node_id: {
                    "action": form.action.get("id"),
                    "outputs": form.outputs,
                }
                for form in open_forms
                if not form.is_open
            }
        )

    # Files

    def _keep(self, made: dict[str, Any]) -> None:
        """Let the server know a file that a node has put into its folder."""
        user = EndUser(app_id=self._run.app_id, session_id=self._run.user)
        self._files.adopt(
            StoredFile(
                id=made["id"],
                name=made["name"],
                size=made["size"],
                extension=Path(made["name"]).suffix.lstrip("."),
                mime_type=made["mime_type"],
                created_by=user.id,
                source_url="",
                path=self._files.folder / f"{made['id']}.file",
            )
        )


async def _first(waits: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait until one of several things has happened, and let go of the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
