"""What a call of a verb asks for: its options, completed from the client's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import attrs

from ._config import Timeouts
from ._protocol import Request, is_a, run_request
from .dispatcher import Dispatcher
from .errors import ConfigurationError


Inputs = Mapping[str, Any]
Files = Sequence[Mapping[str, Any]]

OnCancel = Literal["stop", "detach"]
"""What becomes of a run that is left early: it is stopped, or goes on by itself."""


class RunOptions(TypedDict, total=False):
    """What one call may ask for, beside its inputs.

    Attributes:
        user: the end user, at most 255 characters; else the client's.
        files: file objects for ``sys.files`` (specification, section 2.2); most apps
            take files in their inputs.
        workflow_id: a published version to run instead of the newest.
        dispatcher: gets every event, before the loop does and `run` returns.
        timeout: seconds for the whole run; else ``Timeouts.total``. It is looked at
            whenever the stream is read: a handler that takes longer is not cut off.
        trace_id: for the server's tracing: 1 to 128 of ``A-Z a-z 0-9 _ -``.
        on_cancel: ``"stop"`` or ``"detach"``; else the client's.
    """

    user: str | None
    files: Files | None
    workflow_id: str | None
    dispatcher: Dispatcher | None
    timeout: float | None
    trace_id: str | None
    on_cancel: OnCancel | None


@attrs.frozen
class Defaults:
    """What a client's calls have in common."""

    user: str
    timeouts: Timeouts
    on_cancel: OnCancel


@attrs.frozen(kw_only=True)
class Call:
    """What one call of a verb asks for."""

    request: Request
    user: str
    timeouts: Timeouts
    on_cancel: OnCancel
    dispatcher: Dispatcher | None = None


def make_call(
    inputs: Inputs,
    defaults: Defaults,
    *,
    user: str | None = None,
    files: Files | None = None,
    workflow_id: str | None = None,
    dispatcher: Dispatcher | None = None,
    timeout: float | None = None,
    trace_id: str | None = None,
    on_cancel: OnCancel | None = None,
) -> Call:
    """Make a streaming call; the options are those of `RunOptions`.

    Raises:
        InvalidInputs: the inputs cannot be sent.
        ConfigurationError: there is no user, or an option is wrong.
    """
    user = user or defaults.user
    if dispatcher is not None and not is_a(Dispatcher, dispatcher):
        msg = f"dispatcher must be a Dispatcher, not {dispatcher!r}"
        raise ConfigurationError(msg)
    request = run_request(
        inputs,
        user=user,
        response_mode="streaming",
        files=files,
        workflow_id=workflow_id,
        trace_id=trace_id,
    )
    return Call(
        request=request,
        user=user,
        timeouts=with_total(defaults.timeouts, timeout),
        on_cancel=checked_on_cancel(on_cancel or defaults.on_cancel),
        dispatcher=dispatcher,
    )


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
