"""Numbers, times and the texts of others, as a terminal shows them."""

from __future__ import annotations

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


def printable(text: str, width: int = 300) -> str:
    """A text of others as one line, with nothing in it that steers a terminal."""
    line = " ".join(text.split())
    line = "".join(char if char.isprintable() else "�" for char in line)
    return line if len(line) <= width else f"{line[: width - 3]}..."
