"""Requests out, answers in: what Dify's HTTP API looks like, without any I/O.

What comes in: a verb's arguments, or the status, headers and body of an answer.
What goes out: a `Request`, or a model, or the error that the answer stands for.
"""

from __future__ import annotations

from ._answers import blocking_result, run_detail
from ._requests import (
    Content,
    Request,
    checked_user,
    is_a,
    normalize_base_url,
    run_detail_request,
    run_request,
    stop_request,
)
from ._results import result_of
from ._versions import server_version, speaks_after_end


__all__ = [
    "Content",
    "Request",
    "blocking_result",
    "checked_user",
    "is_a",
    "normalize_base_url",
    "result_of",
    "run_detail",
    "run_detail_request",
    "run_request",
    "server_version",
    "speaks_after_end",
    "stop_request",
]
