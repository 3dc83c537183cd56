"""The life of a run, from ``workflow_started`` to its last event.

What happens in between is the business of a performance: a script that is played, or
a graph on Dify's engine.
"""

import asyncio

from typing import Any, Literal, Protocol

import attrs

from . import _wire_format as wire
from ._dialect import Dialect
from ._errors import ErrorSent, NodeFailed
from ._ids import seconds_since, unix_now
from ._runs import Run, Status


StopStatus = Literal["stopped", "failed"]

_STOPPED = "Stopped by user."
_ABORTED = "Aborted: User requested stop"


class Performance(Protocol):
    """What happens in one run, between its first event and its last.

    Attributes:
        outputs: What the run comes to.
        truncate_at: The length above which the last event cuts them.
        speech_tail: Speech that is left for after the end; ``None`` if the run does
            not speak.
    """

    outputs: dict[str, Any]
    truncate_at: int | None
    speech_tail: list[str] | None

    async def perform(self) -> None:
        """Send the events, until the last node has ended.

        It is cancelled when the run is stopped.

        Raises:
            NodeFailed: A node failed, and the run with it.
            ErrorSent: An ``error`` event was sent, which ends the run.
        """
        ...


@attrs.frozen
class _Ending:
    """How a run ended.

    Args:
        status: What became of it.
        error: Why.
        told: The status and the error of the last event, where they differ.
        truncate_at: The length above which the last event cuts its outputs.
    """

    status: Status
    error: str | None = None
    told: tuple[str, str] | None = None
    truncate_at: int | None = None


async def live(
    run: Run, performance: Performance, dialect: Dialect, stop_status: StopStatus
) -> None:
    """Bring a run from its first event to its last.

    Args:
        run: Where the events go, and what becomes of the run.
        performance: What happens in it.
        dialect: The version of the server.
        stop_status: What the stream of a stopped run says since 1.13, where real
            servers say sometimes one and sometimes the other.
    """
    try:
        try:
            run.send(wire.workflow_started(run, dialect))
            await performance.perform()
        except ErrorSent as exc:
            _close(run, _Ending("failed", str(exc)))
        except NodeFailed as exc:
            _finish(run, _Ending("failed", str(exc)))
        except asyncio.CancelledError:
            if not run.is_stopping:
                raise
            _uncancel()
            _finish(run, _stopped(dialect, stop_status))
        except Exception as exc:  # noqa: BLE001 - any fault of a script ends its run
            _finish(run, _Ending("failed", str(exc)))
        else:
            _succeed(run, performance)
        await _speak_on(run, dialect, performance)
    finally:
        run.end()


def _succeed(run: Run, performance: Performance) -> None:
    run.outputs = performance.outputs
    status: Status = "partial-succeeded" if run.exceptions_count else "succeeded"
    _finish(run, _Ending(status, truncate_at=performance.truncate_at))


def _stopped(dialect: Dialect, stop_status: StopStatus) -> _Ending:
    if not dialect.runs_in_worker:
        return _Ending("stopped", _STOPPED)
    told = _ABORTED if stop_status == "failed" else _STOPPED
    return _Ending("stopped", _ABORTED, told=(stop_status, told))


def _finish(run: Run, ending: _Ending) -> None:
    """Close the books of a run, and tell its end."""
    _close(run, ending)
    status, error = ending.told or (ending.status, ending.error)
    end = wire.workflow_finished(run, status, error, ending.truncate_at)
    run.send(end, last=True)


def _close(run: Run, ending: _Ending) -> None:
    run.status, run.error = ending.status, ending.error
    run.finished_at = unix_now()
    run.elapsed_time = seconds_since(run.started)


async def _speak_on(run: Run, dialect: Dialect, performance: Performance) -> None:
    """Send the rest of the speech, where servers do that after the end."""
    if performance.speech_tail is None or not dialect.speaks_after_end:
        return
    for piece in performance.speech_tail:
        await asyncio.sleep(0)
        run.send(wire.tts_message(run, piece), last=True)
    run.send(wire.tts_message_end(run), last=True)


def _uncancel() -> None:
    """Take back the cancellation that a stop is."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
