"""JSON lines: an object for each row, which has columns of its own."""

from __future__ import annotations

import json

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...errors import TableError
from ._cells import Cells, dumped
from ._sources import Reading, told


class LinesSource:
    """JSON lines (also called NDJSON), in UTF-8."""

    columns = None

    def __init__(self, reading: Reading) -> None:
        self._path = reading.path
        with told(self._path):
            self._path.open("rb").close()

    def rows(self) -> Iterator[Cells]:
        with told(self._path), self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield self._row(line, number)

    def _row(self, line: bytes, number: int) -> Cells:
        path = str(self._path)
        try:
            row: Any = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            msg = f"not JSON: {error}"
            raise TableError(msg, path=path, line=number) from None
        if not isinstance(row, dict):
            msg = f"an object is needed, not {type(row).__name__}"
            raise TableError(msg, path=path, line=number)
        return row  # pyright: ignore[reportUnknownVariableType]

    def count(self) -> int | None:
        return None


def _no_constant(name: str) -> None:
    """What Python, unlike JSON, has for values that are missing."""
    if name != "NaN":
        msg = f"{name} has no form in JSON"
        raise ValueError(msg)


def write_lines(path: Path, columns: Iterable[str], rows: Iterable[Cells]) -> None:
    """Write JSON lines, with all columns in each."""
    names = list(columns)
    with path.open("wb") as file:
        for cells in rows:
            line = dumped({name: cells.get(name) for name in names})
            file.write(line.encode("utf-8", "backslashreplace") + b"\n")
