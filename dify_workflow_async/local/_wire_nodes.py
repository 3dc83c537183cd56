"""Events of nodes, iterations and loops as the servers send them."""

import time

from decimal import Decimal
from typing import Any, Literal

import attrs

from ._ids import new_id, seconds_since, unix_now
from ._runs import Event, Run
from ._steps import Json, Node
from ._truncation import truncate
from ._wire_format import event


@attrs.frozen(kw_only=True)
class Cost:
    """What some nodes used together."""

    tokens: int = 0
    price: Decimal = Decimal("0.0")
    currency: str = "USD"

    @property
    def metadata(self) -> dict[str, Any]:
        """What an iteration or a loop tells of it."""
        # A price is a Decimal on the server, and so a text in JSON since 1.9.0.
        return {
            "total_tokens": self.tokens,
            "total_price": str(self.price),
            "currency": self.currency,
        }


@attrs.frozen(kw_only=True)
class Scope:
    """The iteration or loop that a node runs in, if any."""

    iteration_id: str | None = None
    loop_id: str | None = None
    index: int = 0

    @property
    def metadata(self) -> dict[str, Any]:
        """What nodes inside tell of it."""
        if self.iteration_id is not None:
            return {"iteration_id": self.iteration_id, "iteration_index": self.index}
        if self.loop_id is not None:
            return {"loop_id": self.loop_id, "loop_index": self.index}
        return {}


@attrs.frozen(kw_only=True)
class Container:
    """An iteration or a loop, as its events name it.

    Args:
        kind: The word that the names of its events begin with, and its type.
        id: The node's id.
        title: The node's title.
    """

    kind: Literal["iteration", "loop"]
    id: str
    title: str


@attrs.frozen(kw_only=True)
class Execution:
    """One time that a node runs."""

    node_id: str
    node_type: str
    title: str
    scope: Scope = Scope()
    id: str = attrs.field(factory=new_id)
    created_at: int = attrs.field(factory=unix_now)
    started: float = attrs.field(factory=time.perf_counter)


@attrs.frozen(kw_only=True)
class Result:
    """What one attempt of a node came to."""

    inputs: Json
    outputs: Json
    status: str
    process_data: Json = attrs.field(factory=dict[str, Any])
    error: str | None = None
    metadata: Json = attrs.field(factory=dict[str, Any])
    files: tuple[Json, ...] = ()
    truncate_at: int | None = None
    elapsed_time: float | None = None  # as others measured it


def node_started(run: Run, execution: Execution) -> Event:
    """Tell that a node begins."""
    data: dict[str, Any] = _node_head(execution) | {
        "inputs": None,
        "inputs_truncated": False,
        "created_at": execution.created_at,
        "extras": {},
        "iteration_id": execution.scope.iteration_id,
        "loop_id": execution.scope.loop_id,
        "agent_strategy": None,
    }
    return event(run, "node_started", data)


def node_finished(run: Run, execution: Execution, result: Result) -> Event:
    """Tell what a node came to."""
    return event(run, "node_finished", _node_result(execution, result))


def node_retry(run: Run, execution: Execution, result: Result, index: int) -> Event:
    """Tell that an attempt failed and another follows; the first has index 1."""
    data = _node_result(execution, result) | {"retry_index": index}
    return event(run, "node_retry", data)


def _node_head(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "node_id": execution.node_id,
        "node_type": execution.node_type,
        "title": execution.title,
        "index": 1,  # always, in live streams since 1.9.0
        "predecessor_node_id": None,
    }


def _node_result(execution: Execution, result: Result) -> dict[str, Any]:
    inputs, inputs_cut = truncate(result.inputs, result.truncate_at)
    process_data, process_data_cut = truncate(result.process_data, result.truncate_at)
    outputs, outputs_cut = truncate(result.outputs, result.truncate_at)
    elapsed_time = result.elapsed_time
    if elapsed_time is None:
        elapsed_time = seconds_since(execution.started)
    return _node_head(execution) | {
        "inputs": inputs,
        "inputs_truncated": inputs_cut,
        "process_data": process_data,
        "process_data_truncated": process_data_cut,
        "outputs": outputs,
        "outputs_truncated": outputs_cut,
        "status": result.status,
        "error": result.error,
        "elapsed_time": elapsed_time,
        "execution_metadata": dict(result.metadata) or None,
        "created_at": execution.created_at,
        "finished_at": unix_now(),
        "files": list(result.files),
        "iteration_id": execution.scope.iteration_id,
        "loop_id": execution.scope.loop_id,
    }


def node_metadata(node: Node, scope: Scope) -> dict[str, Any]:
    """Tell the ``execution_metadata`` of a node, empty for most."""
    metadata = scope.metadata
    if node.tokens or node.price != "0":
        metadata["total_tokens"] = node.tokens
        metadata["total_price"] = node.price
        metadata["currency"] = node.currency
    if node.status == "exception":
        metadata["error_strategy"] = "default-value"
    return metadata


def container_started(
    run: Run, container: Container, *, length: int, inputs: Json
) -> Event:
    """Tell that an iteration or a loop begins."""
    data = _container_head(container) | {
        "created_at": unix_now(),
        "extras": {},
        "metadata": {f"{container.kind}_length": length},
        "inputs": inputs,
        "inputs_truncated": False,
    }
    return event(run, f"{container.kind}_started", data)


def container_next(run: Run, container: Container, index: int) -> Event:
    """Tell that the next item or round begins."""
    data = _container_head(container) | {"index": index, "created_at": unix_now()}
    if container.kind == "loop":
        data["pre_loop_output"] = {}  # always, whatever the loop has
    data["extras"] = {}
    return event(run, f"{container.kind}_next", data)


def container_completed(
    run: Run,
    container: Container,
    *,
    inputs: Json,
    outputs: Json,
    status: str,
    elapsed_time: float,
    cost: Cost,
    metadata: Json,
    steps: int,
) -> Event:
    """Tell what an iteration or a loop came to; its error is never told."""
    data = _container_head(container) | {
        "outputs": outputs,
        "outputs_truncated": False,
        "created_at": unix_now(),
        "extras": {},
        "inputs": inputs,
        "inputs_truncated": False,
        "status": status,
        "error": None,
        "elapsed_time": elapsed_time,
        "total_tokens": cost.tokens,
        "execution_metadata": cost.metadata | dict(metadata),
        "finished_at": unix_now(),
        "steps": steps,
    }
    return event(run, f"{container.kind}_completed", data)


def _container_head(container: Container) -> dict[str, Any]:
    return {
        "id": container.id,  # not an execution id, unlike other nodes
        "node_id": container.id,
        "node_type": container.kind,
        "title": container.title,
    }
