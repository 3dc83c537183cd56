"""Whether inputs fit the variables of the Start node, as the server checks them."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from ._json import is_list
from ._scenario import Variable


_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def check_inputs(
    variables: Iterable[Variable] | None, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Check the inputs of a run.

    Args:
        variables: What the Start node declares; ``None`` accepts anything.
        inputs: What the client sent.

    Returns:
        A value for each variable that is declared, and nothing else.

    Raises:
        ValueError: A value is missing or does not fit; HTTP 400 on the server.
        TypeError: A number is neither number nor text; HTTP 500 on the server.
    """
    if variables is None:
        return dict(inputs)
    return {
        variable.variable: _check(variable, inputs.get(variable.variable))
        for variable in variables
    }


def _check(variable: Variable, value: Any) -> Any:
    name = variable.variable
    if value is None:
        if variable.required:
            message = f"{name} is required in input form"
            raise ValueError(message)
        return variable.default
    match variable.type:
        case "text-input" | "paragraph" | "select":
            return _check_text(variable, value)
        case "number":
            return _check_number(name, value)
        case "checkbox":
            _require(not isinstance(value, dict), f"Invalid input type for ['{name}']")
            return _check_checkbox(value)
        case "json_object":
            _require(isinstance(value, dict), f"{name} in input form must be a dict")
        case "file":
            return _check_file(variable, value)
        case "file-list":
            _check_files(variable, value)
    return value


def _check_text(variable: Variable, value: Any) -> str:
    name, limit = variable.variable, variable.max_length
    kind = f"(type '{variable.type}') {name}"
    _require(isinstance(value, str), f"{kind} in input form must be a string")
    if variable.type == "select":
        options = list(variable.options)
        message = f"{name} in input form must be one of the following: {options}"
        _require(value in options, message)
    elif limit:
        message = f"{name} in input form must be less than {limit} characters"
        _require(len(value) <= limit, message)
    return cast("str", value).replace("\x00", "")


def _check_number(name: str, value: Any) -> int | float | None:
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str):
        message = (
            f"expected value type int, float or str, got {type(value)}, value: {value}"
        )
        raise TypeError(message)
    if not value.strip():
        return None
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        message = f"{name} in input form must be a valid number"
        raise ValueError(message) from None


def _check_checkbox(value: Any) -> Any:
    word = str(value).lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else value


def _check_file(variable: Variable, value: Any) -> Any:
    if value == "" and not variable.required:
        return None
    message = f"{variable.variable} in input form must be a file"
    _require(isinstance(value, dict), message)
    return value


def _check_files(variable: Variable, value: Any) -> None:
    name, limit = variable.variable, variable.max_length
    files: list[Any] = value if is_list(value) else [None]
    are_files = all(isinstance(file, dict) for file in files)
    _require(are_files, f"{name} in input form must be a list of files")
    message = f"{name} in input form must be less than {limit} files"
    _require(not limit or len(files) <= limit, message)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
