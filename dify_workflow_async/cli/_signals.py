"""Ctrl-C, and the signal to terminate."""

from __future__ import annotations

import asyncio
import signal

from collections.abc import Callable, Generator
from contextlib import contextmanager


_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_interrupt(tell: Callable[[], object]) -> Generator[Callable[[], None]]:
    """Call *tell*, in the running loop, for each interrupt or termination.

    On Windows Ctrl-C raises KeyboardInterrupt, as ever.

    Yields:
        a function after which they do again what they did before.
    """
    loop = asyncio.get_running_loop()

    def restore() -> None:
        for number in _NUMBERS:
            try:
                loop.remove_signal_handler(number)
            except NotImplementedError:
                return

    try:
        for number in _NUMBERS:
            loop.add_signal_handler(number, tell)
    except NotImplementedError:
        pass
    try:
        yield restore
    finally:
        restore()
