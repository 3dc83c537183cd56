"""Measures the client beside all others: ``nox -s bench``.

The load server is one process, and each measurement another, one after the other:
in every round each work is done by each contender in turn, so that whatever else the
machine does meets all of them. Ratios are those of one round.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from typing import Any

import environments
import report

from works import ALL, WORKS, Work


HERE = Path(__file__).parent
IMPORTS = 20  # pairs of imports, at least
IMPORTED = {
    "floor": "aiohttp, attrs, cattrs, orjson, cattrs.preconf.orjson",
    "this": "dify_workflow_async",
}
TIME_IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import {}
print(time.process_time() - cpu, time.perf_counter() - wall)
"""
PACKAGES = ("aiohttp", "attrs", "cattrs", "orjson", "uvloop")
GIVE_UP = 200  # seconds, for one contender and one work


@contextmanager
def served() -> Iterator[str]:
    """Run the load server, and give its address."""
    command = [sys.executable, str(HERE / "server.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()
        server.terminate()


def prepare(address: str, inputs: dict[str, Any]) -> None:
    """Have the server build an answer before anybody is measured with it."""
    connection = HTTPConnection(address.removeprefix("http://"))
    body = json.dumps({"inputs": inputs})
    connection.request("POST", "/v1/workflows/run", body)
    connection.getresponse().read()
    connection.close()


@cache
def expected(work: str, n: int) -> dict[str, Any]:
    """What *n* of a work must give."""
    return WORKS[work].expected(n)


def problem(row: dict[str, Any], want: dict[str, Any]) -> str:
    """What is wrong with what a contender read; empty if nothing is."""
    if row["events"] is not None and row["events"] != want["events"]:
        return f"{row['events']:,} of {want['events']:,} events"
    return "" if row["digest"] == want["digest"] else "the text is another"


def measure(contender: str, name: str, address: str, n: int) -> dict[str, Any]:
    """Do a work with a contender, in a process of its own."""
    row: dict[str, Any] = {"work": name, "contender": contender}
    python = environments.python_of(contender)
    command = [python, str(HERE / "worker.py"), contender, name, address, f"--n={n}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GIVE_UP, check=False
        )
    except subprocess.TimeoutExpired:
        return row | {"problem": f"not done after {GIVE_UP} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return row | {"problem": f"failed: {last.strip(' |')[:100]}"}
    row |= json.loads(done.stdout.splitlines()[-1])
    return row | {"problem": problem(row, expected(name, n))}


def measure_import(contender: str) -> dict[str, Any]:
    """Import in a fresh process; the interpreter's own start is not counted."""
    code = TIME_IMPORT.format(IMPORTED[contender])
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    cpu, wall = map(float, done.stdout.split())
    row = {"work": "import", "contender": contender, "problem": ""}
    return row | {"cpu": cpu, "wall": wall}


def amount(work: Work) -> int:
    """How much of a work this machine allows: a stream is an open file."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = work.n if hard == resource.RLIM_INFINITY else hard - 100
    return min(work.n, room) if work.streams == work.n else work.n


def one_round(
    number: int, args: argparse.Namespace, address: str, failed: set[Any]
) -> Iterator[dict[str, Any]]:
    """Do each work with each contender once."""
    for name in args.works:
        if name == "import":
            for pair in range(math.ceil(IMPORTS / args.rounds)):
                for contender in IMPORTED:
                    row = measure_import(contender)
                    yield row | {"round": number * IMPORTS + pair}
            continue
        work = WORKS[name]
        for contender in work.who:
            is_other = contender in environments.REQUIREMENTS
            if contender not in args.contenders or (name, contender) in failed:
                continue
            if is_other and number >= args.others_rounds:
                continue
            row = measure(contender, name, address, amount(work))
            if "cpu" not in row:
                failed.add((name, contender))  # it would fail again, and slowly
            yield row | {"round": number}


def settings() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    every = [*WORKS, "import"]

    def names(known: list[str]) -> Any:
        def split(text: str) -> list[str]:
            chosen = text.split(",")
            if unknown := set(chosen) - set(known):
                msg = f"{', '.join(unknown)}: choose from {', '.join(known)}"
                raise argparse.ArgumentTypeError(msg)
            return [name for name in known if name in chosen]

        return split

    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--others-rounds",
        type=int,
        help="rounds in which others than floor and this take part; else all",
    )
    parser.add_argument("--works", type=names(every), default=every)
    parser.add_argument("--contenders", type=names(list(ALL)), default=list(ALL))
    parser.add_argument("--json", type=Path, default=HERE / "results.json")
    parser.add_argument("--page", type=Path, help="put the tables into this page")
    parser.add_argument("--plot", type=Path, help="draw into this file")
    args = parser.parse_args()
    if args.others_rounds is None:
        args.others_rounds = args.rounds
    return args


def main() -> None:
    """Measure, keep the results, and report them."""
    args = settings()
    for contender in args.contenders:
        if contender in environments.REQUIREMENTS:
            environments.make(contender)
    kept = facts(args)
    failed: set[Any] = set()
    with served() as address:
        for name in args.works:
            if name != "import" and WORKS[name].inputs:
                prepare(address, WORKS[name].inputs)
        for number in range(args.rounds):
            for row in one_round(number, args, address, failed):
                kept["rows"].append(row)
                tell(row)
            # Whoever has no patience has at least these.
            args.json.write_text(json.dumps(kept, indent=1) + "\n")
    report.publish(kept, args.page, args.plot)


def facts(args: argparse.Namespace) -> dict[str, Any]:
    """What is to be known beside the figures, and room for those."""
    versions = {name: version(name) for name in PACKAGES}
    works = {name: WORKS[name] for name in args.works if name != "import"}
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()}, {platform.machine()}",
        "rounds": args.rounds,
        "scaled": {k: amount(w) for k, w in works.items() if amount(w) != w.n},
        "versions": {platform.python_implementation(): platform.python_version()}
        | versions,
        "rows": [],
    }


def tell(row: dict[str, Any]) -> None:
    """Print a line, for somebody who waits."""
    if row["work"] != "import":
        told = f"{row['cpu']:.2f} s" if "cpu" in row else "no figure"
        what = f"{row['work']:15} {row['contender']:20}"
        print(row["round"] + 1, what, told, row["problem"], flush=True)


if __name__ == "__main__":
    main()
