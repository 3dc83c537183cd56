"""Faults that a recovery meets, a blocking run, a reading and a stop."""

from __future__ import annotations

from dify_workflow_async import errors
from dify_workflow_async.local import faults

from ._fault_row import (
    AGAIN,
    BLOCKING,
    HEALING,
    NEW,
    OLD,
    READING,
    STOPPING,
    Order,
    Row,
)


_LOST = errors.ConnectionLost
_EVENTS, _DETAIL = "*/events", "*/workflows/run/*"
_FOR_EVER = Order(fault=faults.HangUp(), path="/v1/*", times=None)


def _healing(what: str, *also: Order, **options: object) -> Row:
    cut = faults.Drop(after_events=2)
    return Row(phase=HEALING, what=what, fault=cut, promise=2, also=also, **options)


def _other(
    phase: str, what: str, fault: faults.Fault, promise: int, **options: object
) -> Row:
    return Row(phase=phase, what=what, fault=fault, promise=promise, **options)


ROWS: dict[str, Row] = {
    # -- while it is recovered
    "gone": _healing(
        "the server is gone for good",
        _FOR_EVER,
        error=errors.RunInterrupted,
        knows_run=True,
    ),
    "gone-html": _healing(
        "a proxy answers from now on",
        Order(fault=faults.ErrorPage(status=503), path="/v1/*", times=None),
        error=errors.RunInterrupted,
        knows_run=True,
    ),
    "flaky": _healing(
        "the server hangs up again",
        Order(fault=faults.HangUp(), path=_EVENTS),
        Order(fault=faults.HangUp(), path=_DETAIL),
        recovered=AGAIN,
        slow=True,
    ),
    "broken-again": _healing(
        "the stream breaks again",
        # After news, so that the next try is the first again, and attaches.
        Order(fault=faults.Drop(after_events=4), path=_EVENTS),
        recovered={NEW: "attached"},
        versions=(NEW,),
        slow=True,
    ),
    "502-then": _healing(
        "a proxy's page, once",
        Order(fault=faults.ErrorPage(), path="/v1/workflow*"),
        recovered=AGAIN,
    ),
    "busy-then": _healing(
        "429, once",
        Order(fault=faults.Busy(retry_after=0), path="/v1/workflow*"),
        recovered=AGAIN,
    ),
    "detail-endless": _healing(
        "a run detail that never ends",
        Order(fault=faults.EndlessBody(status=200), path=_DETAIL, times=None),
        error=errors.RunInterrupted,
        knows_run=True,
        versions=(OLD,),
    ),
    # -- blocking
    "blocking-hang-up": _other(
        BLOCKING,
        "the server hangs up",
        faults.HangUp(starts_run=True),
        1,
        error=errors.RunStateUnknown,
        cause=_LOST,
    ),
    "blocking-504": _other(
        BLOCKING,
        "a proxy gives up: 504",
        faults.ErrorPage(status=504, starts_run=True),
        1,
        error=errors.GatewayError,
        status=504,
    ),
    "blocking-cut": _other(
        BLOCKING,
        "the answer breaks off",
        faults.Cut(after_bytes=400),
        2,
        error=errors.RunStateUnknown,
        cause=_LOST,
    ),
    "blocking-type": _other(BLOCKING, "another content type", faults.WrongType(), 7),
    "blocking-gzip": _other(BLOCKING, "compressed unasked", faults.Gzip(), 7),
    "blocking-bomb": _other(
        BLOCKING,
        "huge when unpacked",
        faults.GzipBomb(size=1 << 25),
        5,
        error=errors.TooLarge,
    ),
    # -- reads
    "read-hang-up": _other(
        READING, "the server hangs up, once", faults.HangUp(), 4, posts=2
    ),
    "read-502": _other(READING, "a proxy's page, once", faults.ErrorPage(), 4, posts=2),
    "read-502-for-ever": _other(
        READING,
        "a proxy's page, for ever",
        faults.ErrorPage(),
        4,
        times=None,
        error=errors.GatewayError,
        status=502,
        knows_run=True,
        posts=3,
    ),
    "read-429": _other(READING, "429, once", faults.Busy(retry_after=0.01), 4, posts=2),
    "read-redirect": _other(
        READING,
        "a redirect to another host",
        faults.Redirect(to="host"),
        6,
        error=errors.UnexpectedAnswer,
        status=307,
        knows_run=True,
    ),
    "read-endless": _other(
        READING,
        "an answer that never ends",
        faults.EndlessBody(status=200),
        5,
        error=errors.TooLarge,
        knows_run=True,
    ),
    "read-bomb": _other(
        READING,
        "huge when unpacked",
        faults.GzipBomb(size=1 << 25),
        5,
        error=errors.TooLarge,
        knows_run=True,
    ),
    "read-cut": _other(
        READING, "the answer breaks off, once", faults.Cut(after_bytes=500), 4, posts=2
    ),
    # -- stops
    "stop-hang-up": _other(
        STOPPING, "the server hangs up, once", faults.HangUp(), 3, posts=2
    ),
    "stop-502": _other(
        STOPPING, "a proxy's page, once", faults.ErrorPage(), 3, posts=2
    ),
    "stop-502-for-ever": _other(
        STOPPING,
        "a proxy's page, for ever",
        faults.ErrorPage(),
        3,
        times=None,
        error=errors.GatewayError,
        status=502,
        posts=3,
    ),
}
