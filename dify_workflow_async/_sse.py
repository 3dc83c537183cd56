"""Server-sent events: bytes in, frames out.

Follows the WHATWG HTML standard, "Server-sent events", paragraphs 9.2.5 (parsing) and
9.2.6 (interpreting), on bytes, with two decisions of its own:

* Lines end at LF, CR or CRLF and nowhere else, so U+2028 and U+0085 may stand raw in
  the JSON, as Dify sends them.
* A frame that names an event but has no data is reported, with None for its data. The
  standard drops it; Dify's ``event: ping`` is one, and it feeds the idle timer.

The work is linear in the bytes, however they are cut: each is looked at once for a
line's end, and copied once or twice if its frame was cut. So is the memory: pieces of a
few bytes, which cost Python ten times as much each, are joined now and then.
"""

from __future__ import annotations

from .errors import TooLarge


Frame = tuple[str, bytes | None]
"""The event's name, ``"message"`` if it has none, and its data."""

_BOM = b"\xef\xbb\xbf"
_LF = 10
_LOOSE = 1024
"""Pieces that are kept apart: fewer would be copied more often, for nothing."""


class SSEDecoder:
    """Decodes one stream.

    Attributes:
        last_event_id: the last ``id`` (9.2.6), empty if there was none.
        retry: the last ``retry``, in milliseconds.
        failure: why no frame comes after those that `cut` gave last.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self.failure: TooLarge | None = None
        self._limit = max_event_bytes
        # The frame under way, in the pieces in which it came, and their length. So many
        # of the first ones are joined from others.
        self._pieces: list[bytes] = []
        self._joined = 0
        self._size = 0
        self._after_cr = False
        self._start: bytes | None = b""

    @property
    def pending(self) -> int:
        """How many bytes of a frame wait for its end."""
        return self._size

    def cut(self, chunk: bytes) -> list[bytes]:
        """The frames that *chunk* completes, to be interpreted.

        Those before one that is over the limit come; that one is the `failure`.
        """
        if self._start is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr or b"\r" in chunk:
            chunk = self._unix_lines(chunk)
        pieces = self._pieces
        if pieces and pieces[-1] == b"\n":
            # A frame's end may have been cut between its two LFs: see hold().
            del pieces[-1]
            self._size -= 1
            chunk = b"\n" + chunk
        frames = chunk.split(b"\n\n")
        rest = frames.pop()
        if pieces and frames:
            pieces.append(frames[0])
            frames[0] = b"".join(pieces)
            pieces.clear()
            self._size = self._joined = 0
        if frames and (len(chunk) > self._limit or len(frames[0]) > self._limit):
            for index, frame in enumerate(frames):
                if len(frame) > self._limit:
                    self.failure = self._too_large(len(frame))
                    return frames[:index]
        if rest:
            self._hold(rest)
        return frames

    def _hold(self, rest: bytes) -> None:
        """Keep the beginning of a frame; its last LF apart, see cut()."""
        if len(self._pieces) - self._joined >= _LOOSE:
            self._pieces[self._joined :] = [b"".join(self._pieces[self._joined :])]
            self._joined += 1
        self._size += len(rest)
        ends_line = rest[-1] == _LF
        if self._size - ends_line > self._limit:
            self.failure = self._too_large(self._size)
        if ends_line and len(rest) > 1:
            self._pieces += (rest[:-1], b"\n")
        else:
            self._pieces.append(rest)

    def _too_large(self, size: int) -> TooLarge:
        return TooLarge(
            f"an event of {size} bytes or more is over the limit of "
            f"{self._limit} bytes (Limits.max_event_bytes)"
        )

    def _without_bom(self, chunk: bytes) -> bytes:
        """Drop a byte order mark at the very start, even one that was cut."""
        start = (self._start or b"") + chunk
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)

    def _unix_lines(self, chunk: bytes) -> bytes:
        """Turn CRLF and CR into LF; a CRLF may be cut between two chunks."""
        if not chunk:
            return chunk
        if self._after_cr and chunk[0] == _LF:
            chunk = chunk[1:]
            if not chunk:
                self._after_cr = False
                return chunk
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def interpret(self, frame: bytes) -> Frame | None:
        """Interpret the lines of a frame (9.2.6)."""
        event = ""
        data: list[bytes] = []
        for line in frame.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                event = value.decode("utf-8", "replace")
            elif field == b"id":
                if b"\0" not in value:
                    self.last_event_id = value.decode("utf-8", "replace")
            elif field == b"retry" and value.isdigit() and len(value) < 16:
                self.retry = int(value)
            # A line that begins with a colon is a comment: its field is empty.
        if data:
            return event or "message", b"\n".join(data)
        return (event, None) if event else None
