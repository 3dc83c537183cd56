"""Type drift, section 5 of the specification: each row, in the forms of both columns.

Documents and servers of different versions give one thing in different types; whatever
comes, the same value is made of it.
"""

from __future__ import annotations

import json

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from dify_workflow_async import _protocol, inputs, models
from dify_workflow_async._refusal import error_of_answer, error_of_event
from dify_workflow_async.errors import (
    AppUnavailable,
    BadRequest,
    RunNotFound,
    ServerError,
    UnexpectedAnswer,
    WorkflowRequestFailed,
)
from dify_workflow_async.events import (
    Error,
    HumanInputRequired,
    IterationCompleted,
    IterationNext,
    LoopNext,
    NodeFinished,
    NodeRetry,
    NodeStarted,
    TextChunk,
    TtsMessage,
    TtsMessageEnd,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from dify_workflow_async.models import (
    EndUser,
    ExecutionMetadata,
    File,
    FormAction,
    InputVariable,
    LogAccount,
    LogEntry,
    LogRun,
    LogUser,
    Parameters,
    PauseReason,
    RunDetail,
    RunResult,
    SystemParameters,
    UploadedFile,
)

from ._objects import make


JSON = {"Content-Type": "application/json"}
MOMENT = 1705407629
AS_DATETIME = datetime(2024, 1, 16, 12, 20, 29, tzinfo=UTC)
DATES = [
    *(MOMENT, float(MOMENT), str(MOMENT)),
    *("Tue, 16 Jan 2024 12:20:29 -0000", "Tue, 16 Jan 2024 12:20:29 GMT"),
    *("2024-01-16T12:20:29Z", "2024-01-16T12:20:29", "2024-01-16T13:20:29+01:00"),
]
SCHEMA = {"type": "object", "required": ["a"]}
FILE = {"type": "image", "transfer_method": "remote_url", "url": "https://h/x.png"}
WITH_STATUS = [WorkflowFinished, WorkflowPaused, NodeFinished, RunDetail, LogRun]

# The row; the class and its field; what is sent, and what is made of it.
Row = tuple[str, type[Any], str, Any, Any]
DRIFT: list[Row] = [
    *(
        ("run detail dates", RunDetail, name, sent, AS_DATETIME)
        for name in ("created_at", "finished_at")
        for sent in DATES
    ),
    ("run detail dates", RunDetail, "finished_at", None, None),
    ("run detail inputs", RunDetail, "inputs", '{"sys.files": []}', {"sys.files": []}),
    ("run detail inputs", RunDetail, "inputs", {"a": 1}, {"a": 1}),
    ("run detail inputs", RunDetail, "inputs", None, None),
    ("run detail inputs", RunDetail, "inputs", "no JSON", None),
    ("run detail outputs", RunDetail, "outputs", {"a": 1}, {"a": 1}),
    ("run detail outputs", RunDetail, "outputs", '{"a": 1}', {"a": 1}),
    ("run detail outputs", RunDetail, "outputs", None, {}),
    *(
        ("total_steps", cls, "total_steps", sent, 1)
        for cls in (WorkflowFinished, WorkflowPaused, RunDetail, LogRun)
        for sent in (1, "1")
    ),
    *(
        ("elapsed_time", cls, "elapsed_time", sent, made)
        for cls in (WorkflowFinished, WorkflowPaused, NodeFinished, RunDetail, LogRun)
        for sent, made in [(0.324, 0.324), (2, 2.0), (0, 0.0), (None, None)]
    ),
    *(
        ("total_price", ExecutionMetadata, "total_price", sent, made)
        for sent, made in [
            ("2.378", Decimal("2.378")),
            (2.378, Decimal("2.378")),
            ("0.0000310", Decimal("0.0000310")),
            (0, Decimal(0)),
        ]
    ),
    ("node inputs", NodeFinished, "inputs", {"a": 1}, {"a": 1}),
    ("node inputs", NodeFinished, "inputs", None, None),
    ("node inputs", NodeFinished, "inputs", [{"a": 1}], None),
    ("node data.id", NodeFinished, "id", "an execution id", "an execution id"),
    ("sequence_number", WorkflowStarted, "sequence_number", 1, 1),
    ("sequence_number", WorkflowFinished, "sequence_number", 1, 1),
    ("sequence_number", WorkflowStarted, "sequence_number", None, None),
    ("index", NodeFinished, "index", 3, 3),
    ("predecessor_node_id", NodeFinished, "predecessor_node_id", "n", "n"),
    ("predecessor_node_id", NodeFinished, "predecessor_node_id", None, None),
    ("node_started inputs", NodeStarted, "inputs", {}, {}),
    ("node_started inputs", NodeStarted, "inputs", None, None),
    *(
        ("tts_message", cls, name, sent, made)
        for cls in (TtsMessage, TtsMessageEnd)
        for name, sent, made in [
            ("message_id", "m", "m"),
            ("message_id", None, None),
            ("conversation_id", "c", "c"),
            ("conversation_id", None, None),
            ("created_at", MOMENT, AS_DATETIME),
            ("created_at", None, None),
        ]
    ),
    ("upload created_by", UploadedFile, "created_by", 123, "123"),
    ("upload created_by", UploadedFile, "created_by", "a-uuid", "a-uuid"),
    ("upload created_by", UploadedFile, "created_by", None, None),
    ("upload created_by", UploadedFile, "created_by", True, None),
    ("upload created_by", UploadedFile, "created_by", [], None),
    *(
        ("size limits", SystemParameters, name, sent, 10)
        for name in (
            *("file_size_limit", "image_file_size_limit", "audio_file_size_limit"),
            *("video_file_size_limit", "workflow_file_upload_limit"),
        )
        for sent in ("10", 10, 10.0)
    ),
    *(
        ("created_by_account", LogEntry, "created_by_account", sent, made)
        for sent, made in [
            ({"id": "1", "name": "Ann"}, LogAccount(id="1", name="Ann")),
            ("Ann", LogAccount(name="Ann")),
            (None, None),
            ([], None),
        ]
    ),
    ("created_by_end_user.type", LogUser, "type", "service_api", "service_api"),
    ("created_by_end_user.type", LogUser, "type", "service-api", "service-api"),
    ("retry_index", NodeRetry, "retry_index", 0, 0),
    ("retry_index", NodeRetry, "retry_index", 1, 1),
    *(
        ("reasons[].TYPE", WorkflowPaused, "reasons", [sent], (PauseReason(type=made),))
        for sent, made in [
            ({"TYPE": "human_input_required"}, "human_input_required"),
            ({"type": "scheduled_pause"}, "scheduled_pause"),
            ({"TYPE": "human_input_required", "type": "x"}, "human_input_required"),
            ({"TYPE": None, "type": "scheduled_pause"}, "scheduled_pause"),
            ({}, None),
        ]
    ),
    ("json_schema", InputVariable, "json_schema", SCHEMA, SCHEMA),
    ("json_schema", InputVariable, "json_schema", json.dumps(SCHEMA), SCHEMA),
    ("json_schema", InputVariable, "json_schema", None, None),
    ("json_schema", InputVariable, "json_schema", "", None),
    *(
        ("button_style", FormAction, "button_style", style, style)
        for style in ("primary", "default", "accent", "ghost", "warning", "new")
    ),
    *(
        ("end user dates", EndUser, name, sent, AS_DATETIME)
        for name in ("created_at", "updated_at")
        for sent in DATES
    ),
    ("end user dates", EndUser, "updated_at", None, None),
    ("error status", Error, "status", 400, 400),
    ("error status", Error, "status", None, None),
    ("error code", Error, "code", "invalid_param", "invalid_param"),
    ("error code", Error, "code", None, None),
    ("open codes", Error, "code", "s3_connection_failed", "s3_connection_failed"),
    # From the history of the events (section 3.6), which the table leaves out.
    ("iteration outputs", IterationCompleted, "outputs", [1, 2], None),
    ("pre_iteration_output", IterationNext, "pre_iteration_output", [1], [1]),
    ("pre_loop_output", LoopNext, "pre_loop_output", {}, {}),
    ("duration", IterationNext, "duration", 1, 1.0),
    ("from_variable_selector", TextChunk, "from_variable_selector", None, ()),
]


@pytest.mark.parametrize(
    ("cls", "name", "sent", "expected"),
    [
        pytest.param(*each, id=f"{row}: {each[0].__name__}.{each[1]} {each[2]!r:.60}")
        for row, *each in DRIFT
    ],
)
def test_field(cls, name, sent, expected):
    """Each form that documents and servers give a field in gives the same value."""
    made = make(cls, {name: sent})

    assert getattr(made, name) == expected
    assert type(getattr(made, name)) is type(expected)
    if hasattr(cls, "raw"):
        wire = made.raw.get("data", made.raw)
        assert wire[name] is sent, "raw has it as it came"


# -- statuses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "terminal", "success"),
    [
        ("scheduled", False, False),
        ("running", False, False),
        ("succeeded", True, True),
        ("failed", True, False),
        ("stopped", True, False),
        ("partial-succeeded", True, True),
        ("paused", False, False),
        ("pending", False, False),
        ("exception", False, False),
        ("retry", False, False),
        ("of tomorrow", False, False),
        (None, False, False),
    ],
)
def test_status(status, terminal, success):
    """Any status is taken; those that a client knows say whether a run has ended."""
    for cls in WITH_STATUS:
        assert make(cls, {"status": status}).status == status
    for run in (make(RunDetail, {"status": status}), make(LogRun, {"status": status})):
        assert (run.is_terminal, run.is_success) == (terminal, success), type(run)
    assert RunResult(status=status).is_terminal is terminal


