"""What the server refuses becomes the class for its code, or else for its status."""

from __future__ import annotations

import json

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async import _refusal, errors
from dify_workflow_async._refusal import error_class, error_of_answer, error_of_event
from dify_workflow_async.errors import APIError, UnexpectedAnswer
from dify_workflow_async.events import Error


JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
BUSY = (
    "Too many requests. Please try again later. The current maximum concurrent "
    "requests allowed for 34b4845e is 1."
)

# Section 4.2 of the specification, then section 1.3, the observations, and the seeds.
CODES = [
    ("unauthorized", 401, "Unauthorized"),
    ("forbidden", 403, "Forbidden"),
    ("invalid_param", 400, "InvalidParam"),
    ("bad_request", 400, "BadRequest"),
    ("not_workflow_app", 400, "NotWorkflowApp"),
    ("app_unavailable", 400, "AppUnavailable"),
    ("provider_not_initialize", 400, "ProviderNotInitialized"),
    ("provider_quota_exceeded", 400, "ProviderQuotaExceeded"),
    ("model_currently_not_support", 400, "ModelNotSupported"),
    ("completion_request_error", 400, "CompletionRequestFailed"),
    ("workflow_version_execution_not_allowed", 403, "ExecutionNotAllowed"),
    ("trigger_workflow_service_mode_unavailable", 403, "ExecutionNotAllowed"),
    ("not_found", 404, "NotFound"),
    ("end_user_not_found", 404, "EndUserNotFound"),
    ("file_not_found", 404, "FileNotFound"),
    ("file_access_denied", 403, "FileAccessDenied"),
    ("no_file_uploaded", 400, "InvalidUpload"),
    ("too_many_files", 400, "InvalidUpload"),
    ("filename_not_exists_error", 400, "InvalidUpload"),
    ("file_extension_blocked", 400, "UnsupportedFileType"),
    ("file_too_large", 413, "FileTooLarge"),
    ("unsupported_file_type", 415, "UnsupportedFileType"),
    ("unsupported_media_type", 415, "BadRequest"),
    ("no_audio_uploaded", 400, "InvalidUpload"),
    ("speech_to_text_disabled", 400, "SpeechToTextUnavailable"),
    ("provider_not_support_speech_to_text", 400, "SpeechToTextUnavailable"),
    ("audio_too_large", 413, "FileTooLarge"),
    ("unsupported_audio_type", 415, "UnsupportedFileType"),
    ("invalid_form_data", 400, "InvalidFormData"),
    ("human_input_form_submitted", 412, "FormSubmitted"),
    ("human_input_form_expired", 412, "FormExpired"),
    ("too_many_requests", 429, "TooManyRequests"),
    ("rate_limit_error", 429, "QuotaExceeded"),
    ("plugin_runtime_error", 502, "PluginFailed"),
    ("internal_server_error", 500, "ServerError"),
    ("unknown", 500, "ServerError"),
    # elsewhere in the specification
    ("method_not_allowed", 405, "BadRequest"),
    ("not_chat_app", 400, "BadRequest"),
    # the seeds' own
    ("workflow_request_error", 400, "WorkflowRequestFailed"),
    ("unsupported_preview", 400, "UnsupportedFileType"),
    ("unsupported_estimate", 400, "UnsupportedFileType"),
    ("s3_connection_failed", 503, "ServerError"),
    ("s3_permission_denied", 503, "ServerError"),
    ("s3_file_too_large", 503, "FileTooLarge"),
]


def body_of(**fields: object) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize(("code", "status", "name"), CODES)
def test_code(code, status, name):
    """Each documented code has its class, with code, status and message kept."""
    body = body_of(code=code, message="why", status=status)

    error = error_of_answer(status, JSON, body)

    assert type(error) is getattr(errors, name)
    assert (error.code, error.status, error.message) == (code, status, "why")
    assert error.safe_to_repeat is (name == "TooManyRequests")


