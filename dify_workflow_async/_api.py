"""A coroutine for each endpoint; sleeps for the retries that `_retry` decides."""

from __future__ import annotations

import asyncio
import logging
import random

from collections.abc import Callable
from typing import TypeVar

import attrs

from . import _protocol
from ._config import Limits, Timeouts
from ._lifetime import Lifetime
from ._protocol import Request
from ._refusal import error_of_answer
from ._retry import RetryPolicy, delay, retry_after
from ._transport import Answer, Transport
from .errors import (
    APIError,
    ConnectionLost,
    DifyError,
    FirstByteTimeout,
    IdleTimeout,
    NotFound,
    RunNotFound,
    RunStateUnknown,
    TooLarge,
    TotalTimeout,
    UnexpectedAnswer,
)
from .models import RunDetail, RunResult


logger = logging.getLogger("dify_workflow_async")
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Api:
    """Dify's endpoints over one transport, for one app.

    A cheap value: each copy of a client has its own, and they share transport and
    lifetime.
    """

    transport: Transport
    lifetime: Lifetime
    base_url: str
    api_key: str = attrs.field(repr=False)
    timeouts: Timeouts
    limits: Limits
    retry: RetryPolicy

    # -- endpoints -------------------------------------------------------------------

    async def open_run(self, request: Request, timeouts: Timeouts) -> Answer:
        """Start a run (1.3, 1.4) and return its stream, once it has begun.

        Raises:
            APIError: the server refused.
            RunStateUnknown: the connection broke before an answer came.
            UnexpectedAnswer: something else than a stream came.
        """
        try:
            answer = await self._send(request, timeouts)
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
        raise await self._refusal(request, answer)

    async def run_blocking(self, request: Request, timeouts: Timeouts) -> RunResult:
        """Run in blocking mode (1.3) and wait for the answer.

        Raises:
            APIError: the server, or a gateway before it, refused or gave up.
            RunStateUnknown: the connection broke before the answer was complete.
        """
        try:
            # The answer begins when the run has ended.
            timeouts = attrs.evolve(timeouts, first_byte=None)
            return await self._ask(request, _protocol.blocking_result, timeouts)
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
            return await self._call(
                request, lambda body: _protocol.run_detail(body, run_id)
            )
        except NotFound as error:
            if error.code is None:  # HTML: the path is unknown, not the run
                raise
            raise error.become(RunNotFound) from None

    async def stop(self, task_id: str, *, user: str) -> None:
        """Ask for a stop (1.6); the server says success whatever it does."""
        await self._call(_protocol.stop_request(task_id, user=user), bytes)

    # -- the way there and back ------------------------------------------------------

    async def _call(self, request: Request, decipher: Callable[[bytes], T]) -> T:
        """Ask, within ``Timeouts.request``."""
        timeouts = attrs.evolve(self.timeouts, total=self.timeouts.request)
        return await self._ask(request, decipher, timeouts)

    async def _ask(
        self, request: Request, decipher: Callable[[bytes], T], timeouts: Timeouts
    ) -> T:
        """Send, read the whole answer, and decipher it."""
        answer = await self._send(request, timeouts)
        try:
            return decipher(await self._read(answer, self.limits.max_body_bytes))
        except DifyError as error:
            self._explain(error, request, answer)
            raise

    async def _send(self, request: Request, timeouts: Timeouts) -> Answer:
        """Send, as often as `_retry` allows; every error tells its request."""
        loop = asyncio.get_running_loop()
        deadline = None if timeouts.total is None else loop.time() + timeouts.total
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._send_once(request, timeouts, deadline)
            except DifyError as error:
                self._explain(error, request)
                wait = delay(
                    self.retry,
                    attempt,
                    error,
                    repeatable=request.repeatable,
                    dice=random.random(),  # noqa: S311 - jitter, not a secret
                )
                if wait is None:
                    raise
                if deadline is not None and loop.time() + wait >= deadline:
                    raise  # the next try would have no time left
                logger.info("try again in %.2f s, after %s", wait, error)
            await asyncio.sleep(wait)

    async def _send_once(
        self, request: Request, timeouts: Timeouts, deadline: float | None
    ) -> Answer:
        answer = await self.transport.send(
            request,
            base_url=self.base_url,
            api_key=self.api_key,
            timeouts=timeouts,
            deadline=deadline,
        )
        logger.debug("%s %s: %s", request.method, request.path, answer.status)
        if 200 <= answer.status < 300:
            return answer
        raise await self._refusal(request, answer)

    async def _refusal(self, request: Request, answer: Answer) -> DifyError:
        """The error that an answer stands for which is not the one asked for."""
        try:
            body = await self._read(answer, self.limits.max_error_bytes)
        except DifyError:
            body = b""  # the status has to do
        error = error_of_answer(answer.status, answer.headers, body)
        self._explain(error, request, answer)
        if isinstance(error, APIError):
            error.retry_after = retry_after(
                answer.headers.get("Retry-After"), answer.headers.get("Date")
            )
        return error

    def _explain(
        self, error: DifyError, request: Request, answer: Answer | None = None
    ) -> None:
        error.request = self.describe(request)
        error.run_id = error.run_id or request.run_id
        if answer is not None:
            error.headers = dict(answer.headers)

    def describe(self, request: Request) -> str:
        """Method and URL, as errors tell them."""
        return f"{request.method} {self.base_url}{request.path}"

    async def _read(self, answer: Answer, limit: int) -> bytes:
        """Read a whole body, and give the connection back.

        Raises:
            TooLarge: it has more than *limit* bytes.
        """
        body = bytearray()
        try:
            while chunk := await answer.read_chunk():
                body += chunk
                if len(body) > limit:
                    msg = f"the answer has more than {limit} bytes (Limits)"
                    raise TooLarge(msg)
        finally:
            answer.close()
        return bytes(body)


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
