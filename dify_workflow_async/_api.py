"""A coroutine for each endpoint."""

from __future__ import annotations

import attrs

from . import _protocol
from ._config import Timeouts
from ._exchange import Exchange
from ._protocol import Request
from ._transport import Answer
from .errors import (
    ConnectionLost,
    DifyError,
    FirstByteTimeout,
    IdleTimeout,
    NotFound,
    RunNotFound,
    RunStateUnknown,
    TotalTimeout,
    UnexpectedAnswer,
)
from .models import RunDetail, RunResult


@attrs.frozen(kw_only=True)
class Api(Exchange):
    """Dify's endpoints, for one app."""

    async def open_run(self, request: Request, timeouts: Timeouts) -> Answer:
        """Start a run (1.3, 1.4) and return its stream, once it has begun.

        Raises:
            APIError: the server refused.
            RunStateUnknown: the connection broke before an answer came.
            UnexpectedAnswer: something else than a stream came.
        """
        try:
            answer = await self.send(request, timeouts)
        except TotalTimeout as error:
            raise _still_unknown(error) from None
        except (ConnectionLost, FirstByteTimeout) as error:
            raise _unknown(error) from error
        except UnexpectedAnswer as error:
            if error.status is None:  # not HTTP at all: who knows what was read
                raise _unknown(error) from error
            raise
        kind = answer.headers.get("Content-Type", "").lower()
        if kind.startswith("text/event-stream"):
            return answer
        raise await self.refusal(request, answer)

    async def run_blocking(self, request: Request, timeouts: Timeouts) -> RunResult:
        """Run in blocking mode (1.3) and wait for the answer.

        Raises:
            APIError: the server, or a gateway before it, refused or gave up.
            RunStateUnknown: the connection broke before the answer was complete.
        """
        try:
            # The answer begins when the run has ended.
            timeouts = attrs.evolve(timeouts, first_byte=None)
            return await self.ask(request, _protocol.blocking_result, timeouts)
        except TotalTimeout as error:
            raise _still_unknown(error) from None
        except (ConnectionLost, IdleTimeout) as error:
            raise _unknown(error) from error

    async def get_run(self, run_id: str) -> RunDetail:
        """Read a run (1.5).

        Raises:
            RunNotFound: the app has no such run.
        """
        request = _protocol.run_detail_request(run_id)
        try:
            return await self.call(
                request, lambda body: _protocol.run_detail(body, run_id)
            )
        except NotFound as error:
            if error.code is None:  # HTML: the path is unknown, not the run
                raise
            raise error.become(RunNotFound) from None

    async def stop(self, task_id: str, *, user: str) -> None:
        """Ask for a stop (1.6); the server says success whatever it does."""
        await self.call(_protocol.stop_request(task_id, user=user), bytes)


_NOT_KNOWN = (
    "whether the run began is not known. It was not asked for again: look into the "
    "app's logs by user and time"
)


def _still_unknown(error: TotalTimeout) -> TotalTimeout:
    """The caller's own time limit stays a time-out, and says no less."""
    return TotalTimeout(
        f"{error.message}; {_NOT_KNOWN}", seconds=error.seconds, request=error.request
    )


def _unknown(error: DifyError) -> RunStateUnknown:
    """Nobody can tell whether the run began, so nobody may repeat it (promise 1)."""
    return RunStateUnknown(
        f"{error.message}; {_NOT_KNOWN}",
        request=error.request,
    )
