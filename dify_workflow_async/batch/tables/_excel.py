"""Excel: read with calamine, the sheet as a whole; written row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard

from ...errors import TableError
from ._cells import Cells, encodable, is_empty, names_of, plain, text_of
from ._sources import Reading, library, told


# What a sheet of .xlsx can hold.
MAX_ROWS: Final = 1_048_576
MAX_COLUMNS: Final = 16_384
MAX_TEXT: Final = 32_767


class ExcelSource:
    """A sheet of an Excel or OpenDocument workbook.

    The whole sheet is in memory. Each cell has its own type; numbers without a
    fraction are integers, since Excel has no others. Cells with an error, such as
    ``#N/A``, are empty.
    """

    def __init__(self, reading: Reading) -> None:
        self._path = reading.path
        sheet = self._sheet(reading)
        rows: Iterator[list[Any]] = iter(sheet.to_python())
        header: list[Any] = next(rows, list[Any]())
        self.columns = names_of(list(map(_value, header)), str(self._path))
        self._rows = [row for row in rows if not all(map(is_empty, row))]

    def _sheet(self, reading: Reading) -> Any:
        calamine = library("python_calamine", "Excel")
        try:
            with told(self._path), self._path.open("rb") as file:
                workbook = calamine.CalamineWorkbook.from_filelike(file)
                names = workbook.sheet_names
                wanted = reading.sheet or next(iter(names), "")
                if wanted not in names:
                    has = ", ".join(map(repr, names)) or "none"
                    msg = f"there is no sheet {wanted!r}; there is {has}"
                    raise TableError(msg, path=str(self._path))
                return workbook.get_sheet_by_name(wanted)
        except calamine.CalamineError as error:
            msg = f"cannot be read as a workbook: {error}"
            raise TableError(msg, path=str(self._path)) from None

    def rows(self) -> Iterator[Cells]:
        for row in self._rows:
            yield dict(zip(self.columns, map(_value, row), strict=True))

    def count(self) -> int | None:
        return len(self._rows)


def _value(cell: object) -> Any:
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return None if cell == "" else plain(cell)


def require_excel() -> Any:
    """Import the library that writes, which is done late.

    Raises:
        TableError: it is not installed.
    """
    return library("xlsxwriter", "Excel")


def write_excel(path: Path, columns: Sequence[str], rows: Iterable[Cells]) -> int:
    """Write a workbook of one sheet, row by row.

    Returns:
        How many texts were cut, since a cell holds no more than 32,767 characters.

    Raises:
        TableError: more rows or columns than a sheet can hold.
    """
    xlsxwriter = require_excel()
    if len(columns) > MAX_COLUMNS:
        msg = f"{len(columns)} columns, and a sheet of Excel holds {MAX_COLUMNS}"
        raise TableError(msg, path=str(path))
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as workbook:
        sheet: Any = workbook.add_worksheet("results")
        sheet.freeze_panes(1, 0)
        cut = _write_row(sheet, 0, columns)
        for number, cells in enumerate(rows, 1):
            if number == MAX_ROWS:
                msg = f"more rows than the {MAX_ROWS} that a sheet of Excel holds"
                raise TableError(msg, path=str(path))
            cut += _write_row(sheet, number, [cells.get(name) for name in columns])
    return cut


def _write_row(sheet: Any, row: int, values: Iterable[Any]) -> int:
    """Write a row: numbers and booleans as such, and all else as text, not formulas.

    Returns:
        How many texts were cut.
    """
    cut = 0
    for column, value in enumerate(values):
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif _is_number(value):
            sheet.write_number(row, column, value)
        elif value is not None:
            text = encodable(text_of(value))
            cut += len(text) > MAX_TEXT
            sheet.write_string(row, column, text[:MAX_TEXT])
    return cut


def _is_number(value: object) -> TypeGuard[float]:
    """True for what Excel, whose numbers are doubles, shows with all digits."""
    if isinstance(value, int):
        return abs(value) < 10**15
    return isinstance(value, float)
