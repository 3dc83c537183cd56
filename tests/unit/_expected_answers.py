"""What the recorded answers of real servers are to become."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dify_workflow_async.models import (
    FileUploadSettings,
    FormAction,
    FormInput,
    InputVariable,
    LogEntry,
    LogRun,
    LogUser,
    SystemParameters,
)


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


LOCAL_OR_REMOTE = ("local_file", "remote_url")
OFF = {"enabled": False}
PARAMETERS = {
    "opening_statement": "",
    "suggested_questions": (),
    "suggested_questions_after_answer": OFF,
    "speech_to_text": OFF,
    "text_to_speech": {"enabled": False, "language": "", "voice": ""},
    "retriever_resource": {"enabled": True},
    "annotation_reply": OFF,
    "more_like_this": OFF,
    "sensitive_word_avoidance": OFF,
    "system_parameters": SystemParameters(
        file_size_limit=15,
        image_file_size_limit=10,
        audio_file_size_limit=50,
        video_file_size_limit=100,
        workflow_file_upload_limit=10,
    ),
    "file_upload": FileUploadSettings(
        enabled=False,
        number_limits=3,
        allowed_file_types=("image",),
        allowed_file_upload_methods=LOCAL_OR_REMOTE,
        image={
            "enabled": False,
            "number_limits": 3,
            "transfer_methods": ["local_file", "remote_url"],
        },
    ),
}


def variable(type_: str, name: str, **others: Any) -> InputVariable:
    fields = {"type": type_, "variable": name, "label": name, "required": False}
    return InputVariable(**{**fields, **others})


SIX_INPUTS = (
    variable("text-input", "name", required=True, max_length=10),
    variable("paragraph", "para"),
    variable("select", "color", options=("red", "green", "blue")),
    variable("number", "n"),
    variable("checkbox", "flag"),
    variable("json_object", "obj"),
)
FILE_INPUTS = (
    variable(
        "file",
        "doc",
        required=True,
        allowed_file_types=("document", "image", "custom"),
        allowed_file_extensions=(".csv", ".txt"),
        allowed_file_upload_methods=LOCAL_OR_REMOTE,
    ),
    variable(
        "file-list",
        "more",
        max_length=3,
        allowed_file_types=("document", "image"),
        allowed_file_upload_methods=LOCAL_OR_REMOTE,
    ),
)


def uploaded(url: str, **fields: Any) -> dict[str, Any]:
    """The fields of an upload to the older server."""
    return {
        "created_by": "574a92b3-4567-4d7e-b817-a63879039e12",
        "tenant_id": "42c66bb6-dfbe-4475-9b38-f9126b987e97",
        "preview_url": None,
        "original_url": None,
        "user_id": None,
        "conversation_id": None,
        "file_key": None,
        "reference": None,
        "source_url": f"http://127.0.0.1:5001/files/{fields['id']}/file-preview?{url}",
        **fields,
    }


def entry(id_: str, run_id: str, elapsed: float, seconds: int) -> LogEntry:
    """A line of the older server's log; there, all of them ran the same version."""
    return LogEntry(
        id=id_,
        workflow_run=LogRun(
            id=run_id,
            version="2026-11-22 01:50:17.573775",
            status="succeeded",
            triggered_from="app-run",
            elapsed_time=elapsed,
            total_tokens=0,
            total_steps=3,
            exceptions_count=0,
            created_at=at(seconds),
            finished_at=at(seconds),
        ),
        created_from="service-api",
        created_by_role="end_user",
        created_by_end_user=LogUser(
            id="f58e75b0-4c1e-45a3-8bfa-0ad86a412656",
            type="service-api",
            is_anonymous=False,
            session_id="u1",
        ),
        created_at=at(seconds),
    )


