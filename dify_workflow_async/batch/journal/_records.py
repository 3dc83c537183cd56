"""Rows of the database to values, and back."""

from __future__ import annotations

import hashlib

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ..._encode import encode
from ..._wire import decode
from ...errors import NotAJournal
from ...models import RunRef
from .._values import Record, Row, State


UNDER_WAY = frozenset({State.STARTED, State.RUNNING})
"""States in which somebody works at a row, or did when it was lost sight of."""


# What both databases hold; a server that counts further counts nonsense.
_MOST = 2**63 - 1


def identity(row: Row | Record) -> bytes:
    """By what a row is told from all others: 16 bytes for its key and its digest."""
    # Keys come from tables, where all is possible, halves of characters too.
    text = f"{len(row.key)} {row.key}{row.digest}"
    return hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()


def columns_of_row(row: Row) -> dict[str, Any]:
    """What is kept of a row that comes in."""
    return {
        "key": _text(row.key),
        "digest": row.digest,
        "number": row.index,
    }


def columns_of_ref(ref: RunRef | None) -> dict[str, Any]:
    """What is kept of a run's reference."""
    if ref is None:
        return {"run_id": None, "task_id": None, "run_user": None}
    return {
        "run_id": _text(ref.workflow_run_id),
        "task_id": _text(ref.task_id),
        "run_user": _text(ref.user),
    }


def columns_of_end(record: Record) -> dict[str, Any]:
    """What is kept of how a row ended.

    Raises:
        InvalidInputs: its outputs are no JSON.
    """
    price, tokens = record.total_price, record.total_tokens
    return {
        "state": record.state.value,
        **columns_of_ref(record.ref),
        "status": _text(record.status),
        "outputs": json_text(record.outputs) if record.outputs else None,
        "error_type": record.error_type,
        "error": _text(record.error),
        "elapsed_time": record.elapsed_time,
        "total_tokens": None if tokens is None or abs(tokens) > _MOST else tokens,
        "total_price": None if price is None else str(price),
        "currency": _text(record.currency),
    }


def json_text(value: Mapping[str, Any]) -> str:
    """A mapping as JSON.

    Raises:
        InvalidInputs: it has none; every problem begins with its path.
    """
    return encode(value).decode()


def record_of(found: Any) -> Record:
    """The record of a row of the table.

    Raises:
        NotAJournal: somebody else wrote it.
    """
    try:
        state = State(found.state)
        return Record(
            key=found.key,
            digest=found.digest,
            state=state,
            # A row that is run again keeps its last end, for the case that it is not.
            ref=None if state is State.STARTED else _ref_of(found),
            attempts=found.attempts,
            started_at=moment(found.started_at),
            **({} if state in UNDER_WAY else _end_of(found)),
        )
    except (ArithmeticError, ValueError) as error:
        raise _unreadable(found, error) from None


def _end_of(found: Any) -> dict[str, Any]:
    return {
        "status": found.status,
        "outputs": decode(found.outputs) if found.outputs else {},
        "error_type": found.error_type,
        "error": found.error,
        "elapsed_time": found.elapsed_time,
        "total_tokens": found.total_tokens,
        "total_price": Decimal(found.total_price) if found.total_price else None,
        "currency": found.currency,
        "finished_at": moment(found.finished_at),
    }


def row_of(found: Any) -> Row:
    """The row that was put in, to be given out.

    Raises:
        NotAJournal: as with `record_of`.
    """
    try:
        inputs = decode(found.inputs or b"{}")
    except ValueError as error:
        raise _unreadable(found, error) from None
    return Row(index=found.number, key=found.key, inputs=inputs, digest=found.digest)


def _unreadable(found: Any, error: Exception) -> NotAJournal:
    return NotAJournal(f"row {found.key!r} of the journal cannot be read: {error}")


def _ref_of(found: Any) -> RunRef | None:
    if found.run_id is None:
        return None
    return RunRef(
        workflow_run_id=found.run_id, task_id=found.task_id, user=found.run_user or ""
    )


def moment(seconds: float | None) -> datetime | None:
    """A moment, of seconds since 1970."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _text(text: str | None) -> str | None:
    """*text* as both databases can keep it: no NUL, no halves of characters."""
    if text is None or (text.isprintable() and text.isascii()):
        return text
    return (
        text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        .encode("utf-8", "replace")
        .decode()
    )
