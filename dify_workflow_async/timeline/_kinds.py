"""What the types of nodes are drawn as: colours that all eyes can tell apart."""

from __future__ import annotations

from typing import Final


# Each type by itself would need more colours than anybody can tell apart. These are of
# the palette of Okabe and Ito; the same type has the same colour in every picture.
KINDS: Final = {
    "model": "#0072B2",
    "agent": "#56B4E9",
    "knowledge": "#009E73",
    "tool": "#E69F00",
    "http request": "#D55E00",
    "code": "#CC79A7",
    "person": "#F0E442",
    "iteration, loop": "#7F7F7F",
    "other": "#A9B4BD",
}

_OF_TYPES: Final = {
    "llm": "model",
    "question-classifier": "model",
    "parameter-extractor": "model",
    "agent": "agent",
    "knowledge-retrieval": "knowledge",
    "knowledge-index": "knowledge",
    "datasource": "knowledge",
    "document-extractor": "knowledge",
    "tool": "tool",
    "http-request": "http request",
    "code": "code",
    "template-transform": "code",
    "human-input": "person",
    "iteration": "iteration, loop",
    "loop": "iteration, loop",
}

# What is not as it should be is told by a shape, not by a colour.
MARKS: Final = {
    "failed": (  # an X, filled
        "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"
    ),
    "failed, dealt with": "diamond",
    "running": "triangle-right",
    "paused": "square",
    "stopped": "triangle-down",
    "other": "circle",
}

_OF_STATUSES: Final = {
    "succeeded": None,
    "partial-succeeded": None,
    "exception": "failed, dealt with",
    **{name: name for name in MARKS},
}


def kind_of(node_type: str | None) -> str:
    """As what a node of this type is drawn."""
    return _OF_TYPES.get(node_type or "", "other")


def mark_of(status: str) -> str | None:
    """What is drawn at the end of an execution; None: it went well."""
    return _OF_STATUSES.get(status, "other")
