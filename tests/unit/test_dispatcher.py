"""Who gets which event, in which order, and with what."""

from __future__ import annotations

import asyncio

from functools import partial
from typing import Optional, Union
from unittest.mock import AsyncMock, call

import attrs
import pytest

from dify_workflow_async.dispatcher import Dispatcher
from dify_workflow_async.errors import ConfigurationError
from dify_workflow_async.events import (
    EVENTS,
    AgentLog,
    Event,
    IterationStarted,
    NodeFinished,
    NodeRetry,
    NodeStarted,
    Ping,
    TextChunk,
    TtsMessage,
    TtsMessageEnd,
    UnknownEvent,
    WorkflowFinished,
)


@attrs.frozen(kw_only=True)
class OwnFinished(NodeFinished):
    """An event of a program's own."""

    cost: int = 0


FAILED = NodeFinished(node_type="llm", status="failed", outputs={"a": [1]})
NEW = UnknownEvent(name="node_paused")


async def get(dispatcher: Dispatcher, *events: Event) -> list[bool]:
    """Dispatch *events* and tell which of them were taken."""
    return [await dispatcher.dispatch(event) for event in events]


@pytest.mark.parametrize(
    ("what", "event", "taken"),
    [
        ((NodeFinished,), NodeFinished(), True),
        ((NodeFinished,), NodeStarted(), False),
        ((NodeFinished,), OwnFinished(), True),
        ((OwnFinished,), NodeFinished(), False),
        ((NodeFinished, NodeStarted), NodeStarted(), True),
        ((NodeFinished | NodeStarted,), NodeStarted(), True),
        ((Union[NodeFinished, NodeStarted],), NodeStarted(), True),  # noqa: UP007
        ((NodeFinished | NodeStarted | TextChunk, "ping"), TextChunk(), True),
        ((NodeFinished | NodeStarted,), TextChunk(), False),
        ((TtsMessage.__base__,), TtsMessageEnd(), True),
        ((Event,), TextChunk(), True),
        ((Event,), Event(), True),
        ((Event,), NEW, True),
        ((Event,), Ping(), False),
        ((Event, Ping), Ping(), True),
        ((UnknownEvent,), NEW, True),
        ((UnknownEvent,), TextChunk(), False),
        (("node_finished",), NodeFinished(), True),
        (("node_finished",), NodeStarted(), False),
        (("node_finished",), UnknownEvent(name="node_finished"), True),
        (("node_paused",), NEW, True),
        (("node_paused",), UnknownEvent(name="other"), False),
        (("node_*",), NodeStarted(), True),
        (("node_*",), NEW, True),
        (("node_*",), TextChunk(), False),
        (("NODE_*",), NodeStarted(), False),
        (("node_?tarted",), NodeStarted(), True),
        (("node_[rs]*",), NodeRetry(), True),
        (("node_[rs]*",), NodeFinished(), False),
        (("ping",), Ping(), True),
        (("p*",), Ping(), True),
        (("text_chunk", TextChunk, "text_*"), TextChunk(), True),
    ],
)
async def test_what(what: tuple[object, ...], event: Event, taken: bool) -> None:
    """Classes match subclasses; names and patterns match the wire's names."""
    seen: list[Event] = []
    dispatcher = Dispatcher()
    dispatcher.on(*what)(seen.append)
    async with dispatcher.scope() as scope:
        assert scope.interested(event) is taken
        assert await scope.dispatch(event) is taken
    assert seen == ([event] if taken else [])


async def test_fast_path() -> None:
    """Functions that take the event alone are awaited, the first time and later."""
    seen: list[str] = []
    dispatcher = Dispatcher()

    @dispatcher.on(TextChunk)
    async def first(event: TextChunk) -> None:
        seen.append("first")

    @dispatcher.on(TextChunk, priority=1)
    async def second(event: TextChunk) -> None:
        seen.append("second")
        if event.text:
            raise KeyError(event.text)

    async with dispatcher.scope() as scope:
        for _ in range(2):
            assert scope.interested(TextChunk())
            assert not scope.interested(NodeStarted())
            assert await scope.dispatch(TextChunk())
            assert not await scope.dispatch(NodeStarted())
        with pytest.raises(KeyError):
            await scope.dispatch(TextChunk(text="x"))
        assert seen == ["second", "first", "second", "first", "second"]
        # What is registered later slows nothing down, and is not missed.
        dispatcher.on(TextChunk, text="")(lambda event: seen.append("third"))
        seen.clear()
        assert await scope.dispatch(TextChunk())
        assert seen == ["second", "first", "third"]


