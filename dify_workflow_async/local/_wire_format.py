"""Events as the servers send them: the keys, their order and their types.

Every function gives one event object. The order of keys is that of real servers,
although no client should rely on it.
"""

import json

from typing import Any, Final

from ._dialect import Dialect
from ._file_values import files_in, with_fresh_links
from ._forms import Form
from ._ids import end_user_id, seconds_since, unix_now
from ._runs import Event, Run
from ._steps import AgentLog, Json
from ._truncation import truncate


_DETAIL_FIELDS: Final = (
    "id",
    "workflow_id",
    "status",
    "inputs",
    "outputs",
    "error",
    "total_steps",
    "total_tokens",
    "created_at",
    "finished_at",
    "elapsed_time",
)


def event(run: Run, name: str, data: Json) -> Event:
    """Put data into the envelope that nearly all events have."""
    return {
        "event": name,
        "workflow_run_id": run.id,
        "task_id": run.task_id,
        "data": data if run.link is None else with_fresh_links(data, run.link),
    }


def workflow_started(run: Run, dialect: Dialect, reason: str = "initial") -> Event:
    """Tell that a run begins, or goes on after a pause."""
    data: dict[str, Any] = {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "inputs": run.inputs | run.system_variables,
        "created_at": unix_now(),
    }
    if dialect.gives_reason:
        data["reason"] = reason
    return event(run, "workflow_started", data)


def workflow_finished(
    run: Run, status: str, error: str | None, truncate_at: int | None = None
) -> Event:
    """Tell how a run ended; the status may be another than the run's own."""
    data = finished_data(run, status, error)
    data["outputs"], cut = truncate(run.outputs, truncate_at)
    if cut:  # the key is only there with it
        data["outputs_truncated"] = True
    return event(run, "workflow_finished", data)


def finished_data(run: Run, status: str, error: str | None) -> dict[str, Any]:
    """Tell what a run came to, with its outputs whole."""
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "status": status,
        "outputs": run.outputs,
        "error": error,
        "elapsed_time": run.elapsed_time,
        "total_tokens": run.total_tokens,
        "total_steps": run.total_steps,
        "created_by": {"id": end_user_id(run.app_id, run.user), "user": run.user},
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "exceptions_count": run.exceptions_count,
        "files": files_in(run.outputs),
    }


def text_chunk(run: Run, text: str, selector: tuple[str, str]) -> Event:
    """Tell a piece of text."""
    data = {"text": text, "from_variable_selector": list(selector)}
    return event(run, "text_chunk", data)


def agent_log(run: Run, log: AgentLog, execution_id: str) -> Event:
    """Tell an entry of an agent's log."""
    data = {
        "node_execution_id": execution_id,
        "id": log.id,
        "label": log.label,
        "parent_id": log.parent_id,
        "error": log.error,
        "status": log.status,
        "data": log.data,
        "metadata": log.metadata,
        "node_id": log.node_id,
    }
    return event(run, "agent_log", data)


def tts_message(run: Run, audio: str) -> Event:
    """Tell a piece of speech, in base64."""
    return _tts(run, "tts_message", audio)


def tts_message_end(run: Run) -> Event:
    """Tell that the speech is over."""
    return _tts(run, "tts_message_end", "")


def _tts(run: Run, name: str, audio: str) -> Event:
    return {
        "event": name,
        "workflow_run_id": run.id,
        "task_id": run.task_id,
        "audio": audio,
    }


def error(message: str, code: str | None, status: int, run: Run | None) -> Event:
    """Tell that something is wrong; the bare form lacks code and run id."""
    if code is None or run is None:
        return {"event": "error", "message": message, "status": status}
    return {
        "event": "error",
        "workflow_run_id": run.id,
        "code": code,
        "status": status,
        "message": message,
    }


def human_input_required(run: Run, form: Form) -> Event:
    """Tell that a person must fill in a form."""
    return event(run, "human_input_required", form_data(form))


def form_data(form: Form) -> dict[str, Any]:
    """Describe a form."""
    return {
        "form_id": form.id,
        "node_id": form.node_id,
        "node_title": form.node_title,
        "form_content": form.content,
        "inputs": form.inputs,
        "actions": form.actions,
        "display_in_ui": True,
        "form_token": form.token,
        "resolved_default_values": form.default_values,
        "expiration_time": form.expiration_time,
    }


