"""What fields of steps are made from, and what they may not be."""

import base64

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation


def encode_audio(value: Iterable[bytes | str]) -> tuple[str, ...]:
    """Put bytes into base64; text is base64 already."""
    return tuple(
        piece if isinstance(piece, str) else base64.b64encode(piece).decode("ascii")
        for piece in value
    )


def check_price(node: object, field: object, value: str) -> None:
    """Refuse a price that is no decimal number."""
    del node, field
    try:
        Decimal(value)
    except InvalidOperation:
        message = f"price must be a decimal number, not {value!r}"
        raise ValueError(message) from None
