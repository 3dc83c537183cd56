"""What an app hears and says, where it is asked to."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import attrs


@attrs.frozen
class Refusal:
    """An error that is answered instead, such as those of model providers.

    Args:
        status: The HTTP status.
        code: The error's code, such as ``provider_quota_exceeded``.
        message: The error's message.
    """

    status: int
    code: str
    message: str = ""


Transcript: TypeAlias = str | Callable[[bytes], str] | Refusal
Audio: TypeAlias = bytes | tuple[bytes, ...] | Refusal


def read_audio(value: bytes | Iterable[bytes] | Refusal | None) -> Audio | None:
    """Take speech in one piece, or in the pieces in which it is sent."""
    if value is None or isinstance(value, (bytes, Refusal)):
        return value
    return tuple(value)
