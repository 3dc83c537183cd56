"""A coroutine for each endpoint."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import attrs

from . import _protocol, models
from ._config import Timeouts
from ._exchange import Exchange
from ._protocol import Content, Request
from ._transport import Answer
from .errors import (
    ClientClosed,
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


if TYPE_CHECKING:
    from .models import (
        AppInfo,
        EndUser,
        Form,
        LogPage,
        Meta,
        Parameters,
        ServerInfo,
        Site,
        UploadedFile,
    )

T = TypeVar("T")


@attrs.define
class AppCache:
    """What is asked of an app once: its parameters, by whoever asks first."""

    parameters: asyncio.Task[Parameters] | None = None


@attrs.frozen(kw_only=True)
class Api(Exchange):
    """Dify's endpoints, for one app."""

    cache: AppCache = attrs.field(factory=AppCache, repr=False)

    # -- runs ------------------------------------------------------------------------

    async def open_run(self, request: Request, timeouts: Timeouts) -> Answer:
        """Start a run (1.3, 1.4) and return its stream, once it has begun.

        Raises:
            APIError: the server refused.
            RunStateUnknown: the connection broke before an answer came.
            UnexpectedAnswer: something else than a stream came.
        """
        try:
            answer = await self.send(request, timeouts, overtime=timeouts.stop)
            return await self._stream_of(request, answer)
        except DifyError as error:
            _raise_what_is_known(error)

    def too_late(self, request: Request, timeouts: Timeouts) -> TotalTimeout:
        """The error for a stream that did not begin in time."""
        msg = f"the call took longer than {timeouts.total} s"
        if request.run_id is None:
            msg = f"{msg}; {_NOT_KNOWN}"
        error = TotalTimeout(msg, seconds=timeouts.total)
        self.explain(error, request)
        return error

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
        except DifyError as error:
            _raise_what_is_known(error)

    async def reopen_run(
        self,
        request: Request,
        timeouts: Timeouts,
        deadline: float | None = None,
        overtime: float = 0.0,
    ) -> Answer:
        """Open the stream of a run that goes on, or has ended (1.7).

        Raises:
            RunNotFound: the app has no such run, or it is another user's.
            NotFound: the server is older than 1.14 and cannot do this.
        """
        try:
            answer = await self.send(request, timeouts, deadline, overtime)
        except NotFound as error:
            raise _of_run(error) from None
        return await self._stream_of(request, answer)

    async def _stream_of(self, request: Request, answer: Answer) -> Answer:
        kind = answer.headers.get("Content-Type", "").lower()
        if kind.startswith("text/event-stream"):
            return answer
        raise await self.refusal(request, answer)

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
            raise _of_run(error) from None

    async def stop(self, task_id: str, *, user: str) -> None:
        """Ask for a stop (1.6); the server says success whatever it does."""
        await self.call(_protocol.stop_request(task_id, user=user), bytes)

    # -- forms -----------------------------------------------------------------------

    async def get_form(self, form_token: str) -> Form:
        """Read the form that a run waits for (1.8)."""
        return await self.call(_protocol.form_request(form_token), _protocol.form)

    async def submit_form(self, form: Request) -> None:
        """Answer a form (1.8); the server takes the first answer only."""
        await self.call(form, bytes)

    # -- files -----------------------------------------------------------------------

    async def upload(self, content: Content, timeouts: Timeouts) -> UploadedFile:
        """Upload a file (1.10)."""
        request = _protocol.upload_request(content)
        return await self.ask(request, _uploaded, timeouts)

    async def hear(self, content: Content, timeouts: Timeouts) -> str:
        """Turn speech into text (1.14)."""
        request = _protocol.hearing_request(content)
        return await self.ask(request, _protocol.transcript, timeouts)

    async def speak(self, request: Request, timeouts: Timeouts) -> Answer:
        """Turn text into speech (1.14), and return it as it begins.

        Raises:
            NotFound: the server knows no such message.
            UnexpectedAnswer: the answer is no sound.
        """
        answer = await self.send(request, timeouts)
        if "json" not in answer.headers.get("Content-Type", "").lower():
            return answer
        body = await self.read(answer, self.limits.max_error_bytes)
        error: DifyError = UnexpectedAnswer("the server sent JSON instead of sound")
        if body.strip() == b"null":
            msg = "the server knows no message of this id"
            error = NotFound(msg, status=answer.status)
        self.explain(error, request, answer)
        raise error

    # -- the app ---------------------------------------------------------------------

    async def logs(self, page: int, limit: int, filters: Mapping[str, Any]) -> LogPage:
        """Read a page of the runs of this app (1.9)."""
        request = _protocol.logs_request(page=page, limit=limit, **filters)
        return await self.call(request, _protocol.log_page)

    async def parameters(self, *, refresh: bool = False) -> Parameters:
        """Read the form of the app's inputs, and its limits (1.12); kept."""
        task = self.cache.parameters
        if refresh or task is None or (task.done() and not _succeeded(task)):
            task = self.lifetime.own(self._get("/parameters", _protocol.parameters))
            task.add_done_callback(_succeeded)  # nobody may be left to hear a failure
            self.cache.parameters = task
        try:
            return await asyncio.shield(task)  # others may wait for it, too
        except asyncio.CancelledError:
            if task.cancelled():  # by aclose(), not the caller
                msg = "the client was closed"
                raise ClientClosed(msg) from None
            raise

    async def info(self) -> AppInfo:
        """Read the app's name, mode and tags (1.13)."""
        return await self._get("/info", _protocol.app_info)

    async def site(self) -> Site:
        """Read how the app's web page looks (1.13)."""
        return await self._get("/site", _protocol.site)

    async def meta(self) -> Meta:
        """Read the icons of the app's tools (1.13)."""
        return await self._get("/meta", _protocol.meta)

    async def end_user(self, end_user_id: str) -> EndUser:
        """Read an end user (1.15)."""
        request = _protocol.end_user_request(end_user_id)
        return await self.call(request, _protocol.end_user)

    async def server_info(self) -> ServerInfo:
        """Read the server's version (1.15), from a header if there is no such page."""
        try:
            return await self._get("/", _protocol.server_info)
        except NotFound as error:
            if error.server_version is None:
                raise
            return models.ServerInfo(server_version=error.server_version)

    async def _get(self, path: str, decipher: Callable[[bytes], T]) -> T:
        return await self.call(_protocol.get_request(path), decipher)


