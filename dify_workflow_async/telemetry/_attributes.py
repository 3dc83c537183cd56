"""What spans and metrics tell: names by OpenTelemetry's conventions, and ``dify.*``.

Never what goes into a workflow or comes out of it, nor what a server says in sentences,
which may quote either.

The names that begin with ``gen_ai`` are those of the package
opentelemetry-semantic-conventions 0.66b2, which is not needed for that.
"""

from __future__ import annotations

import re

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .._convert import is_object, to_float, to_int, to_str
from ..events import (
    IterationCompleted,
    IterationStarted,
    LoopCompleted,
    LoopStarted,
    NodeFinished,
    NodeRetry,
    NodeStarted,
    WorkflowStarted,
)
from ..hooks import RunEnd, RunStart
from ..models import SUCCESS, ExecutionMetadata, RunResult


Value = str | int | float | bool | tuple[str, ...]
Attributes = dict[str, Value]

Start = NodeStarted | IterationStarted | LoopStarted
End = NodeFinished | IterationCompleted | LoopCompleted

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
ERROR = "error.type"

_OPERATIONS = {
    "run": "invoke_workflow",
    "run_blocking": "invoke_workflow",
    # No conventions know these; they invoke nothing.
    "attach": "attach_workflow",
    "resume": "resume_workflow",
}
# What nodes do that the conventions have a word for, and where their title goes then.
_KINDS = {
    "agent": ("invoke_agent", "gen_ai.agent.name"),
    "tool": ("execute_tool", "gen_ai.tool.name"),
    "knowledge-retrieval": ("retrieval", "dify.node.title"),
}
# Dify's names of providers, where the conventions have others.
_PROVIDERS = {
    "azure_openai": "azure.ai.openai",
    "azure_ai_studio": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistralai": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "x": "x_ai",
}
# The nodes whose data Dify itself writes; in others these names are anybody's.
_ASKING = frozenset({"llm", "question-classifier", "parameter-extractor"})
_FAILED = frozenset({"failed", "exception"})
_WELL = SUCCESS | {"stopped", "paused"}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")


def known(attributes: Mapping[str, Value | None]) -> Attributes:
    """Those that are not None, which OpenTelemetry would warn of."""
    return {name: value for name, value in attributes.items() if value is not None}


# -- runs ------------------------------------------------------------------------------


def common(start: RunStart, workflow_name: str | None) -> Attributes:
    """What spans and metrics of a run have in common: few values, and no ids."""
    url = urlsplit(start.base_url)
    return known(
        {
            OPERATION: _OPERATIONS[start.verb],
            PROVIDER: "dify",
            "gen_ai.workflow.name": workflow_name,
            "server.address": url.hostname,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }
    )


def run_started(start: RunStart) -> Attributes:
    """What is known of a run before it is asked for."""
    ref = start.ref
    return known(
        {
            "dify.verb": start.verb,
            "dify.workflow.id": start.workflow_id,
            "dify.run.id": None if ref is None else ref.workflow_run_id,
            "dify.task.id": None if ref is None else ref.task_id,
        }
    )


def identified(event: WorkflowStarted) -> Attributes:
    """Which run it is."""
    return known(
        {
            "dify.run.id": event.workflow_run_id,
            "dify.task.id": event.task_id,
            "dify.workflow.id": event.workflow_id,
        }
    )


def run_ended(end: RunEnd) -> Attributes:
    """What a run's end tells."""
    error, result = end.error, end.result
    attributes: dict[str, Value | None] = {
        "dify.run.id": end.workflow_run_id,
        "dify.task.id": end.task_id,
        "dify.run.status": end.status,
        ERROR: failure(end),
    }
    if error is not None:
        attributes["dify.error.code"] = error.code
        attributes["http.response.status_code"] = error.status
    if result is not None:
        attributes |= _produced(result)
    return known(attributes)


def _produced(result: RunResult[Any]) -> dict[str, Value | None]:
    price, recovered = result.total_price, result.recovered
    return {
        "dify.workflow.id": result.workflow_id,
        "dify.usage.total_tokens": result.total_tokens,
        "dify.usage.total_price": None if price is None else float(price),
        "dify.usage.currency": result.currency,
        "dify.run.steps": result.total_steps,
        "dify.run.exceptions": result.exceptions_count,
        "dify.run.recovered": None if recovered is None else recovered.how,
        "dify.run.breaks": None if recovered is None else recovered.breaks,
    }


def failure(end: RunEnd) -> str | None:
    """The class of error that a run ended in, by its name; None: in none."""
    if end.error is not None:
        return type(end.error).__name__
    if end.result is not None and end.status not in _WELL:
        return "RunFailed"  # which run() raises
    return None


