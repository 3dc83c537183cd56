"""Values, held against the controls of the form (specification, section 2.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ._files import Rules, problems_of_files
from ._values import as_sent, is_list, is_mapping, kind_of, shown


if TYPE_CHECKING:
    from ..models import InputVariable, Parameters


def check(
    parameters: Parameters,
    inputs: Mapping[str, Any],
    files: Sequence[Any] | None = None,
    *,
    unknown: Literal["problem", "ignore"] = "problem",
) -> list[str]:
    """Tell what the app will not take; an empty list if there is nothing.

    A file is a mapping as it is sent, or a `FileFacts`. Of a JSON object's schema the
    required keys and the types of the keys are checked, and the rest is left to the
    server. Objects as text, which Dify 1.11.2 alone demanded, are a problem.

    Args:
        parameters: what the app asks for.
        inputs: by the names of the app's variables.
        files: what is sent beside the inputs, as ``files``.
        unknown: what an input is that the app does not know. The server drops it
            without a word, and mostly it is a misspelt name: so it is a problem,
            unless you ask for ``"ignore"``.

    Returns:
        A sentence for each problem, beginning with its path, such as
        ``"inputs.query: required, and not given"``.
    """
    if not is_mapping(inputs):
        return [f"inputs: a mapping is needed, not {kind_of(inputs)}"]
    variables = {x.variable: x for x in parameters.user_input_form if x.variable}
    problems: list[str] = []
    for name, variable in variables.items():
        path = f"inputs.{name}"
        value = inputs.get(name)
        if value is None:
            if variable.required:
                problems.append(f"{path}: required, and not given")
            continue
        problems += _problems_of_value(path, value, variable, parameters)
    if unknown == "problem":
        has = ", ".join(variables) or "none"
        problems += [
            f"inputs.{name}: the app has no such input; it has {has}"
            for name in inputs
            if name not in variables
        ]
    if files is not None:
        upload = parameters.file_upload
        problems += problems_of_files(
            "files",
            files,
            Rules.of(upload if upload and upload.enabled else None),
            parameters.system_parameters,
            number=upload.number_limits if upload and upload.enabled else None,
        )
    return problems


def _problems_of_value(
    path: str, value: Any, variable: InputVariable, parameters: Parameters
) -> Iterator[str]:
    value = as_sent(value)
    match variable.type:
        case "text-input" | "paragraph" | "external_data_tool":
            yield from _problems_of_text(path, value, variable.max_length)
        case "select":
            yield from _problems_of_choice(path, value, variable.options)
        case "number":
            yield from _problems_of_number(path, value)
        case "checkbox":
            yield from _problems_of_checkbox(path, value)
        case "json_object":
            yield from _problems_of_object(path, value, variable.json_schema or {})
        case "file":
            if value == "" and not variable.required:
                return  # what a form sends for no file
            rules = Rules.of(variable)
            limits = parameters.system_parameters
            yield from rules.problems(path, value, limits, strict=True)
        case "file-list":
            yield from problems_of_files(
                path,
                value,
                Rules.of(variable),
                parameters.system_parameters,
                number=variable.max_length,
                strict=False,
            )
        case _:
            return  # a control of tomorrow: the server knows


def _problems_of_text(path: str, value: object, limit: int | None) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path}: a text is needed, not {kind_of(value)}"
    elif limit and len(value) > limit:
        yield f"{path}: {len(value)} characters, and {limit} are allowed"


def _problems_of_choice(
    path: str, value: object, options: tuple[str, ...]
) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path}: a text is needed, not {kind_of(value)}"
    elif options and value not in options:
        yield f"{path}: {shown(value)} is none of {', '.join(map(repr, options))}"


def _problems_of_number(path: str, value: object) -> Iterator[str]:
    if isinstance(value, int | float):
        return
    if not isinstance(value, str):
        yield f"{path}: a number is needed, not {kind_of(value)}"
        return
    try:
        # As the server reads it; a blank text is null.
        _ = float(value) if "." in value else int(value.strip() or 0)
    except ValueError:
        yield f"{path}: {shown(value)} is no number"


_CHECKED = frozenset({"true", "1", "yes", "on", "false", "0", "no", "off"})


def _problems_of_checkbox(path: str, value: object) -> Iterator[str]:
    """The server passes other values on as they are, to nodes that expect none."""
    if not isinstance(value, str | bool | int):
        yield f"{path}: true or false is needed, not {kind_of(value)}"
    elif str(value).lower() not in _CHECKED:
        yield f"{path}: true or false is needed, not {shown(value)}"


def _problems_of_object(
    path: str, value: object, schema: Mapping[str, Any]
) -> Iterator[str]:
    if not is_mapping(value):
        yield f"{path}: an object is needed, not {kind_of(value)}"
        return
    required = schema.get("required")
    for name in required if is_list(required) else ():
        if isinstance(name, str) and name not in value:
            yield f"{path}.{name}: required by the schema, and not given"
    properties = schema.get("properties")
    for name, each in properties.items() if is_mapping(properties) else ():
        wanted = each.get("type") if is_mapping(each) else None
        names = [x for x in _TYPES if x in (wanted if is_list(wanted) else [wanted])]
        item = as_sent(value.get(name))
        if name in value and names and not any(_is(item, x) for x in names):
            of = " or ".join(names)
            yield f"{path}.{name}: the schema wants {of}, not {kind_of(item)}"


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "object": (Mapping,),
    "array": (list, tuple),
    "null": (type(None),),
}


def _is(value: object, name: str) -> bool:
    """True if *value* is of a JSON schema's type; 1.0 is an integer there, too."""
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])
