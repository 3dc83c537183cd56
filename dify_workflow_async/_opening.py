"""How the stream of a run is opened: by starting one, or by going back to one."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

import attrs

from . import _files, _protocol
from ._api import Api
from ._config import Timeouts
from ._protocol import Request
from ._transport import Answer
from .errors import (
    DifyError,
    RunInterrupted,
    RunStateUnknown,
    ServerError,
    TotalTimeout,
    UnexpectedAnswer,
)
from .models import RunRef, RunResult


if TYPE_CHECKING:
    from .hooks import RunStart, Verb


class Opening(Protocol):
    """Opens a stream, in two steps."""

    def start(self, base_url: str) -> RunStart:
        """What observers are told of it."""
        ...

    async def prepare(self, api: Api) -> Request:
        """Make the request; nothing has begun if this is cancelled."""
        ...

    def open(self, api: Api, request: Request) -> Coroutine[Any, Any, Answer]:
        """Open the stream; who is cancelled meanwhile has to wait for it."""
        ...


@attrs.define(kw_only=True)
class NewRun:
    """Starts a run.

    Attributes:
        request: made at once if there is nothing to prepare.
    """

    inputs: Mapping[str, Any]
    files: _files.Files | None
    options: Mapping[str, Any]
    user: str
    timeouts: Timeouts
    validate: bool = False
    response_mode: str = "streaming"
    request: Request | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if not self.validate and not _files.holds_files(self.inputs, self.files):
            self.request = self._make(self.inputs, self.files)

    def start(self, base_url: str) -> RunStart:
        """What observers are told of it."""
        from .hooks import RunStart

        return RunStart(
            verb="run" if self.response_mode == "streaming" else "run_blocking",
            base_url=base_url,
            user=self.user,
            workflow_id=self.options.get("workflow_id"),
            traceparent=self.options.get("traceparent"),
        )

    def _make(self, inputs: Mapping[str, Any], files: Any) -> Request:
        return _protocol.run_request(
            inputs,
            user=self.user,
            files=files,
            response_mode=self.response_mode,
            **self.options,
        )

    async def prepare(self, api: Api) -> Request:
        """Check the inputs, if asked to, and upload the files among them.

        Raises:
            InvalidInputs: something is wrong with them.
            DifyError: an upload failed.
        """
        if self.request is not None:
            return self.request
        inputs, files = await _files.prepare(
            api, self.inputs, self.files, user=self.user, validate=self.validate
        )
        return self._make(inputs, files)

    def open(self, api: Api, request: Request) -> Coroutine[Any, Any, Answer]:
        """Start the run; see `Api.open_run`."""
        return api.open_run(request, self.timeouts)

    async def block(self, api: Api) -> RunResult:
        """Run in blocking mode, with files and all; see `Api.run_blocking`."""
        from ._observed import ObservedRun

        run = ObservedRun(api.observers, self.start(api.base_url))
        is_asked_for = False
        try:
            request = run.with_headers(await self.prepare(api))
            is_asked_for = True
            with run.sending():
                result = await api.run_blocking(request, self.timeouts)
        except DifyError as error:
            run.end(status_without_end(error), error=error)
            raise
        except BaseException:  # it was cancelled, or a file of the user's failed
            run.end("unknown" if is_asked_for else "refused")
            raise
        result = attrs.evolve(result, user=self.user)
        run.end(
            result.status or "unknown",
            result=result,
            workflow_run_id=result.workflow_run_id,
            task_id=result.task_id,
        )
        return result


def status_without_end(error: DifyError | None, *, begun: bool = False) -> str:
    """What `RunEnd.status` is of a run of whose end nothing was heard."""
    match error:
        case RunInterrupted() | RunStateUnknown():
            return "unknown"
        case TotalTimeout() | ServerError() | UnexpectedAnswer() if not begun:
            return "unknown"  # promise 1: it is not asked for again, either
        case _:
            return "running" if begun else "refused"


@attrs.define(kw_only=True)
class Reopened:
    """Goes back to a run that goes on, or has ended (specification, section 1.7)."""

    ref: RunRef
    request: Request
    timeouts: Timeouts
    verb: Verb = "attach"

    def start(self, base_url: str) -> RunStart:
        """What observers are told of it."""
        from .hooks import RunStart

        return RunStart(
            verb=self.verb, base_url=base_url, user=self.ref.user, ref=self.ref
        )

    async def prepare(self, api: Api) -> Request:
        """Nothing is left to be done."""
        del api
        return self.request

    async def open(self, api: Api, request: Request) -> Answer:
        """Open the stream; see `Api.reopen_run`."""
        overtime = self.timeouts.stop
        return await api.reopen_run(request, self.timeouts, overtime=overtime)


@attrs.define(kw_only=True)
class Submitted(Reopened):
    """Goes back to a run that waits for a person, and answers its form.

    The stream is opened before the form is sent, so that no event is missed.
    """

    form: Request

    @classmethod
    def of(
        cls,
        ref: RunRef,
        timeouts: Timeouts,
        *,
        form_token: str,
        action: str,
        inputs: Mapping[str, Any],
    ) -> Self:
        """Answer the form of this run, for its user.

        Raises:
            InvalidInputs: the values cannot be sent.
        """
        return cls(
            ref=ref,
            verb="resume",
            request=_protocol.events_request(
                ref.workflow_run_id,
                user=ref.user,
                snapshot=False,
                continue_on_pause=False,
            ),
            timeouts=timeouts,
            form=_protocol.submit_form_request(
                form_token, action=action, inputs=inputs, user=ref.user
            ),
        )

    async def open(self, api: Api, request: Request) -> Answer:
        """Open the stream, then answer the form.

        Raises:
            DifyError: as `Api.reopen_run` and `Api.submit_form`.
        """
        with api.lifetime.nothing_begun():
            answer = _Heard(await super().open(api, request))
            await _or_close(answer, answer.hear())
        await _or_close(answer, api.submit_form(self.form))
        return answer


async def _or_close(answer: Answer, step: Awaitable[None]) -> None:
    """Take a step, and close the answer if it fails."""
    try:
        await step
    except BaseException:
        answer.close()
        raise


class _Heard:
    """An answer whose beginning was read ahead."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.close = answer.close
        self.lift_deadline = answer.lift_deadline
        self._answer = answer
        self._heard = b""

    async def hear(self) -> None:
        """Wait for the first ping: the server listens to the run from then on."""
        self._heard = await self._answer.read_chunk()

    async def read_chunk(self) -> bytes:
        """The next bytes; see `Answer.read_chunk`."""
        heard, self._heard = self._heard, b""
        return heard or await self._answer.read_chunk()
