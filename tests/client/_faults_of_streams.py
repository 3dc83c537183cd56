"""Faults that runs meet: before their stream begins, and in the midst of it."""

from __future__ import annotations

from datetime import UTC, datetime

from dify_workflow_async import errors
from dify_workflow_async.local import faults

from ._fault_row import AGAIN, MIDST, READ, STREAMED, Row


_LOST = errors.ConnectionLost
PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2099, 1, 1, tzinfo=UTC)


def _before(what: str, fault: faults.Fault, promise: int = 1, **options: object) -> Row:
    options = {"starts": int(fault.starts_run)} | options
    return Row(phase=STREAMED, what=what, fault=fault, promise=promise, **options)


def _unknown(what: str, fault: faults.Fault, **options: object) -> Row:
    return _before(what, fault, error=errors.RunStateUnknown, **options)


def _refused(what: str, fault: faults.Fault, status: int, **options: object) -> Row:
    return _before(what, fault, error=errors.GatewayError, status=status, **options)


def _away(what: str, fault: faults.Fault) -> Row:
    return _before(what, fault, 6, error=errors.UnexpectedAnswer, status=fault.status)


def _within(what: str, fault: faults.Fault, promise: int = 2, **options: object) -> Row:
    return Row(phase=MIDST, what=what, fault=fault, promise=promise, **options)


def _mended(what: str, fault: faults.Fault, promise: int = 2, **options: object) -> Row:
    return _within(what, fault, promise, **({"recovered": AGAIN} | options))


_MATTERS = b"text_chunk", b"workflow_finished"

