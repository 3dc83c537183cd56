"""The Python of ``code`` nodes, in a process of its own with limits.

The program around the code, and what is made of its answer, are the engine's own; only
its sandbox service is replaced by a process. That is no sandbox.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol

from graphon.dsl import SandboxCodeExecutionError, SandboxCodeExecutor


_CHILD: Final = Path(__file__).with_name("_code_child.py")

# What it learns of the environment, where keys may be.
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "SYSTEMROOT")

# How soon a run that is stopped ends its code.
_LOOK: Final = 0.1

# What is read at once, as much as a pipe holds.
_PIECE: Final = 64 * 1024


class _Program(Protocol):
    @property
    def code(self) -> str: ...


class _Pipe(threading.Thread):
    """Reads what a process prints, up to a limit; past that it ends the process.

    Args:
        process: The process.
        stream: What is read of it.
        limit: How many bytes are kept.

    Attributes:
        data: What was read.
        is_over: Whether there was more.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], stream: IO[bytes] | None, limit: int
    ) -> None:
        super().__init__(daemon=True)
        self.data = bytearray()
        self.is_over = False
        self._process = process
        self._stream = stream
        self._limit = limit
        self.start()

    def run(self) -> None:
        """Read to the end, or to the limit."""
        # It is closed early if the code has left a process behind that holds it.
        with contextlib.suppress(OSError, ValueError):
            while self._stream is not None and (piece := self._stream.read(_PIECE)):
                self.data += piece
                if len(self.data) > self._limit:
                    self.is_over = True
                    self._process.kill()
                    return


class _Processes:
    """Stands where the engine has the client of its sandbox service."""

    def __init__(self, limits: Mapping[str, Any], stopping: threading.Event) -> None:
        self._seconds: float = limits["seconds"]
        self._megabytes: int = limits["megabytes"]
        self._output_megabytes: int = limits["output_megabytes"]
        self._stopping = stopping

    def run(self, program: _Program) -> str:
        """Run a program, and give what it printed.

        Raises:
            SandboxCodeExecutionError: It failed, took too long or printed too much.
        """
        order = {"code": program.code, "megabytes": self._megabytes}
        with subprocess.Popen(  # noqa: S603 - of the user's own workflow
            [sys.executable, "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ},
        ) as process:
            output, errors = self._communicate(process, json.dumps(order).encode())
        if process.returncode:
            text = errors.decode("utf-8", "replace").rstrip("\n")
            message = f"error: {text}\n exit status {process.returncode}"
            raise SandboxCodeExecutionError(message)
        return output.decode("utf-8", "replace")

    def _communicate(
        self, process: subprocess.Popen[bytes], order: bytes
    ) -> tuple[bytes, bytes]:
        end = time.monotonic() + self._seconds
        limit = self._output_megabytes * 1024 * 1024
        pipes = [_Pipe(process, one, limit) for one in (process.stdout, process.stderr)]
        _give(process, order)
        while not _has_ended(process, pipes):
            problem = None
            if self._stopping.is_set():
                problem = "the run was stopped"
            elif time.monotonic() > end:
                problem = f"the code ran for more than {self._seconds:g} s"
            if problem is not None:
                process.kill()
                message = f"error: {problem}"
                raise SandboxCodeExecutionError(message)
        if any(pipe.is_over for pipe in pipes):
            message = f"error: the code printed more than {self._output_megabytes} MB"
            raise SandboxCodeExecutionError(message)
        return bytes(pipes[0].data), bytes(pipes[1].data)


def _give(process: subprocess.Popen[bytes], order: bytes) -> None:
    """Write the order, which the child reads before it does anything else."""
    if process.stdin is None:
        return
    rest = memoryview(order)
    with contextlib.suppress(BrokenPipeError):  # its errors say why
        while rest:
            rest = rest[process.stdin.write(rest) :]
    process.stdin.close()


def _has_ended(process: subprocess.Popen[bytes], pipes: Iterable[_Pipe]) -> bool:
    """Wait a moment for the end of a process and of all that it prints."""
    for pipe in pipes:
        pipe.join(_LOOK)
        if pipe.is_over:
            return True
        if pipe.is_alive():
            return False
    try:
        process.wait(_LOOK)
    except subprocess.TimeoutExpired:
        return False
    return True


def code_executor(
    limits: Mapping[str, Any], stopping: threading.Event
) -> SandboxCodeExecutor:
    """Make what ``code`` nodes of a run are executed by.

    Args:
        limits: The values of ``CodeLimits``.
        stopping: Whether the run is being stopped.
    """
    executor = SandboxCodeExecutor()
    client = _Processes(limits, stopping)
    executor._client = client  # type: ignore[assignment]
    return executor
