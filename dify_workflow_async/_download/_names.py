"""File names that come from elsewhere, made safe to use here."""

from __future__ import annotations

import re

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit


_EXTENDED = re.compile(r"filename\*\s*=\s*([\w-]+)'[^']*'([^;\s]+)", re.IGNORECASE)
_PLAIN = re.compile(
    r"filename\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\s]+))", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"|?*]')
# Names that are devices on Windows, whatever their extension.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)

_LONGEST = 200
"""Bytes of a name; file systems take 255, and something may be added."""


def name_in(headers: Mapping[str, str], url: str = "") -> str | None:
    """The file name that an answer tells (RFC 6266), or failing that its URL."""
    value = headers.get("Content-Disposition", "")
    if found := _EXTENDED.search(value):
        charset, name = found.groups()
        try:
            return unquote(name, encoding=charset, errors="replace")
        except LookupError:  # no such character set
            return unquote(name, errors="replace")
    if found := _PLAIN.search(value):
        quoted, bare = found.groups()
        return bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return unquote(urlsplit(url).path.rpartition("/")[2]) or None


def safe_name(name: str | None) -> str:
    """The last component of *name*, without what means something to a file system.

    Neither slashes nor leading dots nor what cannot be seen stays in it.
    """
    name = (name or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in name if char.isprintable())
    name = _FORBIDDEN.sub("_", name).lstrip(". ").rstrip(". ")
    name = _DEVICE.sub(r"_\1", name) if _DEVICE.match(name) else name
    return _shortened(name) or "download"


def _shortened(name: str) -> str:
    """The name, shortened before its extension if it is too long."""
    if len(name.encode()) <= _LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    ending = f"{dot}{extension}" if stem and len(extension) <= 20 else ""
    room = _LONGEST - len(ending.encode())
    return name.encode()[:room].decode(errors="ignore") + ending