def test_every_code_is_in_the_table():
    """No code has a class that is not tested here."""
    assert set(_refusal._BY_CODE) <= {code for code, _, _ in CODES}


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequest"),
        (401, "Unauthorized"),
        (402, "BadRequest"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (405, "BadRequest"),
        (408, "BadRequest"),
        (412, "BadRequest"),
        (413, "FileTooLarge"),
        (415, "UnsupportedFileType"),
        (418, "BadRequest"),
        (429, "TooManyRequests"),
        (499, "BadRequest"),
        (500, "ServerError"),
        (501, "ServerError"),
        (502, "GatewayError"),
        (503, "GatewayError"),
        (504, "GatewayError"),
        (520, "ServerError"),
        (524, "GatewayError"),
        (599, "ServerError"),
    ],
)
@pytest.mark.parametrize("code", [None, "of_tomorrow"])
def test_status(code, status, name):
    """A code that nobody knows, or none, goes by its status."""
    assert error_class(status, code, "") is getattr(errors, name)


@pytest.mark.parametrize(
    ("code", "message", "name"),
    [
        ("invalid_param", BUSY, "TooManyRequests"),
        ("invalid_param", "Too many requests", "TooManyRequests"),
        ("invalid_param", f"query: {BUSY}", "InvalidParam"),
        ("invalid_param", "", "InvalidParam"),
        ("bad_request", BUSY, "BadRequest"),
        (None, BUSY, "BadRequest"),
    ],
)
def test_a_busy_app(code, message, name):
    """The 400 of a busy app is a refusal that may be repeated, and no other 400 is."""
    error = error_of_answer(400, JSON, body_of(code=code, message=message))

    assert type(error) is getattr(errors, name)
    assert error.safe_to_repeat is (name == "TooManyRequests")
    assert error.status == 400


def test_the_quota_is_no_busy_app():
    """Waiting does not help against the quota of a workspace."""
    error = error_of_answer(429, JSON, body_of(code="rate_limit_error", message=BUSY))

    assert type(error) is errors.QuotaExceeded
    assert not error.safe_to_repeat


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"message": "Server Error", "code": "unknown"}', "unknown", "Server Error"),
        (b'{"code": "x"}', "x", "no reason given"),
        (b'{"code": "x", "message": ""}', "x", "no reason given"),
        (b'{"code": null, "message": null}', None, "no reason given"),
        (b'{"code": 5, "message": {"a": ["b"]}}', None, "no reason given"),
        (b"{}", None, "no reason given"),
        ('{"message": "多\\n行", "params": "x"}'.encode(), None, "多\n行"),
    ],
    ids=lambda x: ascii(x)[:40],
)
def test_bodies_of_dify(body, code, message):
    """What is missing or odd in a body is None, or said to be missing."""
    error = error_of_answer(500, JSON, body)

    assert (error.code, error.message, error.status) == (code, message, 500)


def test_the_answers_status_counts():
    """The ``status`` in a body repeats the real one, and does not replace it."""
    error = error_of_answer(404, JSON, body_of(code="x", message="y", status=200))

    assert type(error) is errors.NotFound
    assert error.status == 404


@pytest.mark.parametrize(
    ("status", "name", "hint"),
    [
        (400, "BadRequest", "it comes from a proxy, perhaps"),
        (401, "Unauthorized", "it comes from a proxy, perhaps"),
        (403, "Forbidden", "it comes from a proxy, perhaps"),
        (404, "NotFound", "is the base URL right, and the server new enough?"),
        (413, "FileTooLarge", "the proxy before Dify takes no body of this size"),
        (429, "TooManyRequests", "it comes from a proxy, perhaps"),
        (500, "ServerError", "it comes from a proxy, perhaps"),
        (502, "GatewayError", "Dify is down, or starting"),
        (503, "GatewayError", "Dify is down, or overloaded"),
        (504, "GatewayError", "a gateway gave up waiting"),
        (524, "GatewayError", "a gateway gave up waiting"),
    ],
)
@pytest.mark.parametrize(
    "page",
    [
        (HTML, b"<!doctype html><title>no</title>", "text/html"),
        ({"Content-Type": "text/plain"}, b"error code: 1015", "text/plain"),
        ({}, b"", "nothing"),
        (JSON, b"[]", "application/json"),
        (JSON, b'{"code": "cut', "application/json"),
    ],
    ids=["html", "text", "nothing", "list", "cut"],
)
def test_bodies_of_others(status, name, hint, page):
    """A proxy's page gives the class of its status, and says what it may mean."""
    headers, body, kind = page

    error = error_of_answer(status, headers, body)

    assert type(error) is getattr(errors, name)
    assert error.code is None
    assert error.status == status
    assert error.message.startswith(f"the answer is {kind} and not Dify's JSON: {hint}")


