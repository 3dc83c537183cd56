"""What people are told of an error: a sentence, and nothing of the inside."""

from __future__ import annotations

import math

from collections.abc import Callable, Mapping

from .. import errors
from ..errors import DifyError


Tell = Callable[[BaseException], str]
"""Makes the sentence that a browser gets of an error."""

_SENTENCES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((errors.RunFailed,), "The workflow failed."),
    ((errors.RunStopped,), "The run was stopped."),
    ((errors.RunPaused,), "The run waits for a person."),
    (
        (errors.RunInterrupted, errors.RunStateUnknown),
        "The connection to the workflow was lost. It may still be running.",
    ),
    ((errors.QuotaExceeded,), "There is no quota left for this workflow."),
    (
        (errors.TooManyRequests,),
        "The workflow has too much to do at the moment. Please try again later.",
    ),
    ((errors.InvalidInputs, errors.InvalidParam), "The inputs do not fit the form."),
    ((errors.FileTooLarge,), "The file is too large."),
    ((errors.UnsupportedFileType,), "The workflow takes no files of this kind."),
    (
        (errors.NotRelayed,),
        "There is no such run, or not any more.",
    ),
    (
        (errors.Unauthorized, errors.Forbidden, errors.NotFound, errors.AppUnavailable),
        "The workflow is not available.",
    ),
    ((errors.TotalTimeout,), "The workflow took too long."),
    (
        (errors.ClientClosed,),
        "The service is being restarted. Please try again in a moment.",
    ),
    (
        (errors.TransportError, errors.GatewayError),
        "The workflow cannot be reached at the moment. Please try again later.",
    ),
    ((errors.RunError,), "The workflow failed."),
)
_OTHERWISE = "Something went wrong. Please try again later."


def sentence_of(error: BaseException) -> str:
    """A sentence for people that an error happened to, in English.

    It tells nothing of the inside: no texts of the server, no ids, no addresses, since
    messages of nodes and models may quote whatever went wrong in them.
    """
    for classes, sentence in _SENTENCES:
        if isinstance(error, classes):
            return sentence
    return _OTHERWISE


def error_object(
    error: BaseException, tell: Tell = sentence_of
) -> Mapping[str, object]:
    """The ``error`` event that a browser gets, shaped as Dify's own."""
    told: dict[str, object] = {"event": "error", "code": None, "message": tell(error)}
    if isinstance(error, DifyError):
        told["code"] = error.code or type(error).__name__
        if error.retry_after is not None:
            told["retry_after"] = error.retry_after
    return told


_STATUSES: tuple[tuple[tuple[type[BaseException], ...], int], ...] = (
    ((errors.InvalidInputs, errors.InvalidParam), 422),
    ((errors.NotRelayed,), 404),
    ((errors.TooManyRequests, errors.QuotaExceeded), 429),
    ((errors.FileTooLarge,), 413),
    ((errors.UnsupportedFileType,), 415),
    ((errors.ClientClosed,), 503),
    ((errors.Timeout,), 504),
    ((errors.UsageError,), 500),
)


def status_of(error: BaseException) -> int:
    """The HTTP status of an answer that tells a browser of this error.

    Only what the browser can do something about is its fault: a wrong key, for
    instance, is one of this program, and so 502.
    """
    for classes, status in _STATUSES:
        if isinstance(error, classes):
            return status
    return 502 if isinstance(error, DifyError) else 500


def headers_of(error: BaseException) -> dict[str, str]:
    """The headers of such an answer: ``Retry-After``, if the server told."""
    seconds = error.retry_after if isinstance(error, DifyError) else None
    return {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}
