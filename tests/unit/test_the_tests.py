"""The tests themselves: none of them may assert nothing."""

from __future__ import annotations

import ast

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest


TESTS = Path(__file__).parents[1]

# What a test may say besides ``assert``, and helpers that assert for many.
ASSERTING = {"raises", "warns", "fail"}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def called(node: ast.AST) -> Iterator[str]:
    """The last names of all that *node* calls."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            match call.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name


@cache
def asserting_helpers() -> set[str]:
    """Functions, fixtures included, that assert something themselves."""
    return {
        function.name
        for path in TESTS.rglob("*.py")
        for function in functions(path)
        if any(isinstance(node, ast.Assert) for node in ast.walk(function))
    }


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=f"{path.parent.name}-{path.stem}")
        for path in sorted(TESTS.rglob("test_*.py"))
    ],
)
def test_every_test_asserts_something(path):
    """A test without an assertion would pass if the code it tests were deleted."""
    helpers = asserting_helpers() | ASSERTING
    idle = [
        function.name
        for function in functions(path)
        if function.name.startswith("test_")
        and not any(isinstance(node, ast.Assert) for node in ast.walk(function))
        and helpers.isdisjoint(called(function))
    ]
    assert idle == []
