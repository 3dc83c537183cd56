"""Runs the targets with atheris: ``python tests/fuzz/fuzz.py [--seconds N] [TARGET ...]``.

What it finds interesting goes to a directory of its own, what breaks a target is shown
and kept beside it. ``--keep DIRECTORY`` says where; ``--seed`` writes the first corpus
from the recordings instead.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile

from pathlib import Path


HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
LARGEST = 4096
SECONDS_FOR_ONE = 5
"""A hang, for an input of 4 KB that takes less than a millisecond."""


def main() -> int:
    """Run each target in a process of its own, since the fuzzer ends with its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", type=Path, help="where findings go")
    parser.add_argument("--seed", action="store_true", help="write the first corpus")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args()
    if args.seed:
        seed()
        return 0
    keep = args.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    if args.here:
        fuzz(args.here, keep, args.seconds)
    names = args.targets or sorted(each.name for each in CORPUS.iterdir())
    broken = []
    for name in names:
        command = [sys.executable, "-P", __file__, "--here", name]
        command += ["--seconds", str(args.seconds), "--keep", str(keep)]
        print(f"{name}: {args.seconds} s", flush=True)
        if subprocess.run(command, check=False).returncode:
            broken.append(name)
    print(f"{', '.join(broken)}: broken, see {keep}" if broken else "nothing was found")
    return bool(broken)


def fuzz(name: str, keep: Path, seconds: int) -> None:
    """Let atheris try one target; it ends the process."""
    atheris = importlib.import_module("atheris")  # not for all Pythons
    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=["dify_workflow_async"]):
        targets = importlib.import_module("targets")
    found = keep / name
    found.mkdir(parents=True, exist_ok=True)
    options = [
        *(f"-max_total_time={seconds}", f"-timeout={SECONDS_FOR_ONE}"),
        *(f"-max_len={LARGEST}", "-rss_limit_mb=1024", "-print_final_stats=1"),
        f"-artifact_prefix={keep / name}-",
    ]
    # The first directory is written to, the others are only read.
    atheris.Setup(
        [sys.argv[0], *options, str(found), str(CORPUS / name)], targets.TARGETS[name]
    )
    atheris.Fuzz()


def seed() -> None:
    """Take a little of everything that the recordings have."""
    streams: set[bytes] = set()
    bodies: set[bytes] = set()
    for path in sorted((HERE.parent / "recordings").glob("*/*.http")):
        head, _, body = path.read_bytes().partition(b"\r\n\r\n")
        if b"Transfer-Encoding: chunked" in head:
            body = joined(body)
        (streams if b"event-stream" in head else bodies).add(body)
    frames = {x for body in streams for x in body.split(b"\n\n") if len(x) < 1000}
    ends = {body[-1500:] for body in streams} | {body[:1500] for body in streams}
    events = {frame[6:] for frame in frames if frame.startswith(b"data: ")}
    write("sse", b"\x07", ends)
    write("stream", b"\x00\x00", ends)
    write("wire", b"", events | bodies)
    for choice in range(12):
        write("answers", bytes([choice, 150, 0]), bodies, first=choice, most=2)


def joined(chunked: bytes) -> bytes:
    """Join the chunks of a body."""
    body = b""
    while chunked:
        size, _, chunked = chunked.partition(b"\r\n")
        body += chunked[: int(size, 16)]
        chunked = chunked[int(size, 16) + 2 :]
    return body


def write(
    name: str, prefix: bytes, bodies: set[bytes], *, first: int = 0, most: int = 12
) -> None:
    """Write some of these, short ones and long ones, for one target."""
    home = CORPUS / name
    home.mkdir(parents=True, exist_ok=True)
    some = sorted((x for x in bodies if 0 < len(x) <= 1500), key=lambda x: (len(x), x))
    for data in some[first :: max(1, len(some) // most)][:most]:
        number = len(list(home.iterdir()))
        home.joinpath(f"recorded-{number:02}").write_bytes(prefix + data)


if __name__ == "__main__":
    sys.exit(main())
