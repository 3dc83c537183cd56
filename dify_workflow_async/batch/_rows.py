"""Rows, as they are read: their inputs, their keys, and the digests of their inputs."""

from __future__ import annotations

import asyncio
import hashlib

from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from typing import Any, TypeGuard, cast

import attrs

from .._encode import encode
from .._protocol import is_a
from ..errors import ConfigurationError, InvalidInputs, UsageError
from ._values import Claim, Row


Rows = Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]
Key = str | Callable[[Mapping[str, Any]], object]
Digest = Callable[[Mapping[str, Any]], Awaitable[str]]


@attrs.define(eq=False)
class Read:
    """A row that was read.

    Attributes:
        number: in the order of reading, from 0.
        at: when; told by who has a clock.
        was_held: True if another process was at work on it.
    """

    row: Row
    number: int
    at: float = 0.0
    was_held: bool = False


class BadRow(Exception):
    """A row that cannot be run; its cause says why."""

    def __init__(self, read: Read, cause: Exception) -> None:
        super().__init__()
        self.read = read
        self.cause = cause


async def digest_of(inputs: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal digits, of the inputs in canonical JSON.

    Raises:
        InvalidInputs: they cannot be sent.
    """
    return hashlib.sha256(encode(inputs, sort=True)).hexdigest()


class Reader:
    """Reads rows one by one, as it is asked to.

    Args:
        rows: what to read.
        key: the name of the input that is a row's key, or a function of the inputs;
            None: a key is made.
        digest: of inputs; None: nobody needs one.

    Raises:
        ConfigurationError: *rows* can hold no rows, or *key* is no key.
    """

    def __init__(self, rows: Rows, key: Key | None, digest: Digest | None) -> None:
        self._next, self._own = _reading(rows)
        self._key = _key_function(key)
        self._digest = digest
        self._index = -1
        # How often each digest came, by its first half, which is enough to tell them
        # apart; about 120 bytes for each row.
        self._seen: dict[bytes, int] = {}

    async def read(self) -> tuple[Read, Claim | None]:
        """The next row, and the claim to it if it came with one.

        Raises:
            StopAsyncIteration: there is none.
            BadRow: it cannot be run.
            Exception: what the iterable raises.
        """
        try:
            given = await self._next()
        except asyncio.CancelledError as error:
            if is_asked_to_end():
                raise
            # A batch that ended here would look like one that is done.
            msg = "what the rows' iterable waited for was cancelled"
            raise UsageError(msg) from error
        self._index += 1
        if isinstance(given, Claim):
            return Read(given.row, self._index), given
        inputs: Mapping[str, Any] = given
        if type(inputs) is dict:
            inputs = {**inputs}  # who makes rows may fill one again and again
        key = digest = ""
        try:
            if not isinstance(given, Mapping):
                problem = f"a row is a mapping of inputs, not {type(given).__name__}"
                raise InvalidInputs([problem])  # noqa: TRY301 - told below
            if self._digest is not None:
                digest = await self._digest(inputs)
            key = self._key_of(inputs, digest)
        except Exception as error:  # noqa: BLE001 - also of the user's own functions
            raise BadRow(self._read(inputs, str(self._index)), error) from None
        return self._read(inputs, key, digest), None

    async def close(self) -> None:
        """Close the iterator, unless it was given: then whoever gave it may go on."""
        if (aclose := getattr(self._own, "aclose", None)) is not None:
            await aclose()
        elif (close := getattr(self._own, "close", None)) is not None:
            close()

    def _read(self, inputs: Mapping[str, Any], key: str, digest: str = "") -> Read:
        row = Row(index=self._index, key=key, inputs=inputs, digest=digest)
        return Read(row, self._index)

    def _key_of(self, inputs: Mapping[str, Any], digest: str) -> str:
        if self._key is not None:
            return _text_of_key(self._key(inputs))
        if not digest:
            return str(self._index)
        short = bytes.fromhex(digest)[:16]
        count = self._seen[short] = self._seen.get(short, 0) + 1
        return f"{digest}#{count}"


def _reading(rows: Any) -> tuple[Callable[[], Awaitable[Any]], object]:
    """A function that gives one row after another, and what is to be closed then."""
    if _is_async(rows):
        each = aiter(rows)
        return each.__anext__, None if each is rows else each
    if any(is_a(kind, rows) for kind in (str, bytes, Mapping)) or not _is_sync(rows):
        msg = f"rows are an iterable of mappings, not {type(rows).__name__}"
        raise ConfigurationError(msg)
    iterator = iter(rows)
    own = None if iterator is rows else iterator

    async def following() -> Any:
        for row in iterator:
            return row
        raise StopAsyncIteration

    return following, own


def is_asked_to_end() -> bool:
    """True if this task was cancelled, and not only something that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_async(rows: object) -> TypeGuard[AsyncIterable[Any]]:
    return isinstance(rows, AsyncIterable)


def _is_sync(rows: object) -> TypeGuard[Iterable[Any]]:
    return isinstance(rows, Iterable)


def _key_function(key: Any) -> Callable[[Mapping[str, Any]], object] | None:
    if key is None or callable(key):
        return cast("Callable[[Mapping[str, Any]], object] | None", key)
    if not isinstance(key, str):
        msg = f"key is the name of an input or a function, not {key!r}"
        raise ConfigurationError(msg)

    def column(inputs: Mapping[str, Any]) -> object:
        if key not in inputs:
            raise InvalidInputs([f"{key}: is the key of the rows, and is missing here"])
        return inputs[key]

    return column


def _text_of_key(key: object) -> str:
    if isinstance(key, bool) or not isinstance(key, str | int) or key == "":
        raise InvalidInputs([f"a key is a text or an integer, not {key!r}"])
    return str(key)
