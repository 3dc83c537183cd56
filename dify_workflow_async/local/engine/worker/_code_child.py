"""Runs one program with little memory; started as a script, so it imports little."""

import json
import linecache
import sys
import traceback


_NAME = "main.py"


def main() -> None:
    """Read a program from standard input and run it."""
    order = json.load(sys.stdin.buffer)
    _limit(order["megabytes"] * 1024 * 1024)
    code = order["code"]
    # So that tracebacks show its lines.
    linecache.cache[_NAME] = (len(code), None, code.splitlines(keepends=True), _NAME)
    try:
        exec(compile(code, _NAME, "exec"), {"__name__": "__main__"})  # noqa: S102
    except Exception as exc:  # noqa: BLE001 - whatever the code does
        own = exc.__traceback__
        traceback.print_exception(exc.with_traceback(own and own.tb_next))
        sys.exit(1)


def _limit(size: int) -> None:
    try:
        import resource
    except ModuleNotFoundError:  # not on this system
        return
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


main()
