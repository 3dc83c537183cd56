"""What the load server sends, and what a client must have read of it.

The events have the fields and the sizes of recorded ones of Dify 1.14. Only the
standard library is used here, since every contender's process imports it.
"""

from __future__ import annotations

import hashlib
import json

from collections.abc import Iterator
from functools import cache
from typing import Any


RUN_ID = "efcc7333-c4c1-463f-8b0a-74ae28804fe8"
TASK_ID = "48239bf3-864a-4b73-b041-1a150e6ff035"
WORKFLOW_ID = "ab9cc543-5f55-4868-a474-2076dc542e64"
NODES = ("start", "http-request", "llm", "code", "end")
RUN_EVENTS = 24  # of one small run: its start and end, five nodes, twelve texts
NOW = 1795312407

PING = b"event: ping\n\n"
_SENTENCE = "The river carries more in spring, and less in autumn.\n"


def frame(event: str, **data: Any) -> bytes:
    """One event, as Dify writes it."""
    obj = {
        "event": event,
        "workflow_run_id": RUN_ID,
        "task_id": TASK_ID,
        "data": data,
    }
    text = json.dumps(obj, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode() + b"\n\n"


def text_chunk(text: str) -> bytes:
    """A piece of text from a model's node."""
    return frame("text_chunk", text=text, from_variable_selector=["llm", "text"])


def started() -> bytes:
    """The first event of a run."""
    inputs = {
        "key": "value",
        "sys.files": [],
        "sys.user_id": "u1",
        "sys.app_id": "783716ad-ce40-4f69-b2a5-13f11556adba",
        "sys.workflow_id": WORKFLOW_ID,
        "sys.workflow_run_id": RUN_ID,
    }
    return frame(
        "workflow_started",
        id=RUN_ID,
        workflow_id=WORKFLOW_ID,
        inputs=inputs,
        created_at=NOW,
        reason="initial",
    )


def finished(text: str) -> bytes:
    """The last event of a run."""
    return frame(
        "workflow_finished",
        id=RUN_ID,
        workflow_id=WORKFLOW_ID,
        status="succeeded",
        outputs={"text": text},
        error=None,
        elapsed_time=1.728508,
        total_tokens=342,
        total_steps=5,
        created_by={"id": "a7cec38d-310d-4fb5-aae5-52893006e11f", "user": "u1"},
        created_at=NOW,
        finished_at=NOW + 2,
        exceptions_count=0,
        files=[],
    )


def _node(index: int, node: str) -> dict[str, Any]:
    return {
        "id": f"d22ed5a1-6a45-4bad-9126-2293e6ca94b{index}",
        "node_id": node,
        "node_type": node,
        "title": node.title(),
        "index": index,
        "predecessor_node_id": None,
        "inputs": None,
        "inputs_truncated": False,
        "created_at": NOW,
        "extras": {},
        "iteration_id": None,
        "loop_id": None,
    }


def _node_finished(index: int, node: str) -> bytes:
    # As recorded: only a model's node has a cost.
    cost = {"total_tokens": 57, "total_price": "0.0001425", "currency": "USD"}
    fields = _node(index, node) | {
        "inputs": {"key": "value", "sys.user_id": "u1", "sys.workflow_run_id": RUN_ID},
        "process_data": {"model_mode": "chat", "model_name": "m", "usage": {"n": 57}},
        "process_data_truncated": False,
        "outputs": {"text": _SENTENCE * 2, "finish_reason": "stop"},
        "outputs_truncated": False,
        "status": "succeeded",
        "error": None,
        "elapsed_time": 0.345,
        "execution_metadata": cost if node == "llm" else None,
        "finished_at": NOW + 1,
        "files": [],
    }
    return frame("node_finished", **fields)


@cache
def small_texts() -> tuple[str, ...]:
    """The texts of a small run."""
    return tuple(f"piece {i} of the answer, " for i in range(RUN_EVENTS - 12))


@cache
def small_run() -> tuple[bytes, ...]:
    """The events of one small run."""
    frames = [started()]
    for index, node in enumerate(NODES, 1):
        frames.append(frame("node_started", **_node(index, node)))
        if node == "llm":
            frames += map(text_chunk, small_texts())
        frames.append(_node_finished(index, node))
    frames.append(finished("".join(small_texts())))
    return tuple(frames)


def long_texts(n: int) -> Iterator[str]:
    """The texts of one long stream, each of about four words."""
    return (f" token {i} of the long answer" for i in range(n))


def big_text(size: int) -> str:
    """A text that makes an event of *size* bytes or a little more."""
    return _SENTENCE * (size // (len(_SENTENCE) + 1))  # JSON escapes the line's end


class Check:
    """What came of the streams of one work: how many events, and which texts."""

    def __init__(self) -> None:
        self._events: int | None = 0
        self._texts: dict[str, int] = {}

    def add(self, events: int | None, texts: list[str]) -> None:
        """Note what was read of one stream; None: this way of reading counts not."""
        if events is None or self._events is None:
            self._events = None
        else:
            self._events += events
        text = "".join(texts)
        self._texts[text] = self._texts.get(text, 0) + 1

    def told(self) -> dict[str, Any]:
        """The count, and a digest of the texts and of how often each came."""
        digest = hashlib.sha256()
        for text, times in sorted(self._texts.items()):
            digest.update(f"{times}:{len(text)}:".encode() + text.encode())
        return {"events": self._events, "digest": digest.hexdigest()}
