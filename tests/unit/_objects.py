"""JSON objects as the wire has them, and what becomes of them."""

from __future__ import annotations

import functools
import types

from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from dify_workflow_async import _wire
from dify_workflow_async.events import Event


ENVELOPE = {"task_id", "workflow_run_id"}


def is_event(cls: type[Any]) -> bool:
    return issubclass(cls, Event)


def wire_form(cls: type[Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The object that carries *fields*, as the wire has it for the class."""
    if not is_event(cls):
        return dict(fields)
    envelope = {"event": cls.event_name}
    envelope |= {name: fields[name] for name in ENVELOPE & set(fields)}
    rest = {name: fields[name] for name in fields if name not in ENVELOPE}
    return {**envelope, **rest} if cls.flat else {**envelope, "data": rest}


def make(cls: type[Any], fields: Mapping[str, Any]) -> Any:
    """Make a *cls* of the object that carries *fields*."""
    obj = wire_form(cls, fields)
    made = _wire.structure_event(obj) if is_event(cls) else _wire.structure(obj, cls)
    assert type(made) is cls
    if hasattr(cls, "raw"):
        assert made.raw is obj
    return made


@functools.cache
def kind_of(cls: type[Any], name: str) -> Any:
    """A field's type, without its None."""
    hint = get_type_hints(cls)[name]
    if isinstance(hint, types.UnionType):
        (hint,) = (each for each in get_args(hint) if each is not types.NoneType)
    return get_origin(hint) or hint
