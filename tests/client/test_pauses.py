"""Runs that wait for a person: their forms, and how they go on."""

from __future__ import annotations

import asyncio
import json
import pickle

from datetime import UTC, datetime

import pytest

from dify_workflow_async import Dispatcher, Timeouts, errors
from dify_workflow_async.events import (
    HumanInputFormFilled,
    HumanInputFormTimeout,
    HumanInputRequired,
    TextChunk,
    WorkflowFinished,
    WorkflowPaused,
    WorkflowStarted,
)
from dify_workflow_async.local import Node, Pause, Sleep
from dify_workflow_async.local.faults import SlowHeaders
from dify_workflow_async.models import RunRef


FOREVER = Sleep(seconds=3600)
COMMENT = {"output_variable_name": "comment", "type": "paragraph"}
BUTTONS = [
    {"id": "approve", "title": "Approve", "button_style": "primary"},
    {"id": "reject", "title": "Reject", "button_style": "default"},
]


def asking(name: str = "human", **options) -> Pause:
    """A node that asks for a comment, and for one of two buttons."""
    options = {"form_content": "Go on?", "inputs": [COMMENT]} | options
    return Pause(id=name, actions=BUTTONS, **options)


def llm(name: str, *text: str) -> Node:
    return Node(type="llm", id=name, text=text)


END = Node(type="end", outputs={"said": "{human.comment}", "text": "{a.text}"})
STEPS = (llm("a", "One, ", "two."), asking(), llm("b", " Three."), END)
ANSWER = {"action": "approve", "inputs": {"comment": "yes"}}


def sent(server) -> list[dict]:
    """What the server has sent of its one run, as it comes over the wire."""
    (run,) = server.runs
    return json.loads(json.dumps(run.events))


def raw(events) -> list[dict]:
    return [event.raw for event in events]


def posts(server) -> list[dict]:
    """The forms that were submitted."""
    found = (x for x in server.server.requests if x.method == "POST")
    return [x.json for x in found if "/form/" in x.path]


async def paused(server, client, **options):
    """Let a run of the app pause; its `RunPaused`."""
    with pytest.raises(errors.RunPaused) as caught:
        await client.run(**options)
    assert server.runs[-1].status == "paused"
    return caught.value


