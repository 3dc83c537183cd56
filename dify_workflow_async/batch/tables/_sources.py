"""What is read of a table, whatever its format."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import attrs

from ...errors import TableError
from ._cells import Cells


@attrs.frozen(kw_only=True)
class Reading:
    """How to read a table.

    Attributes:
        path: of the file.
        delimiter: between the cells of a CSV; None: a comma, or a tab for ``.tsv``.
        encoding: of a CSV.
        sheet: the name of an Excel sheet; None: the first.
    """

    path: Path
    delimiter: str | None = None
    encoding: str = "utf-8-sig"  # takes a byte order mark, and does not need one
    sheet: str | None = None


class Source(Protocol):
    """A table that is open for reading, as often as one likes."""

    @property
    def columns(self) -> list[str] | None:
        """Their names; None where every row has its own."""
        ...

    def rows(self) -> Iterator[Cells]:
        """The rows from the first on; reading is by demand.

        Raises:
            TableError: one cannot be read.
        """
        ...

    def count(self) -> int | None:
        """How many rows there are; None if only reading them tells."""
        ...


@contextmanager
def told(path: Path) -> Generator[None]:
    """Errors of the disk, as ours.

    Raises:
        TableError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise TableError(error.strerror or str(error), path=str(path)) from None


def library(name: str, what: str) -> Any:
    """Import a library of the extra, which is done late; its types are its own.

    Raises:
        TableError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing != name.partition(".")[0]:
            raise
        msg = f"{what} needs {missing}: pip install 'dify-workflow-async[tables]'"
        raise TableError(msg) from None
