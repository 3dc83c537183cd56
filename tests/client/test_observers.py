"""Observers are told of runs, requests and retries, and can do no harm."""

from __future__ import annotations

import asyncio
import logging

import attrs
import pytest

from dify_workflow_async import RetryPolicy, Timeouts, WorkflowClient, errors
from dify_workflow_async.events import Event, NodeFinished
from dify_workflow_async.hooks import (
    Observer,
    RequestEnd,
    Retry,
    RunEnd,
    RunObserver,
    RunStart,
)
from dify_workflow_async.local import Node, Raw
from dify_workflow_async.local.faults import Drop, ErrorPage, HangUp


NEW = "1.14.2"
END = Node(type="end", outputs={"answer": "42"})
RUN = "*/workflows/run"


@attrs.define
class Told(Observer, RunObserver):
    """Notes all that it is told."""

    wants: str = "node_finished"
    sends: dict[str, str] = attrs.field(factory=dict)
    starts: list[RunStart] = attrs.field(factory=list)
    events: list[Event] = attrs.field(factory=list)
    ends: list[RunEnd] = attrs.field(factory=list)
    requests: list[RequestEnd] = attrs.field(factory=list)
    retries: list[Retry] = attrs.field(factory=list)

    def on_run(self, start: RunStart) -> RunObserver:
        """Follow each run."""
        self.starts.append(start)
        return self

    def headers(self) -> dict[str, str]:
        """Send what the test says."""
        return self.sends

    def heeds(self, event_name: str) -> bool:
        """Want what the test says."""
        return event_name == self.wants

    def on_event(self, event: Event) -> None:
        """Note it."""
        self.events.append(event)

    def on_end(self, end: RunEnd) -> None:
        """Note it."""
        self.ends.append(end)

    def on_request(self, end: RequestEnd) -> None:
        """Note it."""
        self.requests.append(end)

    def on_retry(self, retry: Retry) -> None:
        """Note it."""
        self.retries.append(retry)


async def test_a_run(serve, connect):
    """Its start, the events that were asked for, and its end are told, once each."""
    server = await serve(Node(type="start"), END, version=NEW)
    told = Told()
    result = await connect(server, observers=[told]).run()
    (start,) = told.starts
    assert start == RunStart(verb="run", base_url=server.base_url, user="u1")
    assert [type(x) for x in told.events] == [NodeFinished] * 2
    (end,) = told.ends
    assert (end.status, end.error) == ("succeeded", None)
    assert end.result == result
    assert (end.workflow_run_id, end.task_id) == (
        result.workflow_run_id,
        result.task_id,
    )
    assert end.seconds > 0


async def test_what_a_start_tells(serve, connect):
    """The verb, the version that was asked for, and the run that is gone back to."""
    server = await serve(END, version=NEW)
    told = Told()
    client = connect(server, observers=[told])
    ref = await client.start(user="u2")
    async with client.attach(ref):
        pass
    with pytest.raises(errors.DifyError):
        await client.run_blocking(workflow_id="w1", user="u3")
    first, second, third = told.starts
    assert (first.verb, first.user, first.ref) == ("run", "u2", None)
    assert (second.verb, second.user, second.ref) == ("attach", "u2", ref)
    assert (third.verb, third.user) == ("run_blocking", "u3")
    assert third.workflow_id == "w1"


async def test_requests_and_retries(serve, connect):
    """Each request is told with its answer or its failure, and each retry."""
    server = await serve(END, version=NEW)
    server.server.fail_next(ErrorPage(status=503), path="*/workflows/run/*")
    server.server.fail_next(HangUp(), path="*/workflows/run/*")
    told = Told()
    client = connect(server, observers=[told], on_retry=lambda _: None)
    result = await client.run()
    await client.get_run(result.ref)
    answers = [(x.request.partition(" ")[0], x.status) for x in told.requests]
    assert answers == [("POST", 200), ("GET", 503), ("GET", None), ("GET", 200)]
    assert isinstance(told.requests[2].error, errors.ConnectionLost)
    assert told.requests[2].error.request == told.requests[2].request
    assert told.requests[0].request == f"POST {server.base_url}/workflows/run"
    assert all(x.seconds >= 0 for x in told.requests)
    assert [x.attempt for x in told.retries] == [1, 2]


