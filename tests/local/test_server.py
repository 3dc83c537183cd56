"""The life of a server, its routes, and what a run does to those who read it."""

import asyncio
import json

from collections.abc import Callable

import aiohttp
import pytest

from dify_workflow_async import local
from dify_workflow_async.local import (
    AgentLog,
    App,
    Disconnect,
    ErrorEvent,
    FormRefused,
    Iteration,
    LocalServer,
    Loop,
    Node,
    Parallel,
    Ping,
    Raw,
    Scenario,
    Sleep,
    Speech,
    Variable,
)


VERSIONS = ["1.12.1", "1.14.2"]


def quick(*steps, **options) -> App:
    return App(Scenario(steps=steps), **options)


def names(frames) -> list[str]:
    return [one if one == "ping" else one["event"] for one in frames]


def test_public_names_are_sorted_and_there():
    """``__all__`` is the table of contents."""
    assert local.__all__ == sorted(local.__all__)
    assert all(hasattr(local, name) for name in local.__all__)


async def test_start_and_close_may_be_repeated():
    """Starting and closing twice is as good as once, and closing frees the port."""
    server = LocalServer()
    await server.start()
    port = server.port
    await server.start()
    assert (server.port, server.base_url) == (port, f"http://127.0.0.1:{port}/v1")
    await server.aclose()
    await server.aclose()
    async with LocalServer(port=port, version="1.12.1") as second:
        assert (second.port, second.version) == (port, "1.12.1")


async def test_taken_port_is_an_os_error():
    """A port that is taken raises, and leaves nothing behind."""
    async with LocalServer() as server:
        with pytest.raises(OSError, match="in use"):
            await LocalServer(port=server.port).start()


def test_bad_version_is_refused():
    """A version without numbers is a mistake."""
    with pytest.raises(ValueError, match="not a version of Dify: 'new'"):
        LocalServer(version="new")


def test_apps_need_different_keys():
    """A key selects one app."""
    server = LocalServer()
    app = server.add(quick())
    assert server.apps == [app]
    assert app.key.startswith("app-local-")
    assert app.key not in repr(app)
    with pytest.raises(ValueError, match="same key"):
        server.add(App(Scenario(), key=app.key))


