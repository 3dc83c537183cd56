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
from types import ModuleType

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

import dify_workflow_async


PACKAGE = dify_workflow_async.__name__
# A process of its own, which only the engine needs; and the command.
UNSEEN = ("__main__", "worker", "cli")

log = logging.getLogger(__name__)


def load(name: str) -> Iterator[tuple[str, ModuleType]]:
    """Import a module and all below it, private ones included."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if "._" not in name or str(error.name).startswith(PACKAGE):
            raise
        return  # It needs an extra that is not installed.
    yield name, module
    for inner in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if inner.name not in UNSEEN:
            yield from load(f"{name}.{inner.name}")


@cache
def loaded() -> dict[str, ModuleType]:
    return dict(load(PACKAGE))


def public() -> Iterator[tuple[str, str, object]]:
    """Each public name, with its module and its value."""
    for module, here in loaded().items():
        if "._" not in module:
            yield from ((module, name, getattr(here, name)) for name in here.__all__)


def said() -> dict[str, list[tuple[object, list[str]]]]:
    """By name: each value of a module below which something is said, and that."""
    found: dict[str, list[tuple[object, list[str]]]] = defaultdict(list)
    for module, here in loaded().items():
        docs = ModuleAnalyzer.for_module(module).find_attr_docs()
        for (scope, name), lines in docs.items():
            if not scope:
                found[name].append((getattr(here, name, None), lines))
    return found


def lend(_app: Sphinx) -> None:
    """Let the public modules say what the private ones say of the same values.

    Sphinx keeps one analyzer for each module, and autodoc asks that.
    """
    texts = said()
    for module, name, value in public():
        docs = ModuleAnalyzer.for_module(module).find_attr_docs()
        for other, lines in texts.get(name, ()):
            if other is value:
                docs.setdefault(("", name), lines)


def check(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of each public name that no page has, here or where it comes from."""
    shown = defaultdict(list)
    for full in env.domains.python_domain.objects:
        module, _, name = full.rpartition(".")
        if module in loaded():
            shown[name].append(getattr(loaded()[module], name, None))
    for module, name, value in public():
        is_module = f"{module}.{name}" in loaded()
        if not is_module and not any(value is other for other in shown[name]):
            log.warning("no page of the reference has %s.%s", module, name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", lend)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True}
