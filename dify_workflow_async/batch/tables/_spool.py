"""The file that results go to as they come: JSON lines, which a crash cannot halve."""

from __future__ import annotations

import json
import os

from array import array
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import TableError
from ._cells import dumped
from ._sources import told


_fcntl: Any = None
with suppress(ImportError):  # not on Windows
    import fcntl as _fcntl


LEFT = (
    "a batch that did not come to its end left this: its rows, as JSON lines; move it "
    "away, or replace it"
)


class Spool:
    """Rows on the disk, given back in their order.

    A line is given to the system as a whole, at once: a process that is killed leaves
    whole lines. Of each row only its number and its place are in memory, about 100
    bytes at the end, when they are put in order.

    Args:
        path: of the file.
        replace: take the place of one that is there.

    Raises:
        TableError: it cannot be made, there is one already, or another process
            writes it.
    """

    def __init__(self, path: Path, *, replace: bool) -> None:
        self.path = path
        self._file = self._opened(replace=replace)
        try:
            self._claim()
        except TableError:
            self.close()
            raise
        self._numbers = array("Q")
        self._places = array("Q")
        self._end = 0

    def _opened(self, *, replace: bool) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with told(self.path):
            try:
                return os.open(self.path, flags | (0 if replace else os.O_EXCL), 0o666)
            except FileExistsError:
                raise TableError(LEFT, path=str(self.path)) from None

    def _claim(self) -> None:
        """Make it ours, and empty."""
        with told(self.path):
            if _fcntl is not None and not self._lock():
                msg = "another process writes to it"
                raise TableError(msg, path=str(self.path))
            os.ftruncate(self._file, 0)

    def _lock(self) -> bool:
        """True if no other process has it, and none has just removed it."""
        try:
            _fcntl.flock(self._file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def add(self, number: int, row: Mapping[str, Any]) -> None:
        """Write a row.

        Raises:
            TableError: it cannot be written; nothing of it is kept.
        """
        line = dumped(row).encode("utf-8", "backslashreplace") + b"\n"
        left = memoryview(line)
        try:
            with told(self.path):
                while left:
                    left = left[os.write(self._file, left) :]
        except TableError:
            os.ftruncate(self._file, self._end)  # a disk that is full
            raise
        self._numbers.append(number)
        self._places.append(self._end)
        self._end += len(line)

    def __len__(self) -> int:
        return len(self._numbers)

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows, by their numbers.

        Raises:
            TableError: the file cannot be read.
        """
        places = self._places
        order = sorted(range(len(places)), key=self._numbers.__getitem__)
        with told(self.path), self.path.open("rb") as file:
            for each in order:
                if file.tell() != places[each]:
                    file.seek(places[each])
                yield json.loads(file.readline())

    def close(self) -> None:
        """Close the file and let it stand; again without effect."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def remove(self) -> None:
        """Close the file and remove it."""
        if _fcntl is None:  # Windows removes no file that is open
            self.close()
        with told(self.path):
            self.path.unlink()  # before it is unlocked, and another's
        self.close()
