"""CSV: read line by line, all cells as text, since it has no types."""

from __future__ import annotations

import csv

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import TableError
from ._cells import Cells, encodable, names_of, text_of
from ._sources import Reading, told


_LONGEST = 64 * 1024 * 1024
"""Characters of a cell. The csv module's own 131,072 are few for documents; without any
limit, a quotation mark that is never closed would swallow the rest of the file."""


class CsvSource:
    """A CSV (RFC 4180).

    Raises:
        TableError: there is no header.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._path = str(reading.path)
        is_tsv = reading.path.suffix.lower() == ".tsv"
        self._delimiter = reading.delimiter or ("\t" if is_tsv else ",")
        # The limit is the whole process's: it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
        with self._open() as lines:
            header: list[str] = next(lines, list[str]())
        self.columns = names_of(header, self._path)
        self._doubt(header)

    def _doubt(self, header: list[str]) -> None:
        """Refuse a header that another delimiter would divide."""
        if self._reading.delimiter is not None or len(header) != 1:
            return
        for other in (";", "\t", "|"):
            if other in header[0]:
                msg = (
                    f"the header is the one cell {header[0]!r}: if {other!r} divides "
                    "it, give it as the delimiter, and else give ','"
                )
                raise TableError(msg, path=self._path)

    def rows(self) -> Iterator[Cells]:
        with self._open() as lines:
            next(lines, None)
            for cells in lines:
                if not cells:  # a blank line
                    continue
                if len(cells) != len(self.columns):
                    msg = f"{len(cells)} cells, and the header has {len(self.columns)}"
                    raise TableError(msg, path=self._path, line=lines.line_num)
                yield dict(zip(self.columns, cells, strict=True))

    def count(self) -> int | None:
        return None

    @contextmanager
    def _open(self) -> Generator[Any]:
        """The lines as cells; the errors of reading as ours."""
        lines: Any = None
        try:
            with (
                told(self._reading.path),
                self._reading.path.open(
                    newline="", encoding=self._reading.encoding
                ) as file,
            ):
                lines = csv.reader(file, delimiter=self._delimiter, strict=True)
                yield lines
        except UnicodeError as error:
            msg = f"not {self._reading.encoding} ({error}): name its encoding"
            raise TableError(msg, path=self._path) from None
        except LookupError:
            msg = f"there is no encoding {self._reading.encoding!r}"
            raise TableError(msg, path=self._path) from None
        except csv.Error as error:
            line = lines.line_num if lines is not None else None
            raise TableError(str(error), path=self._path, line=line) from None


def write_csv(
    path: Path, columns: Iterable[str], rows: Iterable[Cells], delimiter: str = ","
) -> None:
    """Write a CSV as RFC 4180 has it, in UTF-8; what is nested goes as JSON text."""
    names = list(columns)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(map(encodable, names))
        for cells in rows:
            writer.writerow(encodable(text_of(cells.get(name))) for name in names)
