"""What type checkers must accept and refuse of the dispatcher; never run."""

# Each checker must find every fault, and no other.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from functools import partial
from typing import Any, assert_type

from dify_workflow_async.dispatcher import Dispatcher, Scope, Waiter
from dify_workflow_async.events import (
    Event,
    NodeFinished,
    NodeStarted,
    TextChunk,
    TtsMessage,
    WorkflowFinished,
)


dispatcher = Dispatcher()
Dispatcher(on_error="log", max_concurrent=5)
Dispatcher(on_error="ignore")  # type: ignore[arg-type]


# What handlers may be.


@dispatcher.on(NodeFinished, node_type="llm", status=("failed", "exception"))
async def exact(event: NodeFinished) -> None:
    """Take the class itself."""


@dispatcher.on(NodeFinished, where=lambda event: event.title == "LLM", priority=1)
def plain(event: NodeFinished) -> int:
    """Return what it likes."""
    return 1


@dispatcher.on(NodeFinished, concurrent=True)
async def base(event: Event) -> None:
    """Take a base class."""


@dispatcher.on(NodeFinished)
async def with_run(event: NodeFinished, run: object, *, row: Any = None) -> None:
    """Ask for more."""


@dispatcher.on(NodeFinished, NodeStarted)
async def two(event: NodeFinished | NodeStarted) -> None:
    """Take several classes."""


@dispatcher.on(NodeFinished, NodeStarted, TextChunk, WorkflowFinished)
async def four(event: Event) -> None:
    """Take four."""


@dispatcher.on(NodeFinished | NodeStarted)
async def union(event: NodeFinished | NodeStarted) -> None:
    """Take a union."""


@dispatcher.on("tts_message", "node_*")
async def named(event: TtsMessage) -> None:
    """Take a name; the checker believes it."""


@dispatcher.on(NodeFinished, "node_*")
async def mixed(event: Event) -> None:
    """Take a class and a pattern."""


@dispatcher.on(NodeFinished, status="failed")
@dispatcher.on(NodeStarted, node_type="llm")
async def stacked(event: NodeFinished | NodeStarted) -> None:
    """Be registered twice."""


@dispatcher.on_any(priority=-1)
async def everything(event: Event) -> None:
    """Take all events."""


class Player:
    """Has methods."""

    async def play(self, event: TtsMessage) -> None:
        """Be a bound method."""

    async def __call__(self, event: TtsMessage) -> None:
        """Be an object."""


async def late(prefix: str, event: NodeFinished) -> None:
    """Be a partial function."""


player = Player()
dispatcher.on(TtsMessage)(player.play)
dispatcher.on(TtsMessage)(player)
dispatcher.on(NodeFinished)(partial(late, "x"))
dispatcher.on(NodeFinished)(print)
dispatcher.on(NodeFinished)(lambda event: event.title)


# What handlers may not be.


@dispatcher.on(NodeFinished)  # type: ignore[arg-type]
async def wrong(event: NodeStarted) -> None:
    """Take another class."""


@dispatcher.on(NodeFinished, NodeStarted)  # type: ignore[arg-type]
async def too_narrow(event: NodeStarted) -> None:
    """Take one class of two."""


@dispatcher.on(NodeFinished)  # type: ignore[arg-type]
async def nothing() -> None:
    """Take no event."""


@dispatcher.on("node_finished")  # type: ignore[type-var]
async def nothing_named() -> None:
    """Take no event by name."""


@dispatcher.on_any()  # type: ignore[arg-type]
async def not_everything(event: NodeFinished) -> None:
    """Take too little."""


dispatcher.on(int)  # type: ignore[type-var]
dispatcher.on(NodeFinished, where=lambda event: event.nonsense)  # type: ignore[attr-defined]


# Exceptions.


@dispatcher.on_exception(KeyError)
async def missing(error: KeyError, event: Event, run: object) -> None:
    """Take the exception and more."""


@dispatcher.on_exception(KeyError, ValueError)
def either(error: KeyError | ValueError) -> None:
    """Take several."""


@dispatcher.on_exception(KeyError)  # type: ignore[arg-type]
def unrelated(error: ValueError) -> None:
    """Take another exception."""


async def report(error: Exception, event: Event) -> None:
    """Be called for all that is left."""


dispatcher.include(Dispatcher(on_error=report))


# What comes back.


async def results(event: NodeFinished) -> None:
    """Say what a checker must infer."""
    waiter = dispatcher.wait_for(NodeFinished, timeout=1.0, node_type="llm")
    assert_type(await assert_type(waiter, Waiter[NodeFinished]), NodeFinished)
    assert_type(await dispatcher.wait_for("node_finished"), Event)
    assert_type(await dispatcher.wait_for(NodeStarted | NodeFinished), Event)
    await dispatcher.wait_for(NodeFinished, lambda event: event.title == "LLM")
    assert_type(await exact(event), None)
    assert_type(plain(event), int)
    assert_type(await dispatcher.dispatch(event), bool)
    assert_type(dispatcher.wants("ping"), bool)
    assert_type(dispatcher.asked_for("ping"), bool)
    assert_type(dispatcher.version, int)
    async with dispatcher.scope(run=None) as scope:
        assert_type(scope, Scope)
        assert_type(scope.interested(event), bool)
        assert_type(await scope.dispatch(event), bool)
        assert_type(scope.failure, BaseException | None)
        await scope.drain()
        await scope.cancel()
