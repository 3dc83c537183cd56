"""What goes out is JSON that says what was meant, or is refused with its path."""

from __future__ import annotations

import json
import math

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async._encode import encode
from dify_workflow_async.errors import InvalidInputs


class Plain(Enum):
    """Values of several kinds."""

    TEXT = "text"
    LIST = (1, 2)
    NOTHING = None
    BAD = math.nan


class Text(str, Enum):  # noqa: UP042
    """Texts as they were before Python 3.11."""

    A = "a"


class NewText(StrEnum):
    """Texts as they are since."""

    A = "a"


class Number(IntEnum):
    """Numbers with names."""

    ONE = 1


class MyText(str):
    """A text that is a bit more."""

    __slots__ = ()


class MyInt(int):
    """A number that is a bit more."""


class MyFloat(float):
    """Such as numpy.float64, which is a float, too."""


class MyMapping(Mapping):
    """A mapping that is no dict."""

    def __repr__(self):
        return "..."

    def __getitem__(self, key):
        return {"a": 1}[key]

    def __iter__(self):
        return iter(["a"])

    def __len__(self):
        return 1


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("text", "text"),
        ("你 \u2028 \0 \"'", "你 \u2028 \0 \"'"),
        (0, 0),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        (1e308, 1e308),
        (True, True),
        (None, None),
        ([], []),
        ((1, "a"), [1, "a"]),
        ([[(), {}]], [[[], {}]]),
        ({"a": {"b": [None]}}, {"a": {"b": [None]}}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (MyMapping(), {"a": 1}),
        (datetime(2024, 7, 18, 3, 17, 40), "2024-07-18T03:17:40"),  # noqa: DTZ001
        (datetime(2024, 7, 18, 3, 17, tzinfo=UTC), "2024-07-18T03:17:00+00:00"),
        (
            datetime(2024, 7, 18, tzinfo=timezone(timedelta(hours=2))),
            "2024-07-18T00:00:00+02:00",
        ),
        (date(2024, 7, 18), "2024-07-18"),
        (time(3, 17), "03:17:00"),
        (Plain.TEXT, "text"),
        (Plain.LIST, [1, 2]),
        (Plain.NOTHING, None),
        (Text.A, "a"),
        (NewText.A, "a"),
        (Number.ONE, 1),
        (MyText("a"), "a"),
        (MyInt(3), 3),
        (MyFloat(1.5), 1.5),
        ({Text.A: 1}, {"a": 1}),
        ({NewText.A: 1}, {"a": 1}),
        ({MyText("a"): 1}, {"a": 1}),
    ],
    ids=lambda x: f"{type(x).__name__} {x!a}",
)
def test_what_can_be_sent(value, sent):
    """Each type that has a form in JSON goes in that form, at every depth."""
    assert json.loads(encode({"x": value})) == {"x": sent}
    assert json.loads(encode({"x": [{"y": value}]})) == {"x": [{"y": sent}]}


def test_json_is_compact_utf_8():
    """The body is as short as it can be, in the order that was given."""
    body = encode({"b": "é", "a": [1, None]})

    assert body == '{"b":"é","a":[1,null]}'.encode()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "nan has no form in JSON"),
        (math.inf, "inf has no form in JSON"),
        (-math.inf, "-inf has no form in JSON"),
        (MyFloat("nan"), "nan has no form in JSON"),
        (b"bytes", "bytes cannot be sent as JSON"),
        (bytearray(), "bytearray cannot be sent as JSON"),
        ({1}, "set cannot be sent as JSON"),
        (Decimal("1.5"), "Decimal cannot be sent as JSON"),
        (Path("a"), f"{type(Path()).__name__} cannot be sent as JSON"),
        (1j, "complex cannot be sent as JSON"),
        (timedelta(1), "timedelta cannot be sent as JSON"),
        (..., "ellipsis cannot be sent as JSON"),
        (int, "type cannot be sent as JSON"),
        (range(3), "range cannot be sent as JSON"),
        (Plain.BAD, "nan has no form in JSON"),
    ],
    ids=lambda x: type(x).__name__ + ascii(x)[:25],
)
def test_what_cannot_be_sent(value, problem):
    """What has no form in JSON is refused, and the problem begins with its path."""
    for body, path in [
        ({"x": value}, "x"),
        ({"inputs": {"x": value}}, "inputs.x"),
        ({"inputs": {"a": [1, (2, {"x": value})]}}, "inputs.a[1][1].x"),
    ]:
        with pytest.raises(InvalidInputs) as caught:
            encode(body)
        assert caught.value.problems == (f"{path}: {problem}",)
        assert caught.value.message == f"{path}: {problem}"


@pytest.mark.parametrize("key", [1, 1.5, None, True, b"a", ("a",)], ids=repr)
def test_keys_are_texts(key):
    """A key that is no text is refused; JSON would make a text of it unseen."""
    with pytest.raises(InvalidInputs) as caught:
        encode({"inputs": {"x": {key: 1}}})

    assert caught.value.problems == (f"inputs.x: the key {key!r} is not a text",)


@pytest.mark.parametrize("key", [Text.A, NewText.A, MyText("a")], ids=repr)
def test_paths_have_the_keys_that_are_sent(key):
    """A problem below an enum's key is told by the key as it would be sent."""
    with pytest.raises(InvalidInputs) as caught:
        encode({key: {key: math.nan}})

    assert caught.value.problems == ("a.a: nan has no form in JSON",)


@pytest.mark.parametrize("error", [KeyError, TypeError, ValueError])
def test_what_inputs_raise_themselves_passes(error):
    """An exception of the caller's own mapping is not taken for a bad input."""

    class Broken(MyMapping):
        """A mapping whose values cannot be had."""

        def __getitem__(self, key):
            raise error(key)

    with pytest.raises(error):
        encode({"x": Broken()})


def test_all_problems_are_told_at_once():
    """One attempt is enough to learn of every problem, in the order of the inputs."""
    with pytest.raises(InvalidInputs) as caught:
        encode({"a": math.nan, "b": {"c": {1}, 2: 3}, "d": "fine", "e": [b""]})

    assert caught.value.problems == (
        "a: nan has no form in JSON",
        "b.c: set cannot be sent as JSON",
        "b: the key 2 is not a text",
        "e[0]: bytes cannot be sent as JSON",
    )
    assert str(caught.value) == "; ".join(caught.value.problems)


@pytest.mark.parametrize(
    "value",
    ["\ud800", 2**64, -(2**63) - 1, {"\udfff": 1}],
    ids=["surrogate", "too large", "too small", "surrogate in a key"],
)
def test_what_only_the_encoder_refuses(value):
    """Lone surrogates and integers over 64 bits are refused with their path, too."""
    with pytest.raises(InvalidInputs) as caught:
        encode({"inputs": {"x": value}})

    (problem,) = caught.value.problems
    assert problem.startswith("inputs.x")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_what_has_no_end_is_refused():
    """A list that holds itself, and one that is too deep, are refused as inputs."""
    circle: list[object] = []
    circle.append(circle)
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]

    for value in (circle, deep):
        with pytest.raises(InvalidInputs):
            encode({"x": value})


def test_nothing_is_changed_in_place():
    """What the caller gave is not touched."""
    value = {"a": [Text.A, (1,)]}

    encode(value)

    assert value == {"a": [Text.A, (1,)]}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=100)
@given(value=st.dictionaries(st.text(), JSON, max_size=4))
def test_round_trip(value):
    """Whatever JSON can hold arrives as it was sent."""
    assert json.loads(encode(value)) == value