# -- nodes -----------------------------------------------------------------------------


def node_name(event: Start | End) -> str:
    """The span's name: of a workflow there are only so many."""
    kind = node_type(event)
    return kind if event.title in {"", kind} else f"{kind} {event.title}"


def node_type(event: Start | End) -> str:
    """Dify's word; iterations and loops of old servers tell it by their events alone."""
    return event.node_type or event.event_name.partition("_")[0]


def node_started(event: Start | End) -> Attributes:
    """What is known of an execution when it begins."""
    kind = node_type(event)
    attributes: dict[str, Value | None] = {
        "dify.node.id": event.node_id or event.id,
        "dify.node.type": kind,
        "dify.node.title": event.title,
    }
    if kind in _KINDS:
        operation, title = _KINDS[kind]
        attributes |= {OPERATION: operation, title: event.title}
    if isinstance(event, NodeStarted | NodeFinished):
        attributes |= {
            "dify.node.execution_id": event.id,
            "dify.iteration.id": event.iteration_id,
            "dify.loop.id": event.loop_id,
        }
    return known(attributes)


def node_ended(event: End) -> Attributes:
    """What an execution's end tells."""
    attributes: dict[str, Value | None] = {
        "dify.node.status": event.status,
        ERROR: node_failure(event),
    }
    if isinstance(event, NodeFinished):
        attributes |= _place_and_cost(event.execution_metadata) | model(event)
    else:
        attributes["dify.rounds"] = _rounds(event)  # its nodes have what it cost
    return known(attributes)


def _rounds(event: IterationCompleted | LoopCompleted) -> int | None:
    """How many rounds there were; ``steps`` of a loop are the most that were allowed."""
    told = event.execution_metadata
    times = None if told is None else told.raw.get(f"{node_type(event)}_duration_map")
    return len(times) if is_object(times) else event.steps


def node_failure(event: End) -> str | None:
    """What an execution failed in: Dify's class of error, if it is told; or None."""
    if event.status not in _FAILED:
        return None
    # Dify writes it among the outputs of a node that was dealt with, and only there.
    told = to_str((event.outputs or {}).get("error_type"))
    is_told = event.status == "exception" and told and _IDENTIFIER.fullmatch(told)
    return told if is_told else event.status


def retry(event: NodeRetry) -> Attributes:
    """What is told of an attempt that failed."""
    return known({"dify.node.retry": event.retry_index})


def _place_and_cost(told: ExecutionMetadata | None) -> dict[str, Value | None]:
    if told is None:
        return {}
    return {
        "dify.iteration.index": told.iteration_index,
        "dify.loop.index": told.loop_index,
        "dify.usage.total_tokens": told.total_tokens,
        "dify.usage.total_price": None
        if told.total_price is None
        else float(told.total_price),
        "dify.usage.currency": told.currency,
    }


# -- models ----------------------------------------------------------------------------


def model(event: NodeFinished) -> Attributes:
    """Which model a node called, and for how many tokens; empty: none is known.

    Newer servers name it among the inputs, too, and tell the usage among the outputs;
    what is processed is cut where it is long.
    """
    if event.node_type not in _ASKING:
        return {}
    told = {**(event.inputs or {}), **(event.process_data or {})}
    name, provider = to_str(told.get("model_name")), to_str(told.get("model_provider"))
    if not name:
        return {}
    usage = _usage(event.process_data) or _usage(event.outputs)
    reason = to_str(told.get("finish_reason"))
    is_chat = told.get("model_mode") != "completion"
    return known(
        {
            OPERATION: "chat" if is_chat else "text_completion",
            PROVIDER: None if provider is None else _provider(provider),
            "dify.model.provider": provider,
            "gen_ai.request.model": name,
            "gen_ai.response.finish_reasons": (reason,) if reason else None,
            "gen_ai.response.time_to_first_chunk": to_float(
                usage.get("time_to_first_token")
            ),
            "gen_ai.usage.input_tokens": to_int(usage.get("prompt_tokens")),
            "gen_ai.usage.output_tokens": to_int(usage.get("completion_tokens")),
        }
    )


def _usage(told: Mapping[str, Any] | None) -> dict[str, Any]:
    usage = (told or {}).get("usage")
    return usage if is_object(usage) else {}


def _provider(told: str) -> str:
    """The conventions' name of it; Dify's has its plug-in before: ``org/name/name``."""
    name = told.rpartition("/")[2]
    return _PROVIDERS.get(name, name)