async def cancelled(task: asyncio.Task) -> None:
    """Cancel a task, and see the cancellation come out of it."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- what a pause tells ----------------------------------------------------------------


async def test_a_paused_run_tells_what_it_waits_for(serve, connect):
    """The loop ends, and status, result and events have the form, with types."""
    server = await serve(*STEPS)
    async with connect(server).stream() as run:
        events = [event async for event in run]
        result = await run.result()
        assert run.status == "paused"
    assert raw(events) == sent(server)
    form = server.runs[0].form
    assert [type(x) for x in events[-2:]] == [HumanInputRequired, WorkflowPaused]
    assert (result.status, result.is_terminal) == ("paused", False)
    assert result.paused_nodes == ("human",)
    (reason,) = result.reasons
    assert (reason.type, reason.node_id) == ("human_input_required", "human")
    for told in (reason, events[-2]):
        assert (told.form_id, told.form_token) == (form.id, form.token)
        assert told.form_content == "Go on?"
        assert [x.output_variable_name for x in told.inputs] == ["comment"]
        assert [(x.id, x.title) for x in told.actions] == [
            ("approve", "Approve"),
            ("reject", "Reject"),
        ]
        assert told.expiration_time == datetime.fromtimestamp(form.expiration_time, UTC)


async def test_run_raises_what_resume_needs(serve, connect):
    """`RunPaused` pickles, and whoever unpickles it can go on with the run."""
    server = await serve(*STEPS, close_delay=0)
    error = await paused(server, connect(server, user="u2"), user="u3")
    again = pickle.loads(pickle.dumps(error))
    assert again.result == error.result
    assert again.run_id == again.result.ref.workflow_run_id == server.runs[0].id
    assert again.result.ref.user == "u3"
    assert server.stops == []

    other = connect(server, user="somebody else")
    (reason,) = again.result.reasons
    async with other.resume(again.result.ref, reason.form_token, **ANSWER) as run:
        events = [event async for event in run]
        result = await run.result()
    assert raw(events) == sent(server)[-len(events) :]
    assert result.outputs == {"said": "yes", "text": "One, two."}
    assert (result.ref, run.text) == (again.result.ref, " Three.")
    assert posts(server) == [
        {"inputs": {"comment": "yes"}, "action": "approve", "user": "u3"}
    ]


async def test_a_blocking_run_that_pauses(serve, connect):
    """Its `RunPaused` is as good, also where the run is for another user."""
    server = await serve(*STEPS)
    client = connect(server)
    with pytest.raises(errors.RunPaused) as caught:
        await client.run_blocking(user="u3")
    result = caught.value.result
    token = result.reasons[0].form_token
    async with client.resume(result.ref, token, **ANSWER) as run:
        assert (await run.result()).is_success


# -- going on in the same stream -------------------------------------------------------


async def test_resume_goes_on_in_the_same_stream(serve, connect, in_use, until):
    """Before and after are one stream: nothing is lost, nothing comes twice."""
    server = await serve(*STEPS)
    client = connect(server)
    async with client.stream() as run:
        events = [event async for event in run]
        await run.resume(**ANSWER)
        assert run.status == "running"
        events += [event async for event in run]
        result = await run.result()
        assert run.status == "succeeded"
        assert run.text == "One, two. Three."
    assert raw(events) == sent(server)
    assert [x.reason for x in events if isinstance(x, WorkflowStarted)] == [
        "initial",
        "resumption",
    ]
    assert result.outputs == {"said": "yes", "text": "One, two."}
    assert (result.status, result.user, result.reasons) == ("succeeded", "u1", ())
    assert result.task_id == server.runs[0].task_id
    assert len(server.starts) == len(posts(server)) == 1
    await until(lambda: in_use(client) == 0)
    assert server.stops == []


async def test_resume_within_the_loop(serve, connect, in_use, until):
    """Whoever answers while the loop stands at the pause goes on in that loop."""
    server = await serve(*STEPS)
    client = connect(server)
    events = []
    async with client.stream() as run:
        async for event in run:
            events.append(event)
            if isinstance(event, WorkflowPaused):
                await run.resume(**ANSWER)
        assert (await run.result()).is_success
    assert raw(events) == sent(server)
    await until(lambda: in_use(client) == 0)


async def test_resume_in_a_handler(serve, connect):
    """A handler may answer, whether the run is iterated or awaited."""
    dispatcher = Dispatcher()

    @dispatcher.on(WorkflowPaused)
    async def answer(event, run) -> None:
        await run.resume(**ANSWER)

    for read in (_iterate, _await_result):
        server = await serve(*STEPS)
        async with connect(server).stream(dispatcher=dispatcher) as run:
            await read(run)
            result = await run.result()
        assert result.outputs == {"said": "yes", "text": "One, two."}


async def _iterate(run) -> None:
    async for _ in run:
        pass


async def _await_result(run) -> None:
    await run.result()


async def test_resume_with_nothing_but_results(serve, connect):
    """Nobody has to iterate: `result()` tells the pause, then the end."""
    server = await serve(*STEPS)
    async with connect(server).stream() as run:
        first = await run.result()
        assert await run.result() == first
        await run.resume(first.reasons[0], **ANSWER)
        last = await run.result()
    assert (first.status, last.status) == ("paused", "succeeded")
    assert last.outputs == {"said": "yes", "text": "One, two."}
    assert run.text == "One, two. Three."


async def test_one_pause_after_another(serve, connect):
    """Each pause has its own form, and forgets the ones before."""
    pauses = [asking(name) for name in ("human", "boss", "board")]
    server = await serve(llm("a", "x"), *pauses, END)
    events, asked = [], []
    async with connect(server).stream() as run:
        while True:
            events += [event async for event in run]
            result = await run.result()
            if result.status != "paused":
                break
            asked.append(result.paused_nodes)
            assert len(result.reasons) == 1
            await run.resume(**ANSWER)
    assert asked == [("human",), ("boss",), ("board",)]
    assert raw(events) == sent(server)
    assert result.outputs == {"said": "yes", "text": "x"}


@pytest.mark.parametrize("by", ["event", "reason", "token"])
async def test_naming_the_form(by, serve, connect):
    """A form is given by its event, by the reason of the pause, or by its token."""
    server = await serve(*STEPS)
    async with connect(server).stream() as run:
        events = [event async for event in run]
        reason = (await run.result()).reasons[0]
        form = {"event": events[-2], "reason": reason, "token": reason.form_token}
        await run.resume(form[by], action="reject", inputs={"comment": "no"})
        assert (await run.result()).outputs["said"] == "no"


async def test_two_forms_at_once(wild, connect):
    """Then one has to be named, and what waits on is told by the next pause."""

    async def first(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        for name in ("one", "two"):
            await peer.event("human_input_required", node_id=name, form_token=name)
        await pause(peer, "one", "two")

    async def pause(peer, *names: str) -> None:
        reasons = [{"node_id": name, "form_token": name} for name in names]
        nodes = list(names)
        told = {"paused_nodes": nodes, "reasons": reasons, "status": "paused"}
        await peer.event("workflow_paused", **told)
        await peer.end()

    async def second(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await submitted[0].wait()
        await peer.event("workflow_started", reason="resumption")
        await pause(peer, "one")

    async def third(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await submitted[1].wait()
        await peer.event("workflow_finished", status="succeeded")
        await peer.end()

    async def form(peer) -> None:
        submitted[0 if peer.path.endswith("/two") else 1].set()
        await peer.answer(200, {})

    submitted = [asyncio.Event(), asyncio.Event()]
    server = await wild(first, second, form, third, form)
    async with connect(server).stream() as run:
        result = await run.result()
        with pytest.raises(errors.UsageError, match="2 forms"):
            await run.resume(action="approve")
        assert len(server.requests) == 1
        await run.resume(result.reasons[1], action="approve")
        result = await run.result()
        assert (result.status, result.paused_nodes) == ("paused", ("one",))
        await run.resume(action="approve")
        assert (await run.result()).is_success
    assert [x[1] for x in server.requests if "/form/" in x[1]] == [
        "/v1/form/human_input/two",
        "/v1/form/human_input/one",
    ]


async def test_a_form_that_was_sent_elsewhere(wild, connect, ids):
    """Forms without a token, such as those sent by mail, cannot be answered here."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("human_input_required", node_id="a", form_token=None)
        reasons = [{"node_id": "a", "form_token": None}]
        await peer.event("workflow_paused", reasons=reasons, status="paused")
        await peer.end()

    server = await wild(script)
    async with connect(server).stream() as run:
        result = await run.result()
        for form in (None, result.reasons[0]):
            with pytest.raises(errors.UsageError, match="form"):
                await run.resume(form, action="approve")
    assert len(server.requests) == 1
    assert result.ref.workflow_run_id == ids.run


