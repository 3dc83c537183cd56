"""What a reader that comes later is told first: how far a run has got.

Section 1.7 of the description of the API. A real server builds these events from
its records of the nodes; here they are built from the events that were sent, which
say the same. They have fewer keys than live ones, and another order.
"""

from collections.abc import Iterable
from typing import Any, Final

from . import _wire_format as wire
from ._dialect import Dialect
from ._forms import Form
from ._ids import derived_id
from ._json import is_object
from ._runs import Event, Run


_STARTED: Final = frozenset({"node_started", "iteration_started", "loop_started"})
_ENDED: Final = frozenset(
    {"node_finished", "node_retry", "iteration_completed", "loop_completed"}
)
_RESULT: Final = ("status", "elapsed_time", "finished_at")


def snapshot(run: Run, dialect: Dialect) -> list[Event]:
    """Tell how far a run that is not over has got."""
    # The id of the task is only in the record of a pause.
    task_id = run.task_id if run.status == "paused" else run.id
    told = [("workflow_started", _run_started(run, dialect))]
    for node in _nodes(run):
        told.append(("node_started", _node_started(node)))
        if node["status"] != "running":
            told.append(("node_finished", _node_finished(node)))
    if run.status == "paused":
        forms = run.open_forms
        told += [("human_input_required", _form_data(form)) for form in forms]
        told.append(("workflow_paused", _pause_data(run, forms)))
    return [_event(run, task_id, name, data) for name, data in told]


def finished(run: Run) -> Event:
    """Tell what a run that is over came to; its own id stands for the task's."""
    data = wire.finished_data(run, run.status, run.error)
    return _event(run, run.id, "workflow_finished", data)


def _event(run: Run, task_id: str, name: str, data: dict[str, Any]) -> Event:
    return {
        "event": name,
        "task_id": task_id,
        "workflow_run_id": run.id,
        "data": data,
    }


def _run_started(run: Run, dialect: Dialect) -> dict[str, Any]:
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "inputs": wire.recorded_inputs(run, dialect),
        "created_at": run.created_at,
        "reason": "initial",
    }


def _nodes(run: Run) -> Iterable[dict[str, Any]]:
    """Gather the records of the nodes, as the events told of them."""
    nodes: dict[str, dict[str, Any]] = {}
    for event in run.events:
        name, data = event.get("event"), event.get("data")
        if not is_object(data) or "node_id" not in data:
            continue
        key = _execution_id(run, data)
        if name in _STARTED:
            begun = {"id": key, "index": len(nodes) + 1, "status": "running"}
            nodes[key] = data | begun
        elif name in _ENDED and key in nodes:
            nodes[key] |= {part: data[part] for part in _RESULT if part in data}
        elif name == "human_input_required":
            for node in nodes.values():
                if node["node_id"] == data["node_id"] and node["status"] == "running":
                    node["status"] = "paused"
    return nodes.values()


def _execution_id(run: Run, data: dict[str, Any]) -> str:
    """Tell the id of an execution; containers show their node's id in its place."""
    told = str(data.get("id"))
    return derived_id(run.id, told) if told == data["node_id"] else told


def _head(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": node["id"],
        "node_id": node["node_id"],
        "node_type": node.get("node_type"),
        "title": node.get("title"),
        "index": node["index"],  # which counts here, unlike in live events
        "predecessor_node_id": None,
        "inputs": None,
    }


def _node_started(node: dict[str, Any]) -> dict[str, Any]:
    return _head(node) | {
        "created_at": node.get("created_at"),
        "extras": {},
        "iteration_id": node.get("iteration_id"),
        "loop_id": node.get("loop_id"),
    }


def _node_finished(node: dict[str, Any]) -> dict[str, Any]:
    created_at = node.get("created_at")
    return _head(node) | {
        "process_data": None,
        "outputs": None,
        "status": node["status"],
        "error": None,
        "elapsed_time": node.get("elapsed_time", 0.0),
        "execution_metadata": None,
        "created_at": created_at,
        "finished_at": node.get("finished_at", created_at),
        "files": [],
        "iteration_id": node.get("iteration_id"),
        "loop_id": node.get("loop_id"),
    }


def _form_data(form: Form) -> dict[str, Any]:
    # The record of a pause has the content as the workflow has it, not filled.
    return wire.form_data(form) | {"form_content": form.template}


def _pause_data(run: Run, forms: list[Form]) -> dict[str, Any]:
    reasons = [
        wire.pause_reason(form) | {"form_content": form.template} for form in forms
    ]
    return wire.pause_data(run, forms) | {"reasons": reasons, "elapsed_time": 0.0}
