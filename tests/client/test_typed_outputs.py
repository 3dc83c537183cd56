"""Outputs as a class of one's own, outputs that events cut, and tracing ids."""

from __future__ import annotations

import pickle

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import attrs
import pytest

from dify_workflow_async import Dispatcher, errors
from dify_workflow_async.events import WorkflowFinished
from dify_workflow_async.local import Node, Sleep


OLD, NEW = "1.12.1", "1.14.2"
USER = {"name": "Ada", "age": 36}
OUTPUTS = {"user": USER, "tags": ["a", "b"]}
END = Node(type="end", outputs=OUTPUTS)
LONG = "x" * 1000


@pytest.fixture(params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    """Give the version of the server: one of each family."""
    return request.param


@attrs.frozen
class User:
    """Nested in what follows."""

    name: str
    age: int


@attrs.frozen
class Report:
    """With a default, and a key that the class does not have."""

    user: User
    tags: list[str]
    note: str = "none"


@dataclass
class Plain:
    """The same without attrs."""

    user: User
    tags: tuple[str, ...]


class Loose(TypedDict):
    """The same as a dictionary."""

    user: User
    tags: list[str]


@attrs.frozen
class Dated:
    """What the outputs are not."""

    user: User
    date: str


@attrs.frozen
class Aged:
    """A user whose age is something else."""

    user: Mapping[str, list[int]]


ADA = User("Ada", 36)
KINDS = {
    "attrs": (Report, Report(ADA, ["a", "b"])),
    "dataclass": (Plain, Plain(ADA, ("a", "b"))),
    "TypedDict": (Loose, {"user": ADA, "tags": ["a", "b"]}),
    "mapping": (Mapping[str, Any], OUTPUTS),
}


# -- output= ---------------------------------------------------------------------------


@pytest.mark.parametrize(("cls", "expected"), KINDS.values(), ids=KINDS)
async def test_outputs_as_a_class(cls, expected, version, serve, connect):
    """`result.output` is one of the class, and `outputs` stay as they came."""
    server = await serve(END, version=version)
    client = connect(server)
    result = await client.run(output=cls)
    assert result.output == expected
    assert result.outputs == OUTPUTS
    waited = await client.wait(result.workflow_run_id, output=cls)
    assert waited.output == expected


async def test_no_class(serve, connect):
    """Nothing is made of outputs that nobody wants typed."""
    server = await serve(END)
    assert (await connect(server).run()).output is None


@pytest.mark.parametrize(
    ("cls", "path"), [(Dated, "outputs"), (Aged, "outputs"), (int, "outputs")]
)
async def test_outputs_that_do_not_fit(cls, path, version, serve, connect):
    """The run has succeeded: its result comes with the error, which pickles."""
    server = await serve(END, version=version)
    with pytest.raises(errors.OutputsMismatch) as caught:
        await connect(server).run(output=cls)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert error.problems
        assert all(path in x for x in error.problems)
        assert str(error).startswith(error.problems[0])
        assert error.result.outputs == OUTPUTS
        assert error.result.output is None
        assert error.run_id == error.result.workflow_run_id == server.runs[0].id
    assert server.stops == []


async def test_problems_have_a_path(serve, connect):
    """Each fault is told, with the way to it."""
    server = await serve(Node(type="end", outputs={"user": {"age": "?"}, "tags": 5}))
    with pytest.raises(errors.OutputsMismatch) as caught:
        await connect(server).run(output=Report)
    problems = " ".join(caught.value.problems)
    assert len(caught.value.problems) >= 3
    assert "outputs.user.age" in problems
    assert "outputs.tags" in problems
    assert "name" in problems


async def test_a_run_that_did_not_succeed_has_no_output(version, serve, connect):
    """Its own error comes first; unchecked, its outputs are left alone."""
    broken = Node(type="code", status="failed", error="too hot")
    server = await serve(broken, version=version)
    client = connect(server)
    with pytest.raises(errors.RunFailed):
        await client.run(output=Report)
    result = await client.run(output=Report, check=False)
    assert (result.status, result.output) == ("failed", None)


async def test_typed_outputs_pickle(serve, connect):
    """A result with an output of one's own is a value like any other."""
    server = await serve(END)
    result = await connect(server).run(output=Report)
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert again.output == result.output


# -- outputs that events cut -----------------------------------------------------------


CUT = Node(type="end", outputs={"text": LONG, "note": "short"}, truncate_at=100)


async def test_cut_outputs_are_completed(version, serve, connect):
    """`run` and `result` give all of it, though the events did not."""
    server = await serve(CUT, version=version)
    client = connect(server)
    assert (await client.run()).outputs == {"text": LONG, "note": "short"}
    async with client.stream() as run:
        events = [event async for event in run]
        result = await run.result()
    assert len(events[-1].outputs["text"]) < len(LONG)
    assert result.outputs == {"text": LONG, "note": "short"}
    assert result.status == "succeeded"


async def test_cut_outputs_in_handlers(version, serve, connect):
    """What the handlers see is what came; the result is complete all the same."""
    dispatcher = Dispatcher()
    seen = []
    dispatcher.on(WorkflowFinished)(lambda event: seen.append(event.outputs["text"]))
    server = await serve(CUT, version=version)
    result = await connect(server).run(dispatcher=dispatcher)
    assert len(seen[0]) < len(LONG)
    assert result.outputs["text"] == LONG


async def test_cut_outputs_as_a_class(serve, connect):
    """The class is made of the whole outputs."""

    @attrs.frozen
    class Text:
        text: str

    server = await serve(CUT)
    assert (await connect(server).run(output=Text)).output == Text(LONG)


async def test_whole_outputs_are_not_asked_for(version, serve, connect):
    """The run detail is read only where something was cut, of the End node."""
    cut = Node(type="code", outputs={"text": LONG}, truncate_at=100)
    server = await serve(cut, END, version=version)
    assert (await connect(server).run()).outputs == OUTPUTS
    assert [x.method for x in server.server.requests] == ["POST"]


async def test_cut_outputs_that_are_written_late(wild, connect, ids):
    """A detail that does not have them yet is asked again, not taken for whole."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event(
            "workflow_finished",
            status="succeeded",
            outputs={"text": "x..."},
            outputs_truncated=True,
        )
        await peer.end()

    async def early(peer) -> None:
        await peer.answer(200, {"id": ids.run, "status": "running", "outputs": {}})

    async def late(peer) -> None:
        done = {"id": ids.run, "status": "succeeded", "outputs": {"text": LONG}}
        await peer.answer(200, done)

    server = await wild(script, early, late)
    assert (await connect(server).run()).outputs == {"text": LONG}


# -- tracing ---------------------------------------------------------------------------


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("verb", ["run", "run_blocking", "start"])
async def test_tracing_ids(verb, version, serve, connect):
    """Two go in the body and one in a header, and nothing where none was given."""
    server = await serve(END, version=version)
    client = connect(server)
    await getattr(client, verb)(
        trace_id="t-1_A", trace_session_id="session é 1", traceparent=TRACEPARENT
    )
    await getattr(client, verb)()
    first, second = (x for x in server.server.requests if x.method == "POST")
    assert first.json["trace_id"] == "t-1_A"
    assert first.json["trace_session_id"] == "session é 1"
    assert first.headers["traceparent"] == TRACEPARENT
    assert not {"trace_id", "trace_session_id"} & second.json.keys()
    assert "traceparent" not in second.headers


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("trace_id", ["a", "a" * 128]),
        ("trace_session_id", ["a", "a" * 200, " a "]),
        ("traceparent", [TRACEPARENT]),
    ],
)
async def test_tracing_ids_that_are_just_right(name, values, serve, connect):
    """The limits themselves are allowed."""
    server = await serve(END)
    client = connect(server)
    for value in values:
        assert (await client.run(**{name: value})).is_success
    assert len(server.starts) == len(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("trace_id", x) for x in ("", "a" * 129, "a b", "é", "a\n", 5, b"a")),
        *(("trace_session_id", x) for x in ("", "  ", "a" * 201, "a\r\nb", 5)),
        *(
            ("traceparent", x)
            for x in (
                "",
                "x",
                TRACEPARENT.upper(),
                TRACEPARENT[:-1],
                f"{TRACEPARENT}\r\nX-Evil: 1",
                f"{TRACEPARENT}\n",
                TRACEPARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
                TRACEPARENT.replace("b7ad6b7169203331", "0" * 16),
                f"ff{TRACEPARENT[2:]}",
                5,
            )
        ),
    ],
)
async def test_malformed_tracing_ids(name, value, wild, connect):
    """The server would ignore them without a word: nothing is sent."""
    server = await wild()
    client = connect(server)
    for verb in (client.run, client.run_blocking, client.start):
        with pytest.raises(errors.ConfigurationError, match=name):
            await verb(**{name: value})
    with pytest.raises(errors.ConfigurationError, match=name):
        client.stream(**{name: value})
    assert server.connections == 0


async def test_tracing_is_not_for_stops(serve, connect, until):
    """A header of the run is the run's alone."""
    server = await serve(Sleep(seconds=3600))
    client = connect(server)
    async with client.stream(traceparent=TRACEPARENT) as run:
        await anext(run)
    await until(lambda: server.stops)
    assert "traceparent" not in server.server.requests[-1].headers


async def test_cut_outputs_that_nobody_has_whole(wild, connect, ids, caplog):
    """If the server does not know the run, what came is given, and a warning."""

    async def script(peer) -> None:
        await peer.begin()
        await peer.event(
            "workflow_finished",
            status="succeeded",
            outputs={"text": "x..."},
            outputs_truncated=True,
        )
        await peer.end()

    async def missing(peer) -> None:
        await peer.answer(404, {"code": "not_found", "message": "no", "status": 404})

    server = await wild(script, *[missing] * 40)
    result = await connect(server).run()
    assert result.outputs == {"text": "x..."}
    assert result.workflow_run_id == ids.run
    assert "stay cut" in caplog.text
