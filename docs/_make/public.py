"""A Sphinx extension: all that is public is shown, and nothing of it is forgotten.

Autodoc finds what is said below a constant or an alias only in the module that it
documents; ours are written in private modules and imported from public ones. And it
passes over names about which nothing is said: here that is a warning, so that the build
fails.
"""

from __future__ import annotations

import importlib
import pkgutil

from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

import dify_workflow_async


PACKAGE = dify_workflow_async.__name__
# A process of its own, which only the engine needs; and the command.
UNSEEN = ("__main__", "worker", "cli")

log = logging.getLogger(__name__)


def modules(path: list[str], prefix: str) -> Iterator[str]:
    """Names of all modules below *prefix*, private ones included."""
    for module in pkgutil.iter_modules(path, f"{prefix}."):
        if module.name.rpartition(".")[2] not in UNSEEN:
            yield module.name
            if module.ispkg:
                package = importlib.import_module(module.name)
                yield from modules(list(package.__path__), module.name)


@cache
def all_modules() -> list[str]:
    return [PACKAGE, *modules(list(dify_workflow_async.__path__), PACKAGE)]


def public_modules() -> list[str]:
    return [name for name in all_modules() if "._" not in name]


def said() -> dict[str, list[tuple[object, list[str]]]]:
    """By name: each value of a module below which something is said, and that."""
    found: dict[str, list[tuple[object, list[str]]]] = defaultdict(list)
    for name in all_modules():
        here = importlib.import_module(name)
        for (scope, attribute), lines in (
            ModuleAnalyzer.for_module(name).find_attr_docs().items()
        ):
            if not scope:
                found[attribute].append((getattr(here, attribute, None), lines))
    return found


def lend(_app: Sphinx) -> None:
    """Let the public modules say what the private ones say of the same values.

    Sphinx keeps one analyzer for each module, and autodoc asks that.
    """
    texts = said()
    for module in public_modules():
        analyzer = ModuleAnalyzer.for_module(module)
        here = importlib.import_module(module)
        for name in here.__all__:
            for value, lines in texts.get(name, ()):
                if value is getattr(here, name):
                    analyzer.attr_docs.setdefault(("", name), lines)


def check(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of each public name that no page has."""
    shown = defaultdict(list)
    for full in env.domains.python_domain.objects:
        module, _, name = full.rpartition(".")
        shown[name].append(module)
    for module in public_modules():
        here = importlib.import_module(module)
        for name in here.__all__:
            full = f"{module}.{name}"
            value = getattr(here, name)
            if full not in all_modules() and not any(
                getattr(importlib.import_module(other), name, None) is value
                for other in shown[name]
                if other in all_modules()
            ):
                log.warning("no page of the reference has %s", full)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", lend)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True}
