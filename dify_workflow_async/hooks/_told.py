"""What observers are told; imported when the first one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

from ..errors import DifyError


if TYPE_CHECKING:
    from ..models import RunRef, RunResult


@attrs.frozen(kw_only=True)
class RequestEnd:
    """A request was sent, once, and its answer began, or none came.

    Attributes:
        request: method and URL, without its query.
        status: of the answer, whatever it means.
        error: why there was none.
        seconds: until then.
    """

    request: str
    status: int | None
    error: DifyError | None
    seconds: float


Verb = Literal["run", "run_blocking", "attach", "resume"]
"""``run`` for whatever starts a run and streams: also ``stream()``, ``events()``,
``start()`` and the rows of a batch."""


@attrs.frozen(kw_only=True)
class RunStart:
    """A run is about to be asked for, or gone back to.

    Attributes:
        verb: how.
        base_url: the server, with ``/v1``.
        user: the end user.
        workflow_id: the published version that was asked for; None: the newest.
        traceparent: the one that the call itself gave to the server's tracing.
        ref: the run that is gone back to; None for a new one.
    """

    verb: Verb
    base_url: str
    user: str
    workflow_id: str | None = None
    traceparent: str | None = None
    ref: RunRef | None = None


@attrs.frozen(kw_only=True)
class RunEnd:
    """A run has ended, or is not followed any more.

    Attributes:
        status: how it ended, in the server's words, as in `RunResult`: ``succeeded``,
            ``partial-succeeded``, ``failed``, ``stopped`` or ``paused``. Else
            ``refused``: it did not begin; ``running``: it goes on by itself, since it
            was let go; ``unknown``: its stream broke for good, or nobody knows
            whether it began.
        result: what it produced, if its end was heard of.
        error: why it did not end well, if that was not the run's own affair: what
            the call raised, such as a refusal or a time-out.
        workflow_run_id: None if no event told it.
        task_id: likewise.
        seconds: from the call to the run's end, or to the moment when it was left.
    """

    status: str
    result: RunResult[Any] | None
    error: DifyError | None
    workflow_run_id: str | None
    task_id: str | None
    seconds: float
