"""A table, as the rows of a batch."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from ...errors import TableError
from ...models import Parameters
from ._cells import Cells
from ._csv import CsvSource
from ._excel import ExcelSource
from ._lines import LinesSource
from ._parquet import ParquetSource
from ._shape import Shape
from ._sources import Reading, Source


_READERS: Mapping[str, Callable[[Reading], Source]] = {
    ".csv": CsvSource,
    ".tsv": CsvSource,
    ".jsonl": LinesSource,
    ".ndjson": LinesSource,
    ".parquet": ParquetSource,
    ".xlsx": ExcelSource,
    ".xlsm": ExcelSource,
    ".xlsb": ExcelSource,
    ".xls": ExcelSource,
    ".ods": ExcelSource,
}

_AHEAD = 200
"""Rows that are read in a thread at a time."""


class TableRow(dict[str, Any]):
    """The inputs of a row, which remembers its cells.

    Attributes:
        cells: all of them, by the names of the columns, as they were read.
    """

    __slots__ = ("cells",)

    def __init__(self, inputs: Mapping[str, Any], cells: Cells) -> None:
        super().__init__(inputs)
        self.cells = cells


@attrs.frozen(kw_only=True)
class Checked:
    """What reading a table from its beginning to its end told.

    Attributes:
        rows: how many there are.
        columns: their names, in the order in which they came.
    """

    rows: int
    columns: tuple[str, ...]


@attrs.frozen(eq=False)
class Table:
    """A table whose rows are inputs; see `read_table`.

    Iterating reads by demand and may be done again; ``async for`` reads in a thread, so
    that a slow disk holds up nothing else.
    """

    path: Path
    _source: Source = attrs.field(repr=False)
    _shape: Shape = attrs.field(repr=False)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the columns; None for JSON lines, whose rows have their own."""
        columns = self._source.columns
        return None if columns is None else tuple(columns)

    def variable(self, column: str) -> str | None:
        """The input that a column is sent as; None if it is not sent."""
        return self._shape.variable(column)

    def __iter__(self) -> Iterator[TableRow]:
        """Read the rows.

        Raises:
            TableError: one cannot be read.
        """
        for cells in self._source.rows():
            yield TableRow(self._shape.inputs(cells), cells)

    async def __aiter__(self) -> AsyncIterator[TableRow]:
        """Read the rows, some at a time, in a thread.

        Raises:
            TableError: one cannot be read; those before it were given.
        """
        rows = iter(self)
        error: TableError | None = None
        while error is None:
            some, error = await asyncio.to_thread(_read, rows)
            for row in some:
                yield row
            if error is None and not some:
                return
        raise error

    def check(self) -> Checked:
        """Read the whole table, to know before the first run whether it can be read.

        Of Parquet and Excel only the head is read. It blocks: call it in a thread.

        Raises:
            TableError: a row cannot be read, or the columns do not fit.
        """
        count, columns = self._source.count(), self._source.columns
        if count is not None and columns is not None:
            return Checked(rows=count, columns=tuple(columns))
        count, found = 0, dict.fromkeys(columns or ())
        for cells in self._source.rows():
            count += 1
            if columns is None:
                found.update(dict.fromkeys(cells))
        if columns is None and count:
            _ = self.fit(found)
        return Checked(rows=count, columns=tuple(found))

    def fit(self, columns: Iterable[str]) -> Table:
        """The table, if its columns can be sent.

        Raises:
            TableError: they do not fit mapping and form.
        """
        if problems := list(self._shape.problems(columns)):
            raise TableError("; ".join(problems), path=str(self.path))
        return self


def _read(rows: Iterator[TableRow]) -> tuple[list[TableRow], TableError | None]:
    """Some rows, and the error that came after them."""
    some: list[TableRow] = []
    try:
        some.extend(islice(rows, _AHEAD))
    except TableError as error:
        return some, error
    return some, None


def read_table(
    path: str | PathLike[str],
    *,
    mapping: Mapping[str, str] | None = None,
    form: Parameters | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8-sig",
    sheet: str | None = None,
) -> Table:
    """Open a table for reading.

    Cells are JSON values: of a CSV texts, of other formats as these have them, dates and
    times as ISO 8601 text. Empty cells are left out of the inputs, so that defaults
    hold. With a *form*, columns that the app does not know are not sent, numbers become
    texts where texts are needed, JSON texts objects, and in columns for files, texts
    that begin with ``http`` are links and others paths, from the table's folder on.

    CSV, JSON lines and Parquet are read as the rows are asked for; Excel is read whole.

    Args:
        path: ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``, ``.parquet``, ``.xlsx``, or
            another kind of workbook (``.xlsm``, ``.xlsb``, ``.xls``, ``.ods``).
        mapping: names of inputs, by the columns that they are read from; other columns
            are sent under their own names.
        form: of the app, as ``await client.parameters()`` gives it.
        delimiter: of a CSV, else a comma.
        encoding: of a CSV, with or without a byte order mark.
        sheet: of a workbook; else the first.

    Raises:
        TableError: it cannot be read, or its columns do not fit; or a library is
            missing: Parquet and Excel need the extra ``tables``.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        msg = f"tables are {', '.join(_READERS)}, not {path.suffix or 'without ending'}"
        raise TableError(msg, path=str(path))
    if delimiter is not None and len(delimiter) != 1:
        msg = f"the delimiter is one character, not {delimiter!r}"
        raise TableError(msg, path=str(path))
    source = reader(
        Reading(path=path, delimiter=delimiter, encoding=encoding, sheet=sheet)
    )
    table = Table(path, source, Shape.of(mapping, form, path.parent))
    return table if source.columns is None else table.fit(dict.fromkeys(source.columns))
