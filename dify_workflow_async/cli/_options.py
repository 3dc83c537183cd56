"""Options that several commands have, put together."""

from __future__ import annotations

import functools

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
import click


F = TypeVar("F", bound=Callable[..., Any])


def gathered(
    command: F, cls: type[Any], name: str, options: Sequence[Callable[[Any], Any]]
) -> F:
    """Add *options*, and hand them to *command* as one object.

    Args:
        command: what click calls.
        cls: an attrs class, whose fields are called as the options are.
        name: of the argument that gets it.
        options: what ``click.option()`` gives, in the order of the help.
    """

    @functools.wraps(command)
    def gather(**values: Any) -> Any:
        own = {x: values.pop(x) for x in attrs.fields_dict(cls)}
        return command(**{name: cls(**own)}, **values)

    made: Any = gather
    for add in reversed(options):
        made = add(made)
    return made  # type: ignore[no-any-return]


def input_option(told: str) -> Callable[[F], F]:
    """``--input NAME=VALUE``, any number of times; `_inputs` makes inputs of them."""
    return click.option(
        *("-i", "--input", "given"), multiple=True, metavar="NAME=VALUE", help=told
    )