@pytest.mark.parametrize(
    ("what", "fields", "event", "taken"),
    [
        (NodeFinished, {"node_type": "llm"}, FAILED, True),
        (NodeFinished, {"node_type": "code"}, FAILED, False),
        (NodeFinished, {"node_type": "llm", "status": "failed"}, FAILED, True),
        (NodeFinished, {"node_type": "llm", "status": "succeeded"}, FAILED, False),
        (NodeFinished, {"status": ("failed", "exception")}, FAILED, True),
        (NodeFinished, {"status": ["failed"]}, FAILED, True),
        (NodeFinished, {"status": {"failed"}}, FAILED, True),
        (NodeFinished, {"status": frozenset({"succeeded"})}, FAILED, False),
        (NodeFinished, {"status": ()}, FAILED, False),
        (NodeFinished, {"outputs": {"a": [1]}}, FAILED, True),
        (NodeFinished, {"outputs": {None, "x"}}, FAILED, False),
        (NodeFinished, {"error": None}, FAILED, True),
        ("node_finished", {"status": "failed"}, FAILED, True),
        ("node_*", {"status": "failed"}, FAILED, True),
        ("node_*", {"status": "failed"}, NodeStarted(), False),
        ("node_*", {"name": "node_paused"}, NEW, True),
        ("node_paused", {"name": "node_paused"}, NEW, True),
        (UnknownEvent, {"name": "node_paused"}, NEW, True),
        (Event, {"node_type": "llm"}, FAILED, True),
        (Event, {"node_type": "llm"}, TextChunk(), False),
        (Event, {"task_id": "t"}, TextChunk(task_id="t"), True),
        (NodeFinished | TextChunk, {"text": "x"}, TextChunk(text="x"), True),
        (NodeFinished | TextChunk, {"text": "x"}, NodeFinished(), False),
        (OwnFinished, {"cost": 3}, OwnFinished(cost=3), True),
    ],
)
async def test_fields(
    what: object, fields: dict[str, object], event: Event, taken: bool
) -> None:
    """Fields must be equal to a value or one of several; who has no field is out."""
    seen: list[Event] = []
    dispatcher = Dispatcher()
    dispatcher.on(what, **fields)(seen.append)
    assert await get(dispatcher, event) == [taken]
    assert seen == ([event] if taken else [])


async def test_where() -> None:
    """A predicate is asked after the fields."""
    asked: list[str] = []
    dispatcher = Dispatcher()

    def long(event: NodeFinished) -> int:
        asked.append(event.title)
        return len(event.title) > 1

    @dispatcher.on(NodeFinished, where=long, node_type="llm")
    async def handler(event: NodeFinished) -> None: ...

    @dispatcher.on_any(where=lambda event: event.task_id, priority=1)
    async def second(event: Event) -> None: ...

    assert await get(
        dispatcher,
        NodeFinished(title="a", node_type="llm"),
        NodeFinished(title="bc", node_type="llm"),
        NodeFinished(title="de", node_type="code"),
        TextChunk(task_id="t"),
    ) == [False, True, False, True]
    assert asked == ["a", "bc"]


@pytest.mark.parametrize(
    ("what", "fields", "says"),
    [
        ((), {}, "say what to listen for"),
        ((int,), {}, "not an event class.*int"),
        ((TextChunk(),), {}, "not an event class"),
        (((TextChunk,),), {}, "not an event class"),
        ((Optional[TextChunk],), {}, "not an event class.*NoneType"),  # noqa: UP045
        ((3,), {}, "not an event class.*3"),
        (("",), {}, "not an event class"),
        ((lambda event: None,), {}, "not an event class.*lambda"),
        ((NodeFinished,), {"node_typ": "llm"}, "'node_typ'; did you mean 'node_type'"),
        ((NodeFinished,), {"event_name": "x"}, "no field 'event_name'"),
        ((NodeFinished | TextChunk,), {"audio": ""}, "NodeFinished or TextChunk has"),
        (("node_finished",), {"audio": ""}, "node_finished has no field 'audio'"),
        (("node_finished",), {"name": ""}, "no field 'name'"),
        (("node_*",), {"audio": ""}, "no field 'audio'"),
        (("node_paused",), {"status": ""}, "no field 'status'"),
        ((UnknownEvent,), {"zzz": ""}, r"UnknownEvent has no field 'zzz'$"),
        ((Event,), {"nonsense": 1}, "no field 'nonsense'"),
        ((TextChunk,), {"where": 3}, "where= takes a plain function"),
        ((TextChunk,), {"where": AsyncMock()}, "where= takes a plain function"),
    ],
)
async def test_bad_interests(
    what: tuple[object, ...], fields: dict[str, object], says: str
) -> None:
    """What can match nothing is refused when it is registered."""
    dispatcher = Dispatcher()
    with pytest.raises(ConfigurationError, match=says):
        dispatcher.on(*what, **fields)
    if len(what) == 1:
        with pytest.raises(ConfigurationError, match=says):
            dispatcher.wait_for(*what, **fields)
    assert dispatcher.version == 0


