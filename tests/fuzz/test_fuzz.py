"""Bytes of any kind give what is promised of them, or errors of ours; see targets.py.

The examples are the same at every run: what they do not find is for ``nox -s fuzz``.
"""

from __future__ import annotations

import json

from pathlib import Path
from typing import Any

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async.events import EVENTS

from .targets import TARGETS


CORPUS = Path(__file__).with_name("corpus")
LARGEST = 4096

same = settings(derandomize=True, database=None, deadline=None, max_examples=200)


def seeds(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus(target):
    """What was found before, and what real servers sent, is dealt with."""
    found = seeds(target)

    for path in found:
        TARGETS[target](path.read_bytes())

    assert len(found) >= 5
    assert all(path.stat().st_size <= LARGEST for path in found)


@pytest.mark.parametrize("target", TARGETS)
@same
@given(data=st.binary(max_size=200))
def test_any_bytes(target, data):
    """Rubbish is refused in the way that is promised."""
    assert TARGETS[target](data) is None


@pytest.mark.parametrize("target", TARGETS)
@same
@given(data=st.data())
def test_seeds_with_faults(target, data):
    """What is nearly right is looked at by more of the code than rubbish is."""
    seed = data.draw(st.sampled_from(seeds(target))).read_bytes()
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(start + 20, len(seed))))
    middle = data.draw(st.binary(max_size=8) | st.just(seed[:50]))

    assert TARGETS[target](seed[:start] + middle + seed[end:]) is None


KEYS = st.sampled_from(
    [
        *("event", "data", "task_id", "workflow_run_id", "id", "status", "outputs"),
        *("error", "code", "message", "text", "files", "created_by", "total_price"),
        *("reasons", "TYPE", "created_at", "node_id", "user_input_form", "x"),
    ]
)
WORDS = st.sampled_from([*EVENTS, "succeeded", "paused", "", "nan", "1e999", "\ud7ff"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=8)
    ),
    max_leaves=20,
)


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@same
@given(value=VALUES)
def test_any_json(value):
    """Any value of JSON, and what Python takes for it, is dealt with everywhere."""
    data = encoded(value)

    for how in range(len(TARGETS) * 3):
        TARGETS["answers"](bytes([how, how * 20, 0]) + data)
    assert TARGETS["wire"](data) is None


@same
@given(values=st.lists(VALUES, max_size=4), how=st.binary(min_size=2, max_size=2))
def test_streams_of_any_json(values, how):
    """Any values of JSON in frames are events, or why the stream broke."""
    frames = b"".join(b"data: " + encoded(value) + b"\n\n" for value in values)

    assert TARGETS["stream"](how + frames) is None
