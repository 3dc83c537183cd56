"""What both bots need."""

from __future__ import annotations

import json

from typing import Any

from dify_workflow_async import RunResult


def pages(text: str, size: int) -> list[str]:
    """A text in pieces that a message holds; an empty one is a sign that it is.

    There is no space around them: Telegram trims texts, and refuses those that are
    nothing else, and edits that add nothing else. No ``&amp;`` is cut in two.
    """
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = start + size
        escape = text.rfind("&", end - len("&amp"), end)
        if end < len(text) and escape > start and ";" not in text[escape:end]:
            end = escape
        pieces.append(text[start:end].strip())
        start = end
    return [piece for piece in pieces if piece] or ["…"]


def answer_of(result: RunResult[Any]) -> str:
    """The answer of a run that streamed no text: its only output, or all of them."""
    values = list(result.outputs.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return json.dumps(dict(result.outputs), ensure_ascii=False, indent=2)
