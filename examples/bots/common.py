"""What both bots need."""

from __future__ import annotations

import json

from typing import Any

from dify_workflow_async import RunResult


def pages(text: str, size: int) -> list[str]:
    """A text in pieces that a message holds; an empty one is a sign that it is.

    There is no space around them: Telegram trims texts, and refuses those that are
    nothing else, and edits that add nothing else.
    """
    pieces = (text[i : i + size].strip() for i in range(0, len(text), size))
    return [piece for piece in pieces if piece] or ["…"]


def answer_of(result: RunResult[Any]) -> str:
    """The answer of a run that streamed no text: its only output, or all of them."""
    values = list(result.outputs.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return json.dumps(dict(result.outputs), ensure_ascii=False, indent=2)
