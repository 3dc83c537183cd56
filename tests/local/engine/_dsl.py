"""Small apps in the form that Dify exports them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import yaml


def node(node_id: str, kind: str, **data: Any) -> dict[str, Any]:
    """Write a node."""
    return {"id": node_id, "data": {"type": kind, "title": node_id, **data}}


def start(*variables: dict[str, Any]) -> dict[str, Any]:
    """Write a Start node."""
    return node("start", "start", variables=list(variables))


def text_input(name: str, *, required: bool = False) -> dict[str, Any]:
    """Write a variable of the Start node."""
    return {
        "variable": name,
        "label": name,
        "type": "text-input",
        "required": required,
        "max_length": 256,
    }


def end(node_id: str = "end", **outputs: str) -> dict[str, Any]:
    """Write an End node; an output is ``node.variable``."""
    told = [
        {"variable": name, "value_selector": source.split(".")}
        for name, source in outputs.items()
    ]
    return node(node_id, "end", outputs=told)


def template(node_id: str, text: str, **variables: str) -> dict[str, Any]:
    """Write a template."""
    used = [
        {"variable": name, "value_selector": source.split(".")}
        for name, source in variables.items()
    ]
    return node(node_id, "template-transform", template=text, variables=used)


def code(
    source: str, outputs: dict[str, str] | None = None, **data: Any
) -> dict[str, Any]:
    """Write a code node without variables."""
    return node(
        "code",
        "code",
        code=source,
        code_language=data.pop("language", "python3"),
        variables=[],
        outputs={
            name: {"type": kind, "children": None}
            for name, kind in (outputs or {"r": "string"}).items()
        },
        **data,
    )


def llm(
    node_id: str = "llm", prompt: str = "{{#start.q#}}", **data: Any
) -> dict[str, Any]:
    """Write a node that asks a model."""
    return node(
        node_id,
        "llm",
        model={
            "provider": "langgenius/openai/openai",
            "name": "gpt-x",
            "mode": "chat",
            "completion_params": {"temperature": 0.1},
        },
        prompt_template=[
            {"role": "system", "text": "Be brief."},
            {"role": "user", "text": prompt},
        ],
        context={"enabled": False, "variable_selector": []},
        vision={"enabled": False},
        **data,
    )


def human(node_id: str = "human", **data: Any) -> dict[str, Any]:
    """Write a node that asks a person."""
    usual: dict[str, Any] = {
        "form_content": "Go on?",
        "inputs": [],
        "user_actions": [{"id": "yes", "title": "Yes", "button_style": "primary"}],
        "timeout": 1,
        "timeout_unit": "hour",
        "delivery_methods": [],
    }
    return node(node_id, "human-input", **(usual | data))


def app(*nodes: dict[str, Any], edges: list[str], **workflow: Any) -> str:
    """Write an app; an edge is ``source>target`` or ``source:handle>target``."""
    lines: list[dict[str, Any]] = []
    for edge in edges:
        begin, _, target = edge.partition(">")
        source, _, handle = begin.partition(":")
        lines.append(
            {
                "id": edge,
                "source": source,
                "target": target,
                "sourceHandle": handle or "source",
                "targetHandle": "target",
            }
        )
    return yaml.safe_dump(
        {
            "kind": "app",
            "version": "0.6.0",
            "app": {"name": "test", "mode": "workflow"},
            "workflow": {"graph": {"nodes": list(nodes), "edges": lines}, **workflow},
        }
    )


def line(*nodes: dict[str, Any], **workflow: Any) -> str:
    """Write an app whose nodes follow each other."""
    ids = [one["id"] for one in nodes]
    edges = [f"{first}>{second}" for first, second in pairwise(ids)]
    return app(*nodes, edges=edges, **workflow)
