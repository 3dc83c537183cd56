"""Answers become models: those of real servers, the documents' samples, and rubbish."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

from pathlib import Path
from typing import Any

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async import _protocol, errors, models
from dify_workflow_async._refusal import error_of_answer
from dify_workflow_async.errors import RunNotFound, UnexpectedAnswer
from dify_workflow_async.models import (
    AppInfo,
    EndUser,
    FileUploadSettings,
    Form,
    FormInput,
    InputVariable,
    LogEntry,
    LogPage,
    LogRun,
    LogUser,
    Meta,
    Parameters,
    ServerInfo,
    Site,
    SystemParameters,
    UploadedFile,
)

from . import _recordings
from ._expected_answers import DONE, MODELS, REFUSED, at


SEEDS = Path(__file__).parent.parent / "seeds"
ANSWERS = {name: x for name, x in _recordings.ALL.items() if not x.is_stream}


# -- real servers --------------------------------------------------------------------


def read(function: str, body: bytes) -> Any:
    if function == "run_detail":
        return _protocol.run_detail(body, "any")
    return getattr(_protocol, function)(body)


def test_every_recording_has_an_expectation():
    """An answer that is recorded tomorrow needs a line in a table above."""
    unknown = {"1.12.1-err_run_detail_unknown"}  # a 200 that is none; below

    assert set(ANSWERS) == {*MODELS, *DONE, *REFUSED, *unknown}
    assert set(REFUSED) == {name for name, x in ANSWERS.items() if x.status >= 400}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_real_servers(name):
    """What real servers answered has exactly these values, and is kept in ``raw``."""
    function, expected = MODELS[name]

    made = read(function, ANSWERS[name].body)

    assert {field: getattr(made, field) for field in expected} == expected
    sent = json.loads(ANSWERS[name].body)
    assert {**made.raw, "event": None} == {**sent, "event": None}


@pytest.mark.parametrize("name", DONE)
def test_answers_that_say_nothing_more(name):
    """Stopping and submitting are answered by a 200 with nothing to read."""
    assert ANSWERS[name].status == 200
    assert json.loads(ANSWERS[name].body) == DONE[name]


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_of_real_servers(name):
    """What real servers refused with has its class, status, code and message."""
    cls, status, code, message = REFUSED[name]
    recording = ANSWERS[name]

    error = error_of_answer(recording.status, recording.headers, recording.body)

    assert type(error) is getattr(errors, cls)
    assert (error.status, error.code) == (status, code)
    assert error.message.startswith(message)
    if code is not None:
        assert error.message == json.loads(recording.body)["message"]


def test_a_run_that_an_old_server_does_not_know():
    """Its 200 with nulls is an error all the same."""
    with pytest.raises(RunNotFound):
        read("run_detail", ANSWERS["1.12.1-err_run_detail_unknown"].body)


@pytest.mark.parametrize("name", ["1.12.1-logs_default", "1.14.2-logs_default"])
def test_logs_of_real_servers(name):
    """Every line of a page is there, in its order, with its run and its user."""
    sent = json.loads(ANSWERS[name].body)["data"]

    lines = _protocol.log_page(ANSWERS[name].body).data

    assert len(lines) == len(sent) > 10
    for line, obj in zip(lines, sent, strict=True):
        assert line.raw == obj
        assert (line.id, line.workflow_run.id) == (obj["id"], obj["workflow_run"]["id"])
        assert line.workflow_run.status == obj["workflow_run"]["status"]
        assert line.workflow_run.is_terminal
        assert line.created_at == at(obj["created_at"])
        assert (
            line.created_by_end_user.session_id
            == (obj["created_by_end_user"]["session_id"])
        )
        assert line.created_by_account is None


# -- samples of the documents --------------------------------------------------------


QUERY = InputVariable(
    type="paragraph", variable="query", label="Query", required=True, default=""
)


@pytest.mark.parametrize(
    ("language", "limits"),
    [
        (
            "zh",
            SystemParameters(
                file_size_limit=15,
                image_file_size_limit=10,
                audio_file_size_limit=50,
                video_file_size_limit=100,
            ),
        ),
        ("en", SystemParameters(image_file_size_limit=10)),
    ],
)
def test_parameters_of_the_documents(language, limits):
    """The older form has no types within, and one document its limit as text."""
    body = (SEEDS / f"{language}_parameters.json").read_bytes()

    made = _protocol.parameters(body)

    assert made.user_input_form == (QUERY,)
    assert made.system_parameters == limits
    assert made.file_upload == FileUploadSettings(
        image={
            "enabled": False,
            "number_limits": 3,
            "detail": "high",
            "transfer_methods": ["remote_url", "local_file"],
        }
    )
    assert made.raw == json.loads(body)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_logs_of_the_documents(language):
    """Both samples are one page with one line."""
    page = _protocol.log_page((SEEDS / f"{language}_logs.json").read_bytes())

    assert page == LogPage(
        page=1,
        limit=1,
        total=7,
        has_more=True,
        data=(
            LogEntry(
                id="e41b93f1-7ca2-40fd-b3a8-999aeb499cc0",
                workflow_run=LogRun(
                    id="c0640fc8-03ef-4481-a96c-8a13b732a36e",
                    version="2024-08-01 12:17:09.771832",
                    status="succeeded",
                    elapsed_time=1.3588523610014818,
                    total_tokens=0,
                    total_steps=3,
                    created_at=at(1726139643),
                    finished_at=at(1726139644),
                ),
                created_from="service-api",
                created_by_role="end_user",
                created_by_end_user=LogUser(
                    id="7f7d9117-dd9d-441d-8970-87e5e7e687a3",
                    type="service_api",
                    is_anonymous=False,
                    session_id="abc-123",
                ),
                created_at=at(1726139644),
            ),
        ),
    )


def test_upload_of_the_documents():
    """The sample, without the comma that makes it no JSON."""
    text = (SEEDS / "zh_upload.txt").read_bytes()

    file = _protocol.uploaded_file(text.replace(b"1577836800,", b"1577836800"))

    assert file == UploadedFile(
        id="72fa9618-8f89-4a37-9b33-7e1178a24a67",
        name="example.png",
        size=1024,
        extension="png",
        mime_type="image/png",
        created_by="123",
        created_at=at(1577836800),
    )


# -- what no recording has -----------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "obj", "expected"),
    [
        (
            "server_info",
            {
                "welcome": "Dify OpenAPI",
                "api_version": "v1",
                "server_version": "1.16.0",
            },
            ServerInfo(
                welcome="Dify OpenAPI", api_version="v1", server_version="1.16.0"
            ),
        ),
        (
            "meta",
            {"tool_icons": {"a": "https://h/a.png", "b": {"content": "B"}, "c": [1]}},
            Meta(
                tool_icons={"a": "https://h/a.png", "b": {"content": "B"}, "c": [1]},
            ),
        ),
        (
            "app_info",
            {"name": "x", "tags": ["a", "b"]},
            AppInfo(name="x", tags=("a", "b")),
        ),
        (
            "site",
            {"title": "x", "icon_type": "image", "icon_url": "https://h/x"},
            Site(title="x", icon_type="image", icon_url="https://h/x"),
        ),
        (
            "form",
            {
                "inputs": [
                    {
                        "type": "file-list",
                        "output_variable_name": "files",
                        "allowed_file_types": ["image"],
                        "allowed_file_extensions": [".png"],
                        "allowed_file_upload_methods": ["local_file"],
                        "number_limits": 0,
                    }
                ],
                "expiration_time": None,
            },
            Form(
                inputs=(
                    FormInput(
                        type="file-list",
                        output_variable_name="files",
                        allowed_file_types=("image",),
                        allowed_file_extensions=(".png",),
                        allowed_file_upload_methods=("local_file",),
                        number_limits=0,
                    ),
                )
            ),
        ),
        (
            "parameters",
            {"file_upload": {"enabled": True, "number_limits": 2}},
            Parameters(file_upload=FileUploadSettings(enabled=True, number_limits=2)),
        ),
        ("end_user", {"id": "1", "created_at": 0}, EndUser(id="1", created_at=at(0))),
        ("transcript", {"text": "Hello."}, "Hello."),
        ("transcript", {"text": None}, ""),
        ("transcript", {"text": 5}, ""),
        ("transcript", {}, ""),
    ],
    ids=lambda x: ascii(x)[:60],
)
def test_answers_that_were_not_recorded(function, obj, expected):
    """Answers as the specification tells of them."""
    assert read(function, json.dumps(obj).encode()) == expected


# -- tolerance -----------------------------------------------------------------------


EMPTY = {
    "form": Form(),
    "log_page": LogPage(),
    "uploaded_file": UploadedFile(),
    "parameters": Parameters(),
    "app_info": AppInfo(),
    "site": Site(),
    "meta": Meta(),
    "end_user": EndUser(),
    "server_info": ServerInfo(),
    "transcript": "",
}


@pytest.mark.parametrize("function", EMPTY)
@pytest.mark.parametrize("body", [b"{}", b'{"of_tomorrow": [1]}'])
def test_empty_answers(function, body):
    """An object without anything that is known gives the defaults."""
    assert read(function, body) == EMPTY[function]


@pytest.mark.parametrize("function", EMPTY)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b"[]", b"[{}]", b'"{}"', b"5", b"true", b"{"]
)
def test_answers_that_are_no_objects(function, body):
    """What is no JSON object is unexpected, and says what it is instead."""
    with pytest.raises(UnexpectedAnswer, match=r"instead of an object|broken JSON"):
        read(function, body)


NAMES = sorted(
    {
        field.name
        for name in models.__all__
        for field in getattr(getattr(models, name), "__attrs_attrs__", ())
    }
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*NAMES, "file"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(obj=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
def test_no_object_raises(obj):
    """Nulls and values of wrong types, however deep, never raise."""
    body = json.dumps(obj).encode()

    for function, empty in EMPTY.items():
        assert type(read(function, body)) is type(empty)


@settings(deadline=None, max_examples=100)
@given(body=st.binary(max_size=40) | st.text(max_size=30).map(str.encode))
def test_any_bytes(body):
    """Any bytes are a model or an `UnexpectedAnswer`."""
    for function, empty in EMPTY.items():
        with contextlib.suppress(UnexpectedAnswer):
            assert type(read(function, body)) is type(empty)


# -- importing -----------------------------------------------------------------------


LATER = ["_app", "_form", "_logs", "_uploads"]
SCRIPT = """
import sys
import dify_workflow_async
from dify_workflow_async import _protocol, models

home = "dify_workflow_async.models."
loaded = lambda: sorted(x[len(home):] for x in sys.modules if x.startswith(home))
print(*loaded())
assert "LogPage" in dir(models) and "LogPage" in models.__all__
assert _protocol.log_page(b"{}") == models.LogPage()
print(*loaded())
"""


def test_what_no_run_needs_is_not_imported():
    """Importing the package leaves out what only other verbs need."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.stderr == ""
    before, after = map(str.split, done.stdout.splitlines())
    assert {"_base", "_runs"} <= set(before)
    assert set(before).isdisjoint(LATER)
    assert set(after) - set(before) == {"_logs"}


def test_all_of_models_can_be_had():
    """What is imported later is found by name, and listed; nothing else is."""
    for name in models.__all__:
        assert getattr(models, name) is getattr(models, name)
    assert set(models.__all__) <= set(dir(models))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = models.Nonsense
    later = {
        getattr(models, name).__module__.rpartition(".")[2] for name in models._LATER
    }
    assert later == set(LATER)
