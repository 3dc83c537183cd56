"""JSON to objects and back: the only room that knows cattrs and orjson.

Structuring is tolerant by rule (specification, section 5): a value that is missing,
null or of a wrong type becomes the field's default, and nothing raises. Each class
gets one function, generated once by a cattrs hook factory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import orjson

from cattrs import transform_error
from cattrs.preconf.orjson import OrjsonConverter, make_converter

from .. import events
from .._convert import to_str
from ..errors import OutputsMismatch, UnexpectedAnswer
from ..events import Event, UnknownEvent
from ._converter import converter


T = TypeVar("T")
EventHook = Callable[[dict[str, Any]], Event | None]

# For the one loop in which a function call around it would count.
decode: Callable[[bytes], Any] = orjson.loads
DecodeError = orjson.JSONDecodeError


def structure(obj: object, cls: type[T]) -> T:
    """Make a *cls* of a decoded JSON object; missing and odd values become defaults.

    Raises:
        UnexpectedAnswer: *obj* is not a JSON object.
    """
    made = converter().structure(obj, cls)
    if made is None:  # pyright: ignore[reportUnnecessaryComparison]
        msg = f"the server sent {type(obj).__name__} instead of an object"
        raise UnexpectedAnswer(msg)
    return made


def loads(data: bytes) -> Any:
    """Decode JSON.

    Raises:
        UnexpectedAnswer: *data* is not JSON; the message quotes its beginning.
    """
    try:
        return decode(data)
    except DecodeError as error:
        raise broken_json(data, error) from None


def broken_json(data: bytes, error: DecodeError) -> UnexpectedAnswer:
    """The error for *data* that is not JSON; the message quotes its beginning."""
    quoted = data[:80].decode("utf-8", "replace")
    return UnexpectedAnswer(f"the server sent broken JSON ({error}): {quoted!r}")


def unknown_event(obj: dict[str, Any], name: str | None = None) -> UnknownEvent:
    """An event of a name that has no class."""
    return UnknownEvent(
        name=to_str(obj.get("event")) or "" if name is None else name,
        task_id=to_str(obj.get("task_id")),
        workflow_run_id=to_str(obj.get("workflow_run_id")),
        raw=obj,
    )


def event_hook(name: str) -> EventHook:
    """The function that makes events of this wire name."""
    cls = events.EVENTS.get(name)
    return (
        cast("EventHook", converter().get_structure_hook(cls)) if cls else unknown_event
    )


@cache
def event_hooks() -> Mapping[str, EventHook]:
    """The function for each known event: ``event_hooks()[name](obj)``.

    Generated when the first stream begins, since importing should be quick.
    """
    return {name: event_hook(name) for name in events.EVENTS}


def structure_event(obj: dict[str, Any]) -> Event:
    """Make the event that a decoded JSON object stands for, or an `UnknownEvent`."""
    name = obj.get("event")
    hook = event_hooks().get(name) if isinstance(name, str) else None
    return (hook and hook(obj)) or unknown_event(obj)


# -- what users want made of outputs -------------------------------------------------


@cache
def _strict() -> OrjsonConverter:
    return make_converter()


def structure_outputs(outputs: Mapping[str, Any], cls: type[T]) -> T:
    """Make a *cls* of a run's outputs, strictly: any class that cattrs knows.

    Raises:
        OutputsMismatch: they do not fit; every problem begins with its path.
    """
    try:
        return _strict().structure(outputs, cls)
    except Exception as error:  # noqa: BLE001 - whatever a user's own hooks raise
        problems = transform_error(error, path="outputs")
    # Out here it has no context, which cannot be pickled where a library, such as Dask,
    # has pickles keep that, too.
    raise OutputsMismatch(problems)
