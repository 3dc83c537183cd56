"""What the local server sends has the keys and the JSON types of the recordings."""

import json

from typing import Any

import pytest

from dify_workflow_async.local import App, LocalServer, Scenario, Variable

from ._shapes import VERSIONS, Shape, exchange, head_of, outline


ABORTED = "Aborted: User requested stop"
APPS = [
    "run_hello",
    "run_llm",
    "run_iteration",
    "run_loop",
    "run_parallel",
    "run_failing_code",
    "run_partial_default",
    "run_retry_ok",
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", APPS)
async def test_events_have_recorded_keys_and_types(
    name, version, mirrored, stream, recorded
):
    """Every event of a run has keys, order and JSON types that real servers sent."""
    app, inputs = mirrored[name]
    async with LocalServer([app], version=version, close_delay=0) as server:
        frames = await stream(server, app, inputs=inputs)
    recorded.hold_against(version, frames)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", APPS)
async def test_events_come_in_recorded_order(name, version, mirrored, stream, recorded):
    """A mirrored app sends the same events as the real one did, in its order."""
    app, inputs = mirrored[name]
    async with LocalServer([app], version=version, close_delay=0) as server:
        sent = outline(await stream(server, app, inputs=inputs))
    known = outline(recorded.stream(recorded.path(version, f"{name}_streaming")))
    if name == "run_parallel":  # there the order is the scheduler's
        sent, known = sorted(sent, key=str), sorted(known, key=str)
    assert sent == known


@pytest.mark.parametrize(
    ("version", "stop_status"),
    [("1.12.1", "stopped"), ("1.14.2", "stopped"), ("1.14.2", "failed")],
)
async def test_stopped_run_is_like_recorded(version, stop_status, slow_app, stopping):
    """A stop ends the stream, and the run detail says what that version says."""
    slow_app.stop_status = stop_status
    sent, detail = await stopping(version)
    end = sent[-1]["data"]
    assert (end["status"], detail["status"], detail["error"]) == {
        ("1.12.1", "stopped"): ("stopped", "running", None),
        ("1.14.2", "stopped"): ("stopped", "stopped", ABORTED),
        ("1.14.2", "failed"): ("failed", "stopped", ABORTED),
    }[version, stop_status]
    assert end["error"] == (ABORTED if stop_status == "failed" else "Stopped by user.")


@pytest.fixture
def slow_app(mirrored) -> App:
    """Give an app that does not end by itself."""
    app, _ = mirrored["stop_slow"]
    return app


@pytest.fixture
def stopping(slow_app, post_run, http, recorded):
    """Give a function that stops a run, and returns its frames and its detail."""

    async def stop(version: str) -> tuple[list[Any], Any]:
        headers = {"Authorization": f"Bearer {slow_app.key}"}
        async with LocalServer([slow_app], version=version, close_delay=0) as server:
            inputs = {"seconds": 20}
            async with post_run(server, slow_app, inputs=inputs) as response:
                begin = await _read_until(response, b'"node_id":"http"')
                (run,) = server.runs
                url = f"{server.base_url}/workflows/tasks/{run.task_id}/stop"
                async with http.post(url, json={"user": "x"}, headers=headers) as done:
                    assert await done.json() == {"result": "success"}
                frames = recorded.parse(begin + await response.read())
            url = f"{server.base_url}/workflows/run/{run.id}"
            async with http.get(url, headers=headers) as answer:
                detail = await answer.json()
        assert run.status == "stopped"
        recorded.hold_against(version, frames)
        return frames, detail

    return stop


async def test_pause_of_new_server_is_like_recorded(mirrored, stream, recorded, get):
    """A pause is told, ends the stream, and leaves the run paused."""
    app, inputs = mirrored["human"]
    async with LocalServer([app], close_delay=0) as server:
        sent = await stream(server, app, inputs=inputs)
        (run,) = server.runs
        detail = await get(server, app, f"/workflows/run/{run.id}")
    path = recorded.path("1.14.2", "human_streaming")
    assert outline(sent) == outline(recorded.stream(path))
    recorded.hold_against("1.14.2", sent)
    assert (detail["status"], detail["outputs"]) == ("paused", {})


async def test_answered_form_resumes_like_recorded(mirrored, stream, recorded):
    """When the form is answered, the run goes on as a real one did."""
    app, inputs = mirrored["human"]
    async with LocalServer([app], close_delay=0) as server:
        before = await stream(server, app, inputs=inputs)
        (run,) = server.runs
        run.form.answer("reject", {"comment": "no", "level": "low"})
        await run.settled(pause_counts=False)
        events = run.events[len(before) - 1 :]  # the first frame is a ping
    path = recorded.path("1.14.2", "events_after_submit")
    assert outline(events) == outline(recorded.stream(path))
    recorded.hold_against("1.14.2", events)
    assert run.outputs == {"text": "rejected: no"}


async def test_pause_of_old_server_is_silent(mirrored, post_run, get):
    """Up to 1.12 a paused run sends nothing but pings, and never ends."""
    app, inputs = mirrored["human"]
    options = {"version": "1.12.1", "ping_interval": 0.005}
    async with (
        LocalServer([app], **options) as server,
        post_run(server, app, inputs=inputs) as response,
    ):
        body = await _read_until(response, b"event: ping\n\nevent: ping\n\n")
        (run,) = server.runs
        detail = await get(server, app, f"/workflows/run/{run.id}")
    assert b"human_input_required" not in body
    assert (detail["status"], detail["outputs"]) == ("paused", None)


@pytest.mark.parametrize("version", VERSIONS)
async def test_stream_has_recorded_headers_and_chunks(version, mirrored, recorded):
    """Head and framing are the recorded ones: one event, or ping, in each chunk."""
    app, _ = mirrored["run_hello"]
    path = recorded.path(version, "run_hello_streaming")
    async with LocalServer([app], version=version, close_delay=0) as server:
        raw = await exchange(server, path, app)
    assert head_of(raw) == head_of(path.read_bytes())
    _, _, rest = raw.partition(b"\r\n\r\n")
    chunks = 0
    while not rest.startswith(b"0\r\n"):
        size, _, rest = rest.partition(b"\r\n")
        assert rest[: int(size, 16)].count(b"\n\n") == 1
        assert rest[: int(size, 16)].endswith(b"\n\n")
        rest = rest[int(size, 16) + 2 :]
        chunks += 1
    assert rest == b"0\r\n\r\n"
    assert chunks == 9 + (version == "1.14.2")


CASES = [
    ("1.12.1", "err_bad_key"),
    ("1.12.1", "err_malformed_json"),
    ("1.12.1", "err_missing_required"),
    ("1.12.1", "err_missing_required_streaming"),
    ("1.12.1", "err_no_user"),
    ("1.12.1", "err_run_by_id_unknown"),
    ("1.12.1", "err_run_detail_unknown"),
    ("1.12.1", "err_unknown_path"),
    ("1.12.1", "err_wrong_mode"),
    ("1.12.1", "info_hello"),
    ("1.12.1", "logs_empty_page"),
    ("1.12.1", "logs_err_limit101"),
    ("1.12.1", "parameters_file"),
    ("1.12.1", "parameters_hello"),
    ("1.12.1", "parameters_inputs"),
    ("1.12.1", "root"),
    ("1.12.1", "stop_again_after_end"),
    ("1.12.1", "stop_slow"),
    ("1.14.2", "err_events_unknown"),
    ("1.14.2", "err_missing_required_streaming"),
    ("1.14.2", "err_run_detail_unknown"),
    ("1.14.2", "parameters_inputs"),
    ("1.14.2", "root"),
    ("1.14.2", "stop_slow"),
]


@pytest.mark.parametrize(("version", "name"), CASES)
async def test_same_request_gets_same_answer(version, name, mirrored, recorded):
    """The bytes of a recorded request get the recorded answer, head and body."""
    path = recorded.path(version, name)
    app, _ = mirrored["run_hello"]
    app.name = "hello"
    app.author_name = "admin"
    app.description = "start(query:text, required, max 256) -> template -> end{text}"
    if name == "parameters_inputs":
        app.behaviour = _all_inputs()
    if name == "parameters_file":
        app.behaviour = _files()
    if name == "err_wrong_mode":
        app.mode = "advanced-chat"
    key = "app-nobody" if name == "err_bad_key" else app.key
    async with LocalServer([app], version=version, error_silence=0) as server:
        raw = await exchange(server, path, app, key=key)
    known = path.read_bytes()
    if name == "err_missing_required_streaming" and version == "1.14.2":
        known += b"0\r\n\r\n"  # it was not waited for
    assert head_of(raw) == head_of(known)
    assert raw.partition(b"\r\n\r\n")[2] == known.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        *((version, "run_hello") for version in VERSIONS),
        *((version, "run_failing_code") for version in VERSIONS),
        ("1.14.2", "human"),  # an older server never answers
    ],
)
async def test_blocking_answer_is_like_recorded(
    name, version, mirrored, post_run, recorded
):
    """A blocking run answers 200 with the recorded keys, failed or not."""
    app, inputs = mirrored[name]
    async with (
        LocalServer([app], version=version) as server,
        post_run(server, app, inputs=inputs, response_mode="blocking") as response,
    ):
        text = await response.text()
        content_type = response.headers["Content-Type"]
    assert (response.status, content_type) == (200, "application/json; charset=utf-8")
    known, sent = Shape(), Shape()
    known.see(recorded.json(version, f"{name}_blocking"))
    sent.see(json.loads(text))
    assert not known.faults(sent)
    assert text == json.dumps(json.loads(text))


