"""One request and its answer, with the retries that `_retry` decides and errors told.

Sleeps for the retries. What is asked for, and what an answer means, is `_api`'s.
"""

from __future__ import annotations

import asyncio
import logging
import random

from collections.abc import Callable
from typing import TypeVar

import attrs

from ._config import Limits, Timeouts
from ._lifetime import Lifetime
from ._protocol import Request
from ._refusal import error_of_answer
from ._retry import RetryPolicy, delay, retry_after
from ._transport import Answer, Transport
from .errors import APIError, DifyError, TooLarge


logger = logging.getLogger("dify_workflow_async")
T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Exchange:
    """Sends requests over one transport, for one app.

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

    async def call(self, request: Request, decipher: Callable[[bytes], T]) -> T:
        """Ask, within ``Timeouts.request``."""
        timeouts = attrs.evolve(self.timeouts, total=self.timeouts.request)
        return await self.ask(request, decipher, timeouts)

    async def ask(
        self, request: Request, decipher: Callable[[bytes], T], timeouts: Timeouts
    ) -> T:
        """Send, read the whole answer, and decipher it."""
        answer = await self.send(request, timeouts)
        try:
            return decipher(await self.read(answer, self.limits.max_body_bytes))
        except DifyError as error:
            self.explain(error, request, answer)
            raise

    async def send(self, request: Request, timeouts: Timeouts) -> Answer:
        """Send, as often as `_retry` allows; every error tells its request."""
        loop = asyncio.get_running_loop()
        deadline = None if timeouts.total is None else loop.time() + timeouts.total
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._send_once(request, timeouts, deadline)
            except DifyError as error:
                self.explain(error, request)
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
        raise await self.refusal(request, answer)

    async def refusal(self, request: Request, answer: Answer) -> DifyError:
        """The error that an answer stands for which is not the one asked for."""
        try:
            body = await self.read(answer, self.limits.max_error_bytes)
        except DifyError:
            body = b""  # the status has to do
        error = error_of_answer(answer.status, answer.headers, body)
        self.explain(error, request, answer)
        if isinstance(error, APIError):
            error.retry_after = retry_after(
                answer.headers.get("Retry-After"), answer.headers.get("Date")
            )
        return error

    def explain(
        self, error: DifyError, request: Request, answer: Answer | None = None
    ) -> None:
        error.request = self.describe(request)
        error.run_id = error.run_id or request.run_id
        if answer is not None:
            error.headers = dict(answer.headers)

    def describe(self, request: Request) -> str:
        """Method and URL, as errors tell them."""
        return f"{request.method} {self.base_url}{request.path}"

    async def read(self, answer: Answer, limit: int) -> bytes:
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
