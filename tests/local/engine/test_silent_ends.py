"""The server hears of the end of every run, also if the engine does not tell it."""

from __future__ import annotations

import queue
import threading

import pytest

from dify_workflow_async.local import App
from dify_workflow_async.local._file_links import FileLinks

from . import _dsl as dsl


ORDER = {"workflow_id": "", "started_at": 0.0, "system": {}, "inputs": {}}


@pytest.fixture
def begin(apps, tmp_path):
    """Give a function that begins a run in this process, and gives its facts."""
    from dify_workflow_async.local.engine.worker._graph import LoadedGraph
    from dify_workflow_async.local.engine.worker._run import EngineRun

    def start() -> queue.Queue[dict[str, object]]:
        text = dsl.line(dsl.start(), dsl.end())
        graph = LoadedGraph(App.from_dsl(text).behaviour.describe())
        facts: queue.Queue[dict[str, object]] = queue.Queue()
        links = FileLinks(access_timeout=0)
        run = EngineRun(graph, ORDER, folder=tmp_path, links=links, send=facts.put)
        run.begin()
        return facts

    return start


def until_the_end(facts: queue.Queue[dict[str, object]]) -> list[object]:
    """Read facts until the one that ends a run, and what that says."""
    names = []
    while True:
        fact = facts.get(timeout=10)
        names.append(fact["fact"])
        if fact["fact"] in ("succeeded", "failed", "aborted"):
            return [*names, fact.get("error")]


def test_engine_that_tells_its_end(begin):
    """A run as it should be ends with one fact."""
    facts = until_the_end(begin())
    assert facts[-2:] == ["succeeded", None]


def test_engine_that_returns_without_an_end(begin, monkeypatch):
    """A run whose engine returns in silence has failed, and says why."""
    from dify_workflow_async.local.engine.worker import _run

    class Silent(_run.Engine):
        def run(self):
            return iter(())

    monkeypatch.setattr(_run, "Engine", Silent)
    facts = until_the_end(begin())
    assert facts == ["failed", "the engine ended the run without a word"]


def test_engine_that_goes_on_after_its_end(begin, monkeypatch):
    """What comes after the end does not undo it: the run has one end."""
    from dify_workflow_async.local.engine.worker import _run

    class Talkative(_run.Teller):
        def tell(self, event, state):
            fact = super().tell(event, state)
            return fact or {"fact": "chunk", "selector": ["a", "b"], "text": "x"}

    class Failing(_run.Engine):
        def run(self):
            yield from super().run()
            self._event_stream.notify_layers(_run.EngineEvent())
            raise ValueError

    monkeypatch.setattr(_run, "Engine", Failing)
    monkeypatch.setattr(_run, "Teller", Talkative)
    before = set(threading.enumerate())
    facts = begin()
    own = set(threading.enumerate()) - before
    assert until_the_end(facts)[-2:] == ["succeeded", None]
    assert facts.get(timeout=10)["fact"] == "chunk"
    for thread in own:
        thread.join(10)
    assert facts.empty()
