"""``NAME=VALUE``, any number of times."""

from __future__ import annotations

from collections.abc import Iterable

import click


def pairs(words: Iterable[str]) -> dict[str, list[str]]:
    """The values of each name, in their order.

    Raises:
        click.BadParameter: one is no pair.
    """
    values: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            msg = f"{word!r} is not NAME=VALUE"
            raise click.BadParameter(msg, param_hint="--input")
        values.setdefault(name, []).append(value)
    return values