async def test_a_dispatcher_hears_all_of_it(serve, connect):
    """Handlers hear what comes before and behind the pause, once."""
    dispatcher = Dispatcher()
    heard = []
    dispatcher.on("*")(lambda event: heard.append(event.raw))
    server = await serve(*STEPS)
    async with connect(server).stream(dispatcher=dispatcher) as run:
        await run.result()
        await run.resume(**ANSWER)
        await run.result()
    assert [x for x in heard if x] == sent(server)


async def test_concurrent_handlers_at_a_pause(serve, connect):
    """The result of a pause waits for them, as that of an end does."""
    dispatcher = Dispatcher()
    heard = []

    @dispatcher.on("*", concurrent=True)
    async def hear(event) -> None:
        await asyncio.sleep(0)
        heard.append(event.raw)

    server = await serve(*STEPS)
    async with connect(server).stream(dispatcher=dispatcher) as run:
        await run.result()
        assert [x for x in heard if x] == sent(server)
        await run.resume(**ANSWER)
        await run.result()
        assert [x for x in heard if x] == sent(server)


async def test_waiting_for_an_event_behind_the_pause(serve, connect):
    """`wait_for` waits across a pause: the run has not ended."""
    dispatcher = Dispatcher()
    server = await serve(*STEPS)
    async with connect(server).stream(dispatcher=dispatcher) as run:
        filled = dispatcher.wait_for(HumanInputFormFilled, run=run)
        third = dispatcher.wait_for(TextChunk, text=" Three.", run=run)
        await run.result()
        await run.resume(**ANSWER)
        await run.result()
        assert (await filled).action_id == "approve"
        assert (await third).text == " Three."
        with pytest.raises(errors.RunEnded):
            await dispatcher.wait_for(HumanInputRequired, run=run)


