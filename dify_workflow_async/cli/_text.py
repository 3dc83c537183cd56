"""Numbers, times and the texts of others, as a terminal shows them."""

from __future__ import annotations

import re
import shlex
import sys

from collections.abc import Mapping
from decimal import Decimal


def spent(tokens: int, prices: Mapping[str, Decimal]) -> str:
    """Tokens and their price; empty if there were none."""
    words = [f"{tokens:,} tokens"] if tokens else []
    words += [
        f"{price:,.{2 if price >= 1 else 6}f} {currency}".rstrip()
        for currency, price in prices.items()
    ]
    return ", ".join(words)


def span(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


_STEERING = re.compile(
    # Controls but the line feed; lone surrogates; separators that split lines; marks
    # that turn the direction of all that follows.
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff"
    r"\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def safe(text: str) -> str:
    """A text of others, with nothing in it that steers a terminal but line feeds."""
    return _STEERING.sub("�", text.replace("\r", "").expandtabs(4))


def printable(text: str, width: int = 300) -> str:
    """A text of others as one line, with nothing in it that steers a terminal."""
    line = safe(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 3]}..."


def for_stdout(text: str) -> str:
    """A text of others as standard output gets it: whole, and safe on a terminal."""
    return safe(text) if sys.stdout.isatty() else text


def command_line(verb: str, named: str, *options: str) -> str:
    """A command of ours to copy, in which the words of others stay single words."""
    words = [verb, named, *options]
    if named.startswith("-"):
        words = [verb, *options, "--", named]
    return safe(shlex.join(["dify-workflow", *words])).replace("\n", "�")
