"""The reference tells of everything that is public, and its tables are true."""

from __future__ import annotations

import importlib
import re
import runpy

from pathlib import Path

import attrs
import pytest

from dify_workflow_async.events import EVENTS

from .test_packaging import PUBLIC


DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "reference").glob("*.md"))

DIRECTIVE = re.compile(r"^\.\. (\w+):: ([\w.]+)$", re.MULTILINE)


def documented(text: str) -> set[str]:
    """Full names of all that the directives of autodoc on a page document."""
    names: set[str] = set()
    module = ""
    for directive, name in DIRECTIVE.findall(text):
        match directive:
            case "currentmodule":
                module = name
            case "automodule":
                module = name
                public = importlib.import_module(name).__all__
                names |= {f"{name}.{each}" for each in public}
            case _:
                assert directive.startswith("auto"), directive
                names.add(name if name.startswith(module) else f"{module}.{name}")
    return names


@pytest.fixture(scope="module")
def reference() -> set[str]:
    return set().union(*(documented(page.read_text("utf-8")) for page in PAGES))


def home_of(module: str, name: str, reference: set[str]) -> str | None:
    """The documented name of what *module* exports as *name*."""
    value = getattr(importlib.import_module(module), name)
    for full in reference:
        where, _, last = full.rpartition(".")
        if last == name and getattr(importlib.import_module(where), last) is value:
            return full
    return None


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module, reference):
    """What a module exports has a page, under this name or where it comes from."""
    names = importlib.import_module(module).__all__
    modules = {each.rpartition(".")[2] for each in PUBLIC}

    assert [
        name
        for name in names
        if name not in modules and home_of(module, name, reference) is None
    ] == []


def test_the_tables_of_events_are_those_of_the_classes():
    """To write them anew: ``python docs/_make/events.py``."""
    make = runpy.run_path(str(DOCS / "_make" / "events.py"))
    page = make["PAGE"].read_text("utf-8")

    assert make["page"](page) == page
    for name, cls in EVENTS.items():
        assert f"\n### {name}\n" in page
        for field in attrs.fields(cls):
            assert f"`{field.name}`" in page
