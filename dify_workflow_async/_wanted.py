"""Which events of a stream are made, and which are passed over since nobody wants them.

Some of those the run's own state is made of: they are looked into, or made in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from ._wire import event_hooks
from .events import (
    Error,
    Event,
    HumanInputRequired,
    TextReplace,
    TtsMessageEnd,
    WorkflowFinished,
    WorkflowPaused,
)


Hook = Callable[[dict[str, Any]], Any]

# Events that tell something about the run itself.
RARE: frozenset[type[Event]] = frozenset(
    {
        *(TextReplace, TtsMessageEnd, HumanInputRequired),
        *(WorkflowFinished, WorkflowPaused, Error),
    }
)

# An event that nobody needs is known by the first bytes of its frame, and not decoded.
KEY = slice(15, 26)
"""Enough of them to tell most events apart at once: letters of the name."""
_HEADS = 'data: {"event":"%s"', 'data: {"event": "%s"'


class Decoding(NamedTuple):
    """How events are decoded.

    Attributes:
        hooks: what is made of a decoded event, by its name.
        passed: how the frames begin that are not even decoded, by a part of that: see
            `KEY`.
    """

    hooks: Mapping[str, Hook]
    passed: Mapping[bytes, tuple[bytes, ...]]


@cache
def everything() -> Decoding:
    """All events are made."""
    return Decoding(event_hooks(), {})


def least(own: Mapping[str, Hook]) -> Decoding:
    """None is made, but for those that tell something about the run.

    Args:
        own: what looks into events that nobody wants, by their names.
    """
    return Decoding({**_unwanted(), **own}, _passed_without(frozenset(own)))


def only(wants: Callable[[str], bool], own: Mapping[str, Hook]) -> Decoding:
    """Those are made that *wants* wants by name, and those that `least` makes."""
    unwanted = least(own).hooks
    hooks = {
        name: hook if wants(name) else unwanted[name]
        for name, hook in event_hooks().items()
    }
    passed = tuple(name for name, hook in hooks.items() if hook is nobody)
    return Decoding(hooks, _beginnings(passed))


def nobody(_: dict[str, Any]) -> None:
    """Make nothing of an event that nobody wants."""


@cache
def _unwanted() -> dict[str, Hook]:
    """What is made of the events if nobody wants any."""
    from .events import EVENTS

    return {
        name: hook if EVENTS[name] in RARE else nobody
        for name, hook in event_hooks().items()
    }


@cache
def _passed_without(own: frozenset[str]) -> Mapping[bytes, tuple[bytes, ...]]:
    """How the frames of events begin that nobody wants, but for a stream's *own*."""
    names = [name for name, hook in _unwanted().items() if hook is nobody]
    return _beginnings(tuple(name for name in names if name not in own))


@lru_cache(maxsize=64)
def _beginnings(names: tuple[str, ...]) -> Mapping[bytes, tuple[bytes, ...]]:
    """How the frames of these events begin, up to the quote behind the name."""
    found: dict[bytes, tuple[bytes, ...]] = {}
    for beginning in (head % name for name in names for head in _HEADS):
        whole = beginning.encode()
        found[whole[KEY]] = (*found.get(whole[KEY], ()), whole)
    return found