async def test_several(serve, connect):
    """Each is told of what it asked for, beside the nodes of the run."""
    server = await serve(Node(type="start"), Node(type="llm", text=["a"]), END)
    nodes_told, texts_told, silent = Told(), Told(wants="text_chunk"), Observer()
    client = connect(server, observers=[nodes_told, silent, texts_told])
    async with client.stream() as run:
        nodes = run.nodes
        await run.result()
    assert {x.event_name for x in nodes_told.events} == {"node_finished"}
    assert {x.event_name for x in texts_told.events} == {"text_chunk"}
    assert [x.status for x in nodes.values()] == ["succeeded"] * 3


async def test_a_follower_that_wants_nothing(serve, connect):
    """The plain ones hear of nothing, and send nothing."""

    class Plain(Observer):
        def on_run(self, start: RunStart) -> RunObserver:
            return RunObserver()

    server = await serve(END)
    client = connect(server, observers=[Plain()])
    assert (await client.run()).is_success
    async with client.stream() as run:
        assert [event async for event in run]


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "awaited"])
async def test_a_client_that_is_closed_before_the_answer(cancelled, wild, connect):
    """Nobody knows whether the run began."""
    asked = asyncio.Event()

    async def silent(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    told = Told()
    client = connect(await wild(silent), observers=[told], timeouts=Timeouts(stop=0.01))
    running = asyncio.create_task(client.run())
    await asked.wait()
    if cancelled:
        running.cancel()
        await asyncio.wait([running])
    await client.aclose()
    with pytest.raises((asyncio.CancelledError, errors.ClientClosed)):
        await running
    (end,) = told.ends
    assert end.status == "unknown"
    assert isinstance(end.error, errors.RunStateUnknown)


async def test_headers(serve, connect):
    """They go with the request that starts the run; the call's own stay."""
    server = await serve(END, version=NEW)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    told = Told(sends={"X-Trace": "1", "traceparent": "mine"})
    client = connect(server, observers=[told])
    result = await client.run(traceparent=parent)
    await client.get_run(result.ref)
    first, second = server.server.requests
    assert (first.headers["x-trace"], first.headers["traceparent"]) == ("1", parent)
    assert "x-trace" not in second.headers


@pytest.mark.parametrize(
    "bad",
    [
        *({"X": "a\r\nY: b"}, {"X\n": "a"}, {"X": 1}, 1, {"X": "\0"}, {"": "a"}),
        *({"X Y": "a"}, {"X é": "a"}, {"content-length": "3"}, {"Host": "evil"}),
        {"Content-Encoding": "gzip"},
    ],
    ids=repr,
)
async def test_headers_that_cannot_be_sent(bad, serve, connect, caplog):
    """They are not sent, and the run begins."""
    server = await serve(END)
    client = connect(server, observers=[Told(sends=bad)])
    with caplog.at_level(logging.ERROR, "dify_workflow_async"):
        assert (await client.run()).is_success
    (request,) = server.server.requests
    assert "x" not in request.headers
    assert "y" not in request.headers
    assert request.headers["host"] != "evil"
    assert [x.getMessage() for x in caplog.records] == ["an observer failed"]


class Broken(Observer, RunObserver):
    """Fails wherever it can."""

    def __init__(self, where: str) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        setattr(self, where, fail)

    def on_run(self, start: RunStart) -> RunObserver:
        """Follow each run."""
        return self

    def heeds(self, event_name: str) -> bool:
        """Want all."""
        return True


@pytest.mark.parametrize(
    "where",
    [
        *("on_run", "on_request", "on_retry", "headers", "sending", "heeds"),
        *("on_event", "on_end"),
    ],
)
async def test_one_that_fails(where, serve, connect, caplog):
    """What it raises is logged, changes nothing, and others are told all the same."""
    server = await serve(Node(type="start"), END, version=NEW)
    server.server.fail_next(ErrorPage(status=429), path=RUN)
    told = Told()
    retry = RetryPolicy(base=0)
    client = connect(server, observers=[Broken(where), told], retry=retry)
    with caplog.at_level(logging.ERROR, "dify_workflow_async"):
        result = await client.run()
    assert result.is_success
    assert caplog.records
    assert {x.exc_info[0] for x in caplog.records} == {ZeroDivisionError}
    assert (len(told.starts), len(told.retries), len(told.ends)) == (1, 1, 1)
    assert [x.event_name for x in told.events] == ["node_finished"] * 2


async def test_a_stream_that_broke(serve, connect):
    """The end is told with the error that the call raises."""
    server = await serve(Node(type="start"), Node(type="code", delay=3600))
    server.server.fail_next(Drop(after_events=3), path=RUN)
    told = Told()
    client = connect(server, observers=[told], timeouts=_unrecovered(connect(server)))
    with pytest.raises(errors.RunInterrupted) as caught:
        await client.run()
    (end,) = told.ends
    assert end.status == "unknown"
    assert end.result is None
    assert end.error is caught.value
    assert end.workflow_run_id == caught.value.run_id


def _unrecovered(client: WorkflowClient):
    return attrs.evolve(client._api.timeouts, recovery=0)


async def test_copies_have_their_own(serve, connect):
    """A copy has its client's, others, or none."""
    server = await serve(END)
    first, second = Told(), Told()
    client = connect(server, observers=[first])
    await client.with_options(user="u2").run()
    await client.with_options(observers=(x for x in [second])).run()
    await client.with_options(observers=[]).run()
    assert [x.user for x in first.starts] == ["u2"]
    assert [x.user for x in second.starts] == ["u1"]


class Gives(Observer):
    """Gives what the test says."""

    def __init__(self, given: object) -> None:
        self._given = given

    def on_run(self, start: RunStart):
        """Give it."""
        return self._given


class AwaitedRun(RunObserver):
    """Would have to be awaited."""

    async def on_end(self, end: RunEnd) -> None:
        """Do nothing."""


class Awaited(Observer):
    """Likewise."""

    async def on_run(self, start: RunStart) -> None:
        """Do nothing."""


@pytest.mark.parametrize("bad", [1, Observer(), AwaitedRun(), RunObserver])
async def test_what_cannot_follow_a_run(bad, serve, connect, caplog):
    """It is logged, and does not."""
    server = await serve(END)
    client = connect(server, observers=[Gives(bad)])
    with caplog.at_level(logging.ERROR, "dify_workflow_async"):
        assert (await client.run()).is_success
    (record,) = caplog.records
    assert record.exc_info[0] is TypeError


async def test_events_that_this_version_does_not_know(serve, connect):
    """They are heeded by their name on the wire."""
    server = await serve(Raw(event={"event": "brand_new", "data": {}}), END)
    told = Told(wants="brand_new")
    await connect(server, observers=[told]).run()
    assert [x.name for x in told.events] == ["brand_new"]


@pytest.mark.parametrize("bad", [[Awaited()], Observer(), 1, [1], ["x"], [Told]])
def test_what_is_no_observer(bad):
    """It is refused at once."""
    client = WorkflowClient("app-1", "https://dify.invalid")
    for make in (client.with_options, lambda **x: WorkflowClient("app-1", **x)):
        with pytest.raises(errors.ConfigurationError, match="observer"):
            make(observers=bad)


async def test_nobody_pays_who_has_none(serve, connect):
    """Without observers nothing watches a run."""
    server = await serve(END)
    async with connect(server).stream() as run:
        assert run._observed is None
        assert run._pump._watching == ()
        await run.result()
