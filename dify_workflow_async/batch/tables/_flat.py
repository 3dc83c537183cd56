"""An item of a batch as one flat row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import DifyError
from .._values import BatchItem
from ._cells import Cells, is_mapping, plain
from ._kinds import Kind


RUN_COLUMNS: Mapping[str, Kind] = {
    "run.row": Kind.INT,
    "run.key": Kind.TEXT,
    "run.state": Kind.TEXT,
    "run.status": Kind.TEXT,
    "run.error": Kind.TEXT,
    "run.error_type": Kind.TEXT,
    "run.id": Kind.TEXT,
    "run.attempts": Kind.INT,
    "run.seconds": Kind.FLOAT,
    "run.tokens": Kind.INT,
    "run.price": Kind.FLOAT,
    "run.currency": Kind.TEXT,
}
"""What is told of each row's run, in this order."""

OUTPUT = "output."


def is_ours(column: str) -> bool:
    """True for a column that results have: one of the same name gives way to it."""
    return column in RUN_COLUMNS or column.startswith(OUTPUT)


def flat(item: BatchItem) -> dict[str, Any]:
    """The row's own cells, then what is told of its run, then its outputs."""
    # A row that is no mapping is an item, too.
    given: Any = item.inputs
    cells: Any = getattr(given, "cells", given)
    row: dict[str, Any] = {}
    if is_mapping(cells):
        row = {x: y for x, y in plain(cells).items() if not is_ours(x)}
    source: Any = item.result if item.result is not None else item.record
    row.update(zip(RUN_COLUMNS, _facts(item, source), strict=True))
    outputs: Cells = getattr(source, "outputs", None) or {}
    row.update((f"{OUTPUT}{name}", plain(value)) for name, value in outputs.items())
    return row


def _facts(item: BatchItem, source: Any) -> tuple[Any, ...]:
    """The values of `RUN_COLUMNS`; *source* is a result, a record or None."""
    price = getattr(source, "total_price", None)
    return (
        item.index + 1,
        item.key,
        item.state.value,
        getattr(source, "status", None),
        *_error(item, source),
        _run_id(item, source),
        item.attempts or getattr(item.record, "attempts", 0),
        getattr(source, "elapsed_time", None),
        getattr(source, "total_tokens", None),
        float(price) if price is not None else None,
        getattr(source, "currency", None),
    )


def _error(item: BatchItem, source: Any) -> tuple[str | None, str | None]:
    """What went wrong, and the class of that error."""
    error = item.error
    if error is None:
        return getattr(source, "error", None), getattr(source, "error_type", None)
    text = error.message if isinstance(error, DifyError) else str(error)
    return text, type(error).__name__


def _run_id(item: BatchItem, source: Any) -> Any:
    if ref := getattr(source, "ref", None):
        return ref.workflow_run_id
    found = getattr(source, "workflow_run_id", None)
    return found or getattr(item.error, "run_id", None)
