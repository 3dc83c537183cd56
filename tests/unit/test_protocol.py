"""Requests are built, and answers deciphered, without any I/O."""

from __future__ import annotations

import contextlib
import json
import math
import re

from datetime import UTC, datetime
from urllib.parse import unquote

import attrs
import pytest

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dify_workflow_async import _protocol
from dify_workflow_async._protocol import (
    Request,
    blocking_result,
    normalize_base_url,
    result_of,
    run_detail,
    run_detail_request,
    run_request,
    server_version,
    speaks_after_end,
    stop_request,
)
from dify_workflow_async.errors import (
    ConfigurationError,
    InvalidInputs,
    RunNotFound,
    UnexpectedAnswer,
)
from dify_workflow_async.events import (
    Error,
    NodeFinished,
    WorkflowFinished,
    WorkflowPaused,
)
from dify_workflow_async.models import Creator, File, PauseReason, RunDetail, RunResult

from . import _recordings


# -- base URLs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.dify.ai/v1", "https://api.dify.ai/v1"),
        ("https://api.dify.ai", "https://api.dify.ai/v1"),
        ("https://api.dify.ai/", "https://api.dify.ai/v1"),
        ("https://api.dify.ai/v1/", "https://api.dify.ai/v1"),
        ("https://api.dify.ai/v1//", "https://api.dify.ai/v1"),
        (" https://api.dify.ai/v1\n", "https://api.dify.ai/v1"),
        ("http://localhost:5001", "http://localhost:5001/v1"),
        ("http://127.0.0.1:80/v1", "http://127.0.0.1:80/v1"),
        ("http://[::1]:5001/v1", "http://[::1]:5001/v1"),
        ("https://host/dify", "https://host/dify/v1"),
        ("https://host/dify/v1", "https://host/dify/v1"),
        ("https://host/a/b/", "https://host/a/b/v1"),
        ("https://host/xv1", "https://host/xv1/v1"),
        ("https://host/v1/dify", "https://host/v1/dify/v1"),
        ("HTTPS://Host/v1", "https://Host/v1"),
    ],
)
def test_base_url(text, url):
    """Whatever of the URL was given, it ends in /v1 and without a slash."""
    assert normalize_base_url(text) == url
    assert normalize_base_url(url) == url


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "api.dify.ai", "api.dify.ai/v1", "localhost:5001", "/v1"),
        *("ftp://host/v1", "file:///v1", "ws://host", "https://", "https:///v1"),
        *("https://:443/v1", "http://host:99999", "http://host:port", "http://[::1"),
        *("http://user:pw@host/v1", "http://user@host", "http://:pw@host"),
        *("http://ho\r\nst", "http://host/\nv1"),
        *("http://host/v1?key=x", "http://host/v1#x", "javascript:alert(1)"),
    ],
)
def test_bad_base_url(text):
    """What is no plain http(s) URL is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="base URL"):
        normalize_base_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:hunter2@host",
        "http://host?x=hunter2",
        "http://h#hunter2",
        "ftp://user:hunter2@host",
        "http://user:hunter2@host:99999",
        "app-hunter2",
    ],
)
def test_secrets_in_a_base_url_are_not_repeated(text):
    """What may be a password, or the key in the wrong place, is not in the error."""
    with pytest.raises(ConfigurationError) as caught:
        normalize_base_url(text)

    assert "hunter2" not in str(caught.value)


@settings(deadline=None, max_examples=300)
@given(text=st.text(max_size=20) | st.text("htps:/@[]?#.v1 ", max_size=20))
def test_any_text_is_a_base_url_or_refused(text):
    """No text makes `normalize_base_url` raise anything but our error."""
    for each in (text, f"http://{text}"):
        try:
            url = normalize_base_url(each)
        except ConfigurationError:
            continue
        assert url.startswith(("http://", "https://"))
        assert url.endswith("/v1")


# -- requests ------------------------------------------------------------------------


def test_run_request():
    """A run is a POST with inputs, mode and user, in this order, and nothing else."""
    request = run_request({"query": "hé"}, user="u", response_mode="streaming")

    assert request == Request(
        method="POST",
        path="/workflows/run",
        body='{"inputs":{"query":"hé"},"response_mode":"streaming","user":"u"}'.encode(),
        streamed=True,
        repeatable=False,
    )


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"files": None}, {}),
        ({"files": []}, {"files": []}),
        (
            {"files": ({"type": "image", "url": "http://x"},)},
            {"files": [{"type": "image", "url": "http://x"}]},
        ),
        ({"trace_id": None}, {}),
        ({"trace_id": "t-1"}, {"trace_id": "t-1"}),
    ],
    ids=repr,
)
def test_run_request_options(arguments, sent):
    """What is not given is not sent; what is given is, even if it is empty."""
    request = run_request({}, user="u", response_mode="blocking", **arguments)

    body = {"inputs": {}, "response_mode": "blocking", "user": "u"}
    assert json.loads(request.body) == body | sent
    assert request.streamed is False


def test_run_request_of_a_version():
    """A version's id goes into the path."""
    request = run_request(
        {}, user="u", response_mode="streaming", workflow_id="6a72-4294"
    )

    assert request.path == "/workflows/6a72-4294/run"


