"""Scenario: what a scripted app asks for and does."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from ._steps import Json, Step


Control = Literal[
    "text-input",
    "paragraph",
    "select",
    "number",
    "checkbox",
    "json_object",
    "file",
    "file-list",
]


def _texts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _steps(value: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(value)


def _variables(value: "Iterable[Variable] | None") -> "tuple[Variable, ...] | None":
    return None if value is None else tuple(value)


@attrs.frozen(kw_only=True)
class Variable:
    """A variable of the Start node.

    Args:
        variable: The name in ``inputs``.
        type: The control of the form.
        label: What the form shows; the name if not given.
        required: Whether a run without it is refused.
        max_length: Characters of a text, or files of a file list.
        options: The choices of a ``select``.
        default: The value of an input that is not given.
        allowed_file_types: The types of files that are taken.
        allowed_file_extensions: The extensions that the type ``custom`` may have,
            with the dot.
        allowed_file_upload_methods: How files other than images may come.
    """

    variable: str
    type: Control = "text-input"
    label: str = attrs.field(
        default=attrs.Factory(lambda self: self.variable, takes_self=True)
    )
    required: bool = False
    max_length: int | None = None
    options: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    default: Any = None

    # Files
    allowed_file_types: tuple[str, ...] = attrs.field(
        default=("document", "image"), converter=_texts
    )
    allowed_file_extensions: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    allowed_file_upload_methods: tuple[str, ...] = attrs.field(
        default=("local_file", "remote_url"), converter=_texts
    )


@attrs.frozen(kw_only=True)
class Scenario:
    """A scripted workflow.

    Between ``workflow_started`` and ``workflow_finished`` exactly the events of
    the steps are sent, also no Start node unless the scenario has one.

    Args:
        steps: What happens, in order.
        inputs: The Start node's variables. ``None`` accepts any inputs;
            otherwise inputs are checked as a real server does, and those that
            are not declared are dropped.
        outputs: The outputs of the run; those of its ``end`` nodes if ``None``.
    """

    steps: tuple[Step, ...] = attrs.field(default=(), converter=_steps)
    inputs: tuple[Variable, ...] | None = attrs.field(
        default=None, converter=_variables
    )
    outputs: Json | None = None

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "Scenario":
        """Read a scenario from plain values, such as JSON has.

        Each step is an object of one key, the kind of the step, with the fields
        of its class: ``{"node": {"type": "llm", "text": ["a", "b"]}}``.

        Raises:
            ScenarioError: The description is wrong; its path says where.
        """
        from ._loading import read_scenario

        return read_scenario(description)

    @classmethod
    def from_yaml(cls, source: str | Path) -> "Scenario":
        """Read a scenario from YAML.

        Args:
            source: A path, or the YAML text itself. A text of one line that ends
                in ``.yml`` or ``.yaml`` is taken for a path.

        Raises:
            ScenarioError: The text is not YAML, or the description is wrong.
            ModuleNotFoundError: PyYAML is not installed.
            OSError: The file cannot be read.
        """
        from ._loading import parse_yaml, read_scenario

        return read_scenario(parse_yaml(source))
