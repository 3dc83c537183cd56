"""Ctrl-C, and the signal to terminate."""

from __future__ import annotations

import asyncio
import signal

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress


@contextmanager
def on_interrupt(tell: Callable[[], object]) -> Generator[None]:
    """Call *tell*, in the running loop, for each interrupt or termination.

    On Windows, and in threads, they do what they always do.
    """
    loop = asyncio.get_running_loop()
    heard: list[signal.Signals] = []
    with suppress(NotImplementedError, RuntimeError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, tell)
            heard.append(number)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)


class Interrupts:
    """What interrupts do, one after another; when none is left they cancel this task.

    Attributes:
        answers: what the next ones do.
        count: how many there were.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self.answers: list[Callable[[], object]] = []
        self.count = 0

    def __call__(self) -> None:
        """There is one more."""
        self.count += 1
        if self.answers:
            self.answers.pop(0)()
        elif self._task is not None:
            self._task.cancel()
