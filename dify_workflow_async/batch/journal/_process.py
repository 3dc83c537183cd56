"""Which process owns claims, and whether it has ended."""

from __future__ import annotations

import os
import socket

from pathlib import Path
from typing import Self

import attrs


@attrs.frozen(kw_only=True)
class Process:
    """A process, told from all others.

    Attributes:
        host: its machine's name, for people.
        machine: the machine since its start, and the space of process ids in it, which
            is another one in each container; None where that cannot be known.
        pid: its id there.
        started: when it started, in the kernel's ticks: ids are given again.
    """

    host: str
    machine: str | None
    pid: int
    started: str | None

    @classmethod
    def this(cls) -> Self:
        """The process that asks."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            machine=_machine(),
            pid=pid,
            started=_start_of(pid),
        )

    def has_ended(self) -> bool:
        """True if it has certainly ended; False if it runs, or nobody here can tell."""
        if self.machine is None or self.started is None or self.machine != _machine():
            return False
        return _start_of(self.pid) != self.started


_PROC = Path("/proc")


def _machine() -> str | None:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return None
    return f"{boot} {space}"


def _start_of(pid: int) -> str | None:
    """When a process started; None if there is none, or it waits to be reaped."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program's name, in brackets, and may hold anything. The
    # third is the state, the 22nd the start: proc_pid_stat(5).
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]