@pytest.mark.parametrize("version", VERSIONS)
async def test_run_detail_is_like_recorded(version, mirrored, stream, get, recorded):
    """The run detail has the recorded keys and types, running and finished."""
    names = ["detail_running", "detail_after_slow"]
    if version == "1.14.2":
        names = ["detail_running", "detail_human_done"]
    known, sent = Shape(), Shape()
    for name in names:
        known.see(recorded.json(version, name))
    app, inputs = mirrored["run_hello"]
    async with LocalServer([app], version=version, close_delay=0) as server:
        await stream(server, app, inputs=inputs)
        (run,) = server.runs
        detail = await get(server, app, f"/workflows/run/{run.id}")
    sent.see(detail)
    assert not [fault for fault in known.faults(sent) if "outputs" not in fault]
    assert json.loads(detail["inputs"])["sys.workflow_run_id"] == run.id
    as_text = version == "1.12.1"
    outputs = json.loads(detail["outputs"]) if as_text else detail["outputs"]
    assert outputs == {"text": "Hello, world!"}


async def _read_until(response, end: bytes) -> bytes:
    body = b""
    while end not in body:
        body += await response.content.readany()
    return body


def _all_inputs():
    kinds = {
        "para": "paragraph",
        "color": "select",
        "n": "number",
        "flag": "checkbox",
        "obj": "json_object",
    }
    options = {"color": ["red", "green", "blue"]}
    name = Variable(variable="name", required=True, max_length=10)
    others = [
        Variable(variable=key, type=kind, options=options.get(key, ()))
        for key, kind in kinds.items()
    ]
    return Scenario(inputs=[name, *others])


def _files():
    doc = Variable(
        variable="doc",
        type="file",
        required=True,
        allowed_file_types=["document", "image", "custom"],
        allowed_file_extensions=[".csv", ".txt"],
    )
    return Scenario(
        inputs=[doc, Variable(variable="more", type="file-list", max_length=3)]
    )
