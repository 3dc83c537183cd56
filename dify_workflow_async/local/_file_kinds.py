"""What a file is: its extension, its type in a workflow, how large it may be."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final


_IMAGES: Final = frozenset({"jpg", "jpeg", "png", "webp", "gif", "svg"})
_VIDEOS: Final = frozenset({"mp4", "mov", "mpeg", "webm"})
_AUDIO: Final = frozenset({"mp3", "m4a", "wav", "amr", "mpga"})
_DOCUMENTS: Final = frozenset(
    (
        *("txt", "markdown", "md", "mdx", "pdf", "html", "htm", "xlsx", "xls"),
        *("vtt", "properties", "doc", "docx", "csv", "eml", "msg", "pptx", "ppt"),
        *("xml", "epub"),
    )
)
_BY_EXTENSION: Final = (
    ("image", _IMAGES),
    ("video", _VIDEOS),
    ("audio", _AUDIO),
    ("document", _DOCUMENTS),
)
# Later words count only if no earlier one is part of the MIME type.
_BY_MIME_TYPE: Final = (
    ("image", "image"),
    ("video", "video"),
    ("audio", "audio"),
    ("text", "document"),
    ("pdf", "document"),
)
_LIMITS: Final = {
    "image": "image_file_size_limit",
    "video": "video_file_size_limit",
    "audio": "audio_file_size_limit",
}
_MEGABYTE: Final = 1024 * 1024

AUDIO_MIME_TYPES: Final = frozenset(f"audio/{extension}" for extension in _AUDIO)
FILE_TYPES: Final = frozenset({"image", "document", "audio", "video", "custom"})


def extension_of(filename: str) -> str:
    """Tell the extension of a file, in small letters and without the dot."""
    return PurePosixPath(filename).suffix.lstrip(".").lower()


def type_of(extension: str, mime_type: str) -> str:
    """Tell the type of a file (section 2.2): by its extension, then by MIME."""
    for kind, extensions in _BY_EXTENSION:
        if extension in extensions:
            return kind
    return next((kind for word, kind in _BY_MIME_TYPE if word in mime_type), "custom")


def size_limit(extension: str, limits: Mapping[str, Any]) -> float:
    """Tell how many bytes a file may have (section 1.10).

    Args:
        extension: Its extension, without the dot.
        limits: The ``system_parameters`` of the app, in MB.
    """
    limit = _LIMITS.get(type_of(extension, ""), "file_size_limit")
    return float(limits[limit]) * _MEGABYTE
