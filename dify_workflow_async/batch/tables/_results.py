"""The results of a batch as a table."""

from __future__ import annotations

import os
import secrets

from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from ...errors import TableError
from .._values import BatchItem
from ._cells import Cells
from ._csv import write_csv
from ._excel import require_excel, write_excel
from ._flat import OUTPUT, RUN_COLUMNS, flat
from ._kinds import Kind, common, kind_of
from ._lines import write_lines
from ._parquet import require_parquet, write_parquet
from ._sources import told
from ._spool import LEFT, Spool


WRITTEN = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx")


@attrs.frozen(kw_only=True)
class Written:
    """A table that was written.

    Attributes:
        path: of the file.
        rows: how many are in it.
        cut: texts that were too long for a cell of Excel, and cut to 32,767 characters.
    """

    path: Path
    rows: int
    cut: int = 0


class Results:
    """Writes the items of a batch as a table, which is whole or is not there.

    Items are written as they come into a file beside it, as JSON lines, under the
    table's name and ``.part``. At the end the table is made of them, in the order of
    the batch's rows, and takes its place at once; if that cannot be, or the process
    dies before, the ``.part`` stays: nothing is lost.

    Each row has the cells that it was read with, then what became of it (``run.row``
    from 1, ``run.key``, ``run.state``, ...), then its outputs as ``output.NAME``.
    Where a format has no nested values, they are JSON text.

    Args:
        path: ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``, ``.parquet`` or ``.xlsx``.
        replace: replace a table, or a ``.part``, that is there.

    Raises:
        TableError: no such format, or a library is missing, which the extra
            ``tables`` has.
    """

    def __init__(self, path: str | PathLike[str], *, replace: bool = False) -> None:
        self.path = Path(path)
        self._replace = replace
        self._spool: Spool | None = None
        self._cells: dict[str, Kind] = {}
        self._run = dict(RUN_COLUMNS)
        self._outputs: dict[str, Kind] = {}
        match self.path.suffix.lower():
            case ".parquet":
                require_parquet()
            case ".xlsx":
                require_excel()
            case ending if ending not in WRITTEN:
                formats = ", ".join(WRITTEN)
                msg = (
                    f"tables are written as {formats}, not {ending or 'without ending'}"
                )
                raise TableError(msg, path=str(path))
            case _:
                pass

    @property
    def part(self) -> Path:
        """Where the rows are until the table is made."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def _left(self) -> int | None:
        """Bytes in a `part` that is there: none if its batch died before a row ended."""
        with suppress(OSError):  # what is wrong is told when it is opened
            return self.part.stat().st_size
        return None

    def check(self) -> None:
        """See that nothing is in the way; nothing is made or changed.

        Raises:
            TableError: there is a table already, or a `part`, and neither is replaced.
        """
        if self._replace:
            return
        if self.path.exists():
            msg = "it is there already"
            raise TableError(msg, path=str(self.path))
        if self._left:
            raise TableError(LEFT, path=str(self.part))

    def open(self) -> Self:
        """Make the file that rows go to.

        Raises:
            TableError: it cannot be made, or there is a table already.
        """
        self.check()
        self._spool = Spool(self.part, replace=self._replace or self._left == 0)
        return self

    def add(self, item: BatchItem) -> None:
        """Write an item.

        Raises:
            TableError: it cannot be written, or nothing is open.
        """
        row = flat(item)
        self._opened.add(item.index, row)
        for name, value in row.items():
            columns = self._group(name)
            columns[name] = common(columns.get(name, Kind.NOTHING), kind_of(value))

    def _group(self, name: str) -> dict[str, Kind]:
        if name in self._run:
            return self._run
        return self._outputs if name.startswith(OUTPUT) else self._cells

    @property
    def _opened(self) -> Spool:
        if self._spool is None:
            msg = "the results are not open"
            raise TableError(msg, path=str(self.path))
        return self._spool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns so far, in their order."""
        return tuple(self._kinds())

    def _kinds(self) -> dict[str, Kind]:
        return {**self._cells, **self._run, **self._outputs}

    def finish(self) -> Written:
        """Make the table. It blocks: call it in a thread.

        Raises:
            TableError: it cannot be written; the rows stay in `part`.
        """
        spool = self._opened
        try:
            with self._beside() as new:
                cut = self._write(new, spool.rows())
        except TableError as error:
            error.message += f" (the rows are in {self.part})"
            error.args = (error.message,)
            raise
        spool.remove()
        self._spool = None
        return Written(path=self.path, rows=len(spool), cut=cut)

    @contextmanager
    def _beside(self) -> Generator[Path]:
        """A file that takes the table's place when it is whole, and else is removed."""
        new = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            with told(self.path):
                yield new
                with new.open("r+b") as file:
                    os.fsync(file.fileno())  # the name must not outlive the bytes
                new.replace(self.path)
        except BaseException:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise

    def _write(self, path: Path, rows: Iterable[Cells]) -> int:
        columns = self._kinds()
        match self.path.suffix.lower():
            case ".csv":
                write_csv(path, columns, rows)
            case ".tsv":
                write_csv(path, columns, rows, delimiter="\t")
            case ".parquet":
                write_parquet(path, columns, rows)
            case ".xlsx":
                return write_excel(path, list(columns), rows)
            case _:
                write_lines(path, columns, rows)
        return 0

    def close(self) -> None:
        """Leave the rows where they are, if there are any; without effect after `finish`."""
        spool, self._spool = self._spool, None
        if spool is None:
            return
        if len(spool):
            spool.close()
        else:
            spool.remove()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None and self._spool is not None:
            self.finish()
        self.close()
