"""From columns to inputs: names by a mapping, types by the app's form."""

from __future__ import annotations

import json

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

from ...inputs import FileFacts, type_to_send
from ...models import InputVariable, Parameters
from ._cells import Cells, is_empty, is_list, text_of


@attrs.frozen(kw_only=True)
class Shape:
    """Which columns are sent, under which names, and as what.

    Attributes:
        mapping: the names of variables, by the columns that they are read from. Other
            columns are sent under their own names, if the form has these.
        form: the app's variables, by name; None: unknown, so that all columns are sent
            as they are.
        folder: what the paths of files begin from.
    """

    mapping: Mapping[str, str] = attrs.field(factory=dict[str, str])
    form: Mapping[str, InputVariable] | None = None
    folder: Path = Path()

    @classmethod
    def of(
        cls, mapping: Mapping[str, str] | None, form: Parameters | None, folder: Path
    ) -> Shape:
        """The shape for an app's form.

        Args:
            mapping: names of variables, by columns.
            form: as the app tells it.
            folder: of the table.
        """
        variables = (
            {x.variable: x for x in form.user_input_form if x.variable}
            if form is not None
            else None
        )
        return cls(mapping=dict(mapping or {}), form=variables, folder=folder)

    def variable(self, column: str) -> str | None:
        """The variable that a column is sent as; None if it is not sent."""
        if column in self.mapping:
            return self.mapping[column]
        if column in self.mapping.values():
            return None  # another column takes its place
        return column if self.form is None or column in self.form else None

    def problems(self, columns: Iterable[str]) -> Iterator[str]:
        """What is wrong with a table of these columns: a sentence each."""
        columns = list(columns)
        has = ", ".join(map(repr, columns))
        for column in self.mapping:
            if column not in columns:
                yield f"there is no column {column!r}; there is {has}"
        variables = list(self.mapping.values())
        for name in sorted({x for x in variables if variables.count(x) > 1}):
            yield f"two columns are to be the input {name!r}"
        if self.form is None:
            return
        for name in variables:
            if name not in self.form:
                form = ", ".join(map(repr, self.form)) or "none"
                yield f"the app has no input {name!r}; it has {form}"
        sent = {self.variable(column) for column in columns}
        for name, variable in self.form.items():
            if variable.required and name not in sent:
                yield f"the app requires {name!r}, and no column is called so; has {has}"

    def inputs(self, cells: Cells) -> dict[str, Any]:
        """The inputs of a row; empty cells are left out, so that defaults hold."""
        inputs: dict[str, Any] = {}
        for column, value in cells.items():
            name = self.variable(column)
            if name is not None and not is_empty(value):
                inputs[name] = self._value(name, value)
        return inputs

    def _value(self, name: str, value: Any) -> Any:
        variable = self.form.get(name) if self.form is not None else None
        match variable.type if variable else None:
            case "text-input" | "paragraph" | "select" | "external_data_tool":
                return _text(value)
            case "json_object":
                return _decoded(value)
            case "file" if variable:
                return self._file(value, variable)
            case "file-list" if variable:
                return [self._file(each, variable) for each in _listed(value)]
            case _:
                return value  # the server reads numbers and booleans from texts, too

    def _file(self, value: Any, variable: InputVariable) -> Any:
        """A file: a link for the server to follow, or one of this machine."""
        if not isinstance(value, str):
            return value
        text = value.strip()
        if not text.startswith(("http://", "https://")):
            return self.folder / text
        name = unquote(urlsplit(text).path.rpartition("/")[2])
        facts = FileFacts(name=name, method="remote_url")
        return {
            "type": type_to_send(facts, variable),
            "transfer_method": "remote_url",
            "url": text,
        }


def _text(value: Any) -> str:
    """A cell as a text; a number without a fraction has no point in it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return text_of(value)


def _decoded(value: Any) -> Any:
    """An object that is written as JSON text; what is none is left for the check."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _listed(value: Any) -> list[Any]:
    """The files in a cell: a list, or text with a JSON list or one file a line."""
    decoded = _decoded(value)
    if is_list(decoded):
        return list(decoded)
    if not isinstance(value, str):
        return [value]
    return [line for line in value.splitlines() if line.strip()]
