"""What a file is, by its name and by its first bytes."""

from __future__ import annotations

import mimetypes

from functools import cache
from pathlib import PurePath
from typing import Any, cast


HEAD = 8192
"""So many first bytes are looked at."""

OCTETS = "application/octet-stream"

_OFFICE = "application/vnd.openxmlformats-officedocument"
# Of Dify's own list (specification, 2.2): what Python's table lacks, or lacked once.
_BY_EXTENSION = {
    ".amr": "audio/amr",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".markdown": "text/markdown",
    ".md": "text/markdown",
    ".mdx": "text/markdown",
    ".mpga": "audio/mpeg",
    ".msg": "application/vnd.ms-outlook",
    ".ogg": "audio/ogg",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".properties": "text/plain",
    ".vtt": "text/vtt",
    ".wav": "audio/wav",
    ".webp": "image/webp",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
}

# What the server takes (specification, section 1.14), by what the same is called.
_AUDIO = {
    "audio/mp3": "audio/mp3",
    "audio/mpeg": "audio/mp3",
    "audio/m4a": "audio/m4a",
    "audio/mp4": "audio/m4a",
    "audio/x-m4a": "audio/m4a",
    "audio/wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/amr": "audio/amr",
    "audio/mpga": "audio/mpga",
}


@cache
def _table() -> mimetypes.MimeTypes:
    """Python's own table, without the machine's: the same everywhere."""
    return mimetypes.MimeTypes()


def mime_of_name(name: str) -> str | None:
    """The MIME type that goes with a file name's extension."""
    extension = PurePath(name).suffix.lower()
    if extension in _BY_EXTENSION:
        return _BY_EXTENSION[extension]
    # Without strict=False there is no JPEG 2000, no PICT, no rich text.
    kind, encoding = _table().guess_type(f"x{extension}", strict=False)
    return None if encoding else kind


def mime_of_bytes(head: bytes) -> str:
    """The MIME type of a file that begins so."""
    import puremagic

    if head.startswith(b"PK\x03\x04"):
        return "application/zip"  # which every office document is, too
    try:
        matches: list[Any] = cast("Any", puremagic).magic_string(head)
    except (puremagic.PureError, ValueError):
        matches = []
    for match in matches:
        # Two bytes alone, such as those of BMP, are a chance hit in texts.
        if match.confidence >= 0.3:
            by_name = mime_of_name(f"x{match.extension}")
            kind: str | None = by_name or match.mime_type
            if kind:
                return kind
    return OCTETS


def audio_mime(name: str, mime_type: str) -> str | None:
    """The MIME type under which the server takes a sound; None if it takes it not."""
    by_name = f"audio/{PurePath(name).suffix.lower().lstrip('.')}"
    return by_name if by_name in _AUDIO.values() else _AUDIO.get(mime_type.lower())