def pause_reason(form: Form) -> dict[str, Any]:
    """Tell why a run pauses; the first key is in capitals on the wire."""
    return {
        "TYPE": "human_input_required",
        "form_id": form.id,
        "form_content": form.content,
        "inputs": form.inputs,
        "actions": form.actions,
        "node_id": form.node_id,
        "node_title": form.node_title,
        "resolved_default_values": form.default_values,
        "form_token": form.token,
        "expiration_time": form.expiration_time,
    }


def workflow_paused(run: Run, forms: list[Form]) -> Event:
    """Tell that a run waits for a person."""
    return event(run, "workflow_paused", pause_data(run, forms))


def pause_data(run: Run, forms: list[Form]) -> dict[str, Any]:
    """Tell what a run waits for."""
    return {
        "workflow_run_id": run.id,
        "paused_nodes": [form.node_id for form in forms],
        "outputs": {},
        "reasons": [pause_reason(form) for form in forms],
        "status": "paused",
        "created_at": run.created_at,
        "elapsed_time": seconds_since(run.started),
        "total_tokens": run.total_tokens,
        "total_steps": run.total_steps,
    }


def human_input_form_timeout(run: Run, form: Form) -> Event:
    """Tell that no person answered in time."""
    data = {
        "node_id": form.node_id,
        "node_title": form.node_title,
        "expiration_time": form.expiration_time,
    }
    return event(run, "human_input_form_timeout", data)


def human_input_form_filled(run: Run, form: Form) -> Event:
    """Tell how a person answered."""
    data = {
        "node_id": form.node_id,
        "node_title": form.node_title,
        "rendered_content": form.rendered_content,
        "action_id": form.action["id"],
        "action_text": form.action["title"],
        "submitted_data": form.submitted,
    }
    return event(run, "human_input_form_filled", data)


def blocking_answer(run: Run) -> dict[str, Any]:
    """Tell what a blocking run came to, or that it waits for a person."""
    data: dict[str, Any] = {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "status": run.status,
        "outputs": run.outputs,
        "error": run.error,
        "elapsed_time": run.elapsed_time or seconds_since(run.started),
        "total_tokens": run.total_tokens,
        "total_steps": run.total_steps,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    }
    if run.status == "paused":
        data["paused_nodes"] = [form.node_id for form in run.open_forms]
        data["reasons"] = [pause_reason(form) for form in run.open_forms]
    return {"task_id": run.task_id, "workflow_run_id": run.id, "data": data}


def run_detail(run: Run | None, dialect: Dialect) -> dict[str, Any]:
    """Tell how a run stands; of an unknown one every field is null."""
    if run is None:
        return dict.fromkeys(_DETAIL_FIELDS)
    running = is_recorded_running(run, dialect)
    outputs: Any = {} if running else run.outputs
    if dialect.outputs_as_text:
        outputs = None if run.status == "paused" else json.dumps(outputs)
    values = (
        run.id,
        run.workflow_id,
        "running" if running else run.status,
        json.dumps(recorded_inputs(run, dialect)),
        outputs,
        None if running else run.error,
        0 if running else run.total_steps,
        0 if running else run.total_tokens,
        run.created_at,
        None if running else run.finished_at,
        0.0 if running else run.elapsed_time,
    )
    return dict(zip(_DETAIL_FIELDS, values, strict=True))


def is_recorded_running(run: Run, dialect: Dialect) -> bool:
    """Tell whether the records have a run as running, as some have stopped ones."""
    lost = run.status == "stopped" and dialect.forgets_stopped_runs
    return lost or run.status == "running"


def recorded_inputs(run: Run, dialect: Dialect) -> dict[str, Any]:
    """Tell the inputs of a run as the records have them."""
    variables = run.system_variables
    timestamp = {"sys.timestamp": run.created_at}
    if not dialect.stores_timestamp_early:
        return run.inputs | variables | timestamp
    names = ("sys.files", "sys.user_id", "sys.app_id")
    return (
        run.inputs | {name: variables[name] for name in names} | timestamp | variables
    )
