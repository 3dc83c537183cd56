"""Stopping a run: on request, by cancelling, by leaving, and at the client's end."""

# ruff: noqa: PT012 - a stream is entered and read where it fails

from __future__ import annotations

import asyncio
import logging

import pytest

from dify_workflow_async import Dispatcher, RetryPolicy, RunStream, Timeouts, errors
from dify_workflow_async.events import WorkflowFinished, WorkflowStarted
from dify_workflow_async.local import Node, Sleep


OLD, NEW = "1.12.1", "1.14.2"
END = Node(type="end", outputs={"answer": "42"})
FOREVER = Sleep(seconds=3600)


@pytest.fixture(params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    """Give the version of the server: one of each family."""
    return request.param


async def cancelled(task: asyncio.Task) -> None:
    """Cancel a task, and see the cancellation come out of it."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- stop() ----------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["stopped", "failed"])
async def test_a_run_that_we_stopped_is_stopped(told, version, serve, connect):
    """Whatever word the server finds for it, the run that we stopped is `stopped`."""
    app = {"stop_status": told}
    server = await serve(END, FOREVER, app=app, version=version)
    async with connect(server).stream() as run:
        await anext(run)
        await run.stop()
        result = await run.result()
        assert run.status == result.status == "stopped"
    with pytest.raises(errors.RunStopped):
        result.raise_for_status()
    assert server.stops == [{"user": "u1"}]
    assert server.server.requests[-1].path.split("/")[-2] == server.runs[0].task_id


async def test_a_failure_that_nobody_asked_for_is_a_failure(serve, connect):
    """What others stopped is called as the server calls it."""
    server = await serve(END, FOREVER, app={"stop_status": "failed"}, version=NEW)
    async with connect(server).stream() as run:
        await anext(run)
        server.runs[0].stop()
        result = await run.result()
    assert (result.status, result.error) == ("failed", "Aborted: User requested stop")


async def test_a_run_that_succeeded_before_the_stop_stays_a_success(wild, connect):
    """A stop that came too late does not turn a success into something else."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await stopped.wait()
        await peer.event("workflow_finished", status="succeeded")
        await peer.gone()

    async def stop(peer) -> None:
        await peer.answer(200, {"result": "success"})
        stopped.set()

    stopped = asyncio.Event()
    async with connect(await wild(script, stop=stop)).stream() as run:
        await anext(run)
        await run.stop()
        assert (await run.result()).status == "succeeded"


async def test_stop_waits_for_the_task_id(wild, connect, until, ids):
    """Without a task id `stop()` reads on, and no event that it read is lost."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await peer.event("of_tomorrow", task_id=None)
        await peer.event("workflow_started", task_id=ids.run)  # no use as a task id
        await asking.wait()
        await peer.event("node_started", node_id="a")
        await peer.event("node_finished", node_id="a")
        await until(lambda: server.stops)
        await peer.event("workflow_finished", status="stopped")
        await peer.gone()

    asking = asyncio.Event()
    server = await wild(script)
    async with connect(server).stream() as run:
        stop = asyncio.create_task(run.stop())
        await until(lambda: run.workflow_run_id)
        assert server.stops == []
        asking.set()
        await stop
        assert run.task_id == ids.task
        assert server.requests[-1][1] == f"/v1/workflows/tasks/{ids.task}/stop"
        names = [event.event_name for event in [event async for event in run]]
    assert names == [
        "",  # of a kind that nobody knows
        "workflow_started",
        "node_started",
        "node_finished",
        "workflow_finished",
    ]
    assert server.stops == [{"user": "u1"}]


async def test_stop_from_another_task(serve, connect):
    """A consumer that waits for the server does not keep others from stopping."""
    server = await serve(END, FOREVER)
    async with connect(server).stream(user="u2") as run:
        reader = asyncio.create_task(run.result())
        await run.stop()
        assert (await reader).status == "stopped"
    assert server.stops == [{"user": "u2"}]


async def test_stop_from_another_task_waits_for_the_id(wild, connect, until):
    """Beside a consumer `stop()` waits until that one meets the task id."""

    async def script(peer) -> None:
        await peer.begin()
        await stopping.wait()
        await peer.event("workflow_started")
        await until(lambda: server.stops)
        await peer.event("workflow_finished", status="stopped")
        await peer.gone()

    stopping = asyncio.Event()
    server = await wild(script)
    async with connect(server).stream() as run:
        reader = asyncio.create_task(run.result())
        await until(lambda: run._pump._reader._turn.holder is not None)
        stop = asyncio.create_task(run.stop())
        for _ in range(5):
            await asyncio.sleep(0)
        stopping.set()
        await stop
        assert (await reader).status == "stopped"
    assert len(server.stops) == 1


async def test_consumer_that_comes_while_a_stop_waits(wild, connect):
    """Who reads on waits for the one that looks ahead for the id, and loses nothing."""

    async def script(peer) -> None:
        await peer.begin()
        await reading.wait()
        await peer.event("workflow_started")
        await peer.event("workflow_finished", status="stopped")
        await peer.gone()

    reading = asyncio.Event()
    server = await wild(script)
    async with connect(server).stream() as run:
        stop = asyncio.create_task(run.stop())
        await asyncio.sleep(0)  # it waits for the server now
        reader = asyncio.create_task(anext(run))
        await asyncio.sleep(0)
        reading.set()
        assert (await reader).event_name == "workflow_started"
        await stop
        assert (await run.result()).status == "stopped"
    assert len(server.stops) == 1


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a consumer"])
@pytest.mark.parametrize("ending", ["clean", "finished"])
async def test_cannot_stop(ending, beside, wild, connect, until):
    """A stream that ends without a task id has a run that cannot be stopped."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("of_tomorrow", task_id=None)
        await asking.wait()
        if ending == "clean":
            await peer.end()
        else:
            await peer.event("error", task_id=None, message="no")
            await peer.gone()

    asking = asyncio.Event()
    server = await wild(script)
    async with connect(server).stream() as run:
        if beside:
            reader = asyncio.create_task(run.result())
            await until(lambda: run._pump._reader._turn.holder is not None)
        stop = asyncio.create_task(run.stop())
        await until(lambda: run.status)
        asking.set()
        with pytest.raises(errors.CannotStop):
            await stop
        with pytest.raises(errors.DifyError):
            await (reader if beside else run.result())
    assert server.stops == []


async def test_cannot_stop_loses_no_event(wild, connect):
    """What `stop()` read in vain is still there for the consumer."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("of_tomorrow", task_id=None)
        await peer.end()

    events = []
    async with connect(await wild(script)).stream() as run:
        with pytest.raises(errors.DifyError):
            await run.stop()
        with pytest.raises(errors.RunInterrupted):
            async for event in run:
                events.append(event)  # noqa: PERF401
    assert len(events) == 1


@pytest.mark.parametrize("read", ["loop", "result"])
async def test_stop_after_the_end(read, serve, connect):
    """A run that has ended is left alone."""
    server = await serve(END)
    async with connect(server).stream() as run:
        if read == "loop":
            _ = [event async for event in run]
        else:
            await run.result()
        await run.stop()
        assert run.status == "succeeded"
    await run.stop()
    assert server.stops == []


async def test_a_stop_that_is_refused(wild, connect):
    """A stop that the server refuses raises, and is tried again while that may help."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.gone()

    async def stop(peer) -> None:
        await peer.answer(500, {"code": "unknown", "message": "no"})

    server = await wild(script, stop=stop)
    client = connect(server, retry=RetryPolicy(attempts=2, base=0.001))
    async with client.stream(on_cancel="detach") as run:
        await anext(run)
        with pytest.raises(errors.ServerError) as caught:
            await run.stop()
    assert "/stop" in caught.value.request
    assert len(server.stops) == 2


async def test_a_handler_may_stop_its_run(serve, connect):
    """A stop from within a handler does not wait for itself."""
    server = await serve(END, FOREVER)
    dispatcher = Dispatcher()

    @dispatcher.on(WorkflowStarted)
    async def stop(_: WorkflowStarted, run: RunStream) -> None:
        await run.stop()

    result = await connect(server).run(dispatcher=dispatcher, check=False)
    assert result.status == "stopped"
    assert len(server.stops) == 1


# -- cancelling ------------------------------------------------------------------------


async def test_cancelling_run(version, serve, connect, until, in_use):
    """The cancellation passes, and one stop goes out with the run's own user."""
    server = await serve(END, FOREVER, version=version)
    client = connect(server)
    task = asyncio.create_task(client.run(user="u2"))
    await until(lambda: server.runs and server.runs[0].events)
    await cancelled(task)
    await client.aclose()
    assert server.stops == [{"user": "u2"}]
    assert server.server.requests[-1].path.split("/")[-2] == server.runs[0].task_id
    await until(lambda: server.runs[0].is_over)
    assert server.runs[0].status == "stopped"
    assert in_use(client) == 0


async def test_the_cancellation_does_not_wait_for_the_stop(wild, connect, until):
    """A server that takes its time for the stop does not hold the caller up."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.gone()

    async def stop(peer) -> None:
        await answering.wait()
        await peer.answer(200, {"result": "success"})

    answering = asyncio.Event()
    server = await wild(script, stop=stop)
    client = connect(server, timeouts=Timeouts(stop=60))
    async with asyncio.timeout(5), client.stream() as run:
        task = asyncio.create_task(run.result())
        await until(lambda: run.task_id)
        await cancelled(task)
    task = asyncio.create_task(client.run())
    await until(lambda: len(server.starts) == 2)
    async with asyncio.timeout(5):
        await cancelled(task)
    answering.set()
    await client.aclose()
    assert len(server.stops) == 2


async def test_cancelling_before_the_answer(wild, connect, until, in_use):
    """Cancelling a POST under way stops its run as soon as its id is known."""

    async def script(peer) -> None:
        await answering.wait()
        await peer.begin()
        await peer.send(b"event: ping\n\n")
        await telling.wait()
        await peer.event("workflow_started")
        await peer.gone()

    answering, telling = asyncio.Event(), asyncio.Event()
    server = await wild(script)
    client = connect(server)
    task = asyncio.create_task(client.run())
    await until(lambda: server.starts)
    await cancelled(task)
    answering.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert server.stops == []
    telling.set()
    await until(lambda: server.stops)
    await client.aclose()
    assert server.stops == [{"user": "u1"}]
    assert len(server.starts) == 1
    assert in_use(client) == 0


async def test_cancelling_a_post_that_is_refused(wild, connect, until, caplog):
    """A run that was refused after its caller had left needs no stop."""

    async def script(peer) -> None:
        await answering.wait()
        await peer.answer(401, {"code": "unauthorized", "message": "no"})

    answering = asyncio.Event()
    server = await wild(script)
    client = connect(server)
    task = asyncio.create_task(client.run())
    await until(lambda: server.starts)
    await cancelled(task)
    answering.set()
    await client.aclose()
    assert server.stops == []


async def test_no_task_id_in_time(wild, connect, until, caplog, in_use):
    """If no task id comes within `Timeouts.stop`, one warning says so."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("of_tomorrow", task_id=None)
        await peer.gone()

    server = await wild(script)
    client = connect(server, timeouts=Timeouts(stop=0.1))
    async with client.stream() as run:
        await anext(run)
    await until(lambda: server.open == 0)
    assert server.stops == []
    warnings = [x for x in caplog.records if x.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert in_use(client) == 0


async def test_timeout_around_run(serve, connect, until):
    """`asyncio.timeout` is a cancellation like any other."""
    server = await serve(END, FOREVER)
    client = connect(server)
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.1):
            await client.run()
    assert not isinstance(caught.value, errors.DifyError)
    await until(lambda: server.runs[0].is_over)
    assert server.stops == [{"user": "u1"}]


async def test_total_timeout_stops_the_run(serve, connect, until):
    """The client's own time-out stops the run, too, and tells which run it was."""
    server = await serve(END, FOREVER)
    with pytest.raises(errors.TotalTimeout) as caught:
        await connect(server).run(timeout=0.1)
    assert caught.value.run_id == server.runs[0].id
    await until(lambda: server.runs[0].is_over)
    assert server.stops == [{"user": "u1"}]


# -- leaving ---------------------------------------------------------------------------


async def test_leaving_early(version, serve, connect, until, in_use):
    """`break` out of loop and stream stops the run and frees the connection."""
    server = await serve(END, FOREVER, version=version)
    client = connect(server)
    async with client.stream() as run:
        async for _ in run:
            break
    await until(lambda: server.runs[0].is_over)
    assert server.runs[0].status == "stopped"
    assert server.stops == [{"user": "u1"}]
    await until(lambda: in_use(client) == 0)


async def test_leaving_without_reading(serve, connect, until, in_use):
    """A stream that was entered and not read stops its run, too."""
    server = await serve(END, FOREVER)
    client = connect(server)
    async with client.stream():
        pass
    await until(lambda: server.runs[0].is_over)
    assert server.stops == [{"user": "u1"}]
    await until(lambda: in_use(client) == 0)


async def test_leaving_a_loop_before_the_id_is_known(wild, connect, until, ids):
    """The stop of a run left early reads on to the task id, whoever read before."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("of_tomorrow", task_id=None)
        await left.wait()
        await peer.event("workflow_started")
        await peer.gone()

    left = asyncio.Event()
    server = await wild(script)
    client = connect(server)
    async with client.stream() as run:
        async for _ in run:
            break
    left.set()
    async with asyncio.timeout(2):  # less than Timeouts.stop
        await until(lambda: server.stops)
    assert server.requests[-1][1] == f"/v1/workflows/tasks/{ids.task}/stop"


async def test_an_exception_in_the_body(serve, connect, until):
    """The user's own exception passes unchanged, and the run is stopped."""
    server = await serve(END, FOREVER)
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with connect(server).stream() as run:
            await anext(run)
            raise error
    assert caught.value is error
    await until(lambda: server.runs[0].is_over)
    assert server.stops == [{"user": "u1"}]


async def test_leaving_after_a_stop_of_ones_own(serve, connect):
    """A run that was stopped by hand is not stopped again when it is left."""
    server = await serve(END, FOREVER)
    client = connect(server)
    async with client.stream() as run:
        await anext(run)
        await run.stop()
    await client.aclose()
    assert len(server.stops) == 1


@pytest.mark.parametrize("chosen", ["client", "call", "copy"])
async def test_detaching(chosen, serve, connect, until, in_use):
    """`on_cancel="detach"` lets the run go on, and frees the connection."""
    server = await serve(END, FOREVER)
    settings = {"on_cancel": "detach"}
    client = connect(server, **(settings if chosen == "client" else {}))
    verbs = client.with_options(on_cancel="detach") if chosen == "copy" else client
    options = settings if chosen == "call" else {}
    async with verbs.stream(**options) as run:
        await anext(run)
    task = asyncio.create_task(verbs.run(**options))
    await until(lambda: len(server.runs) == 2)
    await cancelled(task)
    await until(lambda: in_use(client) == 0)
    await client.aclose()
    assert server.stops == []
    assert [run.status for run in server.runs] == ["running", "running"]


async def test_an_interrupted_run_is_not_stopped(wild, connect):
    """A run whose stream broke may be recovered by its id: nobody stops it."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.end()

    server = await wild(script)
    client = connect(server)
    with pytest.raises(errors.RunInterrupted):
        await client.run()
    await client.aclose()
    assert server.stops == []


@pytest.mark.parametrize("bad", [b"data: {broken\n\n", b"data: []\n\n"])
async def test_a_run_whose_stream_makes_no_sense_is_not_stopped(bad, wild, connect):
    """Such a stream is a broken one: its run may be found by its id."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.send(bad)
        await peer.gone()

    server = await wild(script)
    client = connect(server)
    with pytest.raises(errors.RunInterrupted) as caught:
        await client.run()
    assert caught.value.run_id is not None
    assert isinstance(caught.value.__cause__, errors.UnexpectedAnswer)
    await client.aclose()
    assert server.stops == []


async def test_leaving_once_the_end_was_read(serve, connect, in_use):
    """A run whose end was read needs no stop, even if speech may still come."""
    server = await serve(END, version=OLD, close_delay=60)
    client = connect(server)
    async with client.stream() as run:
        async for event in run:
            if isinstance(event, WorkflowFinished):
                break
    assert in_use(client) == 0
    await client.aclose()
    assert server.stops == []


# -- the client's end ------------------------------------------------------------------


async def test_aclose_waits_for_stops(wild, connect, until):
    """`aclose()` returns when the stop was answered, not before."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.gone()

    async def stop(peer) -> None:
        await answering.wait()
        await peer.answer(200, {"result": "success"})

    answering = asyncio.Event()
    server = await wild(script, stop=stop)
    client = connect(server)
    async with client.stream() as run:
        await anext(run)
    closing = asyncio.create_task(client.aclose())
    await until(lambda: server.stops)
    assert not closing.done()
    answering.set()
    await closing
    assert len(server.stops) == 1


async def test_aclose_waits_no_longer_than_it_may(wild, connect, caplog, until):
    """A server that never answers a stop delays `aclose()` by `Timeouts.stop`."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.gone()

    async def stop(peer) -> None:
        await peer.gone()

    server = await wild(script, stop=stop)
    client = connect(server, timeouts=Timeouts(stop=0.1))
    async with client.stream() as run:
        await anext(run)
    async with asyncio.timeout(2):
        await client.aclose()
    assert len(server.stops) == 1
    assert [x.levelname for x in caplog.records] == ["WARNING"]
    await until(lambda: server.open == 0)


async def test_aclose_while_a_post_is_under_way(wild, connect, until, in_use):
    """Who enters a stream while the client closes gets an error of ours, soon."""

    async def script(peer) -> None:
        await peer.gone()

    server = await wild(script)
    client = connect(server, timeouts=Timeouts(stop=0.1))
    task = asyncio.create_task(client.run())
    await until(lambda: server.starts)
    async with asyncio.timeout(2):
        await client.aclose()
        with pytest.raises(errors.DifyError):
            await task
    await until(lambda: server.open == 0)


async def test_aclose_while_a_stream_is_read(serve, connect, until):
    """Who reads a stream while the client closes gets an error of ours."""
    server = await serve(END, FOREVER)
    client = connect(server)
    async with client.stream(on_cancel="detach") as run:
        task = asyncio.create_task(run.result())
        await until(lambda: run.task_id)
        await client.aclose()
        async with asyncio.timeout(2):  # less than Timeouts.idle
            with pytest.raises((errors.RunInterrupted, errors.ClientClosed)):
                await task
            with pytest.raises((errors.RunInterrupted, errors.ClientClosed)):
                await anext(run)


async def test_aclose_that_is_cancelled_still_closes(wild, connect, until):
    """Whoever is in a hurry leaves no connection open."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event("workflow_started")
        await peer.gone()

    async def stop(peer) -> None:
        await peer.gone()

    server = await wild(script, stop=stop)
    client = connect(server)
    async with client.stream() as run:
        await anext(run)
    closing = asyncio.create_task(client.aclose())
    await until(lambda: server.stops)
    await cancelled(closing)
    async with asyncio.timeout(2):  # less than Timeouts.stop
        await until(lambda: server.open == 0)


async def test_aclose_after_the_end_of_a_stream(serve, connect):
    """A run that has ended is left as it is, and keeps its result."""
    server = await serve(END)
    client = connect(server)
    async with client.stream() as run:
        async for _ in run:
            pass
        await client.aclose()
        result = await run.result()
    assert result.is_success
    assert server.stops == []


async def test_aclose_before_the_id_is_known(wild, connect, ids):
    """A client that is closed right after a start reads on to the id, and stops it."""

    async def script(peer) -> None:
        await peer.begin()
        await closing.wait()
        await peer.event("workflow_started")
        await peer.gone()

    closing = asyncio.Event()
    server = await wild(script)
    client = connect(server)
    async with client.stream() as run:
        task = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        closing.set()
        await task
        with pytest.raises(errors.ClientClosed):
            await run.result()
    assert server.requests[-1][1] == f"/v1/workflows/tasks/{ids.task}/stop"
    assert server.stops == [{"user": "u1"}]


async def test_reading_after_leaving(serve, connect, until):
    """A stream that was left before its end has no result, and says so."""
    server = await serve(END, FOREVER)
    async with connect(server).stream() as run:
        await anext(run)
    for read in (run.result, lambda: anext(run)):
        with pytest.raises(errors.UsageError, match="was left"):
            await read()
    await until(lambda: server.runs[0].is_over)
    with pytest.raises(errors.UsageError, match="was left"):
        await run.result()


@pytest.mark.parametrize("on_cancel", ["stop", "detach"])
async def test_a_run_that_was_refused_after_all(
    on_cancel, wild, connect, until, caplog
):
    """A caller who gave up before the refusal came leaves nothing to warn of."""

    async def script(peer) -> None:
        await cancelled_.wait()
        await peer.answer(401, {"code": "unauthorized"})

    cancelled_ = asyncio.Event()
    server = await wild(script)
    client = connect(server, on_cancel=on_cancel)
    task = asyncio.create_task(client.run())
    await until(lambda: server.starts)
    await cancelled(task)
    cancelled_.set()
    await client.aclose()
    assert [r for r in caplog.records if r.levelname == "WARNING"] == []
    assert server.stops == []
