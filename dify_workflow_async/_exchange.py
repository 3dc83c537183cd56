"""One request and its answer, with the retries that `_retry` decides and errors told.

Sleeps for the retries. What is asked for, and what an answer means, is `_api`'s.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time

from collections.abc import Awaitable, Callable, Coroutine
from email.utils import formatdate
from typing import Any, TypeVar

import attrs

from ._config import Limits, Timeouts
from ._lifetime import Lifetime
from ._log import about, known, logger
from ._protocol import Request
from ._refusal import error_of_answer
from ._retry import RetryPolicy, delay, retry_after
from ._secret import Secret
from ._transport import Answer, Transport
from .errors import (
    APIError,
    DifyError,
    TooLarge,
    TooManyRequests,
)
from .hooks import Observer, OnRetry, Retry


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
    api_key: Secret  # empty: none is sent
    timeouts: Timeouts
    limits: Limits
    retry: RetryPolicy
    on_retry: OnRetry | None = None
    observers: tuple[Observer, ...] = ()
    own_server: bool = True  # False: the user's headers are not for it

    async def call(self, request: Request, decipher: Callable[[bytes], T]) -> T:
        """Ask, within ``Timeouts.request``."""
        timeouts = attrs.evolve(self.timeouts, total=self.timeouts.request)
        return await self.ask(request, decipher, timeouts)

    async def ask(
        self, request: Request, decipher: Callable[[bytes], T], timeouts: Timeouts
    ) -> T:
        """Send, read the whole answer, and decipher it, as often as `_retry` allows.

        An answer that breaks off is a failure like one that does not come.
        """

        async def read(answer: Answer) -> T:
            try:
                return decipher(await self.read(answer, self.limits.max_body_bytes))
            except DifyError as error:
                self.explain(error, request, answer)
                raise

        return await self._repeat(request, read, timeouts, None, 0.0)

    def send(
        self,
        request: Request,
        timeouts: Timeouts,
        deadline: float | None = None,
        overtime: float = 0.0,
    ) -> Coroutine[Any, Any, Answer]:
        """Send, as often as `_retry` allows; every error tells its request.

        *deadline* is where ``Timeouts.total`` ends, by the loop's clock, for a call
        that began before; *overtime*: see `Transport.send`.
        """
        return self._repeat(request, _unread, timeouts, deadline, overtime)

    async def _repeat(
        self,
        request: Request,
        take: Callable[[Answer], Awaitable[T]],
        timeouts: Timeouts,
        deadline: float | None,
        overtime: float,
    ) -> T:
        if deadline is None and timeouts.total is not None:
            deadline = asyncio.get_running_loop().time() + timeouts.total
        if self.lifetime.busy and request.starts_run:
            await self._while_busy(deadline)
        attempt = 0
        while True:
            attempt += 1
            try:
                return await take(
                    await self._send_once(request, timeouts, deadline, overtime)
                )
            except DifyError as error:
                wait = self._wait_after(error, request, attempt, deadline)
            await self.lifetime.pause(wait, repeatable=request.repeatable)

    def _wait_after(
        self, error: DifyError, request: Request, attempt: int, deadline: float | None
    ) -> float:
        """Seconds after which to try again; else the error is raised."""
        self.explain(error, request)
        wait = self._wait(request, attempt, error)
        if isinstance(error, TooManyRequests) and request.starts_run:
            self._note_busy(error, wait)
        if wait is None:
            raise error
        now = asyncio.get_running_loop().time()
        if deadline is not None and now + wait >= deadline:
            raise error  # the next try would have no time left
        logger.info(
            "try again in %.2f s, after %s",
            wait,
            error,
            extra=about(error, attempt=attempt, wait=wait),
        )
        self._tell(attempt, wait, error)
        return wait

    async def _while_busy(self, deadline: float | None) -> None:
        """Wait with a run while its app has too many, unless there is no time for it.

        A little longer, by lot, than until the app may be asked again: others wait, too.
        """
        busy = self.lifetime.busy_for(self.api_key)
        wait = busy + random.random() * self.retry.base  # noqa: S311 - jitter
        now = asyncio.get_running_loop().time()
        if busy and (deadline is None or now + wait < deadline):
            logger.info(
                "the app is busy: ask for the run in %.2f s",
                wait,
                extra={"wait": wait},
            )
            await self.lifetime.pause(wait, repeatable=False)

    def _note_busy(self, error: TooManyRequests, wait: float | None) -> None:
        """Slow down all who would ask the app for a run, if it is worth waiting for."""
        seconds = wait or error.retry_after or 0.0
        if 0 < seconds <= self.retry.max_retry_after:
            self.lifetime.note_busy(self.api_key, seconds)

    def _wait(self, request: Request, attempt: int, error: DifyError) -> float | None:
        """Seconds until *request* is sent again; None: it is not."""
        if request.content is not None and not request.content.repeatable:
            return None  # what was read of it cannot be read again (promise 1)
        return delay(
            self.retry,
            attempt,
            error,
            repeatable=request.repeatable,
            dice=random.random(),  # noqa: S311 - jitter, not a secret
        )

    def _tell(self, attempt: int, wait: float, error: DifyError) -> None:
        """Call the hook and the observers."""
        told: list[OnRetry] = [each.on_retry for each in self.observers]
        if self.on_retry is not None:
            told.append(self.on_retry)
        if told:
            from ._observed import tell

            request = error.request or ""
            retry = Retry(attempt=attempt, wait=wait, error=error, request=request)
            for each in told:
                tell(each, retry)

    async def _send_once(
        self,
        request: Request,
        timeouts: Timeouts,
        deadline: float | None,
        overtime: float,
    ) -> Answer:
        sending = self.transport.send(
            request,
            base_url=self.base_url,
            api_key=self.api_key,
            timeouts=timeouts,
            deadline=deadline,
            overtime=overtime,
            own_server=self.own_server,
        )
        if self.observers or logger.isEnabledFor(logging.DEBUG):
            sending = self._watched(request, sending)
        answer = await sending
        if 200 <= answer.status < 300:
            return answer
        raise await self.refusal(request, answer)

    async def _watched(
        self, request: Request, sending: Coroutine[Any, Any, Answer]
    ) -> Answer:
        """Send, and tell observers and the log how that went."""
        asked, began = self.describe(request), time.perf_counter()
        logger.debug("%s: send", asked, extra={"request": asked})
        try:
            answer = await sending
        except DifyError as error:
            self.explain(error, request)
            self._tell_end(asked, time.perf_counter() - began, error=error)
            raise
        self._tell_end(asked, time.perf_counter() - began, status=answer.status)
        return answer

    def _tell_end(
        self,
        asked: str,
        seconds: float,
        *,
        status: int | None = None,
        error: DifyError | None = None,
    ) -> None:
        extra = known(request=asked, http_status=status, seconds=seconds)
        if error is not None:
            extra |= about(error)
        logger.debug("%s: %s", asked, status or error, extra=extra)
        from ._observed import tell
        from .hooks import RequestEnd

        end = RequestEnd(request=asked, status=status, error=error, seconds=seconds)
        for each in self.observers:
            tell(each.on_request, end)

    async def refusal(self, request: Request, answer: Answer) -> DifyError:
        """The error that an answer stands for which is not the one asked for."""
        body = b""  # the status has to do, if there is no end to it
        try:
            # However slowly it comes: the time between two bytes is all that is watched.
            async with asyncio.timeout(self.timeouts.request):
                body = await self.read(answer, self.limits.max_error_bytes)
        except (DifyError, TimeoutError):
            pass
        error = error_of_answer(answer.status, answer.headers, body)
        self.explain(error, request, answer)
        if isinstance(error, APIError):
            error.retry_after = retry_after(
                answer.headers.get("Retry-After"),
                answer.headers.get("Date") or formatdate(usegmt=True),
            )
        return error

    def explain(
        self, error: DifyError, request: Request, answer: Answer | None = None
    ) -> None:
        error.request = self.describe(request)
        error.run_id = error.run_id or request.run_id
        # Some proxies and debugging servers give back what they got.
        hide = self.api_key.redacted
        if (message := hide(error.message)) != error.message:
            error.reword(message)
        if answer is not None:
            error.headers = {name: hide(x) for name, x in answer.headers.items()}

    def describe(self, request: Request) -> str:
        """Method and URL, as errors tell them: without the query."""
        path = request.path.partition("?")[0]
        return f"{request.method} {self.base_url}{path}"

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


async def _unread(answer: Answer) -> Answer:
    """Take an answer as it begins."""
    return answer
