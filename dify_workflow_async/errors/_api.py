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
    """Raised for 400: the server will not take this request."""


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


class Unauthorized(APIError):
    """Raised for 401: the key is missing, malformed or unknown."""


class Forbidden(APIError):
    """Raised for 403: the app's API is off, or the workspace archived."""


class NotFound(APIError):
    """Raised for 404."""


class RunNotFound(NotFound):
    """Raised when the server knows no run of this id in this app."""


class FileTooLarge(APIError):
    """Raised for 413."""


class UnsupportedFileType(APIError):
    """Raised for 415."""


class TooManyRequests(APIError):
    """Raised when the app runs as many requests as it may: come back later."""

    safe_to_repeat = True


class QuotaExceeded(APIError):
    """Raised when the workspace's paid quota is used up: waiting will not help."""


class ServerError(APIError):
    """Raised for 5xx, and for an ``error`` event that names no better class."""


class GatewayError(ServerError):
    """Raised for 502, 503, 504 and 524: Dify is down, or a proxy gave up waiting."""
