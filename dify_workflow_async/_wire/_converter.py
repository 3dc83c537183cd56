"""The converter, and the functions that it generates, one for each class.

Each reads the wire's object in place, checks types inline, and calls the tolerant
conversions of `_convert` only for the rest. That is what keeps 200,000 events cheap
(docs/explanation/performance.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

import attrs

from cattrs.preconf.orjson import OrjsonConverter, make_converter

from .._convert import (
    account_of_name,
    flat_variables,
    is_array,
    text_of_number,
    to_bool,
    to_datetime,
    to_decimal,
    to_float,
    to_int,
    to_mapping,
    to_str,
)
from ..events import Event
from ..models import default_of, unfrozen


Hook = Callable[[Any, Any], Any]


_TOLERANT: Mapping[Any, Callable[[Any], Any]] = {
    str: to_str,
    bool: to_bool,
    int: to_int,
    float: to_float,
    Decimal: to_decimal,
    datetime: to_datetime,
}

# The types whose JSON form needs no conversion: checked inline.
_SAME_IN_JSON = {str: "str", bool: "bool", int: "int", float: "float", Mapping: "dict"}

# Fields of every event that stand beside ``data``, not in it.
_ENVELOPE = frozenset({"task_id", "workflow_run_id"})

# Fields in ``data`` that only some versions send (specification, sections 3.5, 3.6).
_SELDOM = frozenset(
    {
        *("sequence_number", "reason", "duration", "approval_channels"),
        *("pre_iteration_output", "pre_loop_output", "submitted_data"),
    }
)

# Where the wire's name of a field may be another (specification, section 3.6).
_OTHER_NAMES = {("PauseReason", "type"): "TYPE"}

# Where the whole of a field may have another form (sections 1.9, 1.10, 1.12).
_OTHER_FORMS: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    ("LogEntry", "created_by_account"): account_of_name,
    ("Parameters", "user_input_form"): flat_variables,
    ("UploadedFile", "created_by"): text_of_number,
}


@cache
def converter() -> OrjsonConverter:
    made = make_converter()

    def ignoring_type(convert: Callable[[Any], Any]) -> Hook:
        return lambda value, _: convert(value)

    for type_, convert in _TOLERANT.items():
        made.register_structure_hook(type_, ignoring_type(convert))
    made.register_structure_hook_func(
        lambda t: _origin(t) is Mapping, ignoring_type(to_mapping)
    )
    made.register_structure_hook_factory(lambda t: _origin(t) is tuple, _tuple_hook)
    made.register_structure_hook_factory(attrs.has, _class_hook)
    return made


def _origin(type_: Any) -> Any:
    return get_origin(type_)


def _is_optional(type_: Any) -> bool:
    return isinstance(type_, UnionType) and NoneType in get_args(type_)


def _inner(type_: Any) -> Any:
    return next(t for t in get_args(type_) if t is not NoneType)


def _strings(value: object, _: Any = None) -> tuple[str, ...]:
    """The texts of a list; every ``text_chunk`` has such a list."""
    if not is_array(value):
        return ()
    for item in value:
        if item.__class__ is not str:
            return tuple(item for item in value if isinstance(item, str))
    return tuple(value)


def _tuple_hook(type_: Any) -> Hook:
    item_type = get_args(type_)[0]
    if item_type is str:
        return _strings
    item_hook = converter().get_structure_hook(item_type)

    def structure(value: object, _: Any) -> tuple[Any, ...]:
        if not value or not is_array(value):
            return ()
        items = (item_hook(item, item_type) for item in value)
        return tuple(item for item in items if item is not None)

    return structure


def _class_hook(cls: type[Any]) -> Hook:
    """Generate the function that makes a *cls* from the wire's object.

    It reads all fields as if none could be missing, which is nearly always so, and
    again with more patience if one is. The fields are set as `unfrozen` says.
    """
    hints = get_type_hints(cls)
    in_data = issubclass(cls, Event) and not cls.flat
    sources = {
        field.name: "_data" if in_data and field.name not in _ENVELOPE else "_obj"
        for field in attrs.fields(cls)
        if field.name != "raw"
    }
    scope: dict[str, Any] = {
        "_cls": cls,
        "_unfrozen": unfrozen(cls),
        "_new": object.__new__,
        "_no_data": {},
    }
    # Locals are the fields' names, and names with an underscore, which no field has.
    lines = [
        "def structure(_obj, _=None):",
        "    try:",
        *(["        _data = _obj['data']"] if in_data else []),
        *(f"        {name} = {_read(cls, name, x)}" for name, x in sources.items()),
        "    except (KeyError, TypeError, AttributeError):",
        "        if _obj.__class__ is not dict: return None",
        "        _data = _obj.get('data')",
        "        if _data.__class__ is not dict: _data = _no_data",
        *(
            f"        {name} = {_try_to_read(cls, name, x)}"
            for name, x in sources.items()
        ),
        "    _self = _new(_unfrozen)",
    ]
    for field in attrs.fields(cls):
        if field.name == "raw":
            lines.append("    _self.raw = _obj")
            continue
        if convert := _OTHER_FORMS.get((cls.__name__, field.name)):
            scope[f"form_{field.name}"] = convert
            lines.append(f"    {field.name} = form_{field.name}({field.name})")
        lines += _field_lines(field, hints[field.name], scope)
    lines += ["    _self.__class__ = _cls", "    return _self"]
    exec("\n".join(lines), scope)  # noqa: S102 - cattrs, too, generates its functions
    return cast("Hook", scope["structure"])


def _read(cls: type[Any], name: str, source: str) -> str:
    """An expression that reads a field, and may raise KeyError if it is missing.

    An exception costs more than all the reading: fields that servers leave out as
    often as not are read as such.
    """
    if source == "_data" and name not in _SELDOM:
        return f"{source}[{name!r}]"
    return _try_to_read(cls, name, source)


def _try_to_read(cls: type[Any], name: str, source: str) -> str:
    """An expression that reads a field, and is None if it is missing."""
    expression = f"{source}.get({name!r})"
    if other := _OTHER_NAMES.get((cls.__name__, name)):
        return f"{source}.get({other!r}) or {expression}"
    return expression


def _field_lines(
    field: attrs.Attribute[Any], type_: Any, scope: dict[str, Any]
) -> list[str]:
    """Lines that check a field's value, which has its name, and store it."""
    name = field.name
    lines: list[str] = []
    bare = _inner(type_) if _is_optional(type_) else type_
    if bare is not Any:
        # The hooks of simple types only pass on to these.
        hook = _TOLERANT.get(bare) or converter().get_structure_hook(bare)
        scope[f"hook_{name}"] = hook
        scope[f"type_{name}"] = bare
        lines += _checked(name, bare)
        if (default := default_of(field)) is not None:
            scope[f"default_{name}"] = default
            lines.append(f"    if {name} is None: {name} = {_fresh(name, default)}")
    return [*lines, f"    _self.{name} = {name}"]


def _checked(name: str, bare: Any) -> list[str]:
    """Lines that leave a value of the right type alone, and convert others."""
    arguments = name if bare in _TOLERANT else f"{name}, type_{name}"
    convert = f"{name} = hook_{name}({arguments})"
    same = _SAME_IN_JSON.get(_origin(bare) or bare)
    test = f"{name}.__class__ is not {same} and " if same else ""
    return [f"    if {test}{name} is not None: {convert}"]


def _fresh(name: str, default: Any) -> str:
    return "{}" if default == {} else f"default_{name}"
