"""What may be written into the inputs of a form.

Section 1.8 of the description of the API.
"""

from collections.abc import Mapping
from typing import Any, Final

from ._json import is_list, is_object


_FILES: Final = {"local_file": ("upload_file_id",), "remote_url": ("url", "remote_url")}


def problem_of(field: Mapping[str, Any], value: object) -> str | None:
    """Tell why a value does not fit its input; ``None`` if it does."""
    match field.get("type"):
        case "select":
            if value not in _options(field):
                return "not one of its options"
        case "file":
            if not _is_file(value):
                return "not a file"
        case "file-list":
            limit = field.get("number_limits") or 0
            if not is_list(value) or not all(map(_is_file, value)):
                return "not a list of files"
            if 0 < limit < len(value):
                return f"more than {limit} files"
        case _:
            if not isinstance(value, str):
                return "not a text"
    return None


def _options(field: Mapping[str, Any]) -> list[object]:
    source = field.get("option_source")
    return source["value"] if is_object(source) and "value" in source else []


def _is_file(value: object) -> bool:
    if not is_object(value):
        return False
    names = _FILES.get(str(value.get("transfer_method")), ())
    return any(isinstance(value.get(name), str) for name in names)
