"""Runs on the engine that wait for persons."""

from __future__ import annotations

import pytest

from dify_workflow_async.local import App

from . import _dsl as dsl


pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_forms_at_once(apps, server, play):
    """Branches may ask two persons; each answer lets the run go on up to the other."""
    app = server.add(
        App.from_dsl(
            dsl.app(
                dsl.start(),
                dsl.human("first"),
                dsl.human("second"),
                dsl.template(
                    "t",
                    "{{ a }} {{ b }}",
                    a="first.__action_id",
                    b="second.__action_id",
                ),
                dsl.end(text="t.output"),
                edges=[
                    *("start>first", "start>second"),
                    *("first:yes>t", "second:yes>t", "t>end"),
                ],
            )
        )
    )
    events = await play(server, app)
    # The engine may come to rest for one before the other has asked.
    assert {"first", "second"} >= set(events[-1]["data"]["paused_nodes"]) != set()
    run = server.runs[-1]
    one = run.open_forms[0]
    one.answer("yes", {})
    await _until(run, "workflow_paused", 2)
    (other,) = run.open_forms
    assert other.node_id != one.node_id
    other.answer("yes", {})
    await run.settled(pause_counts=False)
    assert (run.status, run.outputs) == ("succeeded", {"text": "yes yes"})
    assert len(run.forms) == 2


async def _until(run, name: str, times: int) -> None:
    """Wait until a run has sent an event so many times."""
    async for event in run.follow(None):
        times -= event["event"] == name
        if not times:
            return


async def test_form_that_expires(apps, server, play):
    """Without an answer the run takes the way of the time-out."""
    app = server.add(
        App.from_dsl(
            dsl.app(
                dsl.start(),
                dsl.human(timeout=0.001, timeout_unit="minute"),
                dsl.template("late", "late"),
                dsl.template("good", "good"),
                dsl.end("end_late", text="late.output"),
                dsl.end("end_good", text="good.output"),
                edges=[
                    *("start>human", "human:yes>good", "human:__timeout>late"),
                    *("good>end_good", "late>end_late"),
                ],
            )
        )
    )
    await play(server, app)
    run = server.runs[-1]
    await run.settled(pause_counts=False)
    assert run.outputs == {"text": "late"}
    assert "human_input_form_timeout" in [event["event"] for event in run.events]
