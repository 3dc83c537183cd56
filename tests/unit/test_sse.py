"""Bytes become frames as the WHATWG standard says, however they are cut."""

from __future__ import annotations

import re
import time
import tracemalloc

from collections.abc import Iterator
from itertools import combinations, pairwise, product

import pytest

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dify_workflow_async._sse import SSEDecoder
from dify_workflow_async.errors import ProtocolError, TooLarge

from ._recordings import STREAMS


LIMIT = 1 << 20
BOM = b"\xef\xbb\xbf"

# What all that is below must be decoded the same for, at every cut.
STREAM = (
    BOM + b": hello\r\n\r\nevent: ping\n\ndata: a\rdata: b\r\rid: 7\nretry: 10\n\n\n"
    b"event: x\r\ndata:\xe4\xbd\xa0\r\n\r\n\r\ndata\n\ndata: cut off"
)


def fed(decoder: SSEDecoder, chunk: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Give the frames that a chunk completes, and then what ended them."""
    for frame in decoder.cut(chunk):
        if decoded := decoder.interpret(frame):
            yield decoded
    if decoder.failure is not None:
        raise decoder.failure


def decode(*chunks: bytes, limit: int = LIMIT) -> list[tuple[str, bytes | None]]:
    decoder = SSEDecoder(limit)
    return [frame for chunk in chunks for frame in fed(decoder, chunk)]


def cut(whole: bytes, *places: int) -> list[bytes]:
    bounds = [0, *sorted(places), len(whole)]
    return [whole[start:end] for start, end in pairwise(bounds)]


def field_of(line: bytes) -> tuple[bytes, bytes]:
    """Take a line apart; a comment is a field without a name."""
    if b":" not in line:
        return line, b""
    field, value = line.split(b":", 1)
    return field, value[1:] if value[0:1] == b" " else value


def by_the_standard(stream: bytes) -> tuple[list[tuple[str, bytes | None]], str]:
    """Decode line by line, as 9.2.5 and 9.2.6 tell it, and report named dead frames."""
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(BOM))
    frames: list[tuple[str, bytes | None]] = []
    last_id, next_id, event, data = "", "", "", b""
    for line in lines[:-1]:
        if line == b"":
            last_id = next_id
            if data:
                frames.append((event or "message", data[:-1]))
            elif event:
                frames.append((event, None))
            event, data = "", b""
        else:
            field, value = field_of(line)
            if field == b"event":
                event = value.decode("utf-8", "replace")
            elif field == b"data":
                data += value + b"\n"
            elif field == b"id" and b"\0" not in value:
                next_id = value.decode("utf-8", "replace")
    return frames, last_id


# -- the standard's rules ------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        pytest.param(
            b"data: YHOO\ndata: +2\ndata: 10\n\n",
            [("message", b"YHOO\n+2\n10")],
            id="the standard's stock",
        ),
        pytest.param(
            b": test stream\n\ndata: first event\nid: 1\n\n"
            b"data:second event\nid\n\ndata:  third event\n\n",
            [
                ("message", b"first event"),
                ("message", b"second event"),
                ("message", b" third event"),
            ],
            id="the standard's four blocks",
        ),
        pytest.param(
            b"data\n\ndata\ndata\n\ndata:\n",
            [("message", b""), ("message", b"\n")],
            id="the standard's empty data",
        ),
        pytest.param(
            b"data:test\n\ndata: test\n\n",
            [("message", b"test"), ("message", b"test")],
            id="the standard's one space",
        ),
        pytest.param(
            b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
            [("add", b"73857293"), ("remove", b"2153")],
            id="the standard's names",
        ),
        pytest.param(
            b"data:  a\ndata:b \nevent:  x\n\n", [(" x", b" a\nb ")], id="spaces"
        ),
        pytest.param(b": a comment\n\n:\n\n", [], id="comments"),
        pytest.param(
            b"data: a\n: between\ndata: b\n\n", [("message", b"a\nb")], id="comment"
        ),
        pytest.param(b"data: a\n", [], id="unfinished line"),
        pytest.param(b"data: a", [], id="unfinished frame"),
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n\n\n\n", [], id="blank lines"),
        pytest.param(b"\n\ndata: a\n\n", [("message", b"a")], id="blank lines first"),
        pytest.param(
            b"data: a\n\n\n\ndata: b\n\n",
            [("message", b"a"), ("message", b"b")],
            id="blank lines between",
        ),
        pytest.param(b"event:\ndata: a\n\n", [("message", b"a")], id="empty name"),
        pytest.param(
            b"event: x\nevent\ndata: a\n\n", [("message", b"a")], id="unnamed"
        ),
        pytest.param(b"data: a\nevent: x\n\n", [("x", b"a")], id="name after data"),
        pytest.param(b"event: a:b\ndata: c:d\n\n", [("a:b", b"c:d")], id="colons"),
        pytest.param(b"Data: a\ndata : b\nx: c\n\n", [], id="unknown fields"),
        pytest.param(
            b"event: x\nx\n\ndata: a\n\n",
            [("x", None), ("message", b"a")],
            id="a name is for one frame only",
        ),
        pytest.param(b"event: \xff\ndata: \xff\n\n", [("�", b"\xff")], id="not UTF-8"),
    ],
)
def test_frames_of_the_standard(stream, frames):
    """What the standard says about a stream is what comes out."""
    assert decode(stream) == frames


ENDS = [b"\n", b"\r", b"\r\n"]


@pytest.mark.parametrize(
    ("end", "blank"),
    [each for each in product(ENDS, ENDS) if each != (b"\r", b"\n")],
    ids=repr,
)
def test_each_line_end_counts(end, blank):
    """LF, CR and CRLF end a line, also when they are mixed; CR LF is one end."""
    stream = b"data: a" + end + b"data: b" + end + blank + b"data: c" + blank + end

    frames = decode(stream + b"\n")

    assert frames == [("message", b"a\nb"), ("message", b"c")]


@pytest.mark.parametrize(
    "character",
    ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\0"],
    ids=ascii,
)
def test_nothing_else_ends_a_line(character):
    """Characters that str.splitlines() splits at may stand raw in the data."""
    data = f'{{"a": "b{character}c"}}'.encode()

    assert decode(b"data: " + data + b"\n\n") == [("message", data)]


def test_ping_is_reported_without_data():
    """Dify's ping, which the standard drops, is known by its name."""
    assert decode(b"event: ping\n\n") == [("ping", None)]


@pytest.mark.parametrize(
    ("start", "frames"),
    [
        (BOM, [("message", b"a")]),
        (BOM + BOM, []),
        (BOM[:2], []),
        (b"\n" + BOM, []),
    ],
    ids=["one", "two", "half", "not first"],
)
def test_byte_order_mark(start, frames):
    """One byte order mark at the very start is dropped, at every cut; others stay."""
    stream = start + b"data: a\n\n"

    for place in range(len(stream) + 1):
        assert decode(*cut(stream, place)) == frames
    assert decode(*cut(stream, *range(len(stream)))) == frames


@pytest.mark.parametrize(
    ("stream", "last"),
    [
        (b"id: 1\n\n", "1"),
        (b"id: 1\ndata: a\n\n", "1"),
        (b"id:1\n\nid: 2\n\n", "2"),
        (b"id: 1\n\nid\n\n", ""),
        (b"id: 1\n\nid: a\0b\n\n", "1"),
        (b"id: 1\n\nid: 2\n", "1"),
        (b"id: \xe4\xbd\xa0\n\n", "你"),
        (b"data: 1\n\n", ""),
    ],
    ids=ascii,
)
def test_last_event_id(stream, last):
    """The last id is kept, without its frame being reported; one with NUL is not."""
    decoder = SSEDecoder(LIMIT)

    frames = list(fed(decoder, stream))

    assert decoder.last_event_id == last
    assert all(data is not None for _, data in frames)


@pytest.mark.parametrize(
    ("stream", "milliseconds"),
    [
        (b"retry: 1500\n\n", 1500),
        (b"retry:0\n\n", 0),
        (b"retry: 1\n\nretry: x\n\n", 1),
        (b"retry: -1\n\n", None),
        (b"retry: 1.5\n\n", None),
        (b"retry: \xd9\xa3\n\n", None),
        (b"retry:\n\n", None),
        (b"retry: " + b"9" * 10_000 + b"\n\n", None),
        (b"data: 1\n\n", None),
    ],
    ids=lambda x: repr(x)[:40],
)
def test_retry(stream, milliseconds):
    """Digits set the reconnection time, and nothing else does."""
    decoder = SSEDecoder(LIMIT)

    assert [f for f in fed(decoder, stream) if f[1] != b"1"] == []
    assert decoder.retry == milliseconds


# -- cuts ----------------------------------------------------------------------------


def test_cut_anywhere_once_or_twice():
    """Every way to cut a stream into two or three gives what the whole gives."""
    whole = decode(STREAM)
    places = range(len(STREAM) + 1)

    assert whole == by_the_standard(STREAM)[0]
    assert len(whole) == 4
    for first, second in combinations(places, 2):
        assert decode(*cut(STREAM, first, second)) == whole, (first, second)


def test_byte_by_byte_with_empty_chunks():
    """Single bytes, and chunks of nothing between them, give what the whole gives."""
    chunks = [x for i in range(len(STREAM)) for x in (STREAM[i : i + 1], b"")]

    assert decode(b"", *chunks) == decode(STREAM)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_random_cuts_of_a_recording(data):
    """A real stream gives the same frames however it is cut."""
    recording = STREAMS[data.draw(st.sampled_from(sorted(STREAMS)))]
    places = data.draw(st.lists(st.integers(0, len(recording.body)), max_size=50))
    expected = [
        ("ping", None) if x == b"event: ping" else ("message", x[6:])
        for x in recording.frames
    ]

    assert decode(*cut(recording.body, *places)) == expected


SOUP = st.lists(
    st.sampled_from(
        [
            *(bytes([byte]) for byte in b"dat: \n\revniBO\0"),
            *(b"data", b"event", b"id", b"data: ", b"event:", b"id:"),
            *(b"\n\n", b"\r\n", b"\r\r", BOM, BOM[:1], BOM[1:]),
        ]
    ),
    max_size=60,
).map(b"".join)


@settings(deadline=None, max_examples=1000)
@given(stream=SOUP, places=st.lists(st.integers(0, 200), max_size=6))
@example(stream=b"\r\n\r\n\n", places=[1, 3])
@example(stream=b"data\r", places=[])
@example(stream=b"data\n\r", places=[5])
@example(stream=BOM + b"\ndata\n\n", places=[1, 2, 3, 4])
def test_agrees_with_a_naive_decoder(stream, places):
    """Random bytes at random cuts give what the standard's algorithm gives."""
    decoder = SSEDecoder(LIMIT)
    places = [min(place, len(stream)) for place in places]

    frames = [x for chunk in cut(stream, *places) for x in fed(decoder, chunk)]

    assert (frames, decoder.last_event_id) == by_the_standard(stream)


@settings(deadline=None, max_examples=300)
@given(chunks=st.lists(st.binary(max_size=40), max_size=10))
def test_bytes_of_any_kind_never_raise(chunks):
    """No bytes are so broken that decoding them raises."""
    assert decode(*chunks) == by_the_standard(b"".join(chunks))[0]


def test_pending_counts_the_unfinished_frame():
    """``pending`` is the length of what has come of a frame, and 0 between frames."""
    decoder = SSEDecoder(LIMIT)
    pending = []

    for chunk in (b"data", b": a\n", b"\n", b"data: b\n\nda", b"", b"ta: c\n", b"\n\n"):
        list(fed(decoder, chunk))
        pending.append(decoder.pending)

    assert pending == [4, 8, 0, 2, 2, 8, 1]


def test_pending_counts_each_line_once():
    """A line's end that is looked at again with the next chunk is one byte still."""
    decoder = SSEDecoder(LIMIT)
    pending = []

    for _ in range(4):
        list(fed(decoder, b"data: a\n"))
        pending.append(decoder.pending)

    assert pending == [8, 16, 24, 32]


# -- the limit -----------------------------------------------------------------------


def frame_of(size: int) -> bytes:
    return b"data: " + b"x" * (size - 6)


def test_frame_within_the_limit_passes_at_every_cut():
    """A frame of exactly the limit is decoded, wherever it is cut, ends included."""
    stream = frame_of(20) + b"\n\n"

    for first, second in combinations(range(len(stream) + 1), 2):
        chunks = cut(stream, first, second)
        assert decode(*chunks, limit=20) == [("message", b"x" * 14)], chunks


def test_frame_over_the_limit_is_refused_at_every_cut():
    """A frame of one byte more than the limit is refused, wherever it is cut."""
    stream = frame_of(21) + b"\n\n"

    for first, second in combinations(range(len(stream) + 1), 2):
        with pytest.raises(TooLarge):
            decode(*cut(stream, first, second), limit=20)


def test_each_frame_has_the_whole_limit():
    """Frames within the limit pass, however many come in a chunk or one by one."""
    frames = [frame_of(20) + b"\n\n"] * 5

    assert len(decode(b"".join(frames), limit=20)) == 5
    assert len(decode(*frames, limit=20)) == 5


def test_frames_before_one_that_is_too_large_are_given():
    """What is complete before the frame that is refused is not lost."""
    decoder = SSEDecoder(20)
    frames = fed(decoder, b"data: a\n\n" + frame_of(21) + b"\n\n")

    assert next(frames) == ("message", b"a")
    with pytest.raises(TooLarge, match=r"21 bytes .* 20 bytes .*max_event_bytes"):
        next(frames)


@pytest.mark.parametrize("piece", [b"x", b": comment\n", b"data: x\r\n", b"x" * 999])
def test_what_never_ends_is_refused(piece):
    """A line or frame without an end is refused soon after the limit, not later."""
    decoder = SSEDecoder(10_000)

    def feed_for_ever():
        while decoder.pending < 20_000:
            list(fed(decoder, piece))

    with pytest.raises(TooLarge) as caught:
        feed_for_ever()

    assert decoder.pending <= 10_000 + len(piece)
    assert isinstance(caught.value, ProtocolError)
    assert not caught.value.safe_to_repeat


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_an_unfinished_frame_takes_little_more_than_its_bytes(size):
    """However small the pieces in which it comes, each of which is an object."""
    length = 300_000
    decoder = SSEDecoder(LIMIT)
    tracemalloc.start()

    for start in range(0, length, size):
        # As a socket gives it: no piece is another's.
        list(fed(decoder, bytes(bytearray(min(size, length - start)))))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert decoder.pending == length
    assert held < 1.5 * length
    assert peak < 2 * length


# -- linear time ---------------------------------------------------------------------


class Counted(bytes):
    """Bytes that count how many of them are worked on."""

    work = 0

    @classmethod
    def worked(cls, made: bytes, read: int) -> Counted:
        """Count, and go on counting."""
        cls.work += read
        return made if isinstance(made, Counted) else Counted(made)

    def __add__(self, other):
        return self.worked(super().__add__(other), len(self) + len(other))

    def __radd__(self, other):
        return self.worked(other + bytes(self), len(self) + len(other))

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return found if isinstance(found, int) else self.worked(found, len(found))

    def replace(self, old, new, count=-1):
        """Count the whole."""
        return self.worked(super().replace(old, new, count), len(self))

    def split(self, sep=None, maxsplit=-1):
        """Count the whole."""
        Counted.work += len(self)
        return [Counted(part) for part in super().split(sep, maxsplit)]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_byte_is_worked_on_a_few_times(size, line_end):
    """The bytes that are read and copied are a small multiple of those that came."""
    stream = (b"data: " + b"x" * 500 + line_end) * 100 + line_end
    decoder = SSEDecoder(LIMIT)
    Counted.work = 0
    longest = 0

    for start in range(0, len(stream), size):
        chunk = Counted(stream[start : start + size])
        longest = max([longest, *(len(data) for _, data in fed(decoder, chunk))])

    assert longest == 100 * 501 - 1
    assert len(stream) <= Counted.work <= 8 * len(stream)


@pytest.mark.slow
def test_time_is_linear_in_the_length_of_a_frame():
    """A frame four times as long takes about four times as long, not sixteen times."""

    def seconds(length: int) -> float:
        stream = frame_of(length) + b"\n\n"
        chunks = [stream[i : i + 8] for i in range(0, len(stream), 8)]
        times = []
        for _ in range(3):
            start = time.process_time()
            assert len(decode(*chunks, limit=2 * length)) == 1
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(1 << 20) < 10 * seconds(1 << 18)
