"""Models are values; a result says whether the run succeeded."""

from __future__ import annotations

import copy
import pickle

import attrs
import pytest

from dify_workflow_async import models
from dify_workflow_async.errors import RunFailed, RunPaused, RunStopped
from dify_workflow_async.events import NodeFinished
from dify_workflow_async.models import PauseReason, RunDetail, RunResult


CLASSES = [
    value
    for name in models.__all__
    if attrs.has(value := getattr(models, name))  # not the constants
]


# What cannot be made of nothing.
REQUIRED = {
    models.RunRef: {"workflow_run_id": "r"},
    models.Recovered: {"breaks": 1, "seconds": 0.5, "how": "read"},
}


def test_there_are_models():
    """The tables below are not empty."""
    assert len(CLASSES) > 20


@pytest.mark.parametrize("cls", CLASSES)
def test_models_are_frozen_values(cls):
    """Models are made from keywords, compare by value and cannot be changed."""
    required = REQUIRED.get(cls, {})
    made = cls(**required)

    assert made == cls(**required)
    with pytest.raises(TypeError):
        cls("x")
    for field in attrs.fields(cls):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(made, field.name, None)
        hidden = field.name in {"raw", "failed_node"}
        different = attrs.evolve(made, **{field.name: "something else"})
        assert (different == made) is hidden, field.name
        assert ("something else" not in repr(different)) is hidden


@pytest.mark.parametrize("cls", CLASSES)
def test_models_pickle_and_copy(cls):
    """Models go to other processes, ``raw`` included."""
    given = {"raw": {"a": 1}} if hasattr(cls, "raw") else REQUIRED.get(cls, {})
    made = cls(**given)

    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert again == made
        assert getattr(again, "raw", None) == getattr(made, "raw", None)


@pytest.mark.parametrize("cls", [RunDetail, RunResult])
@pytest.mark.parametrize(
    ("status", "terminal", "success"),
    [
        ("succeeded", True, True),
        ("partial-succeeded", True, True),
        ("failed", True, False),
        ("stopped", True, False),
        ("running", False, False),
        ("paused", False, False),
        ("scheduled", False, False),
        ("of tomorrow", False, False),
        (None, False, False),
    ],
)
def test_status(cls, status, terminal, success):
    """Four statuses are ends, two of them good ones; all others are neither."""
    run = cls(status=status)

    assert run.is_terminal is terminal
    assert run.is_success is success
    assert (status in models.TERMINAL) is terminal
    assert (status in models.SUCCESS) is success


@pytest.mark.parametrize("status", sorted(models.SUCCESS))
def test_success_raises_nothing(status):
    """A run that did its work passes; a node that was dealt with is no failure."""
    node = NodeFinished(status="failed")

    result = RunResult(status=status, error="odd", failed_node=node)

    assert result.raise_for_status() is None
    assert result.is_success


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("failed", RunFailed),
        ("of tomorrow", RunFailed),
        (None, RunFailed),
        ("running", RunFailed),
        ("stopped", RunStopped),
        ("paused", RunPaused),
    ],
)
def test_raise_for_status(status, error):
    """A run that did not succeed raises its own class, with the result in it."""
    result = RunResult(status=status, workflow_run_id="r", task_id="t")

    with pytest.raises(error) as caught:
        result.raise_for_status()

    assert type(caught.value) is error
    assert caught.value.result is result
    assert (caught.value.run_id, caught.value.task_id) == ("r", "t")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (RunResult(status="failed", error="boom"), "the run failed: boom"),
        (RunResult(status="failed"), "the run failed: no reason given"),
        (
            RunResult(
                status="failed",
                error="boom",
                failed_node=NodeFinished(title="LLM", node_id="n"),
            ),
            "the run failed in node 'LLM': boom",
        ),
        (
            RunResult(status="failed", failed_node=NodeFinished(node_id="n")),
            "the run failed in node 'n': no reason given",
        ),
        (RunResult(status="stopped"), "the run was stopped"),
        (
            RunResult(status="stopped", error="Stopped by user."),
            "the run was stopped: Stopped by user.",
        ),
        (
            RunResult(status="paused", paused_nodes=("a", "b")),
            "the run waits for a person at a, b",
        ),
        (RunResult(status="paused"), "the run waits for a person at a node"),
    ],
    ids=lambda x: x if isinstance(x, str) else x.status,
)
def test_message(result, message):
    """The sentence says what the server said, and which node failed."""
    with pytest.raises((RunFailed, RunStopped, RunPaused)) as caught:
        result.raise_for_status()

    assert caught.value.message == message
    assert getattr(caught.value, "node", None) is result.failed_node


def test_a_paused_run_brings_its_forms():
    """What is needed to answer a form is in the error."""
    reason = PauseReason(form_token="token", node_id="n")
    result = RunResult(status="paused", paused_nodes=("n",), reasons=(reason,))

    with pytest.raises(RunPaused) as caught:
        result.raise_for_status()

    assert caught.value.result.reasons[0].form_token == "token"