async def test_waiting_for_an_event_of_a_run_that_is_left_paused(serve, connect):
    """Nothing more comes once the stream is left."""
    dispatcher = Dispatcher()
    server = await serve(*STEPS)
    async with connect(server).stream(dispatcher=dispatcher) as run:
        waiting = dispatcher.wait_for(WorkflowFinished, run=run)
        await run.result()
    async with asyncio.timeout(5):
        with pytest.raises(errors.RunEnded):
            await waiting


async def test_leaving_paused_and_leaving_resumed(serve, connect, until, in_use):
    """A paused run is left as it is; one that goes on again is stopped."""
    server = await serve(asking(), FOREVER)
    client = connect(server)
    async with client.stream() as run:
        await run.result()
    assert server.stops == []
    await until(lambda: in_use(client) == 0)
    async with client.stream() as run:
        await run.result()
        await run.resume(**ANSWER)
    await until(lambda: server.runs[1].is_over)
    assert [run.status for run in server.runs] == ["paused", "stopped"]
    await until(lambda: in_use(client) == 0)


async def test_stopping_a_run_that_goes_on_again(serve, connect):
    """`stop()` knows the task from before the pause."""
    server = await serve(asking(), FOREVER)
    async with connect(server).stream() as run:
        await run.result()
        await run.resume(**ANSWER)
        await run.stop()
        assert (await run.result()).status == "stopped"
    assert server.stops == [{"user": "u1"}]


# -- what may go wrong -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ({"action": "perhaps", "inputs": {"comment": ""}}, "perhaps"),
        ({"action": "approve", "inputs": {}}, "comment"),
        ({"action": "approve"}, "comment"),
    ],
)
async def test_a_wrong_answer_may_be_corrected(answer, match, serve, connect, in_use):
    """The server says what is wrong, the run waits on, and the stream is as before."""
    server = await serve(*STEPS)
    client = connect(server)
    async with client.stream() as run:
        events = [event async for event in run]
        for _ in range(3):
            with pytest.raises(errors.InvalidFormData, match=match) as caught:
                await run.resume(**answer)
            assert (run.status, server.runs[0].status) == ("paused", "paused")
            assert in_use(client) <= 1
        assert caught.value.status == 400
        assert (await run.result()).status == "paused"
        await run.resume(**ANSWER)
        events += [event async for event in run]
    assert raw(events) == sent(server)


async def test_two_answers_at_once(serve, connect):
    """One of them counts, and the stream goes on with it."""
    server = await serve(*STEPS)
    async with connect(server).stream() as run:
        events = [event async for event in run]
        answers = (run.resume(**ANSWER) for _ in range(2))
        found = await asyncio.gather(*answers, return_exceptions=True)
        events += [event async for event in run]
    assert {type(x) for x in found} == {type(None), errors.UsageError}
    assert raw(events) == sent(server)


async def test_values_that_cannot_be_sent(serve, connect):
    """They are refused with their path; no form is submitted."""
    server = await serve(*STEPS)
    async with connect(server).stream() as run:
        await run.result()
        with pytest.raises(errors.InvalidInputs, match="comment"):
            await run.resume(action="approve", inputs={"comment": float("nan")})
        assert posts(server) == []
        await run.resume(**ANSWER)
        assert (await run.result()).is_success


