"""Fails when the hot path needs more instructions than are recorded.

Callgrind counts the instructions of pump.py, which do not depend on what else the
machine does. For a build of Python and of orjson that was recorded, the bound is the
recorded count and 5 %; for any other, it is the recorded ratio to the yardstick, of
the same or the nearest version of Python, and more slack: see bounds.json.

``nox -s speed`` checks, and ``nox -s speed -- --record`` records what it counts.
"""

# ruff: noqa: T201 - a command

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

from importlib.metadata import version
from pathlib import Path
from typing import Any


HERE = Path(__file__).parent
BOUNDS = HERE / "bounds.json"

# Compilers may have made one of the other, so either is a mark: of two that follow
# each other, what is between them is next to nothing.
MARKS = ("Py_SetRecursionLimit", "sys_setrecursionlimit")
NEXT_TO_NOTHING = 1_000_000
PARTS = ("yardstick", "stream", "dispatch")  # in the order of pump.py
SLACK = 0.05
# Builds differ in how much the compiler made of the interpreter, and versions in the
# interpreter itself; the yardstick takes out most of that, not all.
SLACK_OF_RATIO = 0.15


def build() -> str:
    """What else than this package the counts depend on."""
    parts = (sys.version, platform.machine(), f"orjson {version('orjson')}")
    return " ".join(" ".join(parts).split())


def count() -> dict[str, int]:
    """The instructions of each part."""
    valgrind = shutil.which("valgrind")
    assert valgrind is not None, "valgrind is missing"
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "counted")
        command = [
            *(valgrind, "--tool=callgrind", f"--callgrind-out-file={out}"),
            *(f"--dump-before={mark}" for mark in MARKS),
            *(sys.executable, "-s", "-P", str(HERE / "pump.py")),
        ]
        # The size of the environment, and the hashes, would change the counts a little.
        environment = {"PATH": os.defpath, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        dumps = sorted(out.parent.glob("counted.*"), key=lambda p: int(p.suffix[1:]))
        counts = [n for n in map(total, dumps) if n > NEXT_TO_NOTHING]
    if len(counts) <= len(PARTS):  # the first is all before the first mark
        msg = f"callgrind saw none of {', '.join(MARKS)} in {sys.executable}"
        raise SystemExit(msg)
    return dict(zip(PARTS, counts[-len(PARTS) :], strict=True))


def total(dump: Path) -> int:
    """All the instructions that a dump of callgrind tells of."""
    found = re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE)
    assert found is not None, f"callgrind wrote no total into {dump.name}"
    return int(found[1])


def nearest(recorded: dict[str, Any], minor: tuple[int, int]) -> dict[str, Any]:
    """What was recorded for this version of Python, or the one that is nearest."""

    def distance(name: str) -> int:
        major, _, rest = name.partition(".")
        return abs((int(major) - minor[0]) * 100 + int(rest) - minor[1])

    if not recorded:
        msg = "nothing is recorded: nox -s speed -- --record"
        raise SystemExit(msg)
    return recorded[min(recorded, key=distance)]


def check(counts: dict[str, int], known: dict[str, Any]) -> list[str]:
    """What is too slow."""
    same = known["build"] == build()
    slow = []
    for part in PARTS[1:]:
        if same:
            value: float = counts[part]
            bound = known["instructions"][part] * (1 + SLACK)
        else:
            value = counts[part] / counts["yardstick"]
            bound = known["ratios"][part] * (1 + SLACK_OF_RATIO)
        verdict = "too slow" if value > bound else "fine"
        unit = "instructions" if same else "times the yardstick"
        print(f"{part}: {value:,.10g} {unit}, at most {bound:,.10g}: {verdict}")
        if value > bound:
            slow.append(part)
    return slow


def main() -> None:
    """Count, and check or record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    counts = count()
    bounds = json.loads(BOUNDS.read_text()) if BOUNDS.exists() else {}
    minor = sys.version_info[:2]
    if args.record:
        bounds["{}.{}".format(*minor)] = {
            "build": build(),
            "instructions": counts,
            "ratios": {
                part: round(counts[part] / counts["yardstick"], 4) for part in PARTS[1:]
            },
        }
        text = json.dumps(dict(sorted(bounds.items())), indent=2)
        BOUNDS.write_text(f"{text}\n")
        print(text)
    elif slow := check(counts, nearest(bounds, minor)):
        msg = f"{', '.join(slow)}: more instructions than recorded in {BOUNDS.name}"
        raise SystemExit(msg)


if __name__ == "__main__":
    main()