def test_run_request_with_inputs_that_cannot_be_sent():
    """Inputs are checked before anything is sent, with their path in the body."""
    with pytest.raises(InvalidInputs) as caught:
        run_request({"x": [math.nan]}, user="u", response_mode="streaming")

    assert caught.value.problems[0].startswith("inputs.x[0]: ")


def test_run_detail_request():
    """A run is read by its id, as often as need be."""
    assert run_detail_request("r-1") == Request(
        method="GET", path="/workflows/run/r-1", repeatable=True, run_id="r-1"
    )


def test_stop_request():
    """A stop names the task and the user, and may be sent twice."""
    assert stop_request("t-1", user="u") == Request(
        method="POST",
        path="/workflows/tasks/t-1/stop",
        body=b'{"user":"u"}',
        repeatable=True,
    )


def test_requests_do_not_show_their_body():
    """A request can be logged, although its inputs are not for everybody."""
    request = run_request({"secret": "hunter2"}, user="u", response_mode="streaming")

    assert "hunter2" not in repr(request)


BY_ID = {
    "run": run_detail_request,
    "task": lambda x: stop_request(x, user="u"),
    "workflow": lambda x: run_request(
        {}, user="u", response_mode="streaming", workflow_id=x
    ),
}


@pytest.mark.parametrize("value", ["", ".", "..", "a\r\nX: y", "a\n", "\ra"])
@pytest.mark.parametrize("what", BY_ID)
def test_ids_that_no_path_can_hold(what, value):
    """An id that would lead to another path, or out of it, is refused."""
    said = re.escape(f"{value!r} is no {what} id")
    with pytest.raises(ConfigurationError, match=said):
        BY_ID[what](value)


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("18452066-4868-4054-be8b-d3915cfd487d",) * 2,
        ("a/b", "a%2Fb"),
        ("../logs", "..%2Flogs"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b%20", "a%20b%2520"),
        ("你", "%E4%BD%A0"),
        ("...", "..."),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("what", BY_ID)
def test_ids_are_escaped(what, value, escaped):
    """Whatever is in an id stays one part of the path."""
    path = BY_ID[what](value).path

    assert path in {
        f"/workflows/run/{escaped}",
        f"/workflows/tasks/{escaped}/stop",
        f"/workflows/{escaped}/run",
    }


@pytest.mark.parametrize("what", BY_ID)
def test_ids_that_are_no_text_for_a_url(what):
    """A lone surrogate, which has no UTF-8, is refused with our error."""
    with pytest.raises(ConfigurationError, match=f"is no {what} id"):
        BY_ID[what]("a\ud800")


@settings(deadline=None)
@given(
    value=st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)
)
def test_any_id_is_one_part_of_the_path(value):
    """Any text without a line break comes back from its part of the path."""
    assume(value not in {".", ".."})
    path = run_detail_request(value).path

    assert path.isascii()
    assert path.isprintable()
    assert unquote(path.removeprefix("/workflows/run/")) == value
    assert path.count("/") == 3


@pytest.mark.parametrize("user", ["u", "é" * 255, "a b", "0"])
def test_user(user):
    """A user of up to 255 characters is taken as it is."""
    assert _protocol.checked_user(user) == user
    assert json.loads(stop_request("t", user=user).body) == {"user": user}


