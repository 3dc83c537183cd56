"""What becomes of the exceptions of handlers."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dify_workflow_async.dispatcher import Dispatcher
from dify_workflow_async.errors import ConfigurationError
from dify_workflow_async.events import Event, NodeFinished, TextChunk, UnknownEvent


EVENT = NodeFinished(
    task_id="task-1", workflow_run_id="run-1", raw={"outputs": "people's data"}
)


class Odd(LookupError):
    """An exception of the program."""


def failing(dispatcher: Dispatcher, error: BaseException, **how: object) -> list[str]:
    """Register a handler that raises *error*, then one that notes that it ran."""
    seen: list[str] = []

    @dispatcher.on(NodeFinished, **how)
    async def broken(event: NodeFinished) -> None:
        raise error

    @dispatcher.on(NodeFinished)
    async def after(event: NodeFinished) -> None:
        seen.append("after")

    return seen


@pytest.mark.parametrize("how", [{}, {"task_id": "task-1"}, {"concurrent": True}])
async def test_raise(how: dict[str, object]) -> None:
    """The handler's own exception is raised, unchanged and in no group."""
    error = Odd("x")
    dispatcher = Dispatcher()
    failing(dispatcher, error, **how)
    with pytest.raises(Odd) as caught:
        await dispatcher.dispatch(EVENT)
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None


async def test_raise_ends_the_dispatch() -> None:
    """Handlers after the one that failed do not run."""
    dispatcher = Dispatcher()
    seen = failing(dispatcher, Odd())
    with pytest.raises(Odd):
        await dispatcher.dispatch(EVENT)
    assert seen == []


@pytest.mark.parametrize("how", [{}, {"concurrent": True}])
async def test_log(how: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    """With "log" the rest goes on; ids are logged, what the event holds is not."""
    error = Odd("x")
    dispatcher = Dispatcher(on_error="log")
    seen = failing(dispatcher, error, **how)
    assert await dispatcher.dispatch(EVENT)
    assert seen == ["after"]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("dify_workflow_async", logging.ERROR)
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert "broken failed on node_finished" in record.getMessage()
    assert record.event_name == "node_finished"
    assert record.task_id == "task-1"
    assert record.workflow_run_id == "run-1"
    assert "people" not in repr(vars(record))


async def test_log_of_an_unknown_event(caplog: pytest.LogCaptureFixture) -> None:
    """The log names an unknown event as the wire does."""
    dispatcher = Dispatcher(on_error="log")

    @dispatcher.on_any()
    def broken(event: Event) -> None:
        raise Odd

    await dispatcher.dispatch(UnknownEvent(name="brand_new"))
    assert "failed on brand_new" in caplog.text


def collect(seen: list[object]) -> list[object]:
    """Make functions for ``on_error`` that note what they get."""

    async def both(error: Exception, event: Event) -> None:
        seen.append((error, event))

    def plain(error: Exception, occasion: Event) -> None:
        seen.append((error, occasion))

    def positional(error: Exception, event: Event, /, other: int = 1) -> None:
        seen.append((error, event))

    def variadic(*both: object) -> None:
        seen.append(both)

    def by_name(error: Exception, *, event: Event, run: object) -> None:
        assert run is None
        seen.append((error, event))

    return [both, plain, positional, variadic, by_name]


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("as_rescue", [False, True])
async def test_functions_for_errors(which: int, as_rescue: bool) -> None:
    """A function, plain or async, gets the exception and the event; the rest goes on."""
    seen: list[object] = []
    function = collect(seen)[which]
    dispatcher = Dispatcher(on_error="raise" if as_rescue else function)
    if as_rescue:
        assert dispatcher.on_exception(Odd)(function) is function
    error = Odd()
    after = failing(dispatcher, error)
    assert await dispatcher.dispatch(EVENT)
    assert seen == [(error, EVENT)]
    assert after == ["after"]


async def test_on_error_may_raise() -> None:
    """What the function for errors raises itself is raised."""

    def translate(error: Exception, event: Event) -> None:
        raise KeyError from error

    dispatcher = Dispatcher(on_error=translate)
    failing(dispatcher, Odd())
    with pytest.raises(KeyError):
        await dispatcher.dispatch(EVENT)


@pytest.mark.parametrize(
    "function",
    [lambda: None, lambda error, *, other: None, lambda a, b, c: None],
    ids=["nothing", "other", "three"],
)
def test_bad_functions_for_errors(function: object) -> None:
    """A function that could not be called is refused at once."""
    with pytest.raises(ConfigurationError):
        Dispatcher(on_error=function)
    with pytest.raises(ConfigurationError):
        Dispatcher().on_exception(Odd)(function)


@pytest.mark.parametrize("types", [(), (3,), (int,), (Odd, asyncio.CancelledError)])
def test_bad_exception_types(types: tuple[object, ...]) -> None:
    """Only exceptions that a program may catch can be handled."""
    with pytest.raises(ConfigurationError, match="not subclasses of Exception"):
        Dispatcher().on_exception(*types)


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ([Exception, Odd, LookupError], [Odd, LookupError, Exception]),
        ([LookupError, Exception], [LookupError, Exception]),
        ([KeyError, ValueError], []),
        ([(KeyError, Exception), LookupError], [LookupError, (KeyError, Exception)]),
    ],
)
async def test_most_specific_first(
    registered: list[object], asked: list[object]
) -> None:
    """Who declines by raising it again leaves it to the next less specific one."""
    seen: list[object] = []
    dispatcher = Dispatcher()
    for types in registered:

        def decline(error: Exception, types: object = types) -> None:
            seen.append(types)
            raise error

        dispatcher.on_exception(*(types if isinstance(types, tuple) else (types,)))(
            decline
        )
    error = Odd()
    failing(dispatcher, error)
    with pytest.raises(Odd) as caught:
        await dispatcher.dispatch(EVENT)
    assert caught.value is error
    assert seen == asked