async def test_requests_are_noted(stream):
    """A test can look at what came in."""
    app = quick()
    async with LocalServer([app], close_delay=0) as server:
        await stream(server, app, inputs={"a": 1})
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/workflows/run")
    assert request.json["inputs"] == {"a": 1}
    assert request.headers["authorization"] == f"Bearer {app.key}"
    assert app.key not in repr(request)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({}, "Authorization header must be provided and start with 'Bearer'"),
        ({"Authorization": "Basic x"}, "Authorization scheme must be 'Bearer'"),
        ({"Authorization": "Bearer x"}, "Access token is invalid"),
    ],
)
async def test_key_is_needed(header, message, http):
    """Each way to have no key has its own message."""
    async with (
        LocalServer([quick()]) as server,
        http.get(f"{server.base_url}/info", headers=header) as response,
    ):
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="api"'
        assert (await response.json())["message"] == message


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[]", 500, "unknown"),
        (b'{"user": "u", "inputs": {}, "x": NaN}', 400, "bad_request"),
        (b"\xff", 400, "bad_request"),
        (b"", 400, "bad_request"),
        (b'{"user": "", "inputs": {}}', 400, "invalid_param"),
        (b'{"user": "u"}', 400, "invalid_param"),
        (b'{"user": "u", "inputs": []}', 400, "invalid_param"),
        (b'{"user": "u", "inputs": {}, "response_mode": "x"}', 400, "invalid_param"),
        (json.dumps({"user": "u" * 256, "inputs": {}}).encode(), 500, "unknown"),
        (b'{"user": 7, "inputs": {}}', 200, None),
    ],
)
async def test_body_of_a_run_is_checked(body, status, code, http):
    """Bodies are refused, or taken, as real servers do; no mode means blocking."""
    app = quick()
    headers = {"Authorization": f"bearer {app.key}", "Content-Type": "application/json"}
    async with LocalServer([app]) as server:
        url = f"{server.base_url}/workflows/run"
        async with http.post(url, data=body, headers=headers) as response:
            answer = await response.json()
    assert (response.status, answer.get("code")) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/workflows/run", 405, "method_not_allowed"),
        ("POST", "/workflows/run", 415, "unsupported_media_type"),
        ("GET", "/workflows/run/nope", 500, "unknown"),
    ],
)
async def test_other_refusals(method, path, status, code, http):
    """Wrong methods, types and ids are refused in JSON."""
    app = quick()
    headers = {"Authorization": f"Bearer {app.key}"}
    async with LocalServer([app]) as server:
        url = f"{server.base_url}{path}"
        async with http.request(method, url, data="x", headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (status, code)


@pytest.mark.parametrize(
    ("workflow_id", "status"),
    [(None, 200), ("nope", 400), ("00000000-0000-4000-8000-000000000000", 404)],
)
async def test_run_by_version(workflow_id, status, http):
    """The one version of an app runs by its id; others are refused."""
    app = quick()
    headers = {"Authorization": f"Bearer {app.key}"}
    async with LocalServer([app]) as server:
        url = f"{server.base_url}/workflows/{workflow_id or app.workflow_id}/run"
        body = {"inputs": {}, "user": "u"}
        async with http.post(url, json=body, headers=headers) as response:
            assert response.status == status


async def test_probe_of_later_versions(http):
    """From 1.15 on the root tells the version, without a key."""
    async with (
        LocalServer(version="1.16.0") as server,
        http.get(f"{server.base_url}/") as response,
    ):
        assert (await response.json())["server_version"] == "1.16.0"


async def test_default_of_a_variable_is_told(get):
    """The form tells the default of a variable that has one, and what was replaced."""
    x = Variable(variable="x", default="d")
    app = App(Scenario(inputs=[x]), parameters={"opening_statement": "hi"})
    async with LocalServer([app]) as server:
        told = await get(server, app, "/parameters")
    assert told["user_input_form"][0]["text-input"]["default"] == "d"
    assert told["opening_statement"] == "hi"


def test_address_of_ipv6_has_brackets():
    """A base URL on an IPv6 address is a URL."""
    assert LocalServer(host="::1", port=1).base_url == "http://[::1]:1/v1"


async def test_run_of_another_app_is_unknown(stream, http):
    """A run is read with the key of its app only."""
    app, other = quick(), quick()
    async with LocalServer([app, other], close_delay=0) as server:
        await stream(server, app)
        url = f"{server.base_url}/workflows/run/{server.runs[0].id}"
        headers = {"Authorization": f"Bearer {other.key}"}
        async with http.get(url, headers=headers) as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ({"required": True}, None, "x is required in input form"),
        ({"default": "d"}, None, "d"),
        ({}, "a\x00b", "ab"),
        ({}, 3, "(type 'text-input') x in input form must be a string"),
        ({"max_length": 2}, "abc", "x in input form must be less than 2 characters"),
        (
            {"type": "select", "options": ["a", "b"]},
            "c",
            "x in input form must be one of the following: ['a', 'b']",
        ),
        ({"type": "select", "options": ["a", "b"]}, "b", "b"),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "number"}, "2", 2),
        ({"type": "number"}, 2, 2),
        ({"type": "number"}, " ", None),
        ({"type": "number"}, "two", "x in input form must be a valid number"),
        (
            {"type": "number"},
            [],
            "expected value type int, float or str, got <class 'list'>, value: []",
        ),
        ({"type": "checkbox"}, "yes", True),
        ({"type": "checkbox"}, 0, False),
        ({"type": "checkbox"}, "maybe", "maybe"),
        ({"type": "checkbox"}, {}, "Invalid input type for ['x']"),
        ({"type": "json_object"}, [], "x in input form must be a dict"),
        ({"type": "json_object"}, {}, {}),
        ({"type": "file"}, "", None),
        ({"type": "file"}, [], "x in input form must be a file"),
        (
            {"type": "file"},
            {"type": "image"},
            "transfer_method is required in file mapping",
        ),
        ({"type": "file-list"}, {}, "x in input form must be a list of files"),
        ({"type": "file-list"}, [{}], []),
        (
            {"type": "file-list", "max_length": 1},
            [{}, {}],
            "x in input form must be less than 1 files",
        ),
    ],
)
async def test_inputs_are_checked(variable, value, wanted, stream):
    """Each control takes and refuses the values that real ones do."""
    scenario = Scenario(inputs=[Variable(variable="x", **variable)])
    app = App(scenario)
    options = {"close_delay": 0, "error_silence": 0}
    async with LocalServer([app], **options) as server:
        frames = await stream(server, app, inputs={"x": value, "undeclared": 1})
    if frames[1]["event"] == "error":
        assert frames == ["ping", {"event": "error", "message": wanted, "status": 500}]
    else:
        assert server.runs[0].inputs == {"x": wanted}


