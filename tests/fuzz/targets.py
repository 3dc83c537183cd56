"""What is done with bytes of any kind, and what must be true then.

Each target takes bytes, and raises only when the package is wrong. ``fuzz.py`` gives
them what a fuzzer finds, and ``test_fuzz.py`` the corpus and what hypothesis makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import attrs

from dify_workflow_async import _protocol, _wire, models
from dify_workflow_async._refusal import error_of_answer
from dify_workflow_async._retry import retry_after
from dify_workflow_async._sse import Frame, SSEDecoder
from dify_workflow_async._stream import EventStream
from dify_workflow_async.errors import (
    APIError,
    DifyError,
    NotFound,
    UnexpectedAnswer,
)
from dify_workflow_async.events import EVENTS, Event
from dify_workflow_async.models import RunRef, RunResult


LIMIT = 2048
NOT_FROM_THE_WIRE = {models.Recovered, models.RunRef, models.RunResult}
MODELS = [
    cls
    for name in models.__all__
    if attrs.has(cls := getattr(models, name)) and cls not in NOT_FROM_THE_WIRE
]
ANSWERS: list[Callable[[bytes], object]] = [
    lambda body: _protocol.run_detail(body, "r1"),
    _protocol.app_info,
    _protocol.blocking_result,
    _protocol.end_user,
    _protocol.form,
    _protocol.log_page,
    _protocol.meta,
    _protocol.parameters,
    _protocol.server_info,
    _protocol.site,
    _protocol.transcript,
    _protocol.uploaded_file,
]
KINDS = ["application/json", "text/html; charset=utf-8", "", ";;", "text/plain"]


def chunks_of(data: bytes) -> list[bytes]:
    """Cut what follows the first byte; that says how."""
    size = data[0] if data else 0
    rest = data[1:]
    if size == 0:
        return [rest]
    return [rest[i : i + size] for i in range(0, len(rest), size)]


def frames_of(chunks: list[bytes]) -> tuple[list[Frame], bool]:
    """Decode; tells whether a frame was too large."""
    decoder = SSEDecoder(LIMIT)
    frames: list[Frame] = []
    for chunk in chunks:
        read = map(decoder.interpret, decoder.cut(chunk))
        frames += [frame for frame in read if frame is not None]
        if decoder.failure is not None:
            return frames, True
        assert 0 <= decoder.pending <= LIMIT + 1
    return frames, False


def sse(data: bytes) -> None:
    """The cut makes no difference to the frames, nor to what is refused."""
    whole, whole_refused = frames_of([data[1:]])
    cut, cut_refused = frames_of(chunks_of(data))
    shorter = min(len(whole), len(cut))
    assert whole[:shorter] == cut[:shorter]
    if not whole_refused and not cut_refused:
        assert whole == cut
    for name, content in whole:
        assert isinstance(name, str)
        assert content is None or len(content) <= LIMIT


def stream(data: bytes) -> None:
    """All that comes is an event, and whatever breaks it is told."""
    how = data[1] if len(data) > 1 else 0
    known = RunRef(workflow_run_id="r1", task_id="t1") if how & 1 else None
    events = EventStream(LIMIT, known=known, ends_on_pause=not how & 2)
    if how & 4:
        events.decode_least()
    if how & 8:
        events.decode_only(lambda name: name.startswith("node"))
    if how & 16:
        events.rejoin()
    for event in fed(events, chunks_of(data)):
        assert isinstance(event, Event)
    failure = events.failure
    assert failure is None or isinstance(failure, DifyError)
    assert isinstance(events.text, str)
    assert isinstance(events.result(), RunResult)
    assert isinstance(events.result(stopped=True).is_success, bool)
    error = events.error()
    assert error is None or isinstance(error, APIError)
    for told in (failure, error):
        assert isinstance(f"{told} {told!r}", str)


def fed(events: EventStream, chunks: list[bytes]) -> Iterator[Event]:
    """Feed the chunks, as a reader does."""
    for chunk in chunks:
        yield from events.feed(chunk)
        if events.failure is not None or events.is_complete:
            return


def wire(data: bytes) -> None:
    """What is JSON becomes an event and any model; what is none is refused."""
    try:
        obj: Any = _wire.loads(data)
    except UnexpectedAnswer:
        return
    for cls in MODELS:
        try:
            made = _wire.structure(obj, cls)
        except UnexpectedAnswer:
            assert not isinstance(obj, dict)
        else:
            assert isinstance(made, cls)
            assert isinstance(repr(made), str)
    if isinstance(obj, dict):
        event = _wire.structure_event(obj)
        assert isinstance(event, Event)
        assert event.raw is obj
        assert isinstance(repr(event), str)
        for name in EVENTS:
            _wire.structure_event({**obj, "event": name})


def answers(data: bytes) -> None:
    """Any body with any status is what was asked for, or an error of ours."""
    choice, status, kind = (*data[:3], 0, 0, 0)[:3]
    body = data[3:]
    with suppress(UnexpectedAnswer, NotFound):
        ANSWERS[choice % len(ANSWERS)](body)
    head, _, rest = body.partition(b"\n")
    headers = {
        "Content-Type": KINDS[kind % len(KINDS)],
        "Location": head.decode("latin-1"),
    }
    error = error_of_answer(200 + 2 * (status % 200), headers, rest)
    assert isinstance(error, APIError | UnexpectedAnswer)
    assert isinstance(f"{error} {error!r}", str)
    for date in (None, "Wed, 21 Oct 2015 07:28:00 GMT", rest.decode("latin-1")):
        seconds = retry_after(head.decode("latin-1"), date)
        assert seconds is None or 0 <= seconds < float("inf")
    with suppress(DifyError):
        _protocol.normalize_base_url(rest.decode("utf-8", "replace"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "answers": answers,
    "sse": sse,
    "stream": stream,
    "wire": wire,
}
