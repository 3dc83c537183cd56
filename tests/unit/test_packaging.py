"""What is installed is whole, and is what the other tests test."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import os
import pkgutil
import subprocess
import sys

from pathlib import Path
from types import ModuleType

import pytest

import dify_workflow_async


DISTRIBUTION = "dify-workflow-async"
PACKAGE = "dify_workflow_async"
HOME = Path(dify_workflow_async.__file__).resolve().parent
CHECKOUT = Path(__file__).resolve().parents[2] / PACKAGE

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(HOME)], f"{PACKAGE}.")
    if not module.name.endswith("__main__")
)
PUBLIC = [
    PACKAGE,
    *(name for name in MODULES if "._" not in name and not name.endswith(".cli")),
]

# The commands may import what users import; below them, order must not matter.
ROOMS = [name for name in MODULES if name.count(".") == 1 and name != f"{PACKAGE}.cli"]

IMPORT_EACH_ALONE = """
import importlib, sys, types

package, home, *rooms = sys.argv[1:]
for room in rooms:
    for loaded in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[loaded]
    # An empty package: the real one would import the other rooms first.
    sys.modules[package] = types.ModuleType(package)
    sys.modules[package].__path__ = [home]
    importlib.import_module(room)
    print(room)
"""


def test_tests_use_the_copy_they_are_meant_to():
    """Nox names the environment of the built package; by hand it is the checkout."""
    environment = os.environ.get("DIFY_WORKFLOW_TESTED_IN")

    if environment:
        assert HOME.is_relative_to(Path(environment).resolve())
        assert HOME.parent.name == "site-packages"
    else:
        assert CHECKOUT == HOME


def test_the_package_says_that_it_is_typed():
    """Type checkers look for this file."""
    assert (HOME / "py.typed").is_file()


@pytest.mark.parametrize("name", ["aiohttp_web", "starlette"])
def test_an_integration_is_small(name):
    """Each is under a hundred lines, so that who uses another framework can copy it."""
    lines = (HOME / "integrations" / f"{name}.py").read_text().splitlines()

    assert len(lines) < 100


def test_version_is_the_one_of_the_metadata():
    """It is written in one place only, the tag."""
    assert dify_workflow_async.__version__ == importlib.metadata.version(DISTRIBUTION)


def test_each_module_can_be_imported_alone():
    """No module works only because another one was imported before it."""
    script = [sys.executable, "-W", "error", "-c", IMPORT_EACH_ALONE]
    done = subprocess.run(
        [*script, PACKAGE, str(HOME), *ROOMS],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.stderr == ""
    assert done.stdout.split() == ROOMS


def by_case(name: str) -> tuple[int, str]:
    """Sort as the linter does: CONSTANTS, then Classes, then everything else."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def own_public_names(module: ModuleType) -> set[str]:
    """Tell the classes and functions that a reader would take for public.

    These are the ones without underscore that come from the module or one below it,
    so in the package itself all of ours.
    """
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith(module.__name__)
    }


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_sorted_and_complete(name):
    """``__all__`` is the table of contents of a public module."""
    module = importlib.import_module(name)
    names = list(module.__all__)

    assert names == sorted(set(names), key=by_case)
    assert own_public_names(module) <= set(names)
    assert [each for each in names if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", sorted(dify_workflow_async.__all__))
def test_what_is_imported_late_is_what_is_imported(name):
    """What the package looks up by itself is what it shows once that was imported.

    What other tests imported before is found without a look.
    """
    shown = getattr(dify_workflow_async, name)
    try:
        found = dify_workflow_async.__getattr__(name)
    except AttributeError:
        assert name in vars(dify_workflow_async)  # it was never late
    else:
        assert found == shown