async def test_first_who_handles_it() -> None:
    """When one has dealt with it, no other is asked, nor ``on_error``."""
    seen: list[str] = []
    dispatcher = Dispatcher(on_error=lambda error, event: seen.append("on_error"))
    dispatcher.on_exception(Odd)(lambda error: seen.append("first"))
    dispatcher.on_exception(Odd)(lambda error: seen.append("second"))
    failing(dispatcher, Odd())
    await dispatcher.dispatch(EVENT)
    failing(dispatcher, KeyError())
    await dispatcher.dispatch(EVENT)
    assert seen == ["first", "first", "on_error"]


async def test_exception_handler_that_fails() -> None:
    """An exception handler's own exception is raised in its place."""
    dispatcher = Dispatcher(on_error="log")

    @dispatcher.on_exception(Odd)
    async def translate(error: Odd) -> None:
        raise KeyError from error

    failing(dispatcher, Odd())
    with pytest.raises(KeyError):
        await dispatcher.dispatch(EVENT)


async def test_included_rules_come_first() -> None:
    """Included rules hold for included handlers only, then those around them."""
    seen: list[str] = []
    outer = Dispatcher()
    inner = Dispatcher(on_error="log")
    outer.include(inner)
    outer.on_exception(Odd)(lambda error: seen.append("outer"))

    @inner.on_exception(Exception)
    def declines_others(error: Exception) -> None:
        seen.append("inner")
        if not isinstance(error, KeyError):
            raise error

    def fail(event: NodeFinished) -> None:
        raise {"key": KeyError, "odd": Odd, "type": TypeError}[event.status]

    inner.on(NodeFinished)(fail)
    outer.on(TextChunk)(lambda event: 1 / 0)
    await outer.dispatch(NodeFinished(status="key"))
    assert seen == ["inner"]
    await outer.dispatch(NodeFinished(status="odd"))
    assert seen == ["inner", "inner", "outer"]
    with pytest.raises(TypeError):  # the policy of who dispatches
        await outer.dispatch(NodeFinished(status="type"))
    with pytest.raises(ZeroDivisionError):
        await outer.dispatch(TextChunk())
    assert seen == ["inner", "inner", "outer", "inner"]


@pytest.mark.parametrize("concurrent", [False, True])
async def test_failing_predicate(concurrent: bool) -> None:
    """An exception of ``where=`` is treated as that of its handler."""
    seen: list[object] = []
    dispatcher = Dispatcher()
    error = Odd()

    def where(event: NodeFinished) -> bool:
        raise error

    dispatcher.on(NodeFinished, where=where, concurrent=concurrent)(print)
    with pytest.raises(Odd) as caught:
        await dispatcher.dispatch(EVENT)
    assert caught.value is error
    dispatcher.on_exception(Odd)(seen.append)
    assert not await dispatcher.dispatch(EVENT)
    assert seen == [error]


@pytest.mark.parametrize("on_error", ["raise", "log", print])
@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt])
async def test_cancellation_passes(
    on_error: object, error: type[BaseException]
) -> None:
    """No policy swallows a cancellation, nor what ends the program."""
    dispatcher = Dispatcher(on_error=on_error)
    dispatcher.on_exception(Exception)(lambda error: None)
    seen = failing(dispatcher, error())
    with pytest.raises(error):
        await dispatcher.dispatch(EVENT)
    assert seen == []