@pytest.mark.parametrize("setting", [{"max_concurrent": 0}, {"on_error": "ignore"}])
def test_bad_settings(setting: dict[str, object]) -> None:
    """Settings that mean nothing are refused."""
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        Dispatcher(**setting)


async def test_bare_decorators() -> None:
    """A decorator without parentheses is refused, not silently dead."""
    dispatcher = Dispatcher()
    with pytest.raises(ConfigurationError):

        @dispatcher.on
        async def handler(event: Event) -> None: ...

    with pytest.raises(TypeError):

        @dispatcher.on_any
        async def another(event: Event) -> None: ...


EVENT = TextChunk(text="x")


def handlers(seen: list[tuple[object, ...]]) -> dict[str, object]:  # noqa: C901
    """Make handlers of every kind, which note how they were called."""

    async def simple(event: Event) -> None:
        seen.append((event,))

    def plain(event: Event) -> int:
        seen.append((event,))
        return 1

    def returns_awaitable(event: Event) -> object:
        return simple(event)

    async def with_run(event: Event, run: object) -> None:
        seen.append((event, run))

    async def with_both(event: Event, *, row: object, run: object = 3) -> None:
        seen.append((event, run, row))

    def with_default(event: Event, other: int = 5, row: object = None) -> None:
        seen.append((event, other, row))

    def variadic(*events: Event) -> None:
        seen.append(events)

    def keywords(event: Event, **more: object) -> None:
        seen.append((event, *more))

    def positional_only(event: Event, run: object = 7, /) -> None:
        seen.append((event, run))

    def with_prefix(prefix: str, event: Event, run: object) -> None:
        seen.append((prefix, event, run))

    class Object:
        async def method(self, event: Event) -> None:
            seen.append((event,))

        async def __call__(self, event: Event, run: object) -> None:
            seen.append((event, run))

    handlers = [simple, plain, returns_awaitable, with_run, with_both, with_default]
    handlers += [variadic, keywords, positional_only]
    return {handler.__name__: handler for handler in handlers} | {
        "method": Object().method,
        "object": Object(),
        "partial": partial(with_prefix, "p"),
        "partial with run": partial(with_run, run="mine"),
        "partial of async": partial(simple),
        "partial of object": partial(Object()),
        "builtin": seen.append,
    }


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("simple", (EVENT,)),
        ("plain", (EVENT,)),
        ("returns_awaitable", (EVENT,)),
        ("with_run", (EVENT, "run")),
        ("with_both", (EVENT, "run", "row")),
        ("with_default", (EVENT, 5, "row")),
        ("variadic", (EVENT,)),
        ("keywords", (EVENT,)),
        ("positional_only", (EVENT, 7)),
        ("method", (EVENT,)),
        ("object", (EVENT, "run")),
        ("partial", ("p", EVENT, "run")),
        ("partial with run", (EVENT, "mine")),
        ("partial of async", (EVENT,)),
        ("partial of object", (EVENT, "run")),
        ("builtin", EVENT),
    ],
)
async def test_handlers(which: str, expected: object) -> None:
    """Every kind of callable is called with what it asks for, and given back."""
    seen: list[tuple[object, ...]] = []
    handler = handlers(seen)[which]
    dispatcher = Dispatcher()
    assert dispatcher.on(TextChunk)(handler) is handler
    assert await dispatcher.dispatch(EVENT, "run", "row")
    assert seen == [expected]


async def test_no_signature() -> None:
    """A callable that tells nothing of its parameters is given the event."""
    dispatcher = Dispatcher()
    handler = AsyncMock()
    handler.__signature__ = "none"  # for which inspect raises a TypeError
    dispatcher.on(TextChunk)(handler)
    await dispatcher.dispatch(EVENT, "run")
    assert handler.await_args_list == [call(EVENT)]


