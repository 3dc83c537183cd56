"""What can be told of a DSL without the engine: whether it can run here at all."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from .._errors import DslError, ScenarioError
from .._json import is_list, is_mapping
from .._loading import read_value
from .._scenario import Variable


SUPPORTED: Final = frozenset(
    (
        *("start", "end", "if-else", "template-transform", "code", "llm"),
        *("iteration", "iteration-start", "loop", "loop-start", "loop-end"),
        *("http-request", "human-input", "document-extractor", "list-operator"),
        *("variable-aggregator", "variable-assigner", "assigner"),
        *("question-classifier", "parameter-extractor"),
    )
)

_NOTE: Final = "custom-note"  # a remark on the canvas


def check_document(raw: Any) -> Mapping[str, Any]:
    """Check that a document is an exported workflow app.

    Raises:
        DslError: It is something else.
    """
    document = _object(raw, "")
    kind = document.get("kind")
    if kind != "app":
        _refuse("kind", f"must be 'app', not {kind!r:.40}")
    mode = _object(document.get("app"), "app").get("mode")
    if mode != "workflow":
        _refuse("app.mode", f"must be 'workflow', not {mode!r:.40}")
    return document


def check_graph(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Check that every node is of a kind that runs here, and list them.

    Raises:
        DslError: A node is not, or there are none.
    """
    workflow = _object(document.get("workflow"), "workflow")
    graph = _object(workflow.get("graph"), "workflow.graph")
    nodes = list(_nodes(graph))
    for node in nodes:
        _check_node(node)
    starts = sum(node["data"]["type"] == "start" for node in nodes)
    if starts != 1:
        _refuse("workflow.graph.nodes", f"must have one start, not {starts}")
    return nodes


def start_variables(nodes: list[Mapping[str, Any]]) -> tuple[Variable, ...]:
    """Read the variables of the Start node.

    Raises:
        DslError: A variable is none that the server knows.
    """
    start = next(node for node in nodes if node["data"]["type"] == "start")
    path = f"node {start['id']!r}.variables"
    given: Any = start["data"].get("variables") or []
    if not is_list(given):
        _refuse(path, "must be a list")
    return tuple(_variable(one, f"{path}[{index}]") for index, one in enumerate(given))


def _variable(raw: Any, path: str) -> Variable:
    known = Variable.__annotations__
    values = {
        key: value
        for key, value in _object(raw, path).items()
        if key in known and value is not None
    }
    try:
        variable: Variable = read_value(Variable, values, path)
    except ScenarioError as exc:
        raise DslError(exc.path, exc.problem) from exc
    return variable


def _nodes(graph: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    raw = graph.get("nodes")
    if not is_list(raw):
        _refuse("workflow.graph.nodes", "must be a list")
    for index, one in enumerate(raw):
        path = f"workflow.graph.nodes[{index}]"
        node = _object(one, path)
        if node.get("type") == _NOTE:
            continue
        if not isinstance(node.get("id"), str):
            _refuse(f"{path}.id", "must be a text")
        data = _object(node.get("data"), f"{path}.data")
        if not isinstance(data.get("type"), str):
            _refuse(f"{path}.data.type", "must be a text")
        yield node


def _check_node(node: Mapping[str, Any]) -> None:
    """Refuse what would only fail when it runs."""
    data = node["data"]
    kind, path = data["type"], f"node {node['id']!r}"
    if kind not in SUPPORTED:
        _refuse(path, f"nodes of type {kind!r} do not run here")
    if kind == "code" and data.get("code_language") != "python3":
        language = data.get("code_language")
        _refuse(path, f"{kind!r} in {language!r} does not run here, only Python")
    if kind == "human-input" and (data.get("isInIteration") or data.get("isInLoop")):
        message = f"{kind!r} inside an iteration or a loop does not run here"
        _refuse(path, message)


def _refuse(path: str, problem: str) -> NoReturn:
    raise DslError(path, problem)


def _object(raw: Any, path: str) -> Mapping[str, Any]:
    if not is_mapping(raw):
        _refuse(path, f"must be an object, not {raw!r:.60}")
    return raw
