"""Values that come from a run's inputs: ``{name}`` in texts.

No expressions, no attributes, no format codes: a name is looked up in a mapping,
and a name that is not there stays as it was written.
"""

import json
import re

from collections.abc import Mapping
from typing import Any

from ._file_values import as_markdown
from ._json import is_list, is_mapping


_PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w.#-]*)\}")


def fill(value: Any, variables: Mapping[str, Any]) -> Any:
    """Fill the placeholders of a text, or of all texts in a JSON value.

    Args:
        value: Any JSON value.
        variables: Values by name. Outputs of earlier nodes are there as
            ``node_id.key``.

    Returns:
        The value with placeholders replaced. A text that is one placeholder and
        nothing else becomes the variable itself, so numbers and lists keep their
        type.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole and whole[1] in variables:
            return variables[whole[1]]
        return fill_text(value, variables)
    if is_mapping(value):
        return {key: fill(item, variables) for key, item in value.items()}
    if is_list(value):
        return [fill(item, variables) for item in value]
    return value


def fill_text(text: str, variables: Mapping[str, Any]) -> str:
    """Fill the placeholders of a text.

    Files appear as Markdown, and other values that are no text as JSON.
    """

    def replace(match: re.Match[str]) -> str:
        if match[1] not in variables:
            return match[0]
        value = variables[match[1]]
        text = value if isinstance(value, str) else as_markdown(value)
        return json.dumps(value) if text is None else text

    return _PLACEHOLDER.sub(replace, text)
