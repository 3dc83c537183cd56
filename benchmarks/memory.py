"""How much memory this process has, and had; on Linux."""

from __future__ import annotations

import gc
import re

from pathlib import Path


_SELF = Path("/proc/self")


def _status(name: str) -> int:
    found = re.search(
        rf"^{name}:\s*(\d+) kB", (_SELF / "status").read_text(), re.MULTILINE
    )
    assert found is not None, f"no {name} in /proc/self/status"
    return int(found[1]) * 1024


def now() -> int:
    """Bytes of memory in use, garbage not counted."""
    gc.collect()
    return _status("VmRSS")


def peak() -> int:
    """The most bytes that were in use since the start, or since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Begin again with what is in use now."""
    (_SELF / "clear_refs").write_text("5")
