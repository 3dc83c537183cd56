"""Required inputs that nobody gave, asked for by the app's form."""

from __future__ import annotations

import signal
import sys

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import click

from ..errors import InvalidInputs
from ..inputs import check
from ..models import InputVariable, Parameters
from ._inputs import any_file, value_of
from ._text import printable


def can_ask() -> bool:
    """True if somebody sits there, who reads what is asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(form: Parameters, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for each required input that is not among *inputs*.

    Returns:
        What was answered, by name.

    Raises:
        click.Abort: Ctrl-C, or the end of the input.
    """
    with _keyboard():
        return {
            variable.variable: _answer(form, variable)
            for variable in form.user_input_form
            if variable.variable
            and variable.required
            and inputs.get(variable.variable) is None
        }


def _answer(form: Parameters, variable: InputVariable) -> Any:
    label = printable(variable.label or variable.variable or "")
    about = variable.description or variable.hint
    if about:
        click.echo(printable(about), err=True)
    if variable.type == "checkbox":
        return click.confirm(label, default=bool(variable.default), err=True)
    if variable.type == "file-list":
        return _files(label, variable)
    if variable.type == "file":
        label += " (path or https://...)"
    elif variable.options:
        label += f" ({', '.join(map(printable, variable.options))})"
    if variable.default:  # click would show it as it is
        label += f" [{printable(str(variable.default))}]"
    return click.prompt(
        label,
        default=variable.default or None,
        show_default=False,
        value_proc=lambda text: _checked(text, form, variable),
        err=True,
    )


def _checked(text: Any, form: Parameters, variable: InputVariable) -> Any:
    """The value of an answer; what is wrong with it is told, and asked again."""
    try:
        if variable.type == "file":
            return any_file(str(text))
        # What is typed is meant as it is.
        text = f"@{text}" if str(text).startswith("@") else str(text)
        value = value_of(text, variable)
    except InvalidInputs as error:
        raise click.UsageError("; ".join(error.problems)) from None
    alone = attrs.evolve(form, user_input_form=(variable,))
    if problems := check(alone, {variable.variable or "": value}):
        told = "; ".join(x.partition(": ")[2] for x in problems)
        raise click.UsageError(told)
    return value


def _files(label: str, variable: InputVariable) -> list[Any]:
    """Files, one a line, until one is empty."""

    def file(text: str) -> Any:
        try:
            return any_file(text) if text else None
        except InvalidInputs as error:
            raise click.UsageError("; ".join(error.problems)) from None

    files: list[Any] = []
    while variable.max_length is None or len(files) < variable.max_length:
        found = click.prompt(
            f"{label} (path or https://..., {len(files)} so far, Enter ends)",
            default="" if files else None,
            show_default=False,
            value_proc=file,
            err=True,
        )
        if found is None:
            break
        files.append(found)
    return files


@contextmanager
def _keyboard() -> Generator[None]:
    """Let Ctrl-C end a question: within a loop it waits for the loop's next turn."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