FOUR_LINES = (
    entry(
        "a88eed9c-0144-4733-a51f-6372c4e2a483",
        "b65fc411-91f9-4f51-96d1-e88db57b3174",
        0.189729,
        1795313299,
    ),
    entry(
        "e8852b92-5b2e-454f-a951-c99996aa4d3e",
        "a6575dc7-6ed3-4889-a3a1-aee096577818",
        0.346838,
        1795313272,
    ),
    entry(
        "b2cc3e60-af7c-4bb2-98f6-fbb650f7b0ca",
        "fc31ef0e-9d4a-4375-801f-65f3b08337c3",
        0.351978,
        1795313244,
    ),
    entry(
        "ff810550-f048-4544-8de6-217221654b56",
        "75e189a7-7d7d-49be-a0eb-6f33a00a3058",
        0.204128,
        1795313239,
    ),
)


def detail(status: str, **fields: Any) -> dict[str, Any]:
    running = {"outputs": {}, "error": None, "total_tokens": 0, "status": status}
    return {**running, "finished_at": None, "elapsed_time": 0.0, **fields}


def result(status: str, **fields: Any) -> dict[str, Any]:
    return {"status": status, "error": None, "total_tokens": 0, **fields}


# The function, and exact values of fields. Full values are compared in test_protocol.py
# for details and blocking answers; here they are pinned.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "1.12.1-detail_after_slow": (
        "run_detail",
        detail(
            "succeeded",
            id="60a63622-56d9-4246-b6d7-f6756c7daa60",
            outputs={"body": '{"slept": 25.0}', "status": 200},
            total_steps=3,
            created_at=at(1795312453),
            finished_at=at(1795312478),
            elapsed_time=25.165053,
            is_success=True,
        ),
    ),
    "1.12.1-detail_disconnected_0": (
        "run_detail",
        detail("running", total_steps=0, created_at=at(1795312453), is_terminal=False),
    ),
    "1.12.1-detail_disconnected_2": (
        "run_detail",
        detail(
            "succeeded",
            outputs={"last": '{"slept": 2.0}'},
            total_steps=8,
            finished_at=at(1795312466),
            elapsed_time=12.6051,
        ),
    ),
    "1.12.1-detail_running": ("run_detail", detail("running", total_steps=0)),
    "1.12.1-detail_stopped": ("run_detail", detail("running", total_steps=0)),
    "1.12.1-info_hello": (
        "app_info",
        {
            "name": "hello",
            "description": "start(query:text, required, max 256) "
            "-> template -> end{text}",
            "tags": (),
            "mode": "workflow",
            "author_name": "admin",
        },
    ),
    "1.12.1-logs_default": (
        "log_page",
        {"page": 1, "limit": 20, "total": 18, "has_more": False},
    ),
    "1.12.1-logs_limit2": (
        "log_page",
        {
            "page": 1,
            "limit": 2,
            "total": 18,
            "has_more": True,
            "data": FOUR_LINES[:2],
        },
    ),
    "1.12.1-logs_page2": (
        "log_page",
        {
            "page": 2,
            "limit": 2,
            "total": 18,
            "has_more": True,
            "data": FOUR_LINES[2:],
        },
    ),
    "1.12.1-logs_status_succeeded": (
        "log_page",
        {"page": 1, "total": 18, "has_more": True, "data": FOUR_LINES[:2]},
    ),
    "1.12.1-meta_hello": ("meta", {"tool_icons": {}}),
    "1.12.1-parameters_file": (
        "parameters",
        {**PARAMETERS, "user_input_form": FILE_INPUTS},
    ),
    "1.12.1-parameters_hello": (
        "parameters",
        {
            **PARAMETERS,
            "user_input_form": (
                variable("text-input", "query", required=True, max_length=256),
            ),
        },
    ),
    "1.12.1-parameters_inputs": (
        "parameters",
        {**PARAMETERS, "user_input_form": SIX_INPUTS},
    ),
    "1.12.1-run_failing_code_blocking": (
        "blocking_result",
        result(
            "failed",
            error="error: Traceback (most recent call last):\n"
            '  File "/var/sandbox/main.py", line 11, in <module>\n'
            "    output_obj = main(**inputs_obj)\n"
            "                 ^^^^^^^^^^^^^^^^^^\n"
            '  File "/var/sandbox/main.py", line 2, in main\n'
            "    raise ValueError('boom: ' + str(query))\n"
            "ValueError: boom: q\n exit status 255",
            outputs={},
            total_steps=2,
        ),
    ),
    "1.12.1-run_hello_blocking": (
        "blocking_result",
        result(
            "succeeded",
            workflow_run_id="0c8af5c8-a9a4-4ca9-95e8-d13c18973ded",
            task_id="1ea88a78-71ea-43c3-9856-fd2fdc2190b6",
            outputs={"text": "Hello, world!"},
            elapsed_time=0.322729,
            created_at=at(1795312381),
            finished_at=at(1795312382),
        ),
    ),
    "1.12.1-run_inputs_blocking": (
        "blocking_result",
        result("succeeded", elapsed_time=0.173615, total_steps=3),
    ),
    "1.12.1-run_large_template_blocking": (
        "blocking_result",
        result(
            "succeeded", elapsed_time=0.516894, outputs={"blob": "abcdefghij" * 100_000}
        ),
    ),
    "1.12.1-run_llm_blocking": (
        "blocking_result",
        result("succeeded", total_tokens=19, total_steps=3, elapsed_time=0.849979),
    ),
    "1.12.1-site_hello": (
        "site",
        {
            "title": "hello",
            "chat_color_theme": None,
            "chat_color_theme_inverted": False,
            "icon_type": "emoji",
            "icon": "\N{ROBOT FACE}",
            "icon_background": "#FFEAD5",
            "icon_url": None,
            "description": None,
            "copyright": None,
            "privacy_policy": None,
            "input_placeholder": None,
            "custom_disclaimer": "",
            "default_language": "en-US",
            "show_workflow_steps": True,
            "use_icon_as_answer_icon": False,
        },
    ),
    "1.12.1-upload_png": (
        "uploaded_file",
        uploaded(
            "timestamp=1795313296&nonce=72d760d6f1c0c0ce1498712de5b4b97b"
            "&sign=HzPGP3otMzq2K6PCo2pZrIjOAhLIuNieJcT3Eb7ph1o%3D",
            id="5120c440-8b34-4b72-b687-2272d141c7ce",
            name="dot.png",
            size=69,
            extension="png",
            mime_type="image/png",
            created_at=at(1795313296),
        ),
    ),
    "1.12.1-upload_txt": (
        "uploaded_file",
        uploaded(
            "timestamp=1795313296&nonce=2226dfe33141923fb1aa7e58bb834fdc"
            "&sign=-iXIOwzLEUChWT-Wzrg8kR8hy56Sv2_bqb355gZa_2g%3D",
            id="83e41752-217a-45a4-8777-601889f40575",
            name="notes.txt",
            size=20,
            extension="txt",
            mime_type="text/plain",
            created_at=at(1795313296),
        ),
    ),
    "1.12.1-upload_unicode_name": (
        "uploaded_file",
        uploaded(
            "timestamp=1795313297&nonce=efb97af220f661658b679b40ee6e0b1d"
            "&sign=KdJEiGJANLlD9nLJFIyWWj78XfFq3eG18cMcip0Sypg%3D",
            id="ecbe0238-1ce9-4be2-a7be-9610f8100eae",
            name="日本語 ファイル.txt",
            size=1,
            extension="txt",
            mime_type="text/plain",
            created_at=at(1795313297),
        ),
    ),
    "1.12.1-with_trace_id": (
        "blocking_result",
        result("succeeded", outputs={"text": "Hello, x!"}, elapsed_time=0.227753),
    ),
    "1.14.2-detail_human_done": (
        "run_detail",
        detail(
            "succeeded",
            outputs={
                "text": "approved: well done / please",
                "comment": "well done",
                "action": "approve",
            },
            total_steps=5,
            created_at=at(1795313880),
            finished_at=at(1795313885),
            elapsed_time=0.24713,
        ),
    ),
    "1.14.2-detail_human_paused": (
        "run_detail",
        detail("paused", total_steps=2, is_terminal=False, is_success=False),
    ),
    "1.14.2-detail_running": ("run_detail", detail("running", total_steps=0)),
    "1.14.2-detail_stopped": (
        "run_detail",
        detail(
            "stopped",
            error="Aborted: User requested stop",
            total_steps=2,
            finished_at=at(1795313931),
            elapsed_time=4.324769,
            is_terminal=True,
            is_success=False,
        ),
    ),
    "1.14.2-end_user_get": (
        "end_user",
        {
            "id": "2fbd46c8-18b9-447f-8b4f-ef4b60af9894",
            "tenant_id": "2c405915-2068-4789-8756-4d07a7465f57",
            "app_id": "d7d56c00-9e5d-422e-b54b-51516ede1f1c",
            "type": "service-api",
            "external_user_id": "u1",
            "name": None,
            "is_anonymous": False,
            "session_id": "u1",
            "created_at": datetime(2026, 11, 22, 2, 17, 7, tzinfo=UTC),
            "updated_at": datetime(2026, 11, 22, 2, 17, 7, tzinfo=UTC),
        },
    ),
    "1.14.2-form_get": (
        "form",
        {
            "form_content": "Please review: please\n\n"
            "{{#$output.comment#}}\n{{#$output.level#}}",
            "inputs": (
                FormInput(
                    type="paragraph",
                    output_variable_name="comment",
                    default={
                        "type": "constant",
                        "selector": [],
                        "value": "looks fine",
                    },
                ),
                FormInput(
                    type="select",
                    output_variable_name="level",
                    option_source={
                        "type": "constant",
                        "selector": [],
                        "value": ["low", "high"],
                    },
                ),
            ),
            "resolved_default_values": {},
            "user_actions": (
                FormAction(id="approve", title="Approve", button_style="primary"),
                FormAction(id="reject", title="Reject", button_style="default"),
            ),
            "expiration_time": at(1795317480),
        },
    ),
    "1.14.2-human_blocking": (
        "blocking_result",
        {
            "status": "paused",
            "outputs": {},
            "elapsed_time": 0.160006,
            "total_steps": 2,
            "finished_at": None,
            "paused_nodes": ("human",),
        },
    ),
    "1.14.2-logs_default": (
        "log_page",
        {"page": 1, "limit": 20, "total": 15, "has_more": False},
    ),
    "1.14.2-parameters_inputs": (
        "parameters",
        {**PARAMETERS, "user_input_form": SIX_INPUTS},
    ),
    "1.14.2-run_hello_blocking": (
        "blocking_result",
        result(
            "succeeded",
            workflow_run_id="2b739f86-6c61-4945-b957-5b1113892c13",
            outputs={"text": "Hello, world!"},
            elapsed_time=0.323554,
        ),
    ),
    "1.14.2-upload_txt": (
        "uploaded_file",
        {
            "id": "48628f1f-4f58-4e3b-b43d-ece9789901e0",
            "name": "notes.txt",
            "size": 20,
            "extension": "txt",
            "mime_type": "text/plain",
            "created_by": "2a80897a-615c-48db-9c82-182f58a995c0",
            "created_at": at(1795313989),
            "reference": None,
            "tenant_id": "2c405915-2068-4789-8756-4d07a7465f57",
        },
    ),
}