# -- rows that are about more than a field -------------------------------------------


def test_run_detail_of_an_unknown_id():
    """Nulls all over are no run: servers up to 1.13.0 answer so for an unknown id."""
    body = json.dumps(dict.fromkeys(["id", "status", "inputs", "outputs"])).encode()

    with pytest.raises(RunNotFound):
        _protocol.run_detail(body, "r")
    answer = b'{"code": "not_found", "message": "x", "status": 404}'
    assert error_of_answer(404, JSON, answer).status == 404


def test_null_finished_at_of_a_paused_blocking_answer():
    """A blocking run that waits for a person has no end yet."""
    paused = b'{"data": {"status": "paused", "finished_at": null, "outputs": {}}}'
    ended = b'{"data": {"status": "succeeded", "finished_at": 1705407629}}'

    assert _protocol.blocking_result(paused).finished_at is None
    assert _protocol.blocking_result(ended).finished_at == AS_DATETIME


def test_upload_sample():
    """The document's sample has a comma too many: no server sends it so."""
    sample = b'{"id": "1", "created_by": 123, "created_at": 1577836800,}'

    with pytest.raises(UnexpectedAnswer, match="broken JSON"):
        _protocol.uploaded_file(sample)
    file = _protocol.uploaded_file(sample.replace(b",}", b"}"))
    assert file == UploadedFile(
        id="1", created_by="123", created_at=datetime(2020, 1, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize("control", ["text-input", "paragraph", "file", "tomorrow"])
def test_controls_are_keys_and_types(control):
    """A variable's type is the key that it stands under, also if it has none itself."""
    variable = {"variable": "x", "label": "X", "required": True}
    expected = InputVariable(type=control, variable="x", label="X", required=True)

    for each in (variable, {**variable, "type": control}, {**variable, "type": "?"}):
        made = make(Parameters, {"user_input_form": [{control: each}]})
        assert made.user_input_form == (expected,)
        assert made.user_input_form[0].raw["label"] == "X"


@pytest.mark.parametrize("form", [None, {}, "x", 5, [None, "x", [], 5]], ids=repr)
def test_forms_that_are_none(form):
    """What is no list of variables is an empty one."""
    assert make(Parameters, {"user_input_form": form}).user_input_form == ()


def test_a_variable_that_is_not_wrapped():
    """A variable without a key around it has the type that it says."""
    form = [{"type": "number", "variable": "n"}, {"variable": "alone"}]

    made = make(Parameters, {"user_input_form": form})

    assert made.user_input_form == (
        InputVariable(type="number", variable="n"),
        InputVariable(variable="alone"),
    )


def test_a_file_variable_takes_an_object():
    """One file is sent as an object, though the documents say array."""
    parameters = Parameters(
        user_input_form=(InputVariable(type="file", variable="doc"),)
    )
    request = _protocol.run_request({"doc": FILE}, user="u", response_mode="streaming")

    assert json.loads(request.body)["inputs"] == {"doc": FILE}
    assert inputs.check(parameters, {"doc": FILE}) == []
    assert inputs.check(parameters, {"doc": [FILE]}) != []


def test_form_buttons_and_inputs():
    """A button has whatever style, and ``type`` of a form's input is no TYPE."""
    event = make(
        HumanInputRequired,
        {
            "actions": [{"id": "a", "title": "A", "button_style": "warning"}],
            "inputs": [
                {
                    "type": "file-list",
                    "TYPE": "no",
                    "output_variable_name": "x",
                    "number_limits": "3",
                }
            ],
        },
    )

    assert event.actions == (FormAction(id="a", title="A", button_style="warning"),)
    (field,) = event.inputs
    assert (field.type, field.number_limits) == ("file-list", 3)


def test_file_object_with_unknown_keys():
    """Files have ``tenant_id`` up to 1.13 and ``reference`` from 1.14: both are open."""
    old = {"dify_model_identity": "__dify__file__", "tenant_id": "t", "size": -1}
    new = {"reference": None, "size": -1, "url": "/files/1"}

    event = make(NodeFinished, {"files": [old, new, None, "no file"]})

    assert event.files == (File(size=-1), File(size=-1, url="/files/1"))
    assert [file.raw for file in event.files] == [old, new]


def test_response_mode_is_always_sent():
    """Servers take no mode for blocking, so that it is never left out."""
    for mode in ("streaming", "blocking"):
        request = _protocol.run_request({}, user="u", response_mode=mode)
        assert json.loads(request.body)["response_mode"] == mode


def test_errors_without_a_status():
    """An error that names no status has that of the answer; an event that of a 500."""
    body = b'{"message": "Internal Server Error", "code": "unknown"}'
    answered = error_of_answer(500, JSON, body)
    told = error_of_event(make(Error, {"message": "no"}))

    assert (type(answered), answered.status) == (ServerError, 500)
    assert (type(told), told.status, told.code) == (ServerError, 500, None)


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("workflow_request_error", WorkflowRequestFailed),
        ("app_unavailable", AppUnavailable),
        ("of_tomorrow", BadRequest),
    ],
)
def test_codes_that_no_server_sends(code, cls):
    """Codes that only documents know, or nobody, are kept as they are."""
    error = error_of_answer(400, JSON, json.dumps({"code": code}).encode())

    assert type(error) is cls
    assert error.code == code


def test_every_model_that_drifts_is_one():
    """The table names classes of the package and not stand-ins."""
    ours = {getattr(models, name) for name in models.__all__}
    classes = {cls for _, cls, *_ in DRIFT if not hasattr(cls, "event_name")}

    assert classes <= ours