async def test_number_of_a_wrong_type_trips_the_server(post_run):
    """Outside a stream a number of a wrong type is a 500."""
    app = App(Scenario(inputs=[Variable(variable="n", type="number")]))
    body = {"inputs": {"n": []}, "response_mode": "blocking"}
    async with LocalServer([app]) as server, post_run(server, app, **body) as response:
        assert response.status == 500
        assert (await response.json())["code"] == "internal_server_error"


async def test_refused_stream_stays_open_until_the_client_leaves(post_run):
    """After an error event a new server says nothing and does not close."""
    app = App(Scenario(inputs=[Variable(variable="x", required=True)]))
    async with LocalServer([app]) as server, post_run(server, app) as response:
        body = b""
        while b"required" not in body:
            body += await response.content.readany()
        assert not response.content.at_eof()


@pytest.mark.parametrize("version", VERSIONS)
async def test_error_event_ends_a_run(version, stream):
    """An error event is the last one, and the run has failed."""
    error = ErrorEvent(message="no quota", code="provider_quota_exceeded", status=400)
    app = quick(error, Node(type="end"))
    options = {"version": version, "error_silence": 0}
    async with LocalServer([app], **options) as server:
        frames = await stream(server, app)
    (run,) = server.runs
    assert frames[-1] == {
        "event": "error",
        "workflow_run_id": run.id,
        "code": "provider_quota_exceeded",
        "status": 400,
        "message": "no quota",
    }
    assert (run.status, run.error) == ("failed", "no quota")


async def test_old_error_ends_the_stream_at_once(stream):
    """Up to 1.12 a stream ends with its error event."""
    app = quick(ErrorEvent(message="m"))
    async with LocalServer([app], version="1.12.1") as server:
        frames = await stream(server, app)
    assert frames[-1] == {"event": "error", "message": "m", "status": 500}


@pytest.mark.parametrize("version", VERSIONS)
async def test_speech(version, stream):
    """Old servers speak on after the end, new ones never say the rest."""
    app = quick(Speech(audio=[b"a", "Yg=="], tail=[b"c"]))
    async with LocalServer([app], version=version, close_delay=0) as server:
        frames = [one for one in await stream(server, app) if one != "ping"]
    spoken = [(one["event"], one.get("audio")) for one in frames[1:]]
    assert list(frames[1]) == ["event", "workflow_run_id", "task_id", "audio"]
    start = [("tts_message", "YQ=="), ("tts_message", "Yg==")]
    end = [("workflow_finished", None)]
    tail = [("tts_message", "Yw=="), ("tts_message_end", "")]
    assert spoken == start + end + (tail if version == "1.12.1" else [])


async def test_small_steps(stream):
    """Pings, logs and raw events come in their place; raw ones as they are."""
    raw = {"event": "of_tomorrow", "x": [1, None]}
    log = AgentLog(label="think", status="start", data={"a": 1})
    app = quick(Ping(), Raw(event=raw), log, Sleep(seconds=0))
    async with LocalServer([app], version="1.12.1") as server:
        frames = await stream(server, app)
    assert frames[1:3] == ["ping", raw]
    assert list(frames[3]["data"]) == [
        *("node_execution_id", "id", "label", "parent_id", "error", "status"),
        *("data", "metadata", "node_id"),
    ]


async def test_json_of_events_is_compact_and_raw(post_run):
    """Text is UTF-8 as it is, with separators that only some parsers split at."""
    text = "é你😀\u2028\x85/"
    app = quick(Node(type="llm", text=text))
    async with LocalServer([app], close_delay=0) as server, post_run(server, app) as r:
        body = await r.read()
    chunk = f'"data":{{"text":"{text}","from_variable_selector":["llm","text"]}}}}'
    assert chunk.encode() in body
    assert b'": ' not in body


