"""Requests out, answers in: what Dify's HTTP API looks like, without any I/O.

What comes in: a verb's arguments, or the status, headers and body of an answer.
What goes out: a `Request`, or a model, or the error that the answer stands for.
"""

from __future__ import annotations

from ._answers import (
    app_info,
    blocking_result,
    end_user,
    form,
    log_page,
    meta,
    parameters,
    run_detail,
    server_info,
    site,
    transcript,
    uploaded_file,
)
from ._file_requests import (
    fetch_request,
    hearing_request,
    preview_request,
    speech_request,
    upload_request,
)
from ._reads import (
    end_user_request,
    events_request,
    form_request,
    get_request,
    logs_request,
    run_detail_request,
    submit_form_request,
)
from ._requests import (
    Content,
    Request,
    checked_headers,
    checked_user,
    holds_line_break,
    is_a,
    normalize_base_url,
    run_request,
    stop_request,
)
from ._results import event_of_detail, result_of, result_of_detail
from ._versions import server_version, speaks_after_end


__all__ = [
    "Content",
    "Request",
    "app_info",
    "blocking_result",
    "checked_headers",
    "checked_user",
    "end_user",
    "end_user_request",
    "event_of_detail",
    "events_request",
    "fetch_request",
    "form",
    "form_request",
    "get_request",
    "hearing_request",
    "holds_line_break",
    "is_a",
    "log_page",
    "logs_request",
    "meta",
    "normalize_base_url",
    "parameters",
    "preview_request",
    "result_of",
    "result_of_detail",
    "run_detail",
    "run_detail_request",
    "run_request",
    "server_info",
    "server_version",
    "site",
    "speaks_after_end",
    "speech_request",
    "stop_request",
    "submit_form_request",
    "transcript",
    "upload_request",
    "uploaded_file",
]