def test_a_gateway_that_gave_up_says_what_helps():
    """The commonest trouble of blocking runs names its cure."""
    message = error_of_answer(504, HTML, b"").message

    assert "run() and stream() are not cut that way, run_blocking() is" in message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(status):
    """A redirect is not followed: the error names its target, without the query."""
    headers = {"Location": "https://other/v1/workflows/run?token=hunter2", **HTML}

    error = error_of_answer(status, headers, b"")

    assert type(error) is UnexpectedAnswer
    assert error.status == status
    assert "'https://other/v1/workflows/run'" in error.message
    assert "hunter2" not in str(error)
    assert "base URL" in error.message


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (200, HTML, "answered 200 with text/html: is the base URL right?"),
        (200, JSON, "answered 200 with application/json"),
        (204, {}, "answered 204 with no content type"),
        (304, {}, "answered 304 with no content type"),
        (302, {"Location": ""}, "answered 302 with no content type"),
    ],
    ids=repr,
)
def test_answers_that_are_no_refusal(status, headers, text):
    """An answer below 400 that is not the one asked for is unexpected."""
    error = error_of_answer(status, headers, b"")

    assert type(error) is UnexpectedAnswer
    assert error.status == status
    assert text in error.message


# -- error events --------------------------------------------------------------------


@pytest.mark.parametrize(("code", "_", "name"), CODES)
def test_the_code_goes_before_the_status(code, _, name):
    """An error whose status is missing or odd has the class of its code."""
    known = code in _refusal._BY_CODE

    assert error_class(418, code, "") is getattr(
        errors, name if known else "BadRequest"
    )
    assert known or name == "BadRequest", "what is no BadRequest has its line"


@pytest.mark.parametrize(("code", "status", "name"), CODES)
def test_error_event(code, status, name):
    """An error event has the class of its code, and is never safe to repeat."""
    event = Error(status=status, code=code, message="why", workflow_run_id="r")

    error = error_of_event(event)

    if code == "rate_limit_error":
        name = "TooManyRequests"  # of the model's provider, not the workspace's quota
    assert type(error) is getattr(errors, name)
    assert (error.code, error.status, error.message) == (code, status, "why")
    assert error.run_id == "r"
    assert error.safe_to_repeat is False


@pytest.mark.parametrize(
    ("event", "name", "status", "message"),
    [
        (Error(), "ServerError", 500, "no reason given"),
        (Error(message="no", status=500), "ServerError", 500, "no"),
        (Error(message="", code="new"), "ServerError", 500, "no reason given"),
        (Error(code="invalid_param"), "InvalidParam", 500, "no reason given"),
        (
            Error(code="invalid_param", status=400, message=BUSY),
            "TooManyRequests",
            400,
            BUSY,
        ),
    ],
    ids=["nothing", "before the run", "new code", "code alone", "busy"],
)
def test_error_event_with_little_in_it(event, name, status, message):
    """What an error event leaves out is the server's fault: 500, without a reason."""
    error = error_of_event(event)

    assert type(error) is getattr(errors, name)
    assert (error.status, error.message) == (status, message)
    assert error.safe_to_repeat is False


@settings(deadline=None, max_examples=200)
@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(st.sampled_from(["Content-Type", "Location"]), st.text()),
    body=st.binary(max_size=40)
    | st.dictionaries(
        st.sampled_from(["code", "message", "status"]),
        st.none() | st.integers() | st.text(max_size=5) | st.lists(st.none()),
    ).map(lambda obj: json.dumps(obj).encode()),
)
def test_every_answer_is_an_error(status, headers, body):
    """Whatever comes, in whatever form, an error of ours with its status tells of it."""
    error = error_of_answer(status, headers, body)

    assert isinstance(error, APIError if status >= 400 else UnexpectedAnswer)
    assert error.status == status
    assert error.message
