"""The verbs that follow runs which were started before, here or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from .. import _protocol
from .._call import FollowOptions, as_ref, old_run
from .._config import Timeouts
from .._opening import Reopened, Submitted
from .._protocol import is_a
from .._recovery import wait_for_end
from .._run import RunStream
from ..errors import CannotStop
from ..models import RunDetail, RunRef, RunResult
from ._base import Base, checked


if TYPE_CHECKING:
    from ..models import Form

T = TypeVar("T")


class FollowVerbs(Base):
    """Runs that were started before."""

    async def get_run(self, run: str | RunRef) -> RunDetail:
        """Read a run of this app, under way or ended (specification, section 1.5).

        Args:
            run: its ``workflow_run_id``, or a `RunRef`.

        Raises:
            RunNotFound: the app has no such run; right after a start the server may
                not have written it yet.
        """
        self._api.lifetime.check()
        return await self._api.get_run(as_ref(run, self._user).workflow_run_id)

    @overload
    async def wait(
        self,
        run: str | RunRef,
        *,
        timeout: float | None = None,
        check: bool = True,
        output: None = None,
    ) -> RunResult: ...

    @overload
    async def wait(
        self,
        run: str | RunRef,
        *,
        timeout: float | None = None,
        check: bool = True,
        output: type[T],
    ) -> RunResult[T]: ...

    async def wait(
        self,
        run: str | RunRef,
        *,
        timeout: float | None = None,
        check: bool = True,
        output: type[Any] | None = None,
    ) -> RunResult[Any]:
        """Read a run until it has ended, or waits for a person.

        Every quarter of a second at first, then less and less often, down to every
        5 s. Works with servers of any version. Servers up to 1.12 call some runs that
        were stopped ``running`` for ever: give a *timeout*.

        Args:
            run: its ``workflow_run_id``, or a `RunRef`.
            timeout: seconds; None waits for ever.
            check: as for `WorkflowClient.run`.
            output: as for `WorkflowClient.run`.

        Returns:
            The result as the run detail tells it, without files and forms.

        Raises:
            RunNotFound: the app has no such run.
            RunFailed, RunStopped, RunPaused: it ended so, and *check* is true.
            OutputsMismatch: it succeeded, and its outputs make no *output*.
            TotalTimeout: it still runs.
        """
        self._api.lifetime.check()
        ref = as_ref(run, self._user)
        detail = await wait_for_end(self._api, ref.workflow_run_id, timeout=timeout)
        result = _protocol.result_of_detail(detail, ref)
        return checked(result, check=check, output=output)

    def attach(
        self,
        run: str | RunRef,
        *,
        include_state_snapshot: bool = False,
        continue_on_pause: bool = False,
        **options: Unpack[FollowOptions],
    ) -> RunStream:
        """Follow the events of a run from now on (specification, section 1.7).

        What happened before is not repeated; texts of that time are gone. A run that
        has ended gives `WorkflowFinished` and nothing else. Servers from 1.14; older
        ones have `wait`. Leaving the stream leaves the run alone, if ``on_cancel``
        does not say otherwise.

        Args:
            run: its ``workflow_run_id``, or a `RunRef`.
            include_state_snapshot: first tell, in reduced events, which nodes ran.
            continue_on_pause: go on when the run pauses; somebody else may answer its
                form, at any time.
            **options: see `FollowOptions`; the user must be the one of the start.

        Returns:
            A stream, as `WorkflowClient.stream` gives it.

        Raises:
            RunNotFound: on entering: no such run in this app, or another user's.
            NotFound: on entering: the server cannot do this.
        """
        opening = partial(
            _reopened,
            snapshot=include_state_snapshot,
            continue_on_pause=continue_on_pause,
        )
        call = old_run(
            run,
            self._defaults,
            opening,
            ends_on_pause=not continue_on_pause,
            **options,
        )
        return RunStream(self._api, call)

    def resume(
        self,
        run: str | RunRef,
        form_token: str,
        *,
        action: str,
        inputs: Mapping[str, Any] | None = None,
        **options: Unpack[FollowOptions],
    ) -> RunStream:
        """Answer the form that a run waits for, and follow it from there.

        From any process; within the one that streams, `RunStream.resume` goes on in
        the same stream. The form is sent when the stream is entered, after the run's
        events are listened to, so that none is missed. Servers from 1.14.

        Args:
            run: its ``workflow_run_id``, or a `RunRef`.
            form_token: of an item of ``RunPaused.result.reasons``, or of the event
                `HumanInputRequired`.
            action: the ``id`` of one of the form's actions.
            inputs: the form's values by ``output_variable_name``; all of them.
            **options: see `FollowOptions`; the user must be the one of the start.

        Returns:
            A stream, as `WorkflowClient.stream` gives it.

        Raises:
            InvalidInputs: the values cannot be sent.
            InvalidFormData: on entering: the server refuses them; it may be tried
                again.
            FormSubmitted, FormExpired: on entering: it is too late.
            RunNotFound: on entering: no such run in this app, or another user's.
        """
        opening = partial(
            Submitted.of, form_token=form_token, action=action, inputs=inputs or {}
        )
        return RunStream(self._api, old_run(run, self._defaults, opening, **options))

    async def stop(self, run: str | RunRef, *, user: str | None = None) -> None:
        """Ask the server to stop a run (specification, section 1.6).

        The server says success for any id, and stops runs of other users and apps,
        too: give it none but your own. `RunStream.stop` needs no ids.

        Args:
            run: its ``task_id``, which every event has (not the run id), or a
                `RunRef`.
            user: who started the run; servers up to 1.8 ignore others.

        Raises:
            CannotStop: the `RunRef` has no task id.
        """
        self._api.lifetime.check()
        task_id: str | None
        if isinstance(run, RunRef):
            task_id, user = run.task_id, user or run.user
            run_id = run.workflow_run_id
        else:
            task_id, run_id = run, None
        if task_id is None or not is_a(str, task_id):
            msg = f"a run is stopped by its task id, and there is none in {run!r}"
            raise CannotStop(msg, run_id=run_id)
        await self._api.stop(task_id, user=user or self._user)

    # -- forms -----------------------------------------------------------------------

    async def get_form(self, form_token: str) -> Form:
        """Read the form that a run waits for (specification, section 1.8).

        Raises:
            NotFound: no such form in this app, or the server is older than 1.14.
            FormSubmitted, FormExpired: it is too late.
        """
        self._api.lifetime.check()
        return await self._api.get_form(form_token)

    async def submit_form(
        self,
        form_token: str,
        *,
        action: str,
        inputs: Mapping[str, Any] | None = None,
        user: str | None = None,
    ) -> None:
        """Answer a form, without following the run (specification, section 1.8).

        The server takes the first answer only, whoever gives it; the run goes on
        behind it. `resume` follows it.

        Args:
            form_token: as for `resume`.
            action: as for `resume`.
            inputs: as for `resume`.
            user: the end user; else the client's.

        Raises:
            InvalidInputs: the values cannot be sent.
            InvalidFormData: the server refuses them; it may be tried again.
            FormSubmitted, FormExpired: it is too late.
            NotFound: no such form in this app, or the server is older than 1.14.
        """
        self._api.lifetime.check()
        form = _protocol.submit_form_request(
            form_token, action=action, inputs=inputs or {}, user=user or self._user
        )
        await self._api.submit_form(form)


def _reopened(
    ref: RunRef, timeouts: Timeouts, *, snapshot: bool, continue_on_pause: bool
) -> Reopened:
    request = _protocol.events_request(
        ref.workflow_run_id,
        user=ref.user,
        snapshot=snapshot,
        continue_on_pause=continue_on_pause,
    )
    return Reopened(ref=ref, request=request, timeouts=timeouts)
