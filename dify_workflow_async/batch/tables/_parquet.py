"""Parquet: read and written by groups of rows, with pyarrow."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import TableError
from ._cells import Cells, encodable, names_of, plain
from ._kinds import Kind, fitted
from ._sources import Reading, library, told


if TYPE_CHECKING:
    from collections.abc import Mapping

AT_ONCE = 500
"""Rows that are read at once; few, since documents make rows of a megabyte."""

GROUP = 5_000
"""Rows in a group of a file that is written: all that is held at a time."""


def require_parquet() -> Any:
    """Import the library, which is done late.

    Raises:
        TableError: it is not installed.
    """
    _ = library("pyarrow.parquet", "Parquet")
    return library("pyarrow", "Parquet")


class ParquetSource:
    """A Parquet file; nested cells become lists and mappings."""

    def __init__(self, reading: Reading) -> None:
        self._pa = require_parquet()
        self._path = reading.path
        with self._open() as file:
            self.columns = names_of(list(file.schema_arrow.names), str(self._path))
            self._count = int(file.metadata.num_rows)

    def rows(self) -> Iterator[Cells]:
        with self._open() as file:
            for some in file.iter_batches(batch_size=AT_ONCE):
                columns = [self._values(column) for column in some.columns]
                for cells in zip(*columns, strict=True):
                    yield dict(zip(self.columns, cells, strict=True))

    def _values(self, column: Any) -> list[Any]:
        """The values of some rows; Python's times end with microseconds."""
        pa = self._pa
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        return [plain(value) for value in column.to_pylist()]

    def count(self) -> int | None:
        return self._count

    @contextmanager
    def _open(self) -> Generator[Any]:
        """The file; the errors of reading it as ours."""
        try:
            with (
                told(self._path),
                self._path.open("rb") as file,
                self._pa.parquet.ParquetFile(file) as parquet,
            ):
                yield parquet
        except TableError:
            raise  # which is a ValueError, too
        except (self._pa.ArrowException, ValueError) as error:
            msg = f"cannot be read as Parquet: {error}"
            raise TableError(msg, path=str(self._path)) from None


def write_parquet(
    path: Path, columns: Mapping[str, Kind], rows: Iterable[Cells]
) -> None:
    """Write a Parquet file, group by group."""
    pa = require_parquet()
    types = {
        Kind.BOOL: pa.bool_(),
        Kind.INT: pa.int64(),
        Kind.FLOAT: pa.float64(),
    }
    schema = pa.schema(
        (encodable(name), types.get(kind, pa.string()))
        for name, kind in columns.items()
    )
    every = iter(rows)
    with pa.parquet.ParquetWriter(path, schema) as writer:
        while some := list(islice(every, GROUP)):
            arrays = [
                pa.array([fitted(cells.get(name), kind) for cells in some], type_)
                for (name, kind), type_ in zip(
                    columns.items(), schema.types, strict=True
                )
            ]
            writer.write_table(pa.table(arrays, schema=schema))
