"""Values as browsers get them: files without ids, and nothing too deep for JSON."""

from __future__ import annotations

from typing import Any

from .._convert import is_array, is_object


_IS_FILE = ("dify_model_identity", "__dify__file__")
_OF_FILES = ("type", "filename", "extension", "mime_type", "size", "url")
_OF_METADATA = ("iteration_length", "loop_length")

_DEEPEST = 200
"""How deep values may be nested: orjson itself writes no deeper than 254."""


def without_ids(value: Any, depth: int = 0) -> Any:
    """The same value, with what files among it have to show: no ids, no tenants."""
    if depth >= _DEEPEST and isinstance(value, dict | list):
        return None
    if is_object(value):
        if value.get(_IS_FILE[0]) == _IS_FILE[1]:
            return {key: value.get(key) for key in _OF_FILES}
        return {k: without_ids(v, depth + 1) for k, v in value.items()}
    if is_array(value):
        return [without_ids(item, depth + 1) for item in value]
    return value


def lengths(metadata: Any) -> dict[str, Any]:
    """Of what an iteration or a loop tells of itself: how many rounds there are."""
    known = metadata if is_object(metadata) else {}
    return {key: known[key] for key in _OF_METADATA if key in known}


def shallow(value: Any, depth: int = 0) -> Any:
    """The same value, with null for what is nested too deep to be written."""
    if depth >= _DEEPEST and isinstance(value, dict | list):
        return None
    if is_object(value):
        return {k: shallow(v, depth + 1) for k, v in value.items()}
    if is_array(value):
        return [shallow(item, depth + 1) for item in value]
    return value