# Answers that say no more than that it was done.
DONE = {
    "1.12.1-stop_again_after_end": {"result": "success"},
    "1.12.1-stop_slow": {"result": "success"},
    "1.14.2-form_submit": {},
    "1.14.2-stop_slow": {"result": "success"},
}

# Class, status, code, and the message or its beginning.
REFUSED: dict[str, tuple[str, int, str | None, str]] = {
    "1.12.1-audio_to_text": (
        *("InvalidParam", 400, "invalid_param"),
        "Speech to text is not enabled",
    ),
    "1.12.1-err_429_blocking": (
        *("TooManyRequests", 400, "invalid_param"),
        (
            "Too many requests. Please try again later. The current maximum concurrent "
            "requests allowed for 34b4845e-3255-44ca-a23b-72b488db8ce0 is 1."
        ),
    ),
    "1.12.1-err_bad_key": (
        *("Unauthorized", 401, "unauthorized"),
        "Access token is invalid",
    ),
    "1.12.1-err_malformed_json": (
        *("BadRequest", 400, "bad_request"),
        "The browser (or proxy) sent a request that this server could not understand.",
    ),
    "1.12.1-err_missing_required": (
        *("InvalidParam", 400, "invalid_param"),
        "query is required in input form",
    ),
    "1.12.1-err_missing_required_streaming": (
        *("InvalidParam", 400, "invalid_param"),
        "query is required in input form",
    ),
    "1.12.1-err_no_user": (
        *("InvalidParam", 400, "invalid_param"),
        "Arg user must be provided.",
    ),
    "1.12.1-err_run_by_id_unknown": (
        *("NotFound", 404, "not_found"),
        "Workflow not found with id: 00000000-0000-4000-8000-000000000000",
    ),
    "1.12.1-err_unknown_path": (
        *("NotFound", 404, None),
        (
            "the answer is text/html and not Dify's JSON: "
            "is the base URL right, and the server new enough?"
        ),
    ),
    "1.12.1-err_upload_no_file": (
        *("InvalidUpload", 400, "no_file_uploaded"),
        "Please upload your file.",
    ),
    "1.12.1-err_upload_too_large": (
        *("FileTooLarge", 413, "file_too_large"),
        "File size exceeded. {message}",
    ),
    "1.12.1-err_upload_two_files": (
        *("InvalidUpload", 400, "too_many_files"),
        "Only one file is allowed.",
    ),
    "1.12.1-err_wrong_mode": (
        *("NotWorkflowApp", 400, "not_workflow_app"),
        "Please check if your app mode matches the right API route.",
    ),
    "1.12.1-logs_empty_page": (
        *("InvalidParam", 400, "invalid_param"),
        (
            "1 validation error for WorkflowLogQuery\npage\n  Input should be a valid "
            "integer, unable to parse string as an integer"
        ),
    ),
    "1.12.1-logs_err_limit101": (
        *("InvalidParam", 400, "invalid_param"),
        (
            "1 validation error for WorkflowLogQuery\nlimit\n  Input should be less than "
            "or equal to 100"
        ),
    ),
    "1.12.1-preview_unknown": (
        *("FileNotFound", 404, "file_not_found"),
        "File not found in message context",
    ),
    "1.12.1-root": (
        *("NotFound", 404, None),
        "the answer is text/html and not Dify's JSON: is the base URL right",
    ),
    "1.12.1-text_to_audio": (
        *("InvalidParam", 400, "invalid_param"),
        "TTS is not enabled",
    ),
    "1.14.2-err_events_unknown": (
        *("NotFound", 404, "not_found"),
        "Workflow run not found",
    ),
    "1.14.2-err_form_bad_action": (
        *("InvalidFormData", 400, "invalid_form_data"),
        "Invalid action: zzz",
    ),
    "1.14.2-err_form_submit_twice": (
        *("FormSubmitted", 412, "human_input_form_submitted"),
        (
            "This form has already been submitted by another user, "
            "form_id=01a2010b-ccb1-7e8a-9d25-41821a48224a"
        ),
    ),
    "1.14.2-err_run_detail_unknown": (
        *("NotFound", 404, "not_found"),
        "Workflow run not found.",
    ),
    "1.14.2-root": (
        *("NotFound", 404, None),
        "the answer is text/html and not Dify's JSON: is the base URL right",
    ),
}
