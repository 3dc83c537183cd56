"""What real servers sent comes out of the client as it was sent."""

# ruff: noqa: PT012 - a stream is entered and read where it fails

from __future__ import annotations

import json
import random

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from dify_workflow_async import RetryPolicy, Timeouts, errors
from dify_workflow_async.events import EVENTS, Error, Event, UnknownEvent
from dify_workflow_async.local import Replay


RECORDINGS = Path(__file__).parent.parent / "recordings"


def body_of(path: Path) -> bytes:
    """Read a recorded body in another way than the package does."""
    head, _, rest = path.read_bytes().partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body


def is_stream(path: Path) -> bool:
    return b"text/event-stream" in path.read_bytes().partition(b"\r\n\r\n")[0]


def is_run(path: Path) -> bool:
    first = path.with_suffix(".req").read_bytes().split(b"\r\n")[0]
    return first.startswith(b"POST ") and first.split()[1].endswith(b"/run")


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


ALL = sorted(RECORDINGS.glob("*/*.http"))
STREAMS = [path for path in ALL if is_stream(path)]
UNRECOVERED = Timeouts(recovery=0)  # no recording tells what became of it
BROKEN = RECORDINGS / "dify-1.12.1/disconnect_slow_streaming.http"
REFUSED = RECORDINGS / "dify-1.14.2/err_missing_required_streaming.http"
WHOLE = [path for path in STREAMS if path not in {BROKEN, REFUSED}]
SHORT = [path for path in WHOLE if len(body_of(path)) < 6000]
LONG = [path for path in WHOLE if path not in SHORT]
ANSWERS = [path for path in ALL if is_run(path) and not is_stream(path)]


def objects_of(path: Path) -> list[dict[str, Any]]:
    """Decode the frames of a recorded stream, whole ones only."""
    frames = body_of(path).split(b"\n\n")[:-1]
    return [json.loads(x.removeprefix(b"data: ")) for x in frames if b"data: " in x]


