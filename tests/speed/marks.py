"""What tells callgrind where one part ends and the next begins: see guard.py."""

from __future__ import annotations

import sys


NAMES = ("Py_SetRecursionLimit", "sys_setrecursionlimit")
"""How callgrind knows a mark. Compilers may have made one of the other, so either is
one: of two that follow each other, what is between them is next to nothing."""


def mark() -> None:
    """Have callgrind write down what it has counted since the mark before.

    It is the call of a function in C that nothing else calls.
    """
    sys.setrecursionlimit(1000)