@pytest.mark.parametrize(
    ("user", "message"), [("", "DIFY_USER"), ("x" * 256, "256 characters")]
)
def test_bad_user(user, message):
    """No user, and one that the server would cut or choke on, is refused."""
    for call in (
        lambda: stop_request("t", user=user),
        lambda: run_request({}, user=user, response_mode="streaming"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            call()


# -- answers -------------------------------------------------------------------------


DETAILS = {
    name: each
    for name, each in _recordings.ALL.items()
    if "-detail_" in name and each.status == 200
}
BLOCKING = {
    name: each
    for name, each in _recordings.ALL.items()
    if each.status == 200 and b'"workflow_run_id"' in each.body and not each.is_stream
}


@pytest.mark.parametrize("name", DETAILS)
def test_run_details_of_real_servers(name):
    """Both servers' details have the same types, though they send different ones."""
    body = DETAILS[name].body
    sent = json.loads(body)

    detail = run_detail(body, sent["id"])

    assert type(detail) is RunDetail
    assert (detail.id, detail.workflow_id) == (sent["id"], sent["workflow_id"])
    assert detail.status == sent["status"]
    assert detail.error == sent["error"]
    assert detail.inputs == json.loads(sent["inputs"])
    outputs = sent["outputs"] or "{}"
    assert detail.outputs == (
        json.loads(outputs) if isinstance(outputs, str) else outputs
    )
    assert detail.elapsed_time == sent["elapsed_time"]
    assert (detail.total_tokens, detail.total_steps) == (
        sent["total_tokens"],
        sent["total_steps"],
    )
    assert detail.created_at == datetime.fromtimestamp(sent["created_at"], UTC)
    assert (detail.finished_at is None) is (sent["finished_at"] is None)
    assert detail.raw == sent


def test_there_are_recordings():
    """The tables above and below are not empty."""
    assert len(DETAILS) >= 9
    assert len(BLOCKING) >= 8


def test_run_detail_of_an_unknown_run():
    """Nulls all over are an old server's way to say that it knows no such run."""
    body = _recordings.ALL["1.12.1-err_run_detail_unknown"].body

    with pytest.raises(RunNotFound) as caught:
        run_detail(body, "r-1")

    assert (caught.value.status, caught.value.run_id) == (200, "r-1")


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b'"id"', b"5"])
def test_run_detail_that_is_none(body):
    """What is no JSON object is no run detail."""
    with pytest.raises(UnexpectedAnswer):
        run_detail(body, "r")


@pytest.mark.parametrize("name", BLOCKING)
def test_blocking_answers_of_real_servers(name):
    """A blocking answer has the same in it as the end of a stream."""
    body = BLOCKING[name].body
    sent = json.loads(body)
    data = sent["data"]

    result = blocking_result(body)

    assert type(result) is RunResult
    assert (result.task_id, result.workflow_run_id) == (
        sent["task_id"],
        sent["workflow_run_id"],
    )
    for field in ("status", "outputs", "elapsed_time", "total_tokens", "total_steps"):
        assert getattr(result, field) == data[field], field
    if data["status"] != "paused":
        assert result.workflow_id == data["workflow_id"]
        assert result.error == data["error"]
        assert result.finished_at == datetime.fromtimestamp(data["finished_at"], UTC)
    assert result.created_at == datetime.fromtimestamp(data["created_at"], UTC)
    assert result.paused_nodes == tuple(data.get("paused_nodes", ()))
    assert len(result.reasons) == len(data.get("reasons", ()))
    assert result.raw["data"] == data
    assert result.failed_node is None


def test_paused_blocking_answer():
    """A blocking run that waits for a person tells of its form."""
    result = blocking_result(BLOCKING["1.14.2-human_blocking"].body)

    (reason,) = result.reasons
    assert result.status == "paused"
    assert result.finished_at is None
    assert result.outputs == {}
    assert reason.type == "human_input_required"
    assert reason.form_token
    assert [action.id for action in reason.actions] == ["approve", "reject"]
    assert reason.inputs[0].output_variable_name == "comment"
    assert reason.expiration_time.tzinfo is UTC


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"data": null}', b'{"data": []}', b'{"data": "x"}'],
)
def test_blocking_answer_without_data(body):
    """An answer without ``data`` is not one to a blocking run."""
    with pytest.raises(UnexpectedAnswer):
        blocking_result(body)


