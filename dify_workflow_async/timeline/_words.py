"""Numbers and texts as they are shown in pictures."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal


def one_line(text: str, length: int = 300) -> str:
    """A text of others as one line, with nothing in it that XML cannot have.

    What draws text ends the whole process over a NUL.
    """
    line = " ".join(text.split())
    line = "".join(char if char.isprintable() else "\ufffd" for char in line)
    return line if len(line) <= length else f"{line[: length - 1]}…"


def span(seconds: float) -> str:
    """A time in seconds: three digits that count, and nothing below milliseconds."""
    if seconds >= 100:
        return f"{seconds:,.0f} s"
    return "< 0.001 s" if 0 < seconds < 0.001 else f"{round(seconds, 3):.3g} s"


def spent(tokens: int | None, prices: Mapping[str, Decimal]) -> str:
    """Tokens and their price; empty if there were none."""
    words = [f"{tokens:,} tokens"] if tokens else []
    words += [paid(price, currency) for currency, price in prices.items() if price]
    return " · ".join(words)


def paid(price: Decimal, currency: str | None) -> str:
    """A price with its currency; fractions of a cent count."""
    amount = f"{price:,.6f}".rstrip("0")
    whole, _, cents = amount.partition(".")
    return one_line(f"{whole}.{cents:0<2} {currency or ''}".rstrip(), 60)
