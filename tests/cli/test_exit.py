"""Exit statuses: what each error means for whoever runs a command."""

from __future__ import annotations

import asyncio

import click
import pytest

from dify_workflow_async import errors
from dify_workflow_async.cli._exit import carry_out, status_of
from dify_workflow_async.models import RunResult


RESULT = RunResult(status="failed", workflow_run_id="r")


def ended(work):
    """The exit status of a command's work."""
    with pytest.raises(click.exceptions.Exit) as caught:
        carry_out(work)
    return caught.value.exit_code


async def returning(status):
    return status


async def raising(error):
    raise error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.RunFailed(RESULT), 1),
        (errors.RunStopped(RESULT), 1),
        (errors.Unauthorized("no"), 1),
        (errors.RunNotFound("no"), 1),
        (errors.RunEnded("no"), 1),
        (errors.ConfigurationError("no"), 2),
        (errors.InvalidInputs(["no"]), 2),
        (errors.CannotStop("no"), 2),
        (errors.ConnectionFailed("no"), 3),
        (errors.ConnectTimeout("no"), 3),
        (errors.UnexpectedAnswer("no"), 3),
        (errors.FirstByteTimeout("no"), 3),
        (errors.TotalTimeout("no", run_id="r"), 4),
        (errors.RunInterrupted("no"), 4),
        (errors.RunStateUnknown("no"), 4),
        (errors.RunPaused(RESULT), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors(error, status):
    """Each error has the status that tells what became of the call."""
    assert status_of(error) == status


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (5, 5)])
def test_what_the_work_returns(returned, status):
    """It is the status, and nothing is success."""
    assert ended(returning(returned)) == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Unauthorized("no"), 1),
        (asyncio.CancelledError(), 130),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device"), 1),
        (TimeoutError(), 1),
        (click.Abort(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_work_raises(error, status):
    """Errors of ours and interrupts end in a status, not in a traceback."""
    assert ended(raising(error)) == status


def test_problems(capsys):
    """Each problem of the inputs is a line, and none steers the terminal."""
    assert ended(raising(errors.InvalidInputs(["a\x1b[31m", "b\nc"]))) == 2
    assert capsys.readouterr().err == "Error: a�[31m\nError: b c\n"


def test_errors_of_others():
    """What is no error of ours, nor an interrupt, is a fault, and is not hidden."""
    with pytest.raises(ZeroDivisionError):
        carry_out(raising(ZeroDivisionError()))