@settings(deadline=None, max_examples=200)
@given(
    body=st.binary(max_size=40)
    | st.dictionaries(
        st.sampled_from(["data", "id", "status", "event"]),
        st.none() | st.text(max_size=3) | st.dictionaries(st.text(), st.none()),
    ).map(lambda obj: json.dumps(obj).encode())
)
def test_answers_raise_only_our_errors(body):
    """Whatever a server answers becomes a model or an error of ours."""
    for decipher, model in [
        (blocking_result, RunResult),
        (lambda body: run_detail(body, "r"), RunDetail),
    ]:
        with contextlib.suppress(UnexpectedAnswer, RunNotFound):
            assert type(decipher(body)) is model


# -- results -------------------------------------------------------------------------


MOMENT = datetime(2024, 7, 18, tzinfo=UTC)
FINISHED = WorkflowFinished(
    task_id="t",
    workflow_run_id="r",
    raw={"event": "workflow_finished"},
    id="r",
    workflow_id="w",
    status="succeeded",
    outputs={"text": "hi"},
    error="e",
    elapsed_time=1.5,
    total_tokens=3,
    total_steps=4,
    created_by=Creator(id="c", user="u"),
    created_at=MOMENT,
    finished_at=MOMENT,
    exceptions_count=2,
    files=(File(id="f"),),
    sequence_number=1,
)
PAUSED = WorkflowPaused(
    task_id="t",
    workflow_run_id="r",
    raw={"event": "workflow_paused"},
    paused_nodes=("n",),
    outputs={"a": 1},
    reasons=(PauseReason(form_id="f"),),
    status="paused",
    created_at=MOMENT,
    elapsed_time=1.5,
    total_tokens=3,
    total_steps=4,
)


@pytest.mark.parametrize("event", [FINISHED, PAUSED], ids=["finished", "paused"])
def test_result_has_all_that_its_event_has(event):
    """Every field that event and result share is carried over, ``raw`` included."""
    node = NodeFinished(node_id="n")
    result = result_of(event, task_id=event.task_id, failed_node=node)
    shared = {f.name for f in attrs.fields(type(event))} & {
        f.name for f in attrs.fields(RunResult)
    }

    assert len(shared) >= 11
    for name in shared:
        assert getattr(event, name) is not None
        assert getattr(result, name) == getattr(event, name), name
    assert result.raw is event.raw
    assert result.failed_node is node


def test_result_without_outputs():
    """Outputs that are null are empty ones."""
    assert result_of(WorkflowFinished(status="failed")).outputs == {}


def test_result_of_an_error_event():
    """An error event ends a run as failed, with its message."""
    event = Error(workflow_run_id="r", message="no", raw={"event": "error"})

    result = result_of(event, task_id=event.task_id)

    assert result == RunResult(status="failed", error="no", workflow_run_id="r")
    assert result.raw is event.raw


def test_result_of_nothing():
    """Before the end nothing is known, not even a status."""
    assert result_of(None) == RunResult()
    assert result_of(None, stopped=True).status is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("failed", "stopped"),
        ("stopped", "stopped"),
        ("succeeded", "succeeded"),
        ("partial-succeeded", "partial-succeeded"),
        (None, None),
    ],
)
def test_result_of_a_run_that_was_asked_to_stop(status, expected):
    """Servers call a stop a failure at times; a run that made it in time succeeded."""
    event = attrs.evolve(FINISHED, status=status)

    assert result_of(event, stopped=True).status == expected
    assert result_of(event, stopped=False).status == status
    assert result_of(event, stopped=True).error == "e"


# -- versions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "version", "speaks"),
    [
        ("1.12.1", (1, 12), True),
        ("1.14.2", (1, 14), False),
        ("1.13.0", (1, 13), False),
        ("1.13.0-beta.1", (1, 13), False),
        ("1.9", (1, 9), True),
        ("0.15.3", (0, 15), True),
        ("2.0.0", (2, 0), False),
        ("2.0", (2, 0), False),
        ("", None, True),
        ("main", None, True),
        ("1", None, True),
        ("v1.14.2", None, True),
        ("1.x.2", None, True),
        (".", None, True),
        ("-1.13", None, True),
        ("1." + "9" * 5000, (1, 999_999_999), False),
    ],
    ids=lambda x: str(x)[:20],
)
def test_versions(header, version, speaks):
    """Speech follows the end on servers before 1.13, and on those that do not tell."""
    assert server_version({"X-Version": header}) == version
    assert speaks_after_end({"X-Version": header}) is speaks


def test_no_version():
    """A server, or a proxy, may leave the header out."""
    assert server_version({}) is None
    assert speaks_after_end({}) is True
