"""A PostgreSQL server of the tests' own, from the system's programs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile

from itertools import count
from pathlib import Path

import attrs


USER = "postgres"
_names = count()


def programs() -> Path | None:
    """Where the programs of the newest PostgreSQL are; None if there is none."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(path.parts[-3]),
    )
    return found[-1].parent if found else None


@attrs.define
class PostgreSQL:
    """A server in a directory of its own, on a free port of loopback."""

    programs: Path
    directory: Path = attrs.field(init=False)
    port: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))
        if os.geteuid() == 0:
            shutil.chown(self.directory, USER)
        self._run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-N")

    @property
    def data(self) -> str:
        """The directory of the server's data."""
        return str(self.directory / "data")

    def _run(self, program: str, *args: str) -> None:
        # The server refuses to run for root.
        drop = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        subprocess.run(
            [*drop, str(self.programs / program), *args],
            check=True,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = (
            f"-p {self.port} -k {self.directory} -c listen_addresses=127.0.0.1 "
            "-c fsync=off"
        )
        log = str(self.directory / "log")
        self._run("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        """End it without ceremony, as a crash would."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        """Forget its data."""
        shutil.rmtree(self.directory)

    def new_database(self) -> str:
        """Make an empty database, and give its URL."""
        name = f"test{next(_names)}"
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", USER)
        self._run("createdb", *where, name)
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def execute(self, url: str, statement: str) -> None:
        """Do something to a database behind everybody's back."""
        self._run("psql", "-d", url, "-c", statement)


def missing() -> str | None:
    """Why there can be no server; None if there can."""
    if programs() is None:
        return "PostgreSQL is missing: apt-get install postgresql"
    if os.geteuid() == 0 and not shutil.which("runuser"):
        return "PostgreSQL refuses to run for root, and there is no runuser"
    return None