async def test_a_form_that_somebody_else_answered(serve, connect, in_use, until):
    """The first answer counts; the stream tells so and can be left in peace."""
    server = await serve(asking(), FOREVER)
    client = connect(server)
    async with client.stream() as run:
        await run.result()
        server.runs[0].form.answer("reject", {"comment": "me first"})
        with pytest.raises(errors.FormSubmitted) as caught:
            await run.resume(**ANSWER)
        assert caught.value.status == 412
        assert isinstance(caught.value, errors.FormClosed)
    await until(lambda: in_use(client) == 0)
    assert server.runs[0].form.action["id"] == "reject"
    assert (server.runs[0].status, server.stops) == ("running", [])


async def test_a_form_that_has_expired(serve, connect, until):
    """It is too late then, and the run has gone on without an answer."""
    server = await serve(asking(expires_in=0.05), FOREVER)
    client = connect(server)
    async with client.stream() as run:
        result = await run.result()
        await until(lambda: server.runs[0].status == "running")
        with pytest.raises(errors.FormExpired):
            await run.resume(**ANSWER)
        with pytest.raises(errors.FormExpired):
            async with client.resume(
                result.ref, result.reasons[0].form_token, **ANSWER
            ):
                pass
    assert server.runs[0].status == "running"


async def test_a_form_that_expires_while_somebody_listens(serve, connect):
    """Whoever stays attached hears that nobody answered."""
    server = await serve(asking(expires_in=0.05), Node(type="end"))
    client = connect(server)
    ref = await client.start()
    await server.runs[0].settled(pause_counts=True)
    async with client.attach(ref, continue_on_pause=True) as run:
        events = [event async for event in run]
    assert HumanInputFormTimeout in {type(event) for event in events}


@pytest.mark.parametrize("when", ["entered", "running", "finished"])
async def test_a_run_that_is_not_paused(when, serve, connect):
    """There is nothing to answer, and nothing is sent."""
    steps = {"finished": ()}.get(when, (FOREVER,))
    server = await serve(Node(type="end"), *steps)
    async with connect(server).stream() as run:
        if when == "running":
            await anext(run)
        if when == "finished":
            await run.result()
        with pytest.raises(errors.UsageError, match="not paused"):
            await run.resume("token", action="approve")
    assert not [x for x in server.server.requests if x.method == "GET"]
    assert posts(server) == []


async def test_resume_before_entering_and_after_leaving(serve, connect):
    """A stream that is not open cannot go on; `client.resume` can."""
    server = await serve(*STEPS)
    client = connect(server)
    stream = client.stream()
    with pytest.raises(errors.UsageError):
        await stream.resume(**ANSWER)
    async with stream as run:
        result = await run.result()
    with pytest.raises(errors.UsageError, match="left"):
        await run.resume(**ANSWER)
    assert posts(server) == []
    async with client.resume(result.ref, result.reasons[0].form_token, **ANSWER) as run:
        assert (await run.result()).is_success


