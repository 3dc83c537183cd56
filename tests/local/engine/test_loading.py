"""What is read of an exported app, and what is refused before anything runs."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

from dify_workflow_async.local import (
    App,
    DslError,
    ScenarioError,
    StubModel,
    StubReply,
    Workflow,
    is_dsl,
)
from dify_workflow_async.local.engine import _workflow

from . import _dsl as dsl


@pytest.fixture
def engine(monkeypatch):
    """Let the engine look installed, also where it cannot be."""
    monkeypatch.setattr(_workflow, "require_engine", lambda: None)


BROKEN = [
    ("a: [", "DSL: not YAML"),
    ("- 1", "DSL: must be an object"),
    ("kind: rag_pipeline", "kind: must be 'app', not 'rag_pipeline'"),
    ("kind: app\napp: {mode: chat}", "app.mode: must be 'workflow', not 'chat'"),
    ("kind: app\napp: {mode: workflow}", "workflow: must be an object"),
    (dsl.app(dsl.end(), edges=[]), "must have one start, not 0"),
    (dsl.line(dsl.start(), dsl.node("k", "knowledge-retrieval")), "node 'k': nodes of type 'knowledge-retrieval' do not run here"),
    (dsl.line(dsl.start(), dsl.node("g", "agent")), "node 'g': nodes of type 'agent'"),
    (dsl.line(dsl.start(), dsl.code("", language="javascript")), "node 'code': 'code' in 'javascript'"),
    (dsl.line(dsl.start(), dsl.human(isInLoop=True)), "node 'human': 'human-input' inside an iteration or a loop"),
    (dsl.line(dsl.start({"variable": "x", "type": "colour"})), "node 'start'.variables[0].type: must be one of"),
    ("kind: app\napp: {mode: workflow}\nworkflow: {graph: {nodes: [{id: 1}]}}", "nodes[0].id: must be a text"),
    ("kind: app\napp: {mode: workflow}\nworkflow: {graph: {nodes: [{id: a, data: {}}]}}", "nodes[0].data.type: must be a text"),
    ("kind: app\napp: {mode: workflow}\nworkflow: {graph: {nodes: {}}}", "graph.nodes: must be a list"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_what_cannot_run_is_refused(engine, text, says):
    """The error names the place, and the node with its type."""
    with pytest.raises(DslError) as caught:
        Workflow.from_dsl(text)
    assert says in str(caught.value)


def test_app_is_what_the_export_says(engine, tmp_path):
    """Name, description, icon, features and variables come from the export."""
    text = dsl.line(
        dsl.start(
            {
                "variable": "n",
                "label": "How many",
                "type": "number",
                "default": "3",
                "hint": "unknown keys are passed over",
                "max_length": None,
            }
        ),
        {"type": "custom-note", "id": "note", "data": {}},
        dsl.end(),
        features={"opening_statement": "Hi", "unknown": 1},
    )
    path = tmp_path / "x.yml"
    path.write_text(text)
    app = App.from_dsl(path, description="mine", key="app-k")
    assert (app.name, app.description, app.key) == ("test", "mine", "app-k")
    assert app.parameters == {"opening_statement": "Hi"}
    (variable,) = app.variables
    assert (variable.label, variable.default, variable.max_length) == ("How many", "3", None)  # fmt: skip
    assert is_dsl(path)
    assert not is_dsl("steps: []\n")


@pytest.mark.parametrize(
    ("version", "python", "says"),
    [
        (None, (3, 11), "needs Python 3.12 or 3.13"),
        (None, (3, 12), r"pip install 'dify-workflow-async\[engine\]'"),
        ("0.9.1", (3, 13), "needs graphon 0.8, not 0.9.1"),
    ],
)
def test_engine_that_is_missing(monkeypatch, version, python, says):
    """Without the engine, one sentence says what to install."""

    def tell(name):
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", tell)
    monkeypatch.setattr(sys, "version_info", (*python, 0, "final", 0))
    with pytest.raises(ModuleNotFoundError, match=says):
        App.from_dsl(dsl.line(dsl.start(), dsl.end()))


def test_stub_in_yaml():
    """A stub may be written down; what is wrong in it is said with its place."""
    stub = StubModel.from_yaml(
        "replies: [{text: [a, b], contains: x}, {error: busy}]\n"
    )
    assert stub == StubModel(
        replies=[StubReply(text=["a", "b"], contains="x"), StubReply(error="busy")]
    )
    with pytest.raises(ScenarioError, match=r"replies\[0\].delay: must be a number"):
        StubModel.from_yaml("replies: [{text: a, delay: soon}]\n")
