"""Runs that were recorded in files, in each form."""

from __future__ import annotations

import json
import os
import threading

import pytest

from dify_workflow_async import errors
from dify_workflow_async._wire import structure_event
from dify_workflow_async.timeline import Timeline

from ._recordings import ALL, HOME, STREAMS


NAME = "1.14.2-run_iteration_streaming"
RECORDING = STREAMS[NAME]
PATH = HOME / "dify-1.14.2/run_iteration_streaming.http"


def expected():
    return Timeline.of(map(structure_event, RECORDING.objects)).bars


def lines(objects, end="\n"):
    return "".join(json.dumps(each) + end for each in objects).encode()


def stream(objects):
    return b"event: ping\n\n" + b"".join(
        b"data: " + json.dumps(each).encode() + b"\n\n" for each in objects
    )


FORMS = {
    "lines": lines(RECORDING.objects),
    "lines-of-windows": b"\xef\xbb\xbf" + lines(RECORDING.objects, "\r\n"),
    "lines-with-gaps": b"\n\n" + lines(RECORDING.objects, "\n\n"),
    "lines-without-the-last-end": lines(RECORDING.objects).rstrip(),
    "cut-line": lines(RECORDING.objects) + b'{"event": "text_ch',
    "stream": stream(RECORDING.objects),
    "stream-with-a-comment": b": hello\n\n" + stream(RECORDING.objects),
    "chunked": PATH.read_bytes(),
    "not-chunked": b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n" + stream(RECORDING.objects),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=list(FORMS))
def test_each_form(tmp_path, data):
    """The same events in any form make the same timeline."""
    path = tmp_path / "run"
    path.write_bytes(data)
    timeline = Timeline.read(path)
    assert timeline.bars == expected()
    assert timeline.status == "succeeded"


@pytest.mark.parametrize("name", STREAMS)
def test_recordings(name):
    """Recorded answers of real servers are read, also those that were cut off."""
    path = HOME / f"dify-{name.replace('-', '/', 1)}.http"
    timeline = Timeline.read(path)
    found = Timeline.of(map(structure_event, STREAMS[name].objects))
    assert [x.state.id for x in timeline.bars] == [x.state.id for x in found.bars]


def test_a_recording_that_ends_in_a_chunk(tmp_path):
    """What came whole before is there."""
    path = tmp_path / "run.http"
    whole = PATH.read_bytes()
    path.write_bytes(whole[: whole.index(b"iteration_started")])
    assert [x.state.title for x in Timeline.read(path).bars] == ["Start", "split"]


def test_a_run_that_went_on_after_a_pause(tmp_path):
    """The events of both answers are one run."""
    path = tmp_path / "run.sse"
    names = ("human_streaming", "events_after_submit")
    both = [STREAMS[f"1.14.2-{name}"].objects for name in names]
    path.write_bytes(stream([*both[0], *both[1]]))
    timeline = Timeline.read(path)
    assert timeline.status == "succeeded"
    assert [x.state.title for x in timeline.bars][:2] == ["Start", "Approve"]


def test_a_pipe(tmp_path):
    """What can be read once only can be read."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[FORMS["lines"]])
    writer.start()
    try:
        assert Timeline.read(path).bars == expected()
    finally:
        writer.join()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no events of a run in .*run"),
        (b"Dear reader,\n\nhello\n", "no events of a run"),
        (b'{"a": 1}\n', "no events of a run"),
        (b'{"event": "text_chunk"}\n', "no events of a run"),
        (b'{"event": "node_started"}\n[1]\n', r"a line has no event, but '\[1\]'"),
        (b'{"event": "node_started"}\n{"event":\n{}', "broken JSON"),
        (b'data: {"event": "node_started"}\n\ndata: {"eve\n\n', "broken JSON"),
        (b"data: [1]\n\n", "list instead of an event"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "'xyz' bytes",
        ),
        (b"HTTP/1.1 200 OK\r\n", "no events of a run"),
    ],
)
def test_what_is_no_recorded_run(tmp_path, data, reason):
    """A sentence says what is wrong with it."""
    path = tmp_path / "run"
    path.write_bytes(data)
    with pytest.raises(errors.UnexpectedAnswer, match=reason):
        Timeline.read(path)


@pytest.mark.parametrize("name", ["1.14.2-run_hello_blocking", "1.12.1-err_bad_key"])
def test_a_recorded_answer_without_a_stream(name):
    """It has no events to draw."""
    path = HOME / f"dify-{name.replace('-', '/', 1)}.http"
    assert not ALL[name].is_stream
    with pytest.raises(errors.UnexpectedAnswer, match="no events of a run"):
        Timeline.read(path)


def test_no_file(tmp_path):
    """The system's own error comes out."""
    with pytest.raises(FileNotFoundError):
        Timeline.read(tmp_path / "missing")