async def generator(event: Event) -> object:
    """Yield, which no handler should."""
    yield event


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (3, "not a function: 3"),
        (lambda: None, "takes no argument: its first would be the event"),
        (lambda *, event: None, "takes no argument"),
        (lambda **event: None, "takes no argument"),
        (lambda event, other: None, "requires 'other', which nobody gives"),
        (lambda event, *, other: None, "requires 'other'"),
        (lambda *events, other: None, "requires 'other'"),
        (lambda event, run, /: None, "requires 'run'"),
        (lambda run, event: None, "requires 'event'"),
        (partial(lambda event, other: None), "requires 'other'"),
        (generator, "generator is a generator"),
        (lambda event: (yield), "is a generator"),
    ],
    ids=map(str, range(12)),
)
def test_bad_handlers(handler: object, says: str) -> None:
    """A function that could not be called is refused when it is registered."""
    dispatcher = Dispatcher()
    with pytest.raises(ConfigurationError, match=says):
        dispatcher.on(TextChunk)(handler)
    assert not dispatcher.wants("text_chunk")


async def test_order() -> None:
    """Higher priorities first, then time of registration, however registered."""
    seen: list[str] = []
    outer, inner = Dispatcher(), Dispatcher()

    def note(name: str) -> object:
        return lambda event: seen.append(name)

    outer.on(NodeFinished)(note("class"))
    outer.include(inner)
    inner.on("node_*")(note("pattern, included"))
    outer.on_any()(note("any"))
    inner.on("node_finished", priority=2)(note("early, included"))
    outer.on(Event, priority=1)(note("early"))
    outer.on(NodeFinished, priority=-1)(note("late"))
    inner.on(NodeFinished, node_type=None)(note("filtered, included"))
    await outer.dispatch(NodeFinished())
    assert seen == [
        "early, included",
        "early",
        "class",
        "pattern, included",
        "any",
        "filtered, included",
        "late",
    ]


async def test_stacked_decorators() -> None:
    """A function may be registered several times, and then runs as often."""
    seen: list[Event] = []
    dispatcher = Dispatcher()

    @dispatcher.on(NodeFinished, status="failed")
    @dispatcher.on(NodeFinished, node_type="llm")
    @dispatcher.on(NodeStarted)
    async def handler(event: NodeFinished | NodeStarted) -> None:
        seen.append(event)

    started = NodeStarted()
    await get(dispatcher, FAILED, started)
    assert seen == [FAILED, FAILED, started]


async def test_handlers_are_awaited_one_after_another() -> None:
    """The second handler starts when the first has ended."""
    seen: list[str] = []
    dispatcher = Dispatcher()

    @dispatcher.on(TextChunk)
    async def first(event: TextChunk) -> None:
        await asyncio.sleep(0)
        seen.append("first")

    @dispatcher.on(TextChunk)
    async def second(event: TextChunk) -> None:
        seen.append("second")

    assert await dispatcher.dispatch(EVENT)
    assert seen == ["first", "second"]


async def test_include() -> None:
    """Handlers of an included dispatcher take part, also those to come, once each."""
    seen: list[str] = []
    outer, left, right, inner = (Dispatcher() for _ in range(4))
    outer.include(left)
    outer.include(right)
    outer.include(left)
    left.include(inner)
    right.include(inner)
    assert not outer.wants("text_chunk")
    inner.on(TextChunk)(lambda event: seen.append("inner"))
    assert outer.wants("text_chunk")
    assert await outer.dispatch(EVENT)
    left.on(TextChunk)(lambda event: seen.append("left"))
    assert await outer.dispatch(EVENT)
    assert seen == ["inner", "inner", "left"]
    assert not await right.dispatch(NodeStarted())


def test_include_itself() -> None:
    """A dispatcher cannot include itself, not even through others."""
    first, second, third = Dispatcher(), Dispatcher(), Dispatcher()
    first.include(second)
    second.include(third)
    for dispatcher in (first, second, third):
        with pytest.raises(ConfigurationError, match="cannot include itself"):
            third.include(dispatcher)


def test_included_dispatcher_does_not_hold_the_outer() -> None:
    """A long-lived dispatcher may be included in any number of short-lived ones."""
    inner = Dispatcher()
    outer = Dispatcher()
    outer.include(inner)
    assert len(inner._registry.including) == 1
    del outer
    assert len(inner._registry.including) == 0


