"""A file that is written beside its place, and takes it when it is whole."""

from __future__ import annotations

import os
import threading

from pathlib import Path
from typing import IO

from ..errors import UsageError
from ._names import safe_name


class Saving:
    """Writes a file; all its methods block, and are for threads.

    A task that is cancelled leaves a thread that still writes, or has yet to begin:
    after `abandon` they do nothing.

    Args:
        path: the file to write, or the directory to write one in.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._half: Path | None = None
        self._is_directory = False
        self._abandoned = False

    def open(self) -> None:
        """Make the temporary file, with the permissions that any new file has.

        Raises:
            OSError: it cannot be made there.
        """
        with self._lock:
            if self._abandoned:
                return
            self._is_directory = self._path.is_dir()
            folder = self._path if self._is_directory else self._path.parent
            half = folder / f".{os.urandom(8).hex()}.part"
            self._file = half.open("xb")
            self._half = half

    def write(self, data: bytes | bytearray) -> None:
        """Write on."""
        with self._lock:
            if self._file is not None:
                self._file.write(data)

    def finish(self, name: str | None) -> Path:
        """Put the file in its place, over one that is there.

        Args:
            name: what to call it in a directory; made safe here.
        """
        with self._lock:
            if self._file is None or self._half is None:
                msg = "the download was left before its end"
                raise UsageError(msg)
            self._file.flush()
            os.fsync(self._file.fileno())  # the name must not outlive the bytes
            self._file.close()
            path = self._path / safe_name(name) if self._is_directory else self._path
            self._half.replace(path)
            self._file = self._half = None
            return path

    def abandon(self) -> None:
        """Remove what was written, unless it was finished."""
        with self._lock:
            self._abandoned = True
            file, self._file = self._file, None
            half, self._half = self._half, None
            try:
                if file is not None:
                    file.close()  # which writes what it has kept, if there is room
            finally:
                if half is not None:
                    half.unlink(missing_ok=True)
