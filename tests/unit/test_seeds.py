"""The examples in Dify's own documents, as they are printed there.

``zh`` and ``en`` are the two documents that this project began with. Some of their
values are not what servers send (dates as text, steps as digits, prices as numbers):
a client that was written after the documents must work all the same.
"""

from __future__ import annotations

import json

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dify_workflow_async._protocol import blocking_result, run_detail, stop_request
from dify_workflow_async._stream import EventStream
from dify_workflow_async.errors import UnexpectedAnswer
from dify_workflow_async.events import (
    NodeFinished,
    NodeStarted,
    TtsMessage,
    TtsMessageEnd,
    UnknownEvent,
    WorkflowFinished,
    WorkflowStarted,
)
from dify_workflow_async.models import ExecutionMetadata, RunDetail, RunResult


SEEDS = Path(__file__).parent.parent / "seeds"
TASK = "5ad4cb98-f0c7-4085-b384-88c403be6290"
RUN = "5ad498-f0c7-4085-b384-88cbe6290"
MARCH_23 = datetime(2023, 3, 23, 15, 49, 55, tzinfo=UTC)

both = pytest.mark.parametrize("language", ["zh", "en"])


def seed(name: str) -> bytes:
    return (SEEDS / name).read_bytes()


def frames(name: str) -> bytes:
    """The lines of a sample with the two newlines that the document tells of."""
    return b"".join(line + b"\n\n" for line in seed(name).splitlines())


@both
def test_blocking_answer(language):
    """The answer of a blocking run is a result."""
    result = blocking_result(seed(f"{language}_blocking.json"))

    assert result == RunResult(
        workflow_run_id="djflajgkldjgd",
        task_id="9da23599-e713-473b-982c-4328d4f5c78a",
        workflow_id="fldjaslkfjlsda",
        status="succeeded",
        outputs={"text": "Nice to meet you."},
        elapsed_time=0.875,
        total_tokens=3562,
        total_steps=8,
        created_at=datetime(2024, 1, 16, 12, 20, 29, tzinfo=UTC),
        finished_at=datetime(2024, 10, 1, 18, 33, 51, tzinfo=UTC),
    )
    assert result.is_success
    result.raise_for_status()


@both
def test_run_detail(language):
    """The detail has its dates as RFC 2822, its inputs as JSON text, no outputs."""
    detail = run_detail(seed(f"{language}_detail.json"), "any")

    assert detail == RunDetail(
        id="b1ad3277-089e-42c6-9dff-6820d94fbc76",
        workflow_id="19eff89f-ec03-4f75-b0fc-897e7effea02",
        status="succeeded",
        inputs={"sys.files": [], "sys.user_id": "abc-123"},
        outputs={},
        error=None,
        total_steps=3,
        total_tokens=0,
        created_at=datetime(2024, 7, 18, 3, 17, 40, tzinfo=UTC),
        finished_at=datetime(2024, 7, 18, 3, 18, 10, tzinfo=UTC),
        elapsed_time=30.098514399956912,
    )
    assert detail.raw["created_at"] == "Thu, 18 Jul 2024 03:17:40 -0000"
    assert detail.is_terminal


def expected_events() -> list[Any]:
    ids = {"task_id": TASK, "workflow_run_id": RUN}
    node = {
        "id": RUN,
        "node_id": "dfjasklfjdslag",
        "node_type": "start",
        "title": "Start",
        "index": 0,
        "predecessor_node_id": "fdljewklfklgejlglsd",
        "inputs": {},
        "created_at": MARCH_23,
    }
    speech = {
        "task_id": "3bf8a0bb-e73b-4690-9e66-4e429bad8ee7",
        "conversation_id": "23dd85f3-1a41-4ea0-b7a9-062734ccfaf9",
        "message_id": "a8bdc41c-13b2-4c18-bfd9-054b9803038c",
        "created_at": datetime(2024, 7, 17, 8, 38, 7, tzinfo=UTC),
    }
    metadata = ExecutionMetadata(
        total_tokens=63127864, total_price=Decimal("2.378"), currency="USD"
    )
    return [
        WorkflowStarted(
            **ids,
            id=RUN,
            workflow_id="dfjasklfjdslag",
            sequence_number=1,
            created_at=MARCH_23,
        ),
        NodeStarted(**ids, **node),
        NodeFinished(
            **ids,
            **node,
            outputs={},
            status="succeeded",
            elapsed_time=0.324,
            execution_metadata=metadata,
        ),
        WorkflowFinished(
            **ids,
            id=RUN,
            workflow_id="dfjasklfjdslag",
            outputs={},
            status="succeeded",
            elapsed_time=0.324,
            total_tokens=63127864,
            total_steps=1,
            created_at=MARCH_23,
            finished_at=datetime(2023, 3, 28, 4, 9, 55, tzinfo=UTC),
        ),
        TtsMessage(**speech, audio="q" * 128),
        TtsMessageEnd(**speech, audio=""),
    ]


@both
def test_stream(language):
    """The sample stream becomes these events, speech after the run's end included."""
    body = frames(f"{language}_stream.txt")
    stream = EventStream(1 << 20)

    events = list(stream.feed(body))

    assert events == expected_events()
    assert (stream.task_id, stream.workflow_run_id) == (TASK, RUN)
    assert stream.outcome is events[3]
    assert stream.may_be_spoken is False
    assert stream.result().total_steps == 1
    assert stream.result().is_success
    assert type(events[2].execution_metadata.total_price) is Decimal


@both
def test_stream_byte_by_byte(language):
    """The sample stream is the same however slowly it comes."""
    body = frames(f"{language}_stream.txt")
    stream = EventStream(1 << 20)

    events = [e for i in range(len(body)) for e in stream.feed(body[i : i + 1])]

    assert events == expected_events()


@both
def test_framing_sample(language):
    """The sample of the framing is a chat app's event: an unknown one."""
    line = seed(f"{language}_framing.txt").rstrip(b"\n")
    assert line.endswith(rb"}\n\n")  # spelt out, as it is printed

    (event,) = EventStream(1 << 20).feed(line.replace(rb"\n", b"\n"))

    assert type(event) is UnknownEvent
    assert event.name == "message"
    assert event.task_id == "900bbd43-dc0b-4383-a372-aa6e6c414227"
    assert event.raw["answer"] == "Hi"


@both
def test_stop(language):
    """The documents' stop is what is sent, and their answer is JSON."""
    request = stop_request(TASK, user="abc-123")

    assert (request.method, request.path) == ("POST", f"/workflows/tasks/{TASK}/stop")
    assert json.loads(request.body) == {"user": "abc-123"}
    assert json.loads(seed(f"{language}_stop.json")) == {"result": "success"}


@both
@pytest.mark.parametrize("name", ["parameters", "logs", "stop"])
def test_other_answers_are_no_results(language, name):
    """What another endpoint answers is not taken for a blocking run's end."""
    with pytest.raises(UnexpectedAnswer):
        blocking_result(seed(f"{language}_{name}.json"))


def test_upload_sample_is_no_json():
    """The Chinese document's sample has a comma too many: it cannot be read as it is."""
    text = seed("zh_upload.txt")

    with pytest.raises(UnexpectedAnswer, match="broken JSON"):
        blocking_result(text)
    assert json.loads(text.replace(b"1577836800,", b"1577836800"))["created_by"] == 123
