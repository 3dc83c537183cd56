"""What a call of a verb asks for: its options, completed from the client's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import attrs

from ._config import Timeouts
from ._files import Files
from ._opening import NewRun, Opening
from ._protocol import is_a
from .errors import ConfigurationError
from .models import RunRef


if TYPE_CHECKING:
    from .dispatcher import Dispatcher

Inputs = Mapping[str, Any]

OnCancel = Literal["stop", "detach"]
"""What becomes of a run that is left early: it is stopped, or goes on by itself."""


class BlockingOptions(TypedDict, total=False):
    """What one call may ask for, beside its inputs.

    Attributes:
        user: the end user, at most 255 characters; else the client's.
        files: file objects for ``sys.files`` (specification, section 2.2), or files
            as `dify_workflow_async.files` has them; most apps take files in their
            inputs.
        workflow_id: a published version to run instead of the newest.
        timeout: seconds for the whole run; else ``Timeouts.total``. It is looked at
            whenever the stream is read: a handler that takes longer is not cut off.
        trace_id: for the server's tracing: 1 to 128 of ``A-Z a-z 0-9 _ -``
            (servers from 1.7).
        trace_session_id: likewise, 1 to 200 characters (servers from 1.15).
        traceparent: likewise, of W3C Trace Context (servers from 1.8).
        validate: compare the inputs with the app's form before, as
            `WorkflowClient.validate` does.
    """

    user: str | None
    files: Files | None
    workflow_id: str | None
    timeout: float | None
    trace_id: str | None
    trace_session_id: str | None
    traceparent: str | None
    validate: bool


class RunOptions(BlockingOptions, total=False):
    """What one call may ask for, beside its inputs: also what `BlockingOptions` has.

    Attributes:
        dispatcher: gets every event, before the loop does and `run` returns.
        on_cancel: ``"stop"`` or ``"detach"``; else the client's.
    """

    dispatcher: Dispatcher | None
    on_cancel: OnCancel | None


class FollowOptions(TypedDict, total=False):
    """What one may ask for when going back to a run.

    Attributes:
        user: the end user for whom the run was started; else that of its `RunRef`,
            else the client's.
        dispatcher: gets every event, before the loop does.
        timeout: seconds for all that is still to come; else ``Timeouts.total``.
        on_cancel: ``"detach"``, the default here, leaves the run alone when the stream
            is left early; ``"stop"`` stops it.
    """

    user: str | None
    dispatcher: Dispatcher | None
    timeout: float | None
    on_cancel: OnCancel | None


@attrs.frozen
class Defaults:
    """What a client's calls have in common."""

    user: str
    timeouts: Timeouts
    on_cancel: OnCancel


@attrs.define(kw_only=True)  # made for each run: see Request
class Call:
    """What one call of a verb asks for.

    Attributes:
        opening: how its stream is opened.
        known: the run, if it was started before.
        ends_on_pause: False goes on reading when the run pauses.
        row: what handlers get as ``row``, in a batch.
        keeps_text: False if nobody can ask for the text that was streamed.
    """

    opening: Opening
    user: str
    timeouts: Timeouts
    on_cancel: OnCancel
    dispatcher: Dispatcher | None = None
    known: RunRef | None = None
    ends_on_pause: bool = True
    row: object | None = None
    keeps_text: bool = True


def new_run(
    inputs: Inputs,
    defaults: Defaults,
    *,
    dispatcher: Dispatcher | None = None,
    on_cancel: OnCancel | None = None,
    row: object | None = None,
    result_only: bool = False,
    **options: Unpack[BlockingOptions],
) -> Call:
    """A streaming call that starts a run.

    With *result_only*, nobody but a dispatcher gets anything but the result.

    Raises:
        InvalidInputs: the inputs cannot be sent.
        ConfigurationError: there is no user, or an option is wrong.
    """
    opening = new_opening(inputs, defaults, "streaming", **options)
    return Call(
        opening=opening,
        user=opening.user,
        timeouts=opening.timeouts,
        on_cancel=checked_on_cancel(on_cancel or defaults.on_cancel),
        dispatcher=checked_dispatcher(dispatcher),
        row=row,
        keeps_text=dispatcher is not None or not result_only,
    )


def new_opening(
    inputs: Inputs,
    defaults: Defaults,
    response_mode: str,
    *,
    user: str | None = None,
    files: Files | None = None,
    timeout: float | None = None,
    validate: bool = False,
    **options: Any,
) -> NewRun:
    """What starts a run; *options* are those of `run_request`.

    Raises:
        InvalidInputs: the inputs cannot be sent.
        ConfigurationError: there is no user, or an option is wrong.
    """
    return NewRun(
        inputs=inputs,
        files=files,
        options=options,
        user=user or defaults.user,
        timeouts=with_total(defaults.timeouts, timeout),
        validate=validate,
        response_mode=response_mode,
    )


def old_run(
    run: str | RunRef,
    defaults: Defaults,
    opening: Callable[[RunRef, Timeouts], Opening],
    *,
    ends_on_pause: bool = True,
    user: str | None = None,
    dispatcher: Dispatcher | None = None,
    timeout: float | None = None,
    on_cancel: OnCancel | None = None,
) -> Call:
    """A call that goes back to a run; the options are those of `FollowOptions`.

    Raises:
        ConfigurationError: there is no user, or an option is wrong.
    """
    ref = as_ref(run, user or defaults.user)
    if user:
        ref = attrs.evolve(ref, user=user)
    timeouts = with_total(defaults.timeouts, timeout)
    return Call(
        opening=opening(ref, timeouts),
        user=ref.user,
        timeouts=timeouts,
        on_cancel=checked_on_cancel(on_cancel or "detach"),
        dispatcher=checked_dispatcher(dispatcher),
        known=ref,
        ends_on_pause=ends_on_pause,
    )


def as_ref(run: str | RunRef, user: str) -> RunRef:
    """The run that is meant; *user* is whose it is, if only its id is given."""
    if isinstance(run, str):
        return RunRef(workflow_run_id=run, user=user)
    if not is_a(RunRef, run):
        msg = f"a run is given by its id or a RunRef, not {run!r}"
        raise ConfigurationError(msg)
    return run if run.user else attrs.evolve(run, user=user)


def checked_dispatcher(dispatcher: Dispatcher | None) -> Dispatcher | None:
    """The dispatcher, if it is one.

    Raises:
        ConfigurationError: it is something else.
    """
    if dispatcher is None:
        return None
    from .dispatcher import Dispatcher

    if not is_a(Dispatcher, dispatcher):
        msg = f"dispatcher must be a Dispatcher, not {dispatcher!r}"
        raise ConfigurationError(msg)
    return dispatcher


def with_total(timeouts: Timeouts, total: float | None) -> Timeouts:
    """The same time limits with another *total*, in seconds, if there is one."""
    return timeouts if total is None else attrs.evolve(timeouts, total=total)


def checked_on_cancel(on_cancel: OnCancel) -> OnCancel:
    """What becomes of runs that are left early.

    Raises:
        ConfigurationError: it is neither ``"stop"`` nor ``"detach"``.
    """
    if on_cancel not in {"stop", "detach"}:
        msg = f"on_cancel is 'stop' or 'detach', not {on_cancel!r}"
        raise ConfigurationError(msg)
    return on_cancel