async def test_branches_interleave(stream):
    """Branches run at the same time, and each keeps its own order."""
    branches = [[Node(type="code", id=f"{name}{i}") for i in "12"] for name in "ab"]
    app = quick(Parallel(branches=branches))
    async with LocalServer([app], close_delay=0) as server:
        frames = await stream(server, app)
    started = [
        one["data"]["node_id"]
        for one in frames
        if one != "ping" and one["event"] == "node_started"
    ]
    assert started == ["a1", "b1", "a2", "b2"]


async def test_failing_branch_ends_the_others(stream):
    """A node that fails in a branch fails the run, whatever else is under way."""
    branches = [
        [Sleep(seconds=3600)],
        [Node(type="code", status="failed", error="boom")],
    ]
    app = quick(Parallel(branches=branches))
    async with LocalServer([app], close_delay=0) as server:
        frames = await stream(server, app)
    assert frames[-1]["data"]["status"] == "failed"
    assert frames[-1]["data"]["error"] == "boom"


@pytest.mark.parametrize("container", ["iteration", "loop"])
async def test_failure_inside_a_container(container, stream):
    """The container completes as failed, without the error, and the run fails."""
    steps = [Node(type="code", status="failed", error="boom {index}")]
    step = (
        Iteration(items=[1, 2], steps=steps)
        if container == "iteration"
        else Loop(count=2, steps=steps)
    )
    app = quick(step)
    async with LocalServer([app], close_delay=0) as server:
        completed, finished = (await stream(server, app))[-2:]
    assert completed["event"] == f"{container}_completed"
    assert completed["data"]["status"] == "failed"
    assert completed["data"]["error"] is None
    assert finished["data"]["error"] == "boom 0"


async def test_loop_to_its_last_round(stream):
    """A loop that is not left announces one round more than it plays."""
    app = quick(Loop(count=2, steps=[Node(type="llm", tokens=5, price="0.1")]))
    async with LocalServer([app], close_delay=0) as server:
        frames = await stream(server, app)
    indexes = [
        one["data"]["index"]
        for one in frames
        if one != "ping" and one["event"] == "loop_next"
    ]
    completed = frames[-2]["data"]
    assert indexes == [1, 2]
    assert completed["outputs"] == {"loop_round": 2}
    assert completed["total_tokens"] == 10
    metadata = completed["execution_metadata"]
    assert metadata["completed_reason"] == "loop_completed"
    assert metadata["total_price"] == "0.2"


async def test_fault_of_a_script_fails_its_run(stream):
    """Items that are no list fail the run with a sentence."""
    app = quick(Iteration(items="{nope}", steps=[]))
    async with LocalServer([app], close_delay=0) as server:
        end = (await stream(server, app))[-1]["data"]
    assert end["status"] == "failed"
    assert end["error"] == "the items of 'iteration' must be a list, not '{nope}'"


async def test_placeholders(stream):
    """Names are filled with values, alone with their type; unknown ones stay."""
    outputs = {
        "number": "{n}",
        "text": "n={n} {unknown} {n.__class__} {{n}",
        "list": ["{n}", {"a": "{o}"}],
        "user": "{sys.user_id}",
    }
    app = quick(Node(type="end", outputs=outputs))
    async with LocalServer([app], close_delay=0) as server:
        await stream(server, app, inputs={"n": 3, "o": {"k": [1]}})
    assert server.runs[0].outputs == {
        "number": 3,
        "text": "n=3 {unknown} {n.__class__} {3",
        "list": [3, {"a": {"k": [1]}}],
        "user": "u1",
    }


async def test_files_in_outputs_are_listed(stream):
    """File objects of the outputs are listed at the end of the run."""
    file = {"dify_model_identity": "__dify__file__", "filename": "a.txt"}
    app = quick(Node(type="end", outputs={"one": file, "more": [file, 3]}))
    async with LocalServer([app], close_delay=0) as server:
        frames = await stream(server, app)
    assert frames[-1]["data"]["files"] == [file, file]


async def test_pings_fill_the_silence(post_run):
    """While nothing else is sent there are pings."""
    app = quick(Sleep(seconds=3600))
    options = {"ping_interval": 0.001, "version": "1.12.1"}
    async with (
        LocalServer([app], **options) as server,
        post_run(server, app) as response,
    ):
        body = b""
        while body.count(b"event: ping\n\n") < 3:
            body += await response.content.readany()
    assert body.endswith(b"event: ping\n\n" * 3)


