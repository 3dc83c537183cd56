"""Which error an answer or an ``error`` event stands for: one table for both."""

from __future__ import annotations

from collections.abc import Mapping

from . import _wire
from ._convert import is_object, to_str
from .errors import (
    APIError,
    AppUnavailable,
    BadRequest,
    CompletionRequestFailed,
    EndUserNotFound,
    ExecutionNotAllowed,
    FileAccessDenied,
    FileNotFound,
    FileTooLarge,
    Forbidden,
    FormExpired,
    FormSubmitted,
    GatewayError,
    InvalidFormData,
    InvalidParam,
    InvalidUpload,
    ModelNotSupported,
    NotFound,
    NotWorkflowApp,
    PluginFailed,
    ProviderNotInitialized,
    ProviderQuotaExceeded,
    QuotaExceeded,
    ServerError,
    SpeechToTextUnavailable,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
    UnsupportedFileType,
    WorkflowRequestFailed,
)
from .events import Error


Headers = Mapping[str, str]

# Specification, section 4.2, in its order; then the codes that only documents tell of.
# The set is open: codes that are not here go by their status.
_BY_CODE: Mapping[str, type[APIError]] = {
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "invalid_param": InvalidParam,
    "bad_request": BadRequest,
    "not_workflow_app": NotWorkflowApp,
    "app_unavailable": AppUnavailable,
    "provider_not_initialize": ProviderNotInitialized,
    "provider_quota_exceeded": ProviderQuotaExceeded,
    "model_currently_not_support": ModelNotSupported,
    "completion_request_error": CompletionRequestFailed,
    "workflow_version_execution_not_allowed": ExecutionNotAllowed,
    "trigger_workflow_service_mode_unavailable": ExecutionNotAllowed,
    "not_found": NotFound,
    "end_user_not_found": EndUserNotFound,
    "file_not_found": FileNotFound,
    "file_access_denied": FileAccessDenied,
    "no_file_uploaded": InvalidUpload,
    "too_many_files": InvalidUpload,
    "filename_not_exists_error": InvalidUpload,
    "file_extension_blocked": UnsupportedFileType,
    "file_too_large": FileTooLarge,
    "unsupported_file_type": UnsupportedFileType,
    "unsupported_media_type": BadRequest,
    "no_audio_uploaded": InvalidUpload,
    "speech_to_text_disabled": SpeechToTextUnavailable,
    "provider_not_support_speech_to_text": SpeechToTextUnavailable,
    "audio_too_large": FileTooLarge,
    "unsupported_audio_type": UnsupportedFileType,
    "invalid_form_data": InvalidFormData,
    "human_input_form_submitted": FormSubmitted,
    "human_input_form_expired": FormExpired,
    "too_many_requests": TooManyRequests,
    "rate_limit_error": QuotaExceeded,
    "plugin_runtime_error": PluginFailed,
    "internal_server_error": ServerError,
    "unknown": ServerError,
    "workflow_request_error": WorkflowRequestFailed,
    "unsupported_preview": UnsupportedFileType,
    "unsupported_estimate": UnsupportedFileType,
    "s3_connection_failed": ServerError,
    "s3_permission_denied": ServerError,
    "s3_file_too_large": FileTooLarge,
}
_BY_STATUS: Mapping[int, type[APIError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    413: FileTooLarge,
    415: UnsupportedFileType,
    429: TooManyRequests,
    502: GatewayError,
    503: GatewayError,
    504: GatewayError,
    524: GatewayError,
}


# What an answer that is not Dify's own most likely means (specification, 4.1).
_GAVE_UP = (
    "a gateway gave up waiting; the run may go on behind it. "
    "run() and stream() are not cut that way, run_blocking() is"
)
_HINTS: Mapping[int, str] = {
    404: "is the base URL right, and the server new enough?",
    413: "the proxy before Dify takes no body of this size",
    502: "Dify is down, or starting",
    503: "Dify is down, or overloaded",
    504: _GAVE_UP,
    524: _GAVE_UP,
}


def error_class(status: int, code: str | None, message: str) -> type[APIError]:
    """The class for a status and a code, wherever they came from."""
    if code == "invalid_param" and message.startswith("Too many requests"):
        # The app's own limit, although documented as 429 (specification, 6.6).
        return TooManyRequests
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else BadRequest


def error_of_event(event: Error) -> APIError:
    """The error that an ``error`` event stands for (specification, section 4.3)."""
    status, message = event.status or 500, event.message or "no reason given"
    # The same word that means the workspace's quota before a run.
    of_provider = event.code == "rate_limit_error"
    cls = TooManyRequests if of_provider else error_class(status, event.code, message)
    # What is raised in mid-run is never safe to repeat.
    return cls(
        message,
        status=status,
        code=event.code,
        run_id=event.workflow_run_id,
        safe_to_repeat=False,
    )


def error_of_answer(
    status: int, headers: Headers, body: bytes
) -> APIError | UnexpectedAnswer:
    """The error that an answer stands for which is not the one asked for."""
    if status < 400:
        return _unexpected(status, headers)
    code, message = _error_body(status, headers, body)
    return error_class(status, code, message)(message, status=status, code=code)


def _unexpected(status: int, headers: Headers) -> UnexpectedAnswer:
    if location := headers.get("Location", ""):
        # Without its query, which may hold a token.
        target = location.partition("?")[0]
        msg = (
            f"the server redirects to {target!r}, and redirects are not followed, "
            "lest the key go to another host: correct the base URL"
        )
    else:
        kind = headers.get("Content-Type", "no content type").partition(";")[0]
        msg = f"the server answered {status} with {kind}: is the base URL right?"
    return UnexpectedAnswer(msg, status=status)


def _error_body(status: int, headers: Headers, body: bytes) -> tuple[str | None, str]:
    """Code and message of an error's body (specification, section 4.1)."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip() or "nothing"
    try:
        obj = _wire.loads(body)
    except UnexpectedAnswer:
        obj = None
    if not is_object(obj):
        hint = _HINTS.get(status, "it comes from a proxy, perhaps")
        return None, f"the answer is {kind} and not Dify's JSON: {hint}"
    message = to_str(obj.get("message")) or "no reason given"
    return to_str(obj.get("code")), message
