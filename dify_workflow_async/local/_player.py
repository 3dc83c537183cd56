"""The steps of a scenario into events, each at its time."""

import asyncio

from collections import ChainMap
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from . import _wire_format as wire
from . import _wire_nodes as nodes
from ._containers import TOP, Variables, play_iteration, play_loop, remember
from ._dialect import Dialect
from ._errors import ErrorSent, NodeFailed
from ._file_values import files_in
from ._forms import Form
from ._ids import new_id
from ._placeholders import fill, fill_text
from ._runs import Run
from ._scenario import Scenario
from ._steps import (
    AgentLog,
    Disconnect,
    ErrorEvent,
    Iteration,
    Json,
    Loop,
    Node,
    Parallel,
    Pause,
    Ping,
    Raw,
    Sleep,
    Speech,
    Step,
)
from ._wire_nodes import Execution, Result, Scope


class Player:
    """Plays the steps of a scenario for one run, and gathers what it comes to.

    Args:
        run: Where the events go.
        scenario: The script.
        dialect: The version of the server.
    """

    def __init__(self, run: Run, scenario: Scenario, dialect: Dialect) -> None:
        self._run = run
        self._scenario = scenario
        self._dialect = dialect
        self.outputs: dict[str, Any] = {}
        self.truncate_at: int | None = None
        self.speech_tail: list[str] | None = None

    async def perform(self) -> None:
        """Play the whole scenario.

        Raises:
            NodeFailed: A node failed.
            ErrorSent: An ``error`` event was sent.
        """
        known: dict[str, Any] = {
            **self._run.inputs,
            **self._run.system_variables,
            "sys.timestamp": self._run.created_at,
        }
        variables = ChainMap(known)
        await self.play(self._scenario.steps, variables)
        if self._scenario.outputs is not None:
            self.outputs = fill(self._scenario.outputs, variables)

    async def play(
        self, steps: Iterable[Step], variables: Variables, scope: Scope = TOP
    ) -> Json:
        """Play steps one after the other.

        Args:
            steps: The steps.
            variables: What placeholders are filled from; nodes add their outputs.
            scope: The iteration or loop around them.

        Returns:
            The outputs of the last node.

        Raises:
            NodeFailed: A node failed.
            ErrorSent: An ``error`` event was sent.
        """
        outputs: Json = {}
        for step in steps:
            match step:
                case Node():
                    outputs = await self._play_node(step, variables, scope)
                case Iteration():
                    outputs = await play_iteration(
                        step, self._run, variables, self.play
                    )
                case Loop():
                    outputs = await play_loop(step, self._run, variables, self.play)
                case Parallel():
                    await self._play_branches(step, variables, scope)
                case Pause():
                    outputs = await self._play_pause(step, variables)
                case Speech():
                    await self._play_speech(step)
                case Sleep():
                    await asyncio.sleep(step.seconds)
                case _:
                    self._send(step)
        return outputs

    def _send(self, step: Ping | Disconnect | Raw | AgentLog | ErrorEvent) -> None:
        """Play a step that is one thing at one moment."""
        match step:
            case Ping():
                self._run.send("ping")
            case Disconnect():
                self._run.send("disconnect")
            case Raw():
                self._run.send(dict(step.event))
            case AgentLog():
                self._run.send(wire.agent_log(self._run, step, new_id()))
            case ErrorEvent():
                event = wire.error(step.message, step.code, step.status, self._run)
                self._run.send(event, last=True)
                raise ErrorSent(step.message)

    # Nodes

    async def _play_node(self, node: Node, variables: Variables, scope: Scope) -> Json:
        execution = self._begin(node.id, node.type, node.title, scope)
        inputs, outputs = self._values(node, variables)
        await self._retry(node, execution, inputs)
        await self._stream_text(node, variables)
        failed = node.status == "failed"
        error = None if node.status == "succeeded" else node.error or "Unknown error"
        result = Result(
            inputs=inputs,
            outputs={} if failed else outputs,
            status=node.status,
            process_data=fill(node.process_data, variables),
            error=error and fill_text(error, variables),
            metadata=nodes.node_metadata(node, scope),
            files=self._files(node, {} if failed else outputs, variables),
            truncate_at=node.truncate_at,
        )
        self._count(node)
        self._run.send(nodes.node_finished(self._run, execution, result))
        if failed:
            raise NodeFailed(result.error)
        if node.type == "end":
            self.outputs |= outputs
            self.truncate_at = node.truncate_at
        remember(variables, node.id, outputs)
        return outputs

    def _begin(
        self, node_id: str, node_type: str, title: str, scope: Scope
    ) -> Execution:
        if scope == TOP:  # what runs inside a container is not counted
            self._run.total_steps += 1
        execution = Execution(
            node_id=node_id, node_type=node_type, title=title, scope=scope
        )
        self._run.send(nodes.node_started(self._run, execution))
        return execution

    def _values(self, node: Node, variables: Variables) -> tuple[Json, Json]:
        """Tell what a node shows as its inputs and outputs."""
        inputs: Json = fill(node.inputs, variables)
        outputs: Json = fill(node.outputs, variables)
        if node.text and not outputs:
            text = "".join(fill_text(piece, variables) for piece in node.text)
            outputs = {node.text_output: text}
        if node.type == "start":
            shown = dict(self._run.inputs)
            if self._dialect.start_shows_system_variables:
                shown |= self._run.system_variables
                shown["sys.timestamp"] = self._run.created_at
            return inputs or shown, outputs or shown
        if node.type == "end":
            return inputs or outputs, outputs
        return inputs, outputs

    def _files(
        self, node: Node, outputs: Json, variables: Variables
    ) -> tuple[Json, ...]:
        """List the files of a node: those in its outputs, then those it names."""
        named: list[Json] = fill(list(node.files), variables)
        found = files_in(outputs)
        return (*found, *(file for file in named if file not in found))

    async def _retry(self, node: Node, execution: Execution, inputs: Json) -> None:
        for index in range(1, node.retries + 1):
            await asyncio.sleep(node.retry_delay)
            error = node.error or "Unknown error"
            result = Result(inputs=inputs, outputs={}, status="retry", error=error)
            self._run.total_steps += execution.scope == TOP
            self._run.exceptions_count += 1
            self._run.send(nodes.node_retry(self._run, execution, result, index))

    async def _stream_text(self, node: Node, variables: Variables) -> None:
        await asyncio.sleep(node.delay)
        for number, piece in enumerate(node.text):
            if number:
                await asyncio.sleep(node.chunk_delay)
            text = fill_text(piece, variables)
            selector = (node.id, node.text_output)
            self._run.send(wire.text_chunk(self._run, text, selector))

    def _count(self, node: Node) -> None:
        self._run.total_tokens += node.tokens
        self._run.total_price += Decimal(node.price)
        self._run.exceptions_count += node.status != "succeeded"

    # Steps around and beside nodes

    async def _play_branches(
        self, step: Parallel, variables: Variables, scope: Scope
    ) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for branch in step.branches:
                    group.create_task(self._play_branch(branch, variables, scope))
        except BaseExceptionGroup as failures:
            # The first failure is the run's; the other branches are cancelled.
            raise failures.exceptions[0] from None

    async def _play_branch(
        self, steps: Iterable[Step], variables: Variables, scope: Scope
    ) -> None:
        await self.play(steps, variables, scope)

    async def _play_speech(self, step: Speech) -> None:
        for piece in step.audio:
            await asyncio.sleep(step.chunk_delay)
            self._run.send(wire.tts_message(self._run, piece))
        self.speech_tail = [*(self.speech_tail or ()), *step.tail]

    async def _play_pause(self, pause: Pause, variables: Variables) -> Json:
        """Wait for a person; the node runs a second time when the waiting is over."""
        self._begin(pause.id, "human-input", pause.title, TOP)
        form = _form_of(pause, variables)
        self._run.forms.append(form)
        if self._dialect.announces_pause:
            self._run.send(wire.human_input_required(self._run, form))
            self._run.send(wire.workflow_paused(self._run, [form]))
        self._run.pause()
        await form.wait()
        self._run.resume()
        started = wire.workflow_started(self._run, self._dialect, "resumption")
        self._run.send(started)
        execution = self._begin(pause.id, "human-input", pause.title, TOP)
        if form.has_expired:
            self._run.send(wire.human_input_form_timeout(self._run, form))
        else:
            self._run.send(wire.human_input_form_filled(self._run, form))
        outputs = form.outputs
        result = Result(inputs=form.typed_inputs, outputs=outputs, status="succeeded")
        self._run.send(nodes.node_finished(self._run, execution, result))
        remember(variables, pause.id, outputs)
        return outputs


def _form_of(pause: Pause, variables: Variables) -> Form:
    return Form(
        node_id=pause.id,
        node_title=pause.title,
        content=fill_text(pause.form_content, variables),
        template=pause.form_content,
        inputs=list(pause.inputs),
        actions=list(pause.actions),
        default_values=fill(pause.default_values, variables),
        expires_in=pause.expires_in,
    )
