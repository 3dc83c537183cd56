"""Build with ``nox -s docs``; needs no network."""

import sys

from importlib.metadata import version as installed_version
from pathlib import Path

from docutils.nodes import Element, TextElement
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


sys.path.append(str(Path(__file__).with_name("_make")))

project = "dify-workflow-async"
author = "The dify-workflow-async developers"
copyright = f"2026, {author}"  # noqa: A001
release = installed_version(project)
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "command_line",  # of ours, in _make
    "public",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = project
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "any"  # `WorkflowClient` in a docstring is a reference
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"
napoleon_use_ivar = True

copybutton_exclude = ".linenos, .gp, .go"

nitpicky = True
FOREIGN = (  # their manuals are on the network
    "aiohttp altair asyncio attr attrs collections concurrent contextlib datetime decimal enum"
    " fnmatch http logging multidict os pathlib ssl starlette types typing uuid yarl"
)
ALIASES = "PathLike|Inputs|Files|Tell|Rows|Key|OnProgress|OnCancel|Verb|Decimal"
nitpick_ignore_regex = [
    (r"py:.*|any", rf"({FOREIGN.replace(' ', '|')})(\..*)?"),
    (
        r"py:class",
        rf"{ALIASES}|dify_workflow_async\.relay\._streams\.Stream",
    ),  # aliases, whose page tells what they are
    # Type variables are nothing to link to.
    (r"py:(class|obj)", r"(dify_workflow_async\.\S+\.)?(_?[A-Z]\d?(_co)?|AnyHandler)"),
]

PACKAGE = "dify_workflow_async"


def to_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: TextElement
) -> Element | None:
    """Find ``dify_workflow_async._run.RunStream`` where readers import it from.

    Annotations name the private module that a class is written in.
    """
    path, _, name = node.get("reftarget", "").rpartition(".")
    parts = path.split(".")
    if parts[0] != PACKAGE or not any(part.startswith("_") for part in parts):
        return None
    public = ".".join(part for part in parts if not part.startswith("_"))
    return env.domains.python_domain.resolve_xref(
        env,
        node["refdoc"],
        app.builder,
        node["reftype"],
        f"{public}.{name}",
        node,
        text,
    )


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", to_public_name)
