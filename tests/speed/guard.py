"""Fails when the hot paths need more instructions than are recorded, or than is right.

Callgrind counts the instructions of pump.py and relaying.py, which do not depend on
what else the machine does. For a build of Python and of orjson that was recorded, the
bound is the recorded count and 5 %; for any other, it is the recorded ratio to the
yardstick, of the same or the nearest version of Python, and more slack: see
bounds.json. What relaying costs is always compared with reading, in the same way, and
is at most twice as much whatever was recorded.

``nox -s speed`` checks, and ``nox -s speed -- --record`` records what it counts.
"""

# ruff: noqa: T201 - a command

from __future__ import annotations

import argparse
import json
import math
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

import marks


HERE = Path(__file__).parent
BOUNDS = HERE / "bounds.json"

NEXT_TO_NOTHING = 1_000_000
PROGRAMS = {  # with their parts, in their order
    "pump.py": ("yardstick", "stream", "dispatch"),
    "relaying.py": (
        *("read", "relay", "hub"),
        *("read one by one", "relay one by one", "hub one by one"),
    ),
}
COMPARED = {
    "stream": "yardstick",
    "dispatch": "yardstick",
    "relay": "read",
    "hub": "read",
    "relay one by one": "read one by one",
    "hub one by one": "read one by one",
}
AT_MOST = 2.0
"""Times as much as reading an event, relaying it may cost."""

SLACK = 0.05
# Builds differ in how much the compiler made of the interpreter, and versions in the
# interpreter itself; the yardstick takes out most of that, not all.
SLACK_OF_RATIO = 0.15


def build() -> str:
    """What else than this package the counts depend on."""
    parts = (sys.version, platform.machine(), f"orjson {version('orjson')}")
    return " ".join(" ".join(parts).split())


def count(program: str) -> dict[str, int]:
    """The instructions of each part of a program."""
    parts = PROGRAMS[program]
    valgrind = shutil.which("valgrind")
    assert valgrind is not None, "valgrind is missing"
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "counted")
        command = [
            *(valgrind, "--tool=callgrind", f"--callgrind-out-file={out}"),
            *(f"--dump-before={name}" for name in marks.NAMES),
            *(sys.executable, "-s", str(HERE / program)),
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
    if len(counts) <= len(parts):  # the first is all before the first mark
        msg = f"callgrind saw none of {', '.join(marks.NAMES)} in {sys.executable}"
        raise SystemExit(msg)
    return dict(zip(parts, counts[-len(parts) :], strict=True))


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


def ratios(counts: dict[str, int]) -> dict[str, float]:
    """How much more each part needs than the one that it is compared with."""
    return {part: counts[part] / counts[other] for part, other in COMPARED.items()}


def check(counts: dict[str, int], known: dict[str, Any]) -> list[str]:
    """What is too slow."""
    same = known["build"] == build()
    slow = []
    for part, ratio in ratios(counts).items():
        value, unit = ratio, f"times {COMPARED[part]}"
        recorded = known["ratios"].get(part, math.inf)  # relays may not be
        bound = recorded * (1 + SLACK_OF_RATIO)
        if COMPARED[part] != "yardstick":
            bound = min(bound, AT_MOST)
        elif same:
            value, unit = counts[part], "instructions"
            bound = known["instructions"][part] * (1 + SLACK)
        verdict = "too slow" if value > bound else "fine"
        print(f"{part}: {value:,.10g} {unit}, at most {bound:,.10g}: {verdict}")
        if value > bound:
            slow.append(part)
    return slow


def main() -> None:
    """Count, and check or record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    counts = {}
    for program in PROGRAMS:
        counts |= count(program)
    bounds = json.loads(BOUNDS.read_text()) if BOUNDS.exists() else {}
    minor = sys.version_info[:2]
    if args.record:
        bounds["{}.{}".format(*minor)] = {
            "build": build(),
            "instructions": counts,
            "ratios": {part: round(x, 4) for part, x in ratios(counts).items()},
        }
        text = json.dumps(dict(sorted(bounds.items())), indent=2)
        BOUNDS.write_text(f"{text}\n")
        print(text)
    elif slow := check(counts, nearest(bounds, minor)):
        msg = f"{', '.join(slow)}: more instructions than {BOUNDS.name} allows"
        raise SystemExit(msg)


if __name__ == "__main__":
    main()