@pytest.mark.parametrize("where", ["listening", "submitting"])
async def test_resume_that_is_cancelled(where, wild, connect, until, in_use):
    """It passes at once; what the server did not take may be sent again."""

    async def first(peer) -> None:
        await peer.begin()
        reasons = [{"node_id": "a", "form_token": "f"}]
        await peer.event("workflow_paused", reasons=reasons, status="paused")
        await peer.end()

    async def listen(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await submitted.wait()
        await peer.event("workflow_finished", status="succeeded")
        await peer.end()

    async def form(peer) -> None:
        await peer.answer(200, {})
        submitted.set()

    async def silent(peer) -> None:
        await peer.gone()

    async def refuse(peer) -> None:
        await refusing.wait()
        await peer.answer(400, {"code": "invalid_form_data", "message": "no"})

    submitted, refusing = asyncio.Event(), asyncio.Event()
    broken = [silent] if where == "listening" else [listen, refuse]
    server = await wild(first, *broken, listen, form)
    client = connect(server)
    async with client.stream() as run:
        await run.result()
        task = asyncio.create_task(run.resume(action="approve"))
        await until(lambda: len(server.requests) == 1 + len(broken))
        await cancelled(task)
        if where == "submitting":
            again = asyncio.create_task(run.resume(action="approve"))
            await until(lambda: in_use(client) == 2)
            assert len(server.requests) == 3
            refusing.set()
            await again
        else:
            await until(lambda: in_use(client) == 0)
            assert run.status == "paused"
            await run.resume(action="approve")
        assert (await run.result()).is_success
    assert server.stops == []


@pytest.mark.parametrize("then", ["iterate", "result", "resume", "leave", "detach"])
async def test_resume_that_is_cancelled_too_late(then, serve, connect, until):
    """The server took the form: the stream goes on, or its run is stopped, if left."""
    ends = then not in {"leave", "detach"}
    server = await serve(asking(), *([] if ends else [FOREVER]), END)
    client = connect(server)
    async with client.stream() as run:
        await run.result()
        server.server.fail_next(SlowHeaders(interval=0.05), path="/v1/form/*")
        task = asyncio.create_task(run.resume(**ANSWER))
        await until(lambda: posts(server))
        await cancelled(task)
        match then:
            case "iterate":
                names = [event.event_name async for event in run]
                assert names[-1] == "workflow_finished"
            case "result":
                assert (await run.result()).outputs["said"] == "yes"
            case "resume":
                with pytest.raises(errors.UsageError, match="not paused"):
                    await run.resume(**ANSWER)
                assert (await run.result()).is_success
            case "detach":
                run.detach()
    assert len(posts(server)) == 1
    await client.aclose()
    stopped = then == "leave"
    assert len(server.stops) == stopped
    assert server.runs[0].status == {"leave": "stopped", "detach": "running"}.get(
        then, "succeeded"
    )


async def test_closing_the_client_ends_a_resume(wild, connect, until):
    """Who waits for a form's answer then is told so."""

    async def first(peer) -> None:
        await peer.begin()
        reasons = [{"node_id": "a", "form_token": "f"}]
        await peer.event("workflow_paused", reasons=reasons, status="paused")
        await peer.end()

    async def silent(peer) -> None:
        await peer.gone()

    server = await wild(first, silent)
    client = connect(server, timeouts=Timeouts(stop=0.1))
    async with client.stream() as run:
        await run.result()
        task = asyncio.create_task(run.resume(action="approve"))
        await until(lambda: len(server.requests) == 2)
        await client.aclose()
        with pytest.raises(errors.ClientClosed):
            await task


async def test_a_stream_that_breaks_behind_the_form(wild, connect, ids):
    """What was answered goes on by itself: the run's end is found, or asked for."""

    async def first(peer) -> None:
        await peer.begin()
        reasons = [{"node_id": "a", "form_token": "f"}]
        await peer.event("workflow_paused", reasons=reasons, status="paused")
        await peer.end()

    async def listen(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await submitted.wait()
        await peer.event("workflow_started", reason="resumption")
        peer.hang_up()

    async def form(peer) -> None:
        await peer.answer(200, {})
        submitted.set()

    async def gone(peer) -> None:
        await peer.answer(404, {"code": "not_found", "message": "no"})

    async def detail(peer) -> None:
        if "/events" in peer.path:
            await gone(peer)
            return
        done = {"id": ids.run, "status": "succeeded", "outputs": {"a": 1}}
        await peer.answer(200, done)

    submitted = asyncio.Event()
    server = await wild(first, listen, form, detail)
    async with connect(server).stream() as run:
        await run.result()
        await run.resume(action="approve")
        try:
            result = await run.result()
        except errors.RunInterrupted as error:
            assert error.run_id == ids.run  # noqa: PT017 - either will do
        else:
            assert (result.status, result.outputs) == ("succeeded", {"a": 1})
    assert len(server.starts) == 1
    assert server.stops == []


async def test_a_client_that_is_closed_meanwhile(serve, connect):
    """A paused run outlives the client that started it."""
    server = await serve(*STEPS)
    client = connect(server)
    async with client.stream() as run:
        await run.result()
        await client.aclose()
        with pytest.raises(errors.UsageError):
            await run.resume(**ANSWER)
    assert posts(server) == server.stops == []


# -- client.resume, get_form, submit_form ----------------------------------------------


async def test_resume_by_ids_only(serve, connect):
    """All that another process needs is run id, form token, and the user."""
    server = await serve(*STEPS, close_delay=0)
    error = await paused(server, connect(server))
    token = error.result.reasons[0].form_token
    dispatcher = Dispatcher()
    heard = []
    dispatcher.on(HumanInputFormFilled)(lambda event: heard.append(event.action_id))
    stream = connect(server, user="other").resume(
        error.run_id, token, user="u1", dispatcher=dispatcher, **ANSWER
    )
    assert posts(server) == []  # nothing is sent before it is entered
    async with stream as run:
        result = await run.result()
    assert result.outputs["said"] == "yes"
    assert heard == ["approve"]


async def test_resume_to_the_next_pause(serve, connect):
    """The stream of `client.resume` may pause and be resumed like any other."""
    server = await serve(asking("human"), asking("boss"), END, close_delay=0)
    client = connect(server)
    result = (await paused(server, client)).result
    async with client.resume(result.ref, result.reasons[0].form_token, **ANSWER) as run:
        events = [event async for event in run]
        assert (await run.result()).paused_nodes == ("boss",)
        await run.resume(**ANSWER)
        events += [event async for event in run]
        assert (await run.result()).is_success
    assert raw(events) == sent(server)[-len(events) :]
    assert events[0].reason == "resumption"


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("action", errors.InvalidFormData),
        ("token", errors.NotFound),
        ("user", errors.RunNotFound),
        ("run", errors.RunNotFound),
        ("submitted", errors.FormSubmitted),
    ],
)
async def test_resume_that_is_refused(case, error, serve, connect, in_use, until):
    """It is told on entering; the run waits on, and no connection is held."""
    server = await serve(asking(), FOREVER)
    client = connect(server, max_concurrent_runs=1)
    result = (await paused(server, client)).result
    run_id, token = result.workflow_run_id, result.reasons[0].form_token
    if case == "submitted":
        server.runs[0].form.answer("approve", {"comment": ""})
    stream = client.resume(
        "99999999-9999-4999-8999-999999999999" if case == "run" else run_id,
        "nope" if case == "token" else token,
        action="nope" if case == "action" else "approve",
        inputs={"comment": "yes"},
        user="u2" if case == "user" else "u1",
    )
    with pytest.raises(error) as caught:
        async with stream:
            pass
    assert type(caught.value) is error
    await until(lambda: in_use(client) == 0)
    if case != "submitted":
        assert server.runs[0].status == "paused"
    assert server.stops == []
    async with asyncio.timeout(5):  # the place of the run was given back
        await client.start()


