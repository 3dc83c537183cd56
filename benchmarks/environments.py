"""Where the contenders are installed: an environment for each.

Two of them have the same import name, and all have their own demands on httpx.
"""

from __future__ import annotations

import subprocess
import sys

from pathlib import Path


ROOT = Path(".nox", "bench-envs")

# The versions that were measured. What they need is not pinned.
REQUIREMENTS = {
    "handmade": ("httpx>=0.28", "httpx-sse>=0.4", "pydantic>=2.14"),
    "dify-client-python": ("dify-client-python==1.0.3",),
    "dify-oapi2": ("dify-oapi2==1.1.2",),
    "dify-sdk": ("dify-sdk==0.1.28",),
    "dify-api-client": ("dify-api-client==0.0.23",),
}


def python_of(contender: str) -> str:
    """The Python that a contender runs in."""
    if contender not in REQUIREMENTS:
        return sys.executable
    return str(ROOT / contender / "bin" / "python")


def make(contender: str) -> None:
    """Make a contender's environment, unless it is there."""
    root = ROOT / contender
    complete = root / "complete"
    wanted = " ".join((sys.version, *REQUIREMENTS[contender]))
    if complete.exists() and complete.read_text() == wanted:
        return
    virtualenv = [sys.executable, "-m", "virtualenv", "--clear", "-q", str(root)]
    subprocess.run(virtualenv, check=True)
    pip = [python_of(contender), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, *REQUIREMENTS[contender]], check=True)
    complete.write_text(wanted)
