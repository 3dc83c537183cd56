"""What the server refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ._base import DifyError


if TYPE_CHECKING:
    from ..models import RunResult


class APIError(DifyError):
    """Raised when the server refused, or reported an ``error`` event.

    Attributes:
        result: what the run had produced when an ``error`` event ended it.
    """

    result: RunResult | None = None

    def with_result(self, result: RunResult) -> Self:
        """Attach the partial *result* of the run that this error ended."""
        self.result = result
        return self


class BadRequest(APIError):
    """Raised for 400, and 4xx of no other class: the server will not take this."""


class InvalidParam(BadRequest):
    """Raised for ``invalid_param``: bad inputs, no user, nothing published."""


class NotWorkflowApp(BadRequest):
    """Raised when the key belongs to an app of another kind."""


class AppUnavailable(BadRequest):
    """Raised when the app has no published configuration."""


class ProviderNotInitialized(BadRequest):
    """Raised when the model provider has no credentials."""


class ProviderQuotaExceeded(BadRequest):
    """Raised when the hosted model's quota is used up."""


class ModelNotSupported(BadRequest):
    """Raised when the model cannot be used."""


class CompletionRequestFailed(BadRequest):
    """Raised when the call of the model failed."""


class WorkflowRequestFailed(BadRequest):
    """Raised when the workflow could not be run."""


class SpeechToTextUnavailable(BadRequest):
    """Raised when the app or its model cannot hear; `InvalidParam` before 1.16."""


class InvalidUpload(BadRequest):
    """Raised when an upload has no file, several, or one without a name."""


class InvalidFormData(BadRequest):
    """Raised when a form's answer does not fit; the form stays open for another."""


class FormClosed(BadRequest):
    """Raised for 412: the form takes no answer any more."""


class FormSubmitted(FormClosed):
    """Raised when somebody has answered the form already, perhaps this program."""


class FormExpired(FormClosed):
    """Raised when nobody answered the form in time."""


class Unauthorized(APIError):
    """Raised for 401: the key is missing, malformed or unknown."""


class Forbidden(APIError):
    """Raised for 403: the app's API is off, or the workspace archived."""


class ExecutionNotAllowed(Forbidden):
    """Raised when this workflow, or this version, may not be run through the API."""


class FileAccessDenied(Forbidden):
    """Raised when the file belongs to somebody else."""


class NotFound(APIError):
    """Raised for 404."""


class RunNotFound(NotFound):
    """Raised when the server knows no run of this id in this app."""


class FileNotFound(NotFound):
    """Raised when the server knows no such file, or does not show it to this app."""


class EndUserNotFound(NotFound):
    """Raised when the server knows no such end user in this app."""


class FileTooLarge(APIError):
    """Raised for 413: a file, or a recording, over its limit."""


class UnsupportedFileType(APIError):
    """Raised for 415, and for a file whose extension the server blocks."""


class TooManyRequests(APIError):
    """Raised when the app runs as many requests as it may: come back later.

    In the middle of a run it is the model's provider who has too many.
    """

    safe_to_repeat = True


class QuotaExceeded(APIError):
    """Raised when the workspace's paid quota is used up: waiting will not help."""


class ServerError(APIError):
    """Raised for 5xx, and for an ``error`` event that names no better class."""


class GatewayError(ServerError):
    """Raised for 502, 503, 504 and 524: Dify is down, or a proxy gave up waiting."""


class PluginFailed(ServerError):
    """Raised when what runs the server's plug-ins failed (502, since 1.17)."""