def _uploaded(body: bytes) -> UploadedFile:
    file = _protocol.uploaded_file(body)
    if not file.id:
        msg = "the server's answer to an upload has no id"
        raise UnexpectedAnswer(msg)
    return file


def _succeeded(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None


def _of_run(error: NotFound) -> NotFound:
    """The same for a run; HTML says that the path is unknown, not the run."""
    return error if error.code is None else error.become(RunNotFound)


_NOT_KNOWN = (
    "whether the run began is not known. It was not asked for again: look into the "
    "app's logs by user and time"
)


def _raise_what_is_known(error: DifyError) -> NoReturn:
    """Say what a failed request tells of the run that it asked for (promise 1).

    Nobody can tell whether a run began whose request got no answer, so nobody may
    repeat it. The caller's own time limit stays a time-out, and says no less.
    """
    text, request = f"{error.message}; {_NOT_KNOWN}", error.request
    match error:
        case TotalTimeout():
            raise TotalTimeout(text, seconds=error.seconds, request=request) from None
        case ConnectionLost() | FirstByteTimeout() | IdleTimeout():
            raise RunStateUnknown(text, request=request) from error
        case UnexpectedAnswer(status=None, headers=None):
            # Not HTTP at all: who knows what was read?
            raise RunStateUnknown(text, request=request) from error
        case UnexpectedAnswer(status=int(status)) if status < 300:
            error.reword(text)  # some page, or a run after all
            raise error
        case _:
            raise error
