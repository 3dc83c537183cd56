"""Ctrl-C, and the signal to terminate."""

from __future__ import annotations

import asyncio
import signal

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress


@contextmanager
def on_interrupt(tell: Callable[[], object]) -> Generator[Callable[[], None]]:
    """Call *tell*, in the running loop, for each interrupt or termination.

    On Windows, and in threads, they do what they always do.

    Yields:
        a function after which they do again what they did before.
    """
    loop = asyncio.get_running_loop()
    heard: list[signal.Signals] = []

    def restore() -> None:
        while heard:
            loop.remove_signal_handler(heard.pop())

    with suppress(NotImplementedError, RuntimeError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, tell)
            heard.append(number)
    try:
        yield restore
    finally:
        restore()