def at_random(body: bytes) -> list[int]:
    """Cut a body at random, the same way each time."""
    dice = random.Random(len(body))
    return [dice.choice([1, 2, 7, 100, 1000, 5000]) for _ in range(len(body) // 50)]


def assert_same(event: Event, obj: Mapping[str, Any]) -> None:
    """Compare a typed event with the object that it was made of, field by field."""
    assert type(event) is EVENTS[obj["event"]]
    assert event.raw == obj
    data = obj if event.flat else obj["data"]
    for field in attrs.fields(type(event)):
        value = getattr(event, field.name)
        in_envelope = field.name in {"task_id", "workflow_run_id"}
        wire = (obj if in_envelope else data).get(field.name)
        if field.name == "raw" or attrs.has(type(value)):
            continue
        if isinstance(value, datetime):
            assert value.timestamp() == pytest.approx(wire)
        elif isinstance(value, tuple):
            assert len(value) == len(wire or ())
        else:
            assert value == ("" if wire is None and value == "" else wire), field.name


async def assert_all_comes_out(client, path: Path) -> None:
    """Stream a recording, and compare everything with it."""
    objects = objects_of(path)
    events = []
    async with client.stream() as run:
        async for event in run:
            events.append(event)  # noqa: PERF401 - what came before a failure shows
        result = await run.result()
    assert len(events) == len(objects)
    for event, obj in zip(events, objects, strict=True):
        assert not isinstance(event, UnknownEvent)
        assert_same(event, obj)
    last = objects[-1]["data"]
    assert result.status == last["status"]
    assert result.outputs == (last["outputs"] or {})
    assert run.workflow_run_id == objects[-1]["workflow_run_id"]
    texts = [x["data"]["text"] for x in objects if x["event"] == "text_chunk"]
    assert run.text == "".join(texts)


@pytest.mark.parametrize("path", WHOLE, ids=named)
async def test_a_recorded_stream_comes_out_whole(path, serve, connect):
    """Every event comes out, in order, typed, with the values of the wire."""
    server = await serve(behaviour=Replay(path))
    await assert_all_comes_out(connect(server), path)


@pytest.mark.parametrize("path", SHORT, ids=named)
async def test_a_recorded_stream_cut_at_every_byte(path, serve, connect):
    """A stream that comes byte by byte is the same stream."""
    server = await serve(behaviour=Replay(path, cuts=1))
    await assert_all_comes_out(connect(server), path)


@pytest.mark.parametrize("path", LONG, ids=named)
async def test_a_recorded_stream_cut_at_random(path, serve, connect):
    """Where the network cuts a long stream does not matter either."""
    server = await serve(behaviour=Replay(path, cuts=at_random))
    await assert_all_comes_out(connect(server), path)


@pytest.mark.parametrize("cuts", [None, 1], ids=["whole", "bytes"])
async def test_a_recorded_stream_that_broke(cuts, serve, connect):
    """Events come out before the break, which is no success and tells the run."""
    server = await serve(behaviour=Replay(BROKEN, cuts=cuts))
    objects, events = objects_of(BROKEN), []
    with pytest.raises(errors.RunInterrupted) as caught:
        async with connect(server, timeouts=UNRECOVERED).stream() as run:
            async for event in run:
                events.append(event)  # noqa: PERF401
    assert [event.raw for event in events] == objects
    assert caught.value.run_id == objects[0]["workflow_run_id"]
    assert caught.value.task_id == objects[0]["task_id"]
    assert caught.value.events_seen == len(objects)
    assert caught.value.may_be_running
    assert server.stops == []


async def test_a_recorded_run_that_broke_is_no_result(serve, connect):
    """`run()` raises for a stream that broke, and does not ask for a second run."""
    server = await serve(behaviour=Replay(BROKEN))
    with pytest.raises(errors.RunInterrupted):
        await connect(server, timeouts=UNRECOVERED).run()
    assert len(server.starts) == 1


async def test_a_recorded_error_that_is_held_open(serve, connect):
    """An error event is yielded and raised at once, although nobody closes."""
    server = await serve(behaviour=Replay(REFUSED))
    events = []
    with pytest.raises(errors.ServerError, match="query is required") as caught:
        async with connect(server).stream() as run:
            async for event in run:
                events.append(event)  # noqa: PERF401
    (wire,) = objects_of(REFUSED)
    assert [type(event) for event in events] == [Error]
    assert events[0].raw == wire
    assert (caught.value.status, caught.value.message) == (500, wire["message"])
    assert not caught.value.safe_to_repeat


@pytest.mark.parametrize("verb", ["run", "run_blocking"])
@pytest.mark.parametrize("path", ANSWERS, ids=named)
async def test_a_recorded_answer(path, verb, serve, connect):
    """Refusals are errors of ours; a blocking answer is a result, if asked for."""
    server = await serve(behaviour=Replay(path))
    client = connect(server, retry=RetryPolicy(attempts=1))
    wire = json.loads(body_of(path))
    call = getattr(client, verb)({"query": "x"}, check=False)
    if "data" not in wire:
        with pytest.raises(errors.APIError) as caught:
            await call
        error = caught.value
        assert (error.status, error.code) == (wire["status"], wire["code"])
        assert error.message == wire["message"]
        assert error.server_version == path.parent.name.removeprefix("dify-")
        assert error.request == f"POST {server.base_url}/workflows/run"
    elif verb == "run":
        with pytest.raises(errors.UnexpectedAnswer, match="application/json"):
            await call
    else:
        result = await call
        assert result.status == wire["data"]["status"]
        assert result.outputs == (wire["data"].get("outputs") or {})
        assert result.workflow_run_id == wire["workflow_run_id"]
        assert result.total_tokens == wire["data"]["total_tokens"]
    assert len(server.starts) == 1


def test_the_recordings_are_there():
    """Both servers were recorded, so the tests above are not empty."""
    for version in ("dify-1.12.1", "dify-1.14.2"):
        assert len([x for x in STREAMS if x.parent.name == version]) > 10
        assert [x for x in ANSWERS if x.parent.name == version]
    assert SHORT
    assert LONG
