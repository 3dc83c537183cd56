"""What servers of different versions do differently."""

from __future__ import annotations

from collections.abc import Mapping


Headers = Mapping[str, str]


def speaks_after_end(headers: Headers) -> bool:
    """True if speech may follow ``workflow_finished``: servers up to 1.12 send it."""
    version = server_version(headers)
    return version is None or version < (1, 13)


def server_version(headers: Headers) -> tuple[int, int] | None:
    """Major and minor number of the header ``X-Version``; None if it tells none."""
    major, _, rest = headers.get("X-Version", "").partition(".")
    minor = rest.partition(".")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        return None
    return int(major[:9]), int(minor[:9])
