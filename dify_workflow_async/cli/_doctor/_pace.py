"""What the pace of a run's events says of what stands between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from ...errors import (
    APIError,
    DifyError,
    GatewayError,
    IdleTimeout,
    RunInterrupted,
    RunStateUnknown,
    TotalTimeout,
)
from .._text import printable, span
from ._answers import judge_refusal, proxy_of
from ._finding import Finding, Mark, doubt, fine, unknown, wrong
from ._stream import Beat, Watched


HELD = 2.0
"""Seconds that one event was held back longer than another, so that somebody must have
held it: the server tells times in whole seconds, so up to one means nothing."""

SHORT = 0.5
"""Seconds of a run that is too short to say whether it came all at once."""

QUIET = 15.0
"""Seconds of silence that mean that pings are missing: Dify sends one every 10 s."""

_BUFFERS = (
    "a proxy collects the stream instead of passing it on: for nginx set "
    "`proxy_buffering off`, or have the answer say `X-Accel-Buffering: no`"
)
_LIMIT = "raise the proxy's limit on silence and on time (nginx: `proxy_read_timeout`)"


def judge_run(
    watched: Watched, *, base_url: str, headers: Mapping[str, str]
) -> list[Finding]:
    """Judge how the events of a run came.

    Args:
        watched: the run.
        base_url: of the client.
        headers: of the answer that brought them.
    """
    if not watched.beats:
        return [_judge_nothing(watched, base_url)]
    findings = [_judge_first(watched)]
    if encoding := _compression(headers):
        told = f"the stream comes compressed ({encoding}), which nobody asked for"
        remedy = "have no proxy compress text/event-stream, since that collects events"
        findings.append(doubt("stream", told, remedy))
    is_whole = watched.error is None and not _breaks(watched)
    pace = judge_buffering(watched, proxy=proxy_of(headers)) if is_whole else None
    if pace is not None:
        findings.append(pace)
    if pace is None or pace.mark is not Mark.WRONG:
        findings.append(judge_silence(watched))
    return [*findings, *_judge_end(watched)]


def _compression(headers: Mapping[str, str]) -> str | None:
    found = {name.lower(): value for name, value in headers.items()}
    encoding = found.get("content-encoding", "identity").strip().lower()
    return None if encoding == "identity" else printable(encoding, 20)


def _judge_nothing(watched: Watched, base_url: str) -> Finding:
    error, took = watched.error, span(watched.seconds)
    match error:
        case None:
            told = f"the stream ended after {took}, and nothing had come"
            return wrong("stream", told, _BUFFERS)
        case GatewayError() if error.code is None:
            told = f"a gateway gave up after {took}: {error.status}"
            return wrong("stream", told, f"{_BUFFERS}; {_LIMIT}")
        case RunStateUnknown():
            told = f"nothing came for {took}: {printable(error.message)}"
            return wrong("stream", told, f"{_BUFFERS}; {_LIMIT}")
        case APIError() if error.code is not None:
            told = f"the run was refused: {printable(str(error))}"
            remedy = "give inputs that the app takes (--input NAME=VALUE)"
            return wrong("stream", told, remedy)
        case _:
            return judge_refusal(error, base_url)


def _judge_first(watched: Watched) -> Finding:
    first = watched.beats[0]
    told = f"the first of {len(watched.beats)} events came after {span(first.at)}"
    return fine("stream", told)


# -- buffering -------------------------------------------------------------------------


def judge_buffering(watched: Watched, *, proxy: str | None) -> Finding:
    """Compare when events were written with when they came."""
    check = "buffering"
    held = held_back(watched)
    if held is None:
        told = "the run was too short to tell whether a proxy collects its events"
        return unknown(check, told, "give inputs with which it takes some seconds")
    if held:
        by = f" ({proxy})" if proxy else ""
        told = f"events came up to {span(held)} late, all at once, behind a proxy{by}"
        return wrong(check, told, _BUFFERS)
    return fine(check, "events came as they were written")


def held_back(watched: Watched) -> float | None:
    """For how many seconds events were held back on the way, if they were; else 0.

    Clocks need not agree: what counts is that some events were longer under way than
    others.

    Returns:
        None if the run was too short, or tells too little.
    """
    late = _late_by_duration(watched)
    by_clock = _late_by_clock(watched.beats)
    if by_clock is not None and by_clock >= HELD:
        return by_clock
    return late


def _late_by_duration(watched: Watched) -> float | None:
    """By how much less than the run took its events were apart."""
    took = watched.result.elapsed_time if watched.result else None
    times = {beat.name: beat.at for beat in watched.beats}
    begun, ended = times.get("workflow_started"), times.get("workflow_finished")
    if took is None or took < SHORT or begun is None or ended is None:
        return None
    late = took - (ended - begun)
    return late if late > took / 2 else 0.0


def _late_by_clock(beats: Sequence[Beat]) -> float | None:
    """How much longer the slowest event was under way than the fastest one."""
    ways = [beat.at - beat.written.timestamp() for beat in beats if beat.written]
    return max(ways) - min(ways) if ways else None


# -- silence ---------------------------------------------------------------------------


def judge_silence(watched: Watched) -> Finding:
    """Look for the longest time in which nothing came."""
    longest = longest_gap(watched)
    if longest <= QUIET:
        return fine("silence", f"nothing came for {span(longest)} at the most")
    told = f"nothing came for {span(longest)}, not even a ping, which Dify sends every 10 s"
    remedy = (
        f"see which proxy holds back pings, since others cut silent streams; {_LIMIT}"
    )
    return doubt("silence", told, remedy)


def longest_gap(watched: Watched) -> float:
    """The longest time between two things that came, or to the end."""
    times = [0.0, *(beat.at for beat in watched.beats)]
    if watched.error is not None:
        times.append(watched.seconds)
    return max((after - before for before, after in pairwise(times)), default=0.0)


# -- the end ---------------------------------------------------------------------------


def _breaks(watched: Watched) -> bool:
    return watched.result is not None and watched.result.recovered is not None


def _judge_end(watched: Watched) -> Iterator[Finding]:
    if watched.error is not None:
        yield _judge_break(watched.error, watched)
    elif (result := watched.result) is None:
        return
    elif recovered := result.recovered:
        times = "once" if recovered.breaks == 1 else f"{recovered.breaks} times"
        told = (
            f"the stream broke {times}, after silence of up to "
            f"{span(longest_gap(watched))}, and its run was found again"
        )
        yield wrong("end", told, f"see which proxy closes connections early; {_LIMIT}")
    elif result.is_success or result.status == "paused":
        yield fine(
            "end", f"the run ended {result.status} after {span(watched.seconds)}"
        )
    else:
        why = printable(result.error or "no reason given")
        told = (
            f"all of the stream came, and the run itself ended {result.status}: {why}"
        )
        yield doubt("end", told, "look at the run in Dify's log, or try other inputs")


def _judge_break(error: DifyError, watched: Watched) -> Finding:
    took = span(watched.seconds)
    match error:
        case IdleTimeout() | RunInterrupted() | RunStateUnknown():
            told = f"the stream broke off after {took}: {printable(error.message)}"
            remedy = f"see which proxy closes connections early; {_LIMIT}"
            return wrong("end", told, remedy)
        case TotalTimeout():
            told = f"the run had not ended after {took}"
            return unknown(
                "end", told, "give inputs that take less, or a longer --timeout"
            )
        case _:
            told = f"the run did not come to its end: {printable(str(error))}"
            return wrong("end", told, "look into the log of Dify's api service")
