"""`Ring`: the last frames of a run, for viewers that come late or come back."""

from __future__ import annotations

import io

from typing import Any

import orjson

from .._convert import is_object
from ._frames import frame


class Ring:
    """Keeps the newest frames, up to a number of bytes, and the text of older ones.

    Args:
        max_bytes: of frames; the newest is kept whatever its size.

    Attributes:
        first: the number of the oldest frame that is kept.
        last: the number of the newest.
    """

    def __init__(self, max_bytes: int) -> None:
        self.first = 1
        self.last = 0
        self._max_bytes = max_bytes
        self._size = 0
        # The oldest ones of these are gone: a list is sliced faster than a deque.
        self._frames: list[bytes] = []
        self._gone = 0
        self._text: io.StringIO | None = None

    def put(self, data: bytes) -> bool:
        """Keep one more frame; True if older ones had to go."""
        self.last += 1
        self._frames.append(data)
        self._size += len(data)
        before = self.first
        while self._size > self._max_bytes and self.first < self.last:
            self._drop()
        if self._gone > len(self._frames) // 2:
            del self._frames[: self._gone]
            self._gone = 0
        return self.first > before

    def _drop(self) -> None:
        data = self._frames[self._gone]
        self._frames[self._gone] = b""
        self._size -= len(data)
        self._gone += 1
        self.first += 1
        obj = orjson.loads(data.partition(b"data: ")[2])
        text = _text_in(obj)
        if text is None:
            return
        if self._text is None or obj["event"] == "text_replace":
            self._text = io.StringIO()
        self._text.write(text)

    def since(self, number: int) -> bytes:
        """All frames after this one; empty if there are none.

        If some of them are gone, a ``text_replace`` comes first, with all the text of
        that time, and ``missed`` tells how many they were. If none of those that are
        gone brought a text, it is a comment.
        """
        if number >= self.last:
            return b""
        missed = max(0, self.first - 1 - number)
        skip = self._gone + max(0, number + 1 - self.first)
        frames = b"".join(self._frames[skip:])
        if not missed:
            return frames
        return self._summary(missed) + frames

    def _summary(self, missed: int) -> bytes:
        if self._text is None:
            return b": %d frames are gone\n\n" % missed
        data = {"text": self._text.getvalue()}
        obj = {"event": "text_replace", "data": data, "missed": missed}
        return frame(self.first - 1, obj)


def _text_in(obj: Any) -> str | None:
    """The text that a frame brings, if it is one that does."""
    if obj["event"] not in {"text_chunk", "text_replace"}:
        return None
    data = obj.get("data")
    text = data.get("text") if is_object(data) else None
    return text if isinstance(text, str) else None
