"""Plain values into a scenario, with the place of every fault.

The attrs classes are the schema: the type of a field chooses how its value is
read, and a field without a default must be there.
"""

import math
import types

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs

from ._errors import ScenarioError
from ._json import is_list, is_mapping
from ._scenario import Scenario
from ._steps import (
    AgentLog,
    Disconnect,
    ErrorEvent,
    Iteration,
    Json,
    Loop,
    Node,
    Parallel,
    Pause,
    Ping,
    Raw,
    Sleep,
    Speech,
    Step,
)


Value = TypeVar("Value")

STEP_KINDS: Mapping[str, type[Step]] = {
    "node": Node,
    "iteration": Iteration,
    "loop": Loop,
    "parallel": Parallel,
    "pause": Pause,
    "speech": Speech,
    "ping": Ping,
    "sleep": Sleep,
    "error": ErrorEvent,
    "agent_log": AgentLog,
    "raw": Raw,
    "disconnect": Disconnect,
}


def parse_yaml(source: str | Path) -> Any:
    """Parse YAML text, or a file of it, into plain values."""
    try:
        import yaml
    except ModuleNotFoundError as exc:
        message = "reading YAML needs PyYAML: pip install dify-workflow-async[cli]"
        raise ModuleNotFoundError(message, name="yaml") from exc
    try:
        return yaml.safe_load(text_of(source))
    except yaml.YAMLError as exc:
        whole = ""
        raise ScenarioError(whole, f"not YAML: {exc}") from exc


def text_of(source: str | Path) -> str:
    """Read a file, or take a text as it is if it does not look like a path."""
    if isinstance(source, Path):
        return source.read_text("utf-8")
    looks_like_path = "\n" not in source and source.endswith((".yml", ".yaml"))
    return Path(source).read_text("utf-8") if looks_like_path else source


def read_scenario(raw: Any) -> Scenario:
    """Read a whole scenario."""
    return read_value(Scenario, raw)


def read_value(cls: type[Value], raw: Any, path: str = "") -> Value:
    """Read an object of an attrs class.

    Args:
        cls: The class.
        raw: The plain values.
        path: Where they are, for what is said of faults.

    Raises:
        ScenarioError: The values do not fit the class.
    """
    return cast("Value", _read_object(cls, raw, path))


def _read_object(cls: type[Any], raw: Any, path: str) -> Any:
    values = _read_mapping(raw, path)
    fields = {field.name: field for field in attrs.fields(cls)}
    for key in values:
        if key not in fields:
            known = ", ".join(fields) or "none"
            raise ScenarioError(_join(path, key), f"unknown; the fields are: {known}")
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in values:
            raise ScenarioError(_join(path, name), "is missing")
    hints = get_type_hints(cls)
    read = {
        name: _read(hints[name], value, _join(path, name))
        for name, value in values.items()
    }
    try:
        return cls(**read)
    except ValueError as exc:  # of a class that checks more than types
        raise ScenarioError(path, str(exc)) from exc


def _read(kind: Any, raw: Any, path: str) -> Any:
    """Read a value as the type of an attrs field tells."""
    if kind in _READERS:
        return _READERS[kind](raw, path)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _read_choice(arguments, raw, path)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, raw, path)
    if attrs.has(kind):
        return _read_object(kind, raw, path)
    return tuple(  # every other field of the classes is a tuple of one type
        _read(arguments[0], item, f"{path}[{index}]")
        for index, item in enumerate(_read_list(arguments[0], raw, path))
    )


def _read_union(kinds: tuple[Any, ...], raw: Any, path: str) -> Any:
    if raw is None and types.NoneType in kinds:
        return None
    if str in kinds and isinstance(raw, str):
        return raw
    others = [kind for kind in kinds if kind not in (types.NoneType, str)]
    return _read(others[0] if others else str, raw, path)


def _read_list(item: Any, raw: Any, path: str) -> list[Any]:
    if item is str and isinstance(raw, str):
        return [raw]  # one piece of text
    if not is_list(raw):
        raise _unfit(path, raw, "a list")
    return raw


def _read_choice(choices: tuple[Any, ...], raw: Any, path: str) -> Any:
    if raw not in choices:
        raise _unfit(path, raw, f"one of {', '.join(choices)}")
    return raw


def _read_mapping(raw: Any, path: str) -> Json:
    if not is_mapping(raw):
        raise _unfit(path, raw, "an object")
    for key in raw:
        _read_text(key, path)
    return raw


def _read_text(raw: Any, path: str) -> str:
    if not isinstance(raw, str):
        raise _unfit(path, raw, "a text")
    return raw


def _read_flag(raw: Any, path: str) -> bool:
    if not isinstance(raw, bool):
        raise _unfit(path, raw, "true or false")
    return raw


def _read_count(raw: Any, path: str) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or raw < 0:
        raise _unfit(path, raw, "a whole number, 0 or more")
    return raw


def _read_number(raw: Any, path: str) -> float:
    is_number = isinstance(raw, (int, float)) and not isinstance(raw, bool)
    if not is_number or not math.isfinite(raw) or raw < 0:
        raise _unfit(path, raw, "a number, 0 or more")
    return float(raw)


def _read_anything(raw: Any, path: str) -> Any:
    del path
    return raw


def _read_step(raw: Any, path: str) -> Step:
    """Read an object of one key, the kind; ``ping`` alone is a text as well."""
    if isinstance(raw, str):
        raw = {raw: None}
    step = _read_mapping(raw, path)
    if len(step) != 1:
        raise ScenarioError(path, "must have one key, the kind of the step")
    kind, fields = next(iter(step.items()))
    if kind not in STEP_KINDS:
        known = ", ".join(STEP_KINDS)
        raise ScenarioError(path, f"unknown kind {kind!r}; the kinds are: {known}")
    cls = STEP_KINDS[kind]
    return cast("Step", _read_object(cls, fields or {}, _join(path, kind)))


def _unfit(path: str, raw: Any, wanted: str) -> ScenarioError:
    return ScenarioError(path, f"must be {wanted}, not {raw!r:.60}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_READERS: Mapping[Any, Callable[[Any, str], Any]] = {
    str: _read_text,
    bool: _read_flag,
    int: _read_count,
    float: _read_number,
    Json: _read_mapping,
    Any: _read_anything,
    Step: _read_step,
}
