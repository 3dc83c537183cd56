"""The end of a command that serves: an interrupt or a termination."""

from __future__ import annotations

import asyncio
import signal


async def until_stopped() -> None:
    """Wait for an interrupt or a termination, both of which are a clean end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt
            break
    await stop.wait()
