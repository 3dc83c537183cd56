"""The Python of ``code`` nodes, in a process of its own with limits.

The program around the code, and what is made of its answer, are the engine's own; only
its sandbox service is replaced by a process. That is no sandbox.
"""

import json
import os
import subprocess
import sys
import threading
import time

from pathlib import Path
from typing import Any, Final, Protocol

from graphon.dsl import SandboxCodeExecutionError, SandboxCodeExecutor


_CHILD: Final = Path(__file__).with_name("_code_child.py")

# What it learns of the environment, where keys may be.
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "SYSTEMROOT")

# How soon a run that is stopped ends its code.
_LOOK: Final = 0.1


class _Program(Protocol):
    @property
    def code(self) -> str: ...


class _Processes:
    """Stands where the engine has the client of its sandbox service."""

    def __init__(
        self, seconds: float, megabytes: int, stopping: threading.Event
    ) -> None:
        self._seconds = seconds
        self._megabytes = megabytes
        self._stopping = stopping

    def run(self, program: _Program) -> str:
        """Run a program, and give what it printed.

        Raises:
            SandboxCodeExecutionError: It failed, or took too long.
        """
        order = {"code": program.code, "megabytes": self._megabytes}
        with subprocess.Popen(  # noqa: S603 - of the user's own workflow
            [sys.executable, "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
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
        given: bytes | None = order
        while True:
            try:
                return process.communicate(given, timeout=_LOOK)
            except subprocess.TimeoutExpired:
                given = None
            if self._stopping.is_set():
                process.kill()
            elif time.monotonic() > end:
                process.kill()
                message = f"error: the code ran for more than {self._seconds:g} s"
                raise SandboxCodeExecutionError(message)


def code_executor(
    limits: dict[str, Any], stopping: threading.Event
) -> SandboxCodeExecutor:
    """Make what ``code`` nodes of a run are executed by.

    Args:
        limits: The values of ``CodeLimits``.
        stopping: Whether the run is being stopped.
    """
    executor = SandboxCodeExecutor()
    client = _Processes(limits["seconds"], limits["megabytes"], stopping)
    executor._client = client  # type: ignore[assignment]
    return executor
