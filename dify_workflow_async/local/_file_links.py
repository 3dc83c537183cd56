"""Links to files, signed as the servers sign them."""

import hashlib
import hmac
import secrets
import time

from base64 import urlsafe_b64encode
from typing import Final
from urllib.parse import urlencode

import attrs

from ._ids import unix_now


_UPLOAD: Final = "/files/{}/file-preview"
_MADE: Final = "/files/tools/{}{}"


@attrs.define(kw_only=True)
class FileLinks:
    """Makes links, and knows them again.

    Args:
        access_timeout: Seconds that a link is good for.
        base_url: What links begin with; with nothing they are relative.
        secret: What signs them.
    """

    access_timeout: float
    base_url: str = ""
    secret: bytes = attrs.field(factory=lambda: secrets.token_bytes(32), repr=False)

    def to_upload(self, file_id: str) -> str:
        """Make a link to a file that was uploaded; no two are the same."""
        return self._sign(_UPLOAD.format(file_id), file_id)

    def to_made(self, file_id: str, extension: str) -> str:
        """Make a link to a file that a run made; the extension has its dot."""
        return self._sign(_MADE.format(file_id, extension), file_id)

    def is_good(self, file_id: str, timestamp: str, nonce: str, sign: str) -> bool:
        """Tell whether a link was made here, and not too long ago."""
        known = self._signature(file_id, timestamp, nonce)
        if not hmac.compare_digest(known.encode(), sign.encode("utf-8", "replace")):
            return False
        return time.time() - int(timestamp) <= self.access_timeout

    def _sign(self, path: str, file_id: str) -> str:
        timestamp, nonce = str(unix_now()), secrets.token_hex(16)
        query = {
            "timestamp": timestamp,
            "nonce": nonce,
            "sign": self._signature(file_id, timestamp, nonce),
        }
        return f"{self.base_url}{path}?{urlencode(query)}"

    def _signature(self, file_id: str, timestamp: str, nonce: str) -> str:
        message = f"file-preview|{file_id}|{timestamp}|{nonce}".encode(
            "utf-8", "replace"
        )
        return urlsafe_b64encode(
            hmac.new(self.secret, message, hashlib.sha256).digest()
        ).decode("ascii")
