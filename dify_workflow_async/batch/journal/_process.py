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
            started=_own_start(pid),
        )

    def has_ended(self) -> bool:
        """True if it has certainly ended; False if it runs, or nobody here can tell."""
        if self.machine is None or self.started is None or self.machine != _machine():
            return False
        try:
            return _start_of(self.pid) != self.started
        except OSError:
            # There is none, or it is another user's, whom proc(5) hides by hidepid=.
            return not _is_there(self.pid)


_PROC = Path("/proc")


def _machine() -> str | None:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return None
    return f"{boot} {space}"


def _own_start(pid: int) -> str | None:
    try:
        return _start_of(pid)
    except OSError:  # no /proc
        return None


def _start_of(pid: int) -> str | None:
    """When a process started; None if it waits to be reaped.

    Raises:
        OSError: there is none, or we may not see it.
    """
    stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    # The second field is the program's name, in brackets, and may hold anything. The
    # third is the state, the 22nd the start: proc_pid_stat(5).
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]


def _is_there(pid: int) -> bool:
    """True if any process has this id, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        pass
    return True
