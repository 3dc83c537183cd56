"""Eraser: takes the API key out of what is written down, however it is cut."""

import re

from typing import Final


NO_KEY: Final = "app-EXAMPLE"

# Keys that Dify makes, which may be those of other apps than the one that is asked.
_ANY: Final = rb"app-[A-Za-z0-9]{16,}"

# What may become such a key, at the end of what has come so far. Dify's have 24
# characters; the bound is for texts that are a single word.
_BEGUN: Final = re.compile(rb"(?:a|ap|app|app-[A-Za-z0-9]{0,512})\Z")
_LONGEST: Final = 512 + len("app-")

# A shorter key is a word, and to replace it everywhere would spoil a recording.
_SHORTEST: Final = 8


class Eraser:
    """Replaces a key, as it is and as URLs and JSON write it, and whatever looks so.

    Args:
        authorization: The header of the request; its key is replaced.
    """

    def __init__(self, authorization: str = "") -> None:
        key = authorization.rpartition(" ")[2].encode("utf-8", "surrogateescape")
        self._letters = [_spellings(one) for one in key if len(key) >= _SHORTEST]
        self._longest = sum(max(map(len, one)) for one in self._letters)
        own = b"".join(
            b"(?:%b)" % b"|".join(map(re.escape, one)) for one in self._letters
        )
        self._own = re.compile(own or rb"(?!)")
        self._all = re.compile(b"%b|%b" % (own, _ANY) if own else _ANY)
        self._held = b""

    def text(self, text: str) -> str:
        """Give a text without keys."""
        return self.whole(text.encode("latin-1", "replace")).decode("latin-1")

    def whole(self, data: bytes) -> bytes:
        """Give bytes that are complete, without keys."""
        return self._all.sub(NO_KEY.encode(), data)

    def feed(self, data: bytes) -> bytes:
        """Give what can be told of a body so far; what may become a key is held back.

        Args:
            data: The next bytes of the body.
        """
        data = self._held + data
        cut = self._open_from(data)
        self._held = data[cut:]
        return self.whole(data[:cut])

    def rest(self) -> bytes:
        """Give what was held back, at the end of the body."""
        held, self._held = self._held, b""
        return self.whole(held)

    def _open_from(self, data: bytes) -> int:
        """Tell from where on bytes may be the beginning of a key."""
        told = max((match.end() for match in self._own.finditer(data)), default=0)
        begun = _BEGUN.search(data, max(told, len(data) - _LONGEST))
        cut = len(data) if begun is None else begun.start()
        for start in range(max(told, len(data) - self._longest + 1), cut):
            if self._begins(data[start:]):
                return start
        return cut

    def _begins(self, data: bytes) -> bool:
        """Tell whether bytes to their end are the beginning of the key."""
        for spellings in self._letters:
            if any(one.startswith(data) for one in spellings):
                return True
            found = next((one for one in spellings if data.startswith(one)), None)
            if found is None:
                return False
            data = data[len(found) :]
        return False


def _spellings(byte: int) -> tuple[bytes, ...]:
    """Tell how a byte of a key is written: so, in URLs, and in JSON."""
    return (b"%%%02X" % byte, b"%%%02x" % byte, b"\\%c" % byte, b"%c" % byte)
