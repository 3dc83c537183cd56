"""Which events of a stream are made, and which are passed over since nobody wants them.

Some of those the run's own state is made of: they are looked into, or made in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from ._wire import event_hooks, structure_event
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
HEAD = 27
"""So many of them are looked up, which is enough for the quote behind ``text_chunk``."""

# Dify writes JSON without spaces; others, such as servers for tests, may not.
_FORMS = {'data: {"event":"%s"': "", 'data: {"event": "%s"': " "}

# What an event holds that is looked into although nobody wants it, the likeliest first.
# Dify escapes no such letters; whoever does has events that are passed over.
_LOOKED_FOR = {
    "node_finished": ('"total_price"', '"status":{}"failed"', '_truncated":{}true'),
}


Passed = tuple[bytes, tuple[bytes, ...]]
"""How frames that need not be decoded go on behind their first `HEAD` bytes, up to the
quote behind the name; and what they are decoded for, if they hold one of it."""


def holds(frame: bytes, telling: tuple[bytes, ...]) -> bool:
    """True if the frame holds one of these."""
    # From behind: that is quicker, and what is looked for stands there in most.
    for each in telling:  # noqa: SIM110 - as any() it would cost twice
        if frame.rfind(each) >= 0:
            return True
    return False


class Decoding(NamedTuple):
    """How events are decoded.

    Attributes:
        hooks: what is made of a decoded event, by its name.
        passed: what is not even decoded, by its first `HEAD` bytes.
    """

    hooks: Mapping[str, Hook]
    passed: Mapping[bytes, Passed]


@cache
def everything() -> Decoding:
    """All events are made."""
    return Decoding(event_hooks(), {})


@cache
def least(*, keeps_text: bool) -> Decoding:
    """None is made, but for those that tell something about the run.

    Of texts only a ``str`` is made, if they are to be kept, and of ends of nodes only a
    price and its currency, or nothing.
    """
    hooks = _unwanted(keeps_text=keeps_text)
    return Decoding(hooks, _passed(frozenset(hooks), keeps_text=keeps_text))


def only(wants: Callable[[str], bool], *, keeps_text: bool) -> Decoding:
    """Those are made that *wants* wants by name, and those that `least` makes."""
    names = frozenset(name for name in event_hooks() if not wants(name))
    unwanted = _unwanted(keeps_text=keeps_text)
    hooks = {
        name: unwanted[name] if name in names else hook
        for name, hook in event_hooks().items()
    }
    return Decoding(hooks, _passed(names, keeps_text=keeps_text))


def _nothing(_: dict[str, Any]) -> None:
    """Make nothing of an event that nobody wants."""


def _text(obj: dict[str, Any]) -> str | None:
    """The text of a ``text_chunk``."""
    try:
        text = obj["data"]["text"]
    except (KeyError, TypeError):
        return None  # it has none
    return text if text.__class__ is str else None


def _cost(obj: dict[str, Any]) -> tuple[object, object] | Event | None:
    """Price and currency of a ``node_finished``; the event, if it tells more."""
    data: Any = obj.get("data")
    if data.__class__ is not dict:
        return None
    if data.get("status") == "failed" or data.get("outputs_truncated"):
        return structure_event(obj)
    metadata: Any = data.get("execution_metadata")
    if metadata.__class__ is dict and "total_price" in metadata:
        return metadata["total_price"], metadata.get("currency")
    return None


@cache
def _unwanted(*, keeps_text: bool) -> Mapping[str, Hook]:
    """What is made of the events if nobody wants any."""
    from .events import EVENTS

    hooks: dict[str, Hook] = {
        name: hook if EVENTS[name] in RARE else _nothing
        for name, hook in event_hooks().items()
    }
    hooks["node_finished"] = _cost
    if keeps_text:
        hooks["text_chunk"] = _text
    return hooks


@lru_cache(maxsize=64)
def _passed(names: frozenset[str], *, keeps_text: bool) -> Mapping[bytes, Passed]:
    """What is not decoded of the events of these *names*, which nobody wants."""
    hooks = _unwanted(keeps_text=keeps_text)
    found: dict[bytes, Passed] = {}
    for name in sorted(names):
        telling = _LOOKED_FOR.get(name, ())
        if hooks[name] is not _nothing and not telling:
            continue
        for form, space in _FORMS.items():
            whole = (form % name).encode()
            # A shorter one has the comma behind it, too.
            head, rest = (whole + b",")[:HEAD], whole[HEAD:]
            if len(head) < HEAD or head in found:
                continue  # rare ones, which are decoded
            found[head] = rest, tuple(each.format(space).encode() for each in telling)
    return found
