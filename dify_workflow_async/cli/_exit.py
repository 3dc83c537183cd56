"""How commands end: what each exit status means, and errors as sentences."""

from __future__ import annotations

import asyncio
import os
import sys

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn

import click

from ..errors import (
    APIError,
    ConnectionFailed,
    ConnectTimeout,
    DifyError,
    InvalidInputs,
    RunError,
    RunInterrupted,
    RunPaused,
    RunStateUnknown,
    Timeout,
    TransportError,
    UsageError,
)
from ._text import printable


DONE = 0
FAILED = 1
"""The run did not succeed, or the server said no."""
NOTHING_SENT = 2
"""Wrong options, settings or inputs; as click has it for its own."""
UNREACHABLE = 3
"""No server, or what answered is none."""
MAY_BE_RUNNING = 4
"""The run may go on: the stream broke, or the time was up."""
PAUSED = 5
"""The run waits for a person."""
INTERRUPTED = 130
"""Ctrl-C, as shells have it."""

PIPE_CLOSED = 141
"""Who read standard output went away; as shells have it, of SIGPIPE."""

STATUSES = """\b
Exit status:
    0 done
    1 the run failed, or the server said no
    2 nothing was sent: wrong options, settings or inputs
    3 the server cannot be reached
    4 the run may still be going
    5 the run waits for a person
  130 interrupted
  141 who read the output went away
"""
"""The epilog of each command that talks to a server."""


def status_of(error: DifyError) -> int:
    """The exit status that tells what became of a call."""
    match error:
        case RunPaused():
            return PAUSED
        case RunInterrupted() | RunStateUnknown():
            return MAY_BE_RUNNING
        case UsageError() | InvalidInputs():
            return NOTHING_SENT
        case ConnectionFailed() | ConnectTimeout():
            return UNREACHABLE
        case Timeout() if error.run_id is not None:
            return MAY_BE_RUNNING
        case TransportError():
            return UNREACHABLE
        case APIError() | RunError():
            return FAILED
        case _:
            return FAILED


def carry_out(work: Coroutine[Any, Any, int | None]) -> NoReturn:
    """Run a command's work to its end, and leave with the status that it returns.

    One of our errors is told in a sentence, without a traceback.
    """
    try:
        status = asyncio.run(work)
    except DifyError as error:
        for told in error.problems if isinstance(error, InvalidInputs) else [error]:
            click.echo(f"Error: {printable(str(told))}", err=True)
        status = status_of(error)
    except BrokenPipeError:  # `| head`: who read it has enough
        _pipe_into_nothing()
        status = PIPE_CLOSED
    except OSError as error:  # such as a disk that is full
        _pipe_into_nothing()
        parts = [error.filename, error.strerror or str(error) or type(error).__name__]
        words = ": ".join(str(each) for each in parts if each)
        click.echo(f"Error: {printable(words)}", err=True)
        status = FAILED
    except (KeyboardInterrupt, asyncio.CancelledError, click.Abort):
        status = INTERRUPTED
    raise click.exceptions.Exit(status or DONE)


def _pipe_into_nothing() -> None:
    """Let the interpreter, which flushes at its end, find nothing wrong."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, stream.fileno())
                os.close(nothing)