async def test_disconnect_leaves_the_run_going(post_run):
    """A connection that breaks in mid-body does not touch the run."""
    app = quick(Disconnect(), Node(type="end", outputs={"a": 1}))
    async with LocalServer([app]) as server:
        async with post_run(server, app) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        (run,) = server.runs
        await run.settled(pause_counts=False)
    assert (run.status, run.outputs) == ("succeeded", {"a": 1})


async def test_client_that_leaves_does_not_stop_the_run(mirrored, post_run):
    """When the client goes away the run goes on to its end."""
    app, inputs = mirrored["human"]
    async with LocalServer([app], version="1.12.1") as server:
        async with post_run(server, app, inputs=inputs) as response:
            await response.content.readany()
        (run,) = server.runs
        await run.settled(pause_counts=True)
        run.form.answer("approve", {"comment": "c", "level": "low"})
        await run.settled(pause_counts=False)
    assert run.status == "succeeded"


async def test_form_is_answered_once(mirrored, stream):
    """A form knows its actions and inputs, and takes one answer."""
    app, inputs = mirrored["human"]
    async with LocalServer([app], close_delay=0) as server:
        await stream(server, app, inputs=inputs)
        form = server.runs[0].form
        with pytest.raises(FormRefused, match="Invalid action: zzz"):
            form.answer("zzz", {})
        with pytest.raises(FormRefused, match="required inputs: comment, level"):
            form.answer("approve", {})
        form.answer("approve", {"comment": "", "level": "low"})
        with pytest.raises(FormRefused, match="already been submitted"):
            form.answer("approve", {})


async def test_stop_before_the_first_event(http, post_run):
    """A run that is stopped before it began ends its stream all the same."""
    app = quick(Sleep(seconds=3600))
    async with LocalServer([app], close_delay=0, version="1.12.1") as server:
        request = asyncio.ensure_future(_read(post_run(server, app)))
        await _until(lambda: server.runs)
        server.runs[0].stop()
        await request
    assert server.runs[0].is_over


async def test_too_many_events_fail_a_run(stream, monkeypatch):
    """What a run sends is bounded; its end is told nevertheless."""
    monkeypatch.setattr(local._runs, "MAX_EVENTS_PER_RUN", 5)
    app = quick(Node(type="llm", text=["x"] * 10))
    async with LocalServer([app], close_delay=0) as server:
        frames = await stream(server, app)
    assert len(frames) == 1 + 5 + 1
    assert frames[-1]["data"]["error"] == "a run may send 5 events"


async def test_old_runs_are_forgotten(stream, monkeypatch):
    """Finished runs are kept up to a number."""
    monkeypatch.setattr(local._run_store, "MAX_KEPT_RUNS", 2)
    app = quick()
    async with LocalServer([app], close_delay=0) as server:
        for number in range(4):
            await stream(server, app, inputs={"n": number})
    assert [run.inputs["n"] for run in server.runs] == [2, 3]


async def test_many_runs_at_once(stream):
    """Two hundred runs go on together, each with its own events."""
    app = quick(
        Node(type="llm", text=["{n}"] * 10, chunk_delay=0.01),
        Node(type="end", outputs={"text": "{llm.text}"}),
    )
    async with LocalServer([app], close_delay=0) as server:
        jobs = [stream(server, app, inputs={"n": str(n)}) for n in range(200)]
        ended = await asyncio.gather(*jobs)
    for number, frames in enumerate(ended):
        assert frames[-1]["data"]["outputs"] == {"text": str(number) * 10}
    assert len(server.runs) == 200


@pytest.mark.parametrize("mode", ["streaming", "blocking"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_closing_ends_runs_and_connections(version, mode, post_run):
    """Closing with runs under way leaves no task, and cuts the answers off."""
    app = quick(Sleep(seconds=3600))
    before = asyncio.all_tasks()
    async with LocalServer([app], version=version) as server:
        clients = [
            asyncio.ensure_future(_read(post_run(server, app, response_mode=mode)))
            for _ in range(20)
        ]
        await _until(lambda: len(server.runs) == len(clients))
    answers = await asyncio.gather(*clients, return_exceptions=True)
    assert all(isinstance(answer, aiohttp.ClientError) for answer in answers)
    assert {run.status for run in server.runs} == {"running"}
    assert asyncio.all_tasks() == before


async def _read(request) -> bytes:
    async with request as response:
        return await response.read()


async def _until(holds: Callable[[], object]) -> None:
    """Let the event loop turn until something holds that nobody announces."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0)
