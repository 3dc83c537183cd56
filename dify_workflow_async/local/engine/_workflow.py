"""Workflow: an app that Dify exported, to be run on Dify's own engine."""

import sys

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from .._errors import DslError, ScenarioError
from .._json import is_object
from .._scenario import Variable
from ._checks import check_document, check_graph, start_variables
from ._settings import CodeLimits, Model, StubModel, describe


# The minor version whose insides were looked at; see pyproject.toml.
ENGINE_VERSION: Final = "0.8"

_EXTRA: Final = "pip install 'dify-workflow-async[engine]'"
_PYTHONS: Final = ((3, 12), (3, 13))

# What the app's features say of themselves in `/parameters`, under the same names.
_FEATURES: Final = (
    "opening_statement",
    "suggested_questions",
    "suggested_questions_after_answer",
    "speech_to_text",
    "text_to_speech",
    "retriever_resource",
    "sensitive_word_avoidance",
    "file_upload",
)


@attrs.frozen(eq=False, kw_only=True)
class Workflow:
    """A workflow that runs on Dify's own engine (extra ``engine``).

    Args:
        dsl: The exported app, as YAML.
        name: The app's name.
        description: What the app says about itself.
        icon: The app's icon.
        icon_background: The colour behind it.
        inputs: The Start node's variables.
        features: The features as ``/parameters`` tells them.
        model: What answers the nodes that ask a language model.
        code: The limits of ``code`` nodes.
    """

    dsl: str = attrs.field(repr=False)
    name: str = "workflow"
    description: str = ""
    icon: str = "\N{ROBOT FACE}"
    icon_background: str = "#FFEAD5"
    inputs: tuple[Variable, ...] = ()
    features: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    model: Model = attrs.field(factory=StubModel)
    code: CodeLimits = attrs.field(factory=CodeLimits)

    @classmethod
    def from_dsl(
        cls,
        source: str | Path,
        *,
        model: Model | None = None,
        code: CodeLimits | None = None,
    ) -> "Workflow":
        """Read an app that Dify exported: ``kind: app``, mode ``workflow``.

        What cannot run here is refused now, or when the server starts and the engine
        looks at it.

        Args:
            source: A path, or the YAML text itself. A text of one line that ends
                in ``.yml`` or ``.yaml`` is taken for a path.
            model: What answers the nodes that ask a language model; a stub that
                echoes if not given.
            code: The limits of ``code`` nodes.

        Raises:
            DslError: It is no such app, or has nodes that do not run here.
            ModuleNotFoundError: The engine, or PyYAML, is not installed.
            OSError: The file cannot be read.
        """
        from .._loading import parse_yaml, text_of

        require_engine()
        text = text_of(source)
        try:
            document = check_document(parse_yaml(text))
        except ScenarioError as exc:
            raise DslError(exc.path, exc.problem) from exc
        nodes = check_graph(document)
        about = document["app"]
        told = document["workflow"].get("features")
        features: dict[str, Any] = told if is_object(told) else {}
        return cls(
            dsl=text,
            name=str(about.get("name") or "workflow"),
            description=str(about.get("description") or ""),
            icon=str(about.get("icon") or "\N{ROBOT FACE}"),
            icon_background=str(about.get("icon_background") or "#FFEAD5"),
            inputs=start_variables(nodes),
            features={key: features[key] for key in _FEATURES if key in features},
            model=model or StubModel(),
            code=code or CodeLimits(),
        )

    def describe(self) -> dict[str, Any]:
        """Tell what an engine process must know."""
        return {"dsl": self.dsl, **describe(self.model, self.code)}


def is_dsl(source: str | Path) -> bool:
    """Tell whether YAML is meant as an exported app, not as a scenario.

    Args:
        source: A path, or the text itself, as of `Workflow.from_dsl`.

    Raises:
        ScenarioError: It is not YAML.
        ModuleNotFoundError: PyYAML is not installed.
        OSError: The file cannot be read.
    """
    from .._loading import parse_yaml

    raw = parse_yaml(source)
    return is_object(raw) and "kind" in raw


def require_engine() -> None:
    """Check that the engine is there, without importing it.

    Raises:
        ModuleNotFoundError: It is not, or it is of another version.
    """
    import importlib.metadata  # which takes a while

    try:
        version = importlib.metadata.version("graphon")
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version is not None and version.startswith(f"{ENGINE_VERSION}."):
        return
    if sys.version_info[:2] not in _PYTHONS:
        needs = "Python 3.12 or 3.13"
    elif version is None:
        needs = f"Dify's engine: {_EXTRA}"
    else:
        needs = f"graphon {ENGINE_VERSION}, not {version}: {_EXTRA}"
    message = f"running exported apps needs {needs}"
    raise ModuleNotFoundError(message, name="graphon")