ROWS: dict[str, Row] = {
    # -- before the stream begins
    "hang-up": _unknown("the server hangs up", faults.HangUp(), cause=_LOST),
    "hang-up-rst": _unknown(
        "the connection is reset", faults.HangUp(how="rst"), cause=_LOST
    ),
    "hang-up-late": _unknown(
        "the server hangs up when the run has begun",
        faults.HangUp(starts_run=True),
        cause=_LOST,
    ),
    "cut-head": _unknown(
        "the headers break off", faults.Cut(after_bytes=40, how="rst"), cause=_LOST
    ),
    "silence": _unknown(
        "no answer comes", faults.Silence(), cause=errors.FirstByteTimeout
    ),
    "silence-late": _unknown(
        "no answer comes, though the run has begun",
        faults.Silence(starts_run=True),
        cause=errors.FirstByteTimeout,
    ),
    "slow-headers": _before(
        "the headers come slowly", faults.SlowHeaders(interval=0.005)
    ),
    "too-slow-headers": _unknown(
        "the headers come too slowly",
        faults.SlowHeaders(interval=0.3),
        cause=errors.FirstByteTimeout,
    ),
    "endless-headers": _unknown(
        "the headers never end", faults.EndlessHeaders(), promise=5
    ),
    "endless-header": _unknown(
        "a header never ends", faults.EndlessHeaders(line=20_000), promise=5
    ),
    "502": _refused("a proxy's page of HTML, 502", faults.ErrorPage(), 502),
    "503": _refused("a proxy's page of HTML, 503", faults.ErrorPage(status=503), 503),
    "504": _refused("a proxy's page of HTML, 504", faults.ErrorPage(status=504), 504),
    "524": _refused("a proxy's page of HTML, 524", faults.ErrorPage(status=524), 524),
    "504-late": _refused(
        "a proxy's page, 504, when the run has begun",
        faults.ErrorPage(status=504, starts_run=True),
        504,
    ),
    "endless-error": _before(
        "an error whose body never ends",
        faults.EndlessBody(),
        5,
        error=errors.ServerError,
        status=500,
    ),
    "429": _before("429, once", faults.Busy(), posts=2, starts=1),
    "429-int": _before(
        "429 with `Retry-After: 0`, once", faults.Busy(retry_after=0), posts=2, starts=1
    ),
    "429-float": _before(
        "429 with `Retry-After: 0.05`, twice",
        faults.Busy(retry_after=0.05),
        times=2,
        posts=3,
        starts=1,
    ),
    "429-date": _before(
        "429 with a date that is past", faults.Busy(retry_after=PAST), posts=2, starts=1
    ),
    "429-later": _before(
        "429 with a date that is far off",
        faults.Busy(retry_after=FUTURE),
        error=errors.TooManyRequests,
        status=429,
        safe=True,
    ),
    "429-for-ever": _before(
        "429 for ever",
        faults.Busy(),
        times=None,
        error=errors.TooManyRequests,
        status=429,
        safe=True,
        posts=3,
    ),
    "400-busy": _before(
        "the 400 of a busy app, once", faults.Busy(status=400), posts=2, starts=1
    ),
    "redirect": _away("a redirect to itself", faults.Redirect()),
    "redirect-loop": _away("a loop of redirects", faults.Redirect(to="loop")),
    "redirect-host": _away("a redirect to another host", faults.Redirect(to="host")),
    "redirect-port": _away("a redirect to another port", faults.Redirect(to="port")),
    "redirect-scheme": _away(
        "a redirect to another scheme", faults.Redirect(to="scheme", status=301)
    ),
    "wrong-type": _before(
        "HTML instead of events, by its type",
        faults.WrongType(),
        4,
        error=errors.UnexpectedAnswer,
        status=200,
    ),
    # -- in the middle of the stream
    "drop-0": _within(
        "the stream breaks before the run's id",
        faults.Drop(after_events=0),
        error=errors.RunStateUnknown,
    ),
    "drop-1": _mended("the server hangs up", faults.Drop(after_events=1)),
    "drop-1-slow": _mended(
        "the server hangs up while the run goes on",
        faults.Drop(after_events=1),
        slow=True,
    ),
    "drop-3-rst": _mended(
        "the connection is reset", faults.Drop(after_events=3, how="rst")
    ),
    "drop-3-rst-slow": _mended(
        "the connection is reset while the run goes on",
        faults.Drop(after_events=3, how="rst"),
        slow=True,
    ),
    "drop-in-chunk": _mended(
        "a chunk breaks off", faults.Drop(after_events=3, in_chunk=True)
    ),
    "drop-in-chunk-rst": _mended(
        "a chunk breaks off by a reset",
        faults.Drop(after_events=3, in_chunk=True, how="rst"),
    ),
    "unended": _within("the zero chunk is missing at the end", faults.Unended()),
    "bad-chunk": _mended("rubbish where a chunk should begin", faults.BadChunkSize()),
    "bad-chunk-first": _within(
        "rubbish where the first chunk should begin",
        faults.BadChunkSize(after_events=0),
        error=errors.RunStateUnknown,
    ),
    "stall": _mended("the server says no more", faults.Stall(after_events=2)),
    "stall-pings": _mended(
        "the server only pings",
        faults.Stall(after_events=2, pings=0.02),
        recovered=READ,
    ),
    "pings-only": _within(
        "the server pings and says nothing of the run, for `Timeouts.stall`",
        faults.Stall(after_events=0, pings=0.02),
        1,
        error=errors.RunStateUnknown,
    ),
    "502-mid": _mended(
        "a proxy's page in the stream", faults.ErrorPage(after_events=2)
    ),
    "broken-json": _mended(
        "an event that matters, with broken JSON",
        faults.Insert(data=faults.BROKEN_JSON.replace(*_MATTERS)),
    ),
    "broken-utf8": _mended(
        "an event that matters, and is no UTF-8",
        faults.Insert(data=faults.BROKEN_UTF8.replace(*_MATTERS)),
    ),
    "broken-json-unwanted": _within(
        "an event that nobody wants, with broken JSON",
        faults.Insert(data=faults.BROKEN_JSON),
    ),
    "broken-utf8-unwanted": _within(
        "an event that nobody wants, and is no UTF-8",
        faults.Insert(data=faults.BROKEN_UTF8),
    ),
    "endless-line": _within(
        "an event that never ends",
        faults.EndlessLine(after_events=2),
        5,
        error=errors.TooLarge,
        knows_run=True,
    ),
    "gzip": _within("a stream that is compressed unasked", faults.Gzip(), 7),
    "bomb": _within(
        "a compressed stream that is huge",
        faults.GzipBomb(size=1 << 25),
        5,
        error=errors.TooLarge,
    ),
    "omit-first": _within(
        "`workflow_started` is missing", faults.Omit(events="workflow_started"), 7
    ),
    "omit-last": _mended(
        "a clean end without `workflow_finished`",
        faults.Omit(events="workflow_finished"),
    ),
    "duplicate": _within("every event comes twice", faults.Duplicate(), 7),
    "reorder": _within("events come out of order", faults.Reorder(), 7),
}