async def test_leaving_a_resumed_run(serve, connect, until, in_use):
    """It was started by another call: the default is to let it go on."""
    for on_cancel, status in ((None, "running"), ("stop", "stopped")):
        server = await serve(asking(), FOREVER)
        client = connect(server)
        result = (await paused(server, client)).result
        token = result.reasons[0].form_token
        async with client.resume(result.ref, token, on_cancel=on_cancel, **ANSWER):
            pass
        await until(lambda: in_use(client) == 0)  # noqa: B023 - awaited here
        await client.aclose()
        assert server.runs[0].status == status


async def test_resume_cancelled_while_it_is_entered(wild, connect, until, in_use):
    """The form may be under way: it is waited for, and the run goes on."""

    async def listen(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await peer.gone()

    async def form(peer) -> None:
        await answering.wait()
        await peer.answer(200, {})

    answering = asyncio.Event()
    server = await wild(listen, form)
    client = connect(server)
    ref = RunRef(workflow_run_id="r1", task_id="t1", user="u1")
    stream = client.resume(ref, "f", action="approve")
    task = asyncio.create_task(stream.__aenter__())
    await until(lambda: len(server.requests) == 2)
    await cancelled(task)
    answering.set()
    await until(lambda: in_use(client) == 0)
    await client.aclose()
    assert server.stops == []


async def test_get_form(serve, connect):
    """A form is read by its token, with types."""
    form = asking(default_values={"comment": "none"}, form_content="Send to {name}?")
    server = await serve(form, END)
    client = connect(server)
    error = await paused(server, client, inputs={"name": "Ada"})
    token = error.result.reasons[0].form_token
    found = await client.get_form(token)
    assert found.form_content == "Send to Ada?"
    assert found.resolved_default_values == {"comment": "none"}
    assert [x.output_variable_name for x in found.inputs] == ["comment"]
    assert [x.id for x in found.user_actions] == ["approve", "reject"]
    assert found.expiration_time.tzinfo is not None
    with pytest.raises(errors.NotFound):
        await client.get_form("nope")
    server.runs[0].form.answer("approve", {"comment": ""})
    with pytest.raises(errors.FormSubmitted):
        await client.get_form(token)


async def test_submit_form(serve, connect):
    """Submitting without following lets the run go on; the second time is too late."""
    server = await serve(asking(), END, close_delay=0)
    client = connect(server)
    error = await paused(server, client)
    token = error.result.reasons[0].form_token
    with pytest.raises(errors.InvalidFormData):
        await client.submit_form(token, action="approve")
    await client.submit_form(token, user="u9", **ANSWER)
    result = await client.wait(error.result.ref)
    assert result.outputs["said"] == "yes"
    assert [x["user"] for x in posts(server)] == ["u1", "u9"]
    with pytest.raises(errors.FormSubmitted):
        await client.submit_form(token, **ANSWER)


async def test_forms_on_a_server_that_has_none(serve, connect):
    """It has no such page, and says nothing about the form."""
    server = await serve(Node(type="end"), version="1.12.1")
    client = connect(server)
    with pytest.raises(errors.NotFound, match="new enough"):
        await client.get_form("f")
    with pytest.raises(errors.NotFound, match="new enough"):
        await client.submit_form("f", action="approve")
    with pytest.raises(errors.NotFound, match="new enough"):
        async with client.resume("r1", "f", action="approve"):
            pass
    assert posts(server) == [{"inputs": {}, "action": "approve", "user": "u1"}]


async def test_a_form_is_sent_once(wild, connect):
    """An answer that was lost is not sent again: nobody knows what became of it."""

    async def script(peer) -> None:
        peer.hang_up()

    server = await wild(script)
    with pytest.raises(errors.ConnectionLost):
        await connect(server).submit_form("f", action="approve")
    assert len(server.requests) == 1


async def test_attached_without_an_end_at_pauses(serve, connect):
    """Whoever goes on at pauses answers beside the stream, which is not paused."""
    server = await serve(asking(), END)
    client = connect(server)
    result = (await paused(server, client)).result
    token = result.reasons[0].form_token
    async with client.attach(result.ref, continue_on_pause=True) as run:
        with pytest.raises(errors.UsageError, match="not paused"):
            await run.resume(token, **ANSWER)
        await client.submit_form(token, **ANSWER)
        assert (await run.result()).is_success


async def test_resume_of_an_attached_stream(serve, connect):
    """A snapshot tells the forms: the stream goes on as one's own would."""
    server = await serve(*STEPS)
    client = connect(server)
    ref = await client.start()
    await server.runs[0].settled(pause_counts=True)
    async with client.attach(ref, include_state_snapshot=True) as run:
        assert (await run.result()).status == "paused"
        await run.resume(**ANSWER)
        assert (await run.result()).outputs["said"] == "yes"
    assert run.text == " Three."
