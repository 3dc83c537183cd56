"""Human-input nodes: their forms, and the answers to them."""

import re
import uuid

from collections.abc import Mapping
from typing import Any, Final

from graphon.nodes.human_input.entities import (
    Completed,
    Expired,
    HITLContext,
    HITLDecision,
    PauseRequested,
)
from graphon.runtime.runtime_state_protocol import ReadOnlyVariablePool
from graphon.variables.factory import build_segment

from ..._json import is_object
from ._values import plain


# Where the graph goes on when nobody has answered.
_TIMEOUT: Final = "__timeout"

_UNITS: Final = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}

_VARIABLE: Final = re.compile(r"\{\{#(?!\$output\.)([^#]+)#\}\}")

_INPUT_KEYS: Final = ("output_variable_name", "type", "default", "option_source")


class HumanForms:
    """The forms of one run."""

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}
        self._new: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, Mapping[str, Any]] = {}

    def answer(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember answers, by the id of the node that asked."""
        self._answers.update(answers)

    def take(self, form_id: str) -> dict[str, Any] | None:
        """Take a form, once, to tell it; it is one whose node has just asked."""
        return self._new.pop(form_id, None)

    def decide(self, data: Mapping[str, Any], context: HITLContext) -> HITLDecision:
        """Let a node pause, or go on with the answer to its form.

        Args:
            data: The node, as the DSL has it.
            context: What the engine tells of it.
        """
        answer = self._answers.pop(context.node_id, None)
        if answer is None:
            return PauseRequested(session_id=self._ask(data, context))
        outputs = {
            name: build_segment(value) for name, value in answer["outputs"].items()
        }
        action = answer["action"]
        if action is None:
            return Expired(selected_handle=_TIMEOUT, outputs=outputs)
        return Completed(selected_handle=action, inputs={}, outputs=outputs)

    def _ask(self, data: Mapping[str, Any], context: HITLContext) -> str:
        node_id, pool = context.node_id, context.variable_pool
        if node_id in self._asked:  # another form was answered before
            return self._asked[node_id]
        form_id = self._asked[node_id] = str(uuid.uuid4())
        template = str(data.get("form_content") or "")
        inputs: list[Any] = data.get("inputs") or []
        actions: list[Any] = data.get("user_actions") or []
        unit = _UNITS.get(str(data.get("timeout_unit")), _UNITS["hour"])
        self._new[form_id] = {
            "id": form_id,
            "node_id": node_id,
            "node_title": context.node_title,
            "content": _fill(template, pool),
            "template": template,
            "inputs": [_input(one) for one in inputs],
            "actions": [_action(one) for one in actions],
            "default_values": _defaults(inputs, pool),
            "expires_in": float(data.get("timeout") or 36) * unit,
        }
        return form_id


def _fill(template: str, pool: ReadOnlyVariablePool) -> str:
    """Put variables into a text, but not what the person is about to fill in."""

    def value(match: re.Match[str]) -> str:
        found = pool.get(match[1].split("."))
        return match[0] if found is None else found.markdown

    return _VARIABLE.sub(value, template)


def _defaults(inputs: list[Any], pool: ReadOnlyVariablePool) -> dict[str, Any]:
    """Find the values that a form begins with, where they are variables."""
    found: dict[str, Any] = {}
    for one in inputs:
        default: Any = one.get("default")
        if is_object(default) and default.get("type") == "variable":
            value = pool.get(default.get("selector") or [])
            name = str(one.get("output_variable_name"))
            found[name] = None if value is None else plain(value)
    return found


def _input(raw: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: raw[key] for key in _INPUT_KEYS if key in raw}
    for key in ("default", "option_source"):
        source: Any = known.get(key)
        if is_object(source):
            known[key] = {
                name: source.get(name) for name in ("type", "selector", "value")
            }
    return known


def _action(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: raw.get(name) for name in ("id", "title", "button_style")}
