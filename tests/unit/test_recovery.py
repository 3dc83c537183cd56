"""What a broken stream's run is asked, and when the search for it ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dify_workflow_async import Timeouts, _recovery, errors
from dify_workflow_async._recovery import Mender, wait_for_end
from dify_workflow_async._repeats import Repeats
from dify_workflow_async._stream import EventStream
from dify_workflow_async.events import (
    HumanInputRequired,
    NodeFinished,
    WorkflowFinished,
    WorkflowStarted,
)
from dify_workflow_async.models import RunDetail, RunResult


RUNNING = RunDetail(id="r", status="running")
DONE = RunDetail(id="r", status="succeeded", outputs={"a": 1})
PAUSED = RunDetail(id="r", status="paused")
STREAM = SimpleNamespace(headers={"X-Version": "1.14.2"})
OLD = SimpleNamespace(headers={"X-Version": "1.12.1"})


class Script:
    """Answers by a list, one after another; the last one again and again."""

    def __init__(self, attach: list[Any], read: list[Any]) -> None:
        self.attach, self.read = attach, read
        self.asked: list[str] = []

    def _next(self, name: str, answers: list[Any]) -> Any:
        self.asked.append(name)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def reopen_run(self, *_: Any) -> Any:
        """Open the stream again."""
        return self._next("attach", self.attach)

    async def get_run(self, _: str) -> Any:
        """Read the run."""
        return self._next("read", self.read)


def mender(script: Script, *, ends_on_pause: bool = True, **times: Any) -> Mender:
    call = SimpleNamespace(
        user="u", timeouts=Timeouts(**times), ends_on_pause=ends_on_pause
    )
    return Mender(cast("Any", script), cast("Any", call), EventStream(1 << 20))


def broken() -> errors.RunInterrupted:
    return errors.RunInterrupted("it broke", run_id="r")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No real pauses between the tries."""
    monkeypatch.setattr(_recovery, "poll_delay", lambda _: 0.001)


@pytest.mark.parametrize(
    ("attach", "read", "asked"),
    [
        ([STREAM], [RUNNING], ["attach"]),
        ([errors.RunNotFound("no"), STREAM], [RUNNING], ["attach", "read", "attach"]),
        ([errors.NotFound("no")], [RUNNING, DONE], ["attach", "read", "read"]),
        (
            [errors.ConnectionLost("no"), errors.ServerError("no"), STREAM],
            [RUNNING],
            ["attach", "read", "attach", "read", "attach"],
        ),
        ([errors.ServerError("no")], [DONE], ["attach", "read"]),
        (
            [errors.TotalTimeout("a request's own")],
            [errors.RunNotFound("not yet"), DONE],
            ["attach", "read", "read"],
        ),
    ],
)
async def test_what_is_asked(attach, read, asked):
    """First the stream, then the run's detail, and then both in turn."""
    script = Script(attach, read)
    found = await mender(script).mend(broken(), cast("Any", STREAM))
    assert script.asked == asked
    if isinstance(found, WorkflowFinished):
        assert (found.status, found.outputs) == ("succeeded", {"a": 1})
    else:
        assert found is STREAM


async def test_an_old_server_is_not_asked_for_the_stream():
    """Its version is in the headers of the answer that broke."""
    script = Script([STREAM], [RUNNING, RUNNING, DONE])
    assert isinstance(
        await mender(script).mend(broken(), cast("Any", OLD)), WorkflowFinished
    )
    assert script.asked == ["read"] * 3


async def test_a_pause_is_no_end_for_who_reads_on():
    """``continue_on_pause`` waits for whoever answers the form."""
    script = Script([errors.NotFound("no")], [PAUSED, DONE])
    found = await mender(script, ends_on_pause=False).mend(
        broken(), cast("Any", STREAM)
    )
    assert isinstance(found, WorkflowFinished)


@pytest.mark.parametrize(
    ("read", "cause"),
    [
        (errors.Unauthorized("no key"), errors.Unauthorized),
        (errors.RunNotFound("no run"), errors.RunNotFound),
    ],
)
async def test_what_ends_the_search(read, cause, monkeypatch):
    """A refusal, and a run that does not appear."""
    monkeypatch.setattr(_recovery, "GRACE", 0)
    script = Script([errors.NotFound("no")], [read])
    error = broken()
    with pytest.raises(errors.RunInterrupted) as caught:
        await mender(script).mend(error, cast("Any", STREAM))
    assert caught.value is error
    assert isinstance(error.__cause__, cause)


@pytest.mark.parametrize("recovery", [0.02, 0])
async def test_the_time_of_the_search(recovery):
    """After it, the break itself is raised; with none, nothing is asked."""
    script = Script([errors.NotFound("no")], [RUNNING])
    error = broken()
    with pytest.raises(errors.RunInterrupted) as caught:
        await mender(script, recovery=recovery).mend(error, cast("Any", STREAM))
    assert caught.value is error
    assert bool(script.asked) is bool(recovery)


@pytest.mark.parametrize(
    "answer", [errors.TotalTimeout("late", seconds=0.01), errors.ServerError("no")]
)
async def test_the_time_of_the_call(answer):
    """The caller's own limit is a time-out, whoever notices it."""
    healer = mender(Script([errors.NotFound("no")], [answer]), total=0.01)
    with pytest.raises(errors.TotalTimeout):
        await healer.mend(broken(), cast("Any", STREAM))


async def test_a_request_that_is_late_ends_the_call():
    """The deadline passes while the server is asked."""
    healer = mender(Script([errors.TotalTimeout("late")], [RUNNING]), total=1e-9)
    with pytest.raises(errors.TotalTimeout, match="late"):
        await healer.mend(broken(), cast("Any", STREAM))


async def test_a_stream_that_brings_nothing_is_not_opened_in_a_hurry():
    """The second time the run is read first: it may have ended."""
    script = Script([STREAM], [DONE])
    healer = mender(script)
    assert await healer.mend(broken(), cast("Any", STREAM)) is STREAM
    found = await healer.mend(broken(), cast("Any", STREAM))
    assert isinstance(found, WorkflowFinished)
    assert script.asked == ["attach", "read"]
    assert healer.recovered is not None
    assert (healer.recovered.breaks, healer.recovered.how) == (2, "read")


async def test_a_request_has_its_own_time():
    """`wait` does not take the time-out of a request for its own."""
    script = Script([], [errors.TotalTimeout("a request's own", seconds=30)])
    with pytest.raises(errors.TotalTimeout, match="request's own"):
        await wait_for_end(cast("Any", script), "r", timeout=60)


async def test_no_stall_without_a_limit():
    """With ``stall=None`` a stream may ping as long as it likes."""
    assert not mender(Script([], []), stall=None).is_due()


def test_what_a_summary_repeats():
    """Only after a break is anything passed over, and new things never are."""
    repeats = Repeats()
    node = NodeFinished(id="1", node_type="code")
    loop = NodeFinished(id="2", node_type="loop")
    form = HumanInputRequired(form_id="f")
    resumed = WorkflowStarted(reason="resumption")
    told = [WorkflowStarted(reason="initial"), node, form]
    assert not any(repeats.knows(x, rejoined=False) for x in (*told, *told, loop))
    assert all(repeats.knows(x, rejoined=True) for x in (*told, loop))
    assert not repeats.knows(NodeFinished(id="3"), rejoined=True)
    assert not repeats.knows(resumed, rejoined=True)
    assert not repeats.knows(resumed, rejoined=True)


def test_a_result_without_an_id_has_no_ref():
    """There is nothing to find the run by."""
    assert RunResult(status="failed").ref is None
