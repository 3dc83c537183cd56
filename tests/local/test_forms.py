"""Forms that runs wait for: reading, answering and expiring."""

import pytest

from dify_workflow_async.local import (
    App,
    FormRefused,
    LocalServer,
    Node,
    Pause,
    Scenario,
)
from dify_workflow_async.local._ids import end_user_id


ANSWER = {"inputs": {}, "action": "approve", "user": "u9"}


async def test_form_has_defaults_as_text(begin, ask):
    """Default values are text in the form, and JSON in the events."""
    defaults = {"a": None, "b": [1, "é"], "c": 2, "d": "{who}"}
    app = App(
        Scenario(steps=[Pause(form_content="Für {who}", default_values=defaults)])
    )
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        path = f"/form/human_input/{run.form.token}"
        status, form = await ask(server, app, "GET", path)
    assert status == 200
    wanted = {"a": "", "b": '[1, "é"]', "c": "2", "d": "{who}"}
    assert form["resolved_default_values"] == wanted
    assert form["form_content"] == "Für {who}"
    assert run.events[-2]["data"]["resolved_default_values"] == defaults


async def test_form_is_found_by_its_token_and_app_only(begin, ask):
    """Unknown tokens, and the tokens of other apps, are not found."""
    app, other = App(Scenario(steps=[Pause()])), App(Scenario())
    async with LocalServer([app, other]) as server:
        run = await begin(server, app)
        path = f"/form/human_input/{run.form.token}"
        for method, options in (("GET", {}), ("POST", {"json": ANSWER})):
            for asked, where in ((other, path), (app, f"{path}x")):
                status, error = await ask(server, asked, method, where, **options)
                assert (status, error["code"]) == (404, "not_found")
                assert error["message"] == "Form not found"


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"user": ""}, "invalid_param", "Arg user must be provided."),
        ({"inputs": []}, "invalid_param", "inputs\n  Input should be a valid"),
        ({"inputs": 0, "action": 0}, "invalid_param", "2 validation errors for"),
        ({"action": "no"}, "invalid_form_data", "Invalid action: no"),
        ({"inputs": {"b": ""}}, "invalid_form_data", "required inputs: a"),
        ({"inputs": {"a": "x", "more": "y"}}, None, ""),
    ],
)
async def test_answer_is_checked(change, code, message, begin, ask):
    """What is wrong may be corrected; what nobody asked for is taken."""
    inputs = [{"output_variable_name": name, "type": "paragraph"} for name in "ab"]
    app = App(Scenario(steps=[Pause(inputs=inputs)]))
    body = ANSWER | change
    if isinstance(body["inputs"], dict):
        body["inputs"] = {"b": "x"} | body["inputs"]
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        path = f"/form/human_input/{run.form.token}"
        status, answer = await ask(server, app, "POST", path, json=body)
        assert (status, answer.get("code")) == (400 if code else 200, code)
        assert message in answer.get("message", "")
        assert run.form.is_open == bool(code)
        if code:
            right = ANSWER | {"inputs": {"a": "", "b": ""}}
            assert await ask(server, app, "POST", path, json=right) == (200, {})
        await run.settled(pause_counts=False)
    assert run.status == "succeeded"


UPLOADED = {"type": "image", "transfer_method": "local_file", "upload_file_id": "f"}
LINKED = {"type": "image", "transfer_method": "remote_url", "remote_url": "http://x/y"}
LEVELS = {"type": "select", "option_source": {"type": "constant", "value": ["a"]}}


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ({"type": "paragraph"}, "", None),
        ({"type": "paragraph"}, 1, "not a text"),
        ({"type": "paragraph"}, None, "not a text"),
        (LEVELS, "a", None),
        (LEVELS, "b", "not one of its options"),
        ({"type": "select"}, "a", "not one of its options"),
        ({"type": "file"}, UPLOADED, None),
        ({"type": "file"}, LINKED, None),
        ({"type": "file"}, "f", "not a file"),
        ({"type": "file"}, {**UPLOADED, "transfer_method": "x"}, "not a file"),
        ({"type": "file"}, {**UPLOADED, "upload_file_id": None}, "not a file"),
        ({"type": "file-list"}, [], None),
        ({"type": "file-list", "number_limits": 0}, [UPLOADED] * 9, None),
        ({"type": "file-list", "number_limits": 1}, [LINKED], None),
        ({"type": "file-list", "number_limits": 1}, [LINKED] * 2, "more than 1 files"),
        ({"type": "file-list"}, UPLOADED, "not a list of files"),
        ({"type": "file-list"}, [UPLOADED, "f"], "not a list of files"),
    ],
)
async def test_values_of_an_answer_are_checked(field, value, problem, begin, ask):
    """What does not fit its input is refused, and may be corrected."""
    app = App(Scenario(steps=[Pause(inputs=[{"output_variable_name": "x", **field}])]))
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        path = f"/form/human_input/{run.form.token}"
        body = ANSWER | {"inputs": {"x": value}}
        status, answer = await ask(server, app, "POST", path, json=body)
        assert run.form.is_open == bool(problem)
    if problem is None:
        assert (status, answer) == (200, {})
    else:
        assert (status, answer["code"]) == (400, "invalid_form_data")
        assert answer["message"] == f"Invalid value for x: {problem}"