@pytest.mark.parametrize(
    ("what", "fields", "name", "wants", "asked"),
    [
        ((TtsMessage,), {}, "tts_message", True, True),
        ((TtsMessage,), {}, "tts_message_end", False, False),
        (("tts_message",), {}, "tts_message", True, True),
        (("tts_*",), {}, "tts_message", True, True),
        (("*",), {}, "tts_message", True, True),
        (("*",), {}, "ping", True, True),
        ((TtsMessage.__base__,), {}, "tts_message", True, True),
        ((TtsMessage, TextChunk), {}, "text_chunk", True, True),
        ((TtsMessage,), {"audio": "x"}, "tts_message", True, True),
        (("tts_*", "text_*"), {"text": "x"}, "tts_message", False, False),
        ((), {}, "tts_message", True, False),
        ((), {}, "brand_new", True, False),
        ((), {}, "ping", False, False),
        ((), {"text": "x"}, "tts_message", False, False),
        ((), {"text": "x"}, "text_chunk", True, False),
        ((Event,), {}, "tts_message", True, False),
        ((Event,), {}, "ping", False, False),
        ((Event, TtsMessage), {}, "tts_message", True, True),
        ((Ping,), {}, "ping", True, True),
        (("ping",), {}, "ping", True, True),
        (("brand_new",), {}, "brand_new", True, True),
        (("brand_*",), {}, "brand_new", True, True),
        ((UnknownEvent,), {}, "brand_new", True, True),
        ((UnknownEvent,), {}, "text_chunk", False, False),
    ],
    ids=map(str, range(24)),
)
def test_wants_and_asked_for(
    what: tuple[object, ...],
    fields: dict[str, object],
    name: str,
    wants: bool,
    asked: bool,
) -> None:
    """Taking everything is wanting, but not asking for; a ping must be asked for."""
    dispatcher = Dispatcher()
    assert not dispatcher.wants(name)
    assert not dispatcher.asked_for(name)
    register = dispatcher.on(*what, **fields) if what else dispatcher.on_any(**fields)
    register(lambda event: None)
    assert dispatcher.version == 1
    assert dispatcher.wants(name) is wants
    assert dispatcher.asked_for(name) is asked
    outer = Dispatcher()
    outer.include(dispatcher)
    assert outer.wants(name) is wants
    assert outer.asked_for(name) is asked


async def test_version() -> None:
    """The version grows with whatever may change an answer, also further in."""
    outer, inner = Dispatcher(), Dispatcher()
    versions = [outer.version]

    def note() -> None:
        versions.append(outer.version)

    outer.include(inner)
    note()
    inner.on(TextChunk)(lambda event: None)
    note()
    inner.on_exception(KeyError)(lambda error: None)
    note()
    waiter = inner.wait_for(NodeFinished)
    note()
    assert outer.wants("node_finished")
    assert await outer.dispatch(NodeFinished())
    note()
    assert not outer.wants("node_finished")
    assert await waiter == NodeFinished()
    outer.include(inner)
    assert versions == sorted(set(versions))
    assert outer.version == versions[-1]


async def test_registration_during_dispatch() -> None:
    """A handler that is registered by a handler gets the next event, not this one."""
    seen: list[Event] = []
    dispatcher = Dispatcher()

    @dispatcher.on(TextChunk)
    async def handler(event: TextChunk) -> None:
        dispatcher.on(TextChunk)(seen.append)

    await dispatcher.dispatch(EVENT)
    assert seen == []
    await dispatcher.dispatch(EVENT)
    assert seen == [EVENT]


async def test_unknown_names_are_not_hoarded() -> None:
    """A server that makes up names does not fill the memory."""
    dispatcher = Dispatcher()
    dispatcher.on("n7*")(lambda event: None)
    taken = [
        await dispatcher.dispatch(UnknownEvent(name=f"n{number}"))
        for number in range(1000)
    ]
    assert sum(taken) == 111
    assert len(dispatcher._registry._unknown) <= 256


@pytest.mark.parametrize("event_class", [*EVENTS.values(), UnknownEvent])
async def test_hand_made_events(event_class: type[Event]) -> None:
    """Every event can be dispatched as it is made, without a run."""
    seen: list[tuple[Event, object, object]] = []
    dispatcher = Dispatcher()

    @dispatcher.on(event_class)
    async def handler(event: Event, run: object, row: object) -> None:
        seen.append((event, run, row))

    event = event_class()
    assert await dispatcher.dispatch(event)
    assert seen == [(event, None, None)]


async def test_no_handlers() -> None:
    """Events that nobody wants are taken by nobody."""
    dispatcher = Dispatcher()
    events = [AgentLog(), IterationStarted(), WorkflowFinished(), Ping(), NEW]
    assert not any(await get(dispatcher, *events))
    async with dispatcher.scope() as scope:
        assert not any(scope.interested(event) for event in events)
