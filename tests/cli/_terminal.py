"""Commands in a pseudo-terminal, and what a person sees on its screen."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios

from contextlib import asynccontextmanager
from functools import partial

import pyte
import pytest

from ._batches import STRICT, environment


PATIENCE = 30.0  # seconds, for what comes in one on a machine that is not busy


class Terminal:
    """A terminal in which a command runs.

    Attributes:
        raw: all that was written to it.
    """

    def __init__(self, master: int, rows: int, columns: int) -> None:
        self._master = master
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self._news = asyncio.Event()
        self._over = False
        self.raw = b""
        self.process: asyncio.subprocess.Process
        asyncio.get_running_loop().add_reader(master, self._read)

    @classmethod
    @asynccontextmanager
    async def start(
        cls, server, *arguments, cwd, rows=24, columns=80, stdout=None, **env
    ):
        """Start a command in a terminal of this size; it is killed if it goes on.

        Its standard output goes into the file *stdout*, if there is one.
        """
        master, slave = pty.openpty()
        terminal = cls(master, rows, columns)
        terminal.resize(rows, columns)
        environ = environment(server, **({"TERM": "xterm-256color"} | env))
        for name in ("COLUMNS", "LINES"):  # pytest-xdist sets these, which go first
            environ.pop(name, None)
        process = await asyncio.create_subprocess_exec(
            *STRICT,
            *map(str, arguments),
            cwd=cwd,
            env=environ,
            pass_fds=[slave],
            preexec_fn=partial(_enter, slave, stdout),
        )
        os.close(slave)
        terminal.process = process
        try:
            yield terminal
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            terminal.close()

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody is at the other end any more
            data = b""
        if data:
            self.raw += data
            self._stream.feed(data)
        else:
            self._over = True
            asyncio.get_running_loop().remove_reader(self._master)
        self._news.set()

    def close(self) -> None:
        if not self._over:
            asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    def resize(self, rows: int, columns: int) -> None:
        """Give it another size, of which the command is told."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        self._screen.resize(rows, columns)

    def type(self, text: str) -> None:
        r"""Press keys; Ctrl-C is ``\x03``."""
        os.write(self._master, text.encode())

    @property
    def rows(self) -> list[str]:
        """The rows of the screen, without the empty ones at the end."""
        rows = [row.rstrip() for row in self._screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def screen(self) -> str:
        return "\n".join(self.rows)

    @property
    def whole(self) -> str:
        """The screen, with all that was scrolled out of it above."""
        above = [
            "".join(row[x].data for x in range(self._screen.columns)).rstrip()
            for row in self._screen.history.top
        ]
        return "\n".join([*above, *self.rows])

    @property
    def shows_cursor(self) -> bool:
        return not self._screen.cursor.hidden

    async def until(self, shows) -> str:
        """Wait for a screen of which *shows* is true, or which has this text."""
        wanted = shows if callable(shows) else lambda screen: shows in screen
        try:
            async with asyncio.timeout(PATIENCE):
                while not wanted(self.screen):
                    assert not self._over, self.whole
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"not shown in {PATIENCE} s:\n{self.whole}")
        return self.screen

    async def end(self) -> int:
        """Wait for the command's end, and give its exit status."""
        while not self._over:
            self._news.clear()
            await self._news.wait()
        return await self.process.wait()


def _enter(slave: int, stdout) -> None:
    """Make the terminal that of this process, as a shell does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # behind nohup it would be ignored
    os.login_tty(slave)
    if stdout is not None:
        os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT), 1)