async def test_who_answers_or_follows_is_an_end_user(begin, ask):
    """Whoever was not seen before has a row then."""
    app = App(Scenario(steps=[Pause()]))
    async with LocalServer([app], version="1.15.0") as server:
        run = await begin(server, app)
        path = f"/form/human_input/{run.form.token}"
        await ask(server, app, "POST", path, json=ANSWER | {"user": "answers"})
        await ask(server, app, "GET", f"/workflow/{run.id}/events?user=follows")
        for name in ("answers", "follows"):
            path = f"/end-users/{end_user_id(app.id, name)}"
            status, user = await ask(server, app, "GET", path)
            assert (status, user["session_id"]) == (200, name)


async def test_fields_of_an_answer_are_needed(begin, ask):
    """A body without them is refused with the name of the schema."""
    app = App(Scenario(steps=[Pause()]))
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        path = f"/form/human_input/{run.form.token}"
        _, error = await ask(server, app, "POST", path, json={"user": "u"})
    assert error["message"] == (
        "2 validation errors for HumanInputFormSubmitPayload\n"
        "inputs\n  Field required\naction\n  Field required"
    )


async def test_answered_form_is_closed(begin, ask):
    """Neither reading nor answering again is possible, also by another person."""
    app = App(Scenario(steps=[Pause(id="one"), Pause(id="two")]))
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        path = f"/form/human_input/{run.form.token}"
        assert await ask(server, app, "POST", path, json=ANSWER) == (200, {})
        await run.settled(pause_counts=True)
        for method, options in (("GET", {}), ("POST", {"json": ANSWER})):
            status, error = await ask(server, app, method, path, **options)
            assert (status, error["code"]) == (412, "human_input_form_submitted")


async def test_form_expires(stream, ask, join, parse_frames, recorded):
    """Of a form that nobody answered a timeout is told, and the run goes on."""
    end = Node(type="end", outputs={"action": "{human.__action_id}"})
    app = App(Scenario(steps=[Pause(title="Approve", expires_in=0), end]))
    async with LocalServer([app], close_delay=0) as server:
        before = await stream(server, app)
        (run,) = server.runs
        await run.settled(pause_counts=False)
        path = f"/form/human_input/{run.form.token}"
        for method, options in (("GET", {}), ("POST", {"json": ANSWER})):
            status, error = await ask(server, app, method, path, **options)
            assert (status, error["code"]) == (412, "human_input_form_expired")
            assert error["message"] == f"This form has expired, form_id={run.form.id}"
    assert before[-1]["event"] == "workflow_paused"
    started, node, timeout, finished, *_ = run.events[len(before) - 1 :]
    assert started["data"]["reason"] == "resumption"
    assert node["data"]["node_id"] == "human"
    assert timeout["event"] == "human_input_form_timeout"
    assert timeout["data"] == {
        "node_id": "human",
        "node_title": "Approve",
        "expiration_time": run.form.expiration_time,
    }
    assert finished["data"]["outputs"] == {"__action_id": ""}
    assert run.outputs == {"action": ""}
    with pytest.raises(FormRefused, match="has expired"):
        run.form.answer("approve", {})


async def test_stopping_a_paused_run_changes_nothing(begin, ask):
    """A stop is taken, the run waits on, and may still be answered."""
    app = App(Scenario(steps=[Pause()]))
    async with LocalServer([app]) as server:
        run = await begin(server, app)
        stop = f"/workflows/tasks/{run.task_id}/stop"
        body = {"user": "u1"}
        answer = await ask(server, app, "POST", stop, json=body)
        assert answer == (200, {"result": "success"})
        _, detail = await ask(server, app, "GET", f"/workflows/run/{run.id}")
        assert detail["status"] == "paused"
        run.form.answer("approve", {})
        await run.settled(pause_counts=False)
    assert run.status == "succeeded"
