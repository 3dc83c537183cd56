"""Single JSON values become what they mean, or None; no value raises."""

from __future__ import annotations

import math
import time

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async import _convert
from dify_workflow_async._convert import (
    account_of_name,
    flat_variables,
    text_of_number,
    to_bool,
    to_datetime,
    to_decimal,
    to_float,
    to_int,
    to_mapping,
    to_str,
)


FOREIGN = [None, [], [1], {}, {"a": 1}, b"1", ..., int]
JULY_18 = datetime(2024, 7, 18, 3, 17, 40, tzinfo=UTC)


def shown(value: object) -> str:
    if callable(value):
        return value.__name__
    return "huge" if value == 10**5000 else ascii(value)[:60]


def same(found: object, expected: object) -> bool:
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize("value", ["", "a", "1", "你\u2028"], ids=shown)
def test_texts_are_texts(value):
    """A text is left as it is."""
    assert to_str(value) is value


@pytest.mark.parametrize("value", [*FOREIGN, 1, 1.5, True], ids=shown)
def test_nothing_else_is_a_text(value):
    """What is no text is not turned into one."""
    assert to_str(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        (1, None),
        (0, None),
        ("true", None),
        *((value, None) for value in FOREIGN),
    ],
    ids=shown,
)
def test_bool(value, expected):
    """Only true and false are booleans."""
    assert to_bool(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (0, 0),
        (-3, -3),
        (2**63, 2**63),
        (1.0, 1),
        (1.5, None),
        ("1", 1),
        (" 12 ", 12),
        ("-3", -3),
        ("1.0", 1),
        ("1e3", 1000),
        ("1.5", None),
        ("", None),
        ("one", None),
        ("9" * 5000, None),
        ("-" + "9" * 5000, None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        (math.nan, None),
        (math.inf, None),
        (True, None),
        (False, None),
        *((value, None) for value in FOREIGN),
    ],
    ids=shown,
)
def test_int(value, expected):
    """Whole numbers count in every form; True is no number."""
    assert same(to_int(value), expected)


@settings(deadline=None)
@given(number=st.integers(-(2**64), 2**64))
def test_digits_are_read_exactly(number):
    """A whole number that comes as text keeps its last digit."""
    assert to_int(str(number)) == number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (0.875, 0.875),
        ("0.875", 0.875),
        ("7", 7.0),
        (10**400, None),
        (math.nan, None),
        (-math.inf, None),
        ("nan", None),
        ("Infinity", None),
        ("", None),
        ("0.5 s", None),
        (True, None),
        *((value, None) for value in FOREIGN),
    ],
    ids=shown,
)
def test_float(value, expected):
    """Finite numbers count, also as text; True is no number."""
    assert same(to_float(value), expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.0000310", Decimal("0.0000310")),
        ("1E-7", Decimal("1E-7")),
        (2.378, Decimal("2.378")),
        (0.1, Decimal("0.1")),
        (3, Decimal(3)),
        ("", None),
        ("free", None),
        ("NaN", None),
        ("sNaN", None),
        ("Infinity", None),
        (math.nan, None),
        (math.inf, None),
        (True, None),
        (10**5000, None),
        *((value, None) for value in FOREIGN),
    ],
    ids=shown,
)
def test_decimal(value, expected):
    """A price keeps its digits; a float is taken as it is written, not as stored."""
    assert same(to_decimal(value), expected)


@pytest.mark.parametrize(
    "value",
    [
        1721272660,
        1721272660.0,
        "1721272660",
        "1721272660.0",
        "Thu, 18 Jul 2024 03:17:40 -0000",
        "Thu, 18 Jul 2024 03:17:40 GMT",
        "Thu, 18 Jul 2024 05:17:40 +0200",
        "18 Jul 2024 03:17:40 +0000",
        "2024-07-18T03:17:40",
        "2024-07-18 03:17:40",
        "2024-07-18T03:17:40Z",
        "2024-07-18T03:17:40+00:00",
        "2024-07-18T12:47:40+09:30",
        "2024-07-17T23:17:40.000000-04:00",
    ],
    ids=shown,
)
def test_moments(value):
    """Every form of a moment gives the same aware datetime, in UTC."""
    found = to_datetime(value)

    assert found == JULY_18
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        *FOREIGN,
        *(True, "", " ", "yesterday", "2024-13-01", "Thu, 99 Jul 2024 03:17:40 GMT"),
        *(1e300, -1e300, 10**400, math.nan, math.inf, "nan", "9" * 40),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", 253402300800),
    ],
    ids=shown,
)
def test_no_moments(value):
    """What is no moment, or one beyond what datetime holds, is None."""
    assert to_datetime(value) is None


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York", "UTC"])
def test_moments_do_not_depend_on_where_we_are(monkeypatch, zone):
    """A moment without a zone is UTC, wherever the program runs."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        found = [
            to_datetime("2024-07-18T03:17:40"),
            to_datetime("Thu, 18 Jul 2024 03:17:40 -0000"),
            to_datetime(1721272660),
        ]
    finally:
        monkeypatch.undo()
        time.tzset()

    assert found == [JULY_18] * 3


def test_fractions_of_a_second_are_kept():
    """Numbers and ISO texts may be more exact than a second."""
    expected = JULY_18.replace(microsecond=500_000)

    assert to_datetime(1721272660.5) == expected
    assert to_datetime("2024-07-18T03:17:40.5") == expected


def test_a_moment_before_1970_is_one():
    """Negative seconds are no reason to give up."""
    assert to_datetime(-1) == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


ZONES = st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))


@settings(deadline=None)
@given(
    moment=st.datetimes(
        min_value=datetime(1971, 1, 1),  # noqa: DTZ001
        max_value=datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=ZONES,
    )
)
def test_moments_survive_every_way_to_write_them(moment):
    """Any moment in any zone is read back from all five forms of it."""
    moment = moment.replace(microsecond=0)
    seconds = int(moment.timestamp())

    for form in (
        seconds,
        float(seconds),
        str(seconds),
        format_datetime(moment),
        moment.isoformat(),
    ):
        assert to_datetime(form) == moment


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        ({}, {}),
        ('{"a": 1}', {"a": 1}),
        (' \n{"a": {"b": null}}', {"a": {"b": None}}),
        ("{}", {}),
        ("", None),
        ("{", None),
        ("{a}", None),
        ("[1]", None),
        ("null", None),
        ("text", None),
        ([{"a": 1}], None),
        (1, None),
        (True, None),
        (None, None),
    ],
    ids=shown,
)
def test_mapping(value, expected):
    """Objects count, also as JSON text; lists and all other texts do not."""
    assert to_mapping(value) == expected


def test_an_object_is_not_copied():
    """The field and ``raw`` share the decoded object."""
    value = {"a": 1}

    assert to_mapping(value) is value


@pytest.mark.parametrize(
    ("convert", "value", "expected"),
    [
        (text_of_number, 123, "123"),
        (text_of_number, True, True),
        (text_of_number, "x", "x"),
        (text_of_number, None, None),
        (account_of_name, "Ann", {"name": "Ann"}),
        (account_of_name, {"id": "1"}, {"id": "1"}),
        (account_of_name, 5, 5),
        (flat_variables, [{"file": {"a": 1}}], [{"a": 1, "type": "file"}]),
        (flat_variables, [{"file": {"type": "x"}}], [{"type": "file"}]),
        (flat_variables, [{"file": 1}, {}, None], [{"file": 1}, {}, None]),
        (flat_variables, [{"a": {}, "b": {}}], [{"a": {}, "b": {}}]),
        (flat_variables, {"file": {}}, {"file": {}}),
        (flat_variables, None, None),
    ],
    ids=shown,
)
def test_other_forms_of_whole_fields(convert, value, expected):
    """What comes in another form is brought into the usual one; all else is left."""
    assert convert(value) == expected


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.text("0123456789-+_.eE ", max_size=12)
    | st.builds(
        "Thu, {} {} {} {}".format,
        st.integers(-1, 40),
        st.sampled_from(["Jul", "Feb", "Foo"]),
        st.integers(-1, 12_000),
        st.text("0123456789:+- GMT", max_size=14),
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


CONVERSIONS = {
    to_str: str,
    to_bool: bool,
    to_int: int,
    to_float: float,
    to_decimal: Decimal,
    to_datetime: datetime,
    to_mapping: dict,
}


@settings(deadline=None, max_examples=500)
@given(value=ANYTHING)
def test_no_value_raises(value):
    """Each conversion gives its own type or None for any JSON value."""
    for convert, kind in CONVERSIONS.items():
        found = convert(value)
        assert found is None or type(found) is kind
        assert not isinstance(found, datetime) or found.tzinfo is UTC


def test_every_conversion_is_tested_here():
    """A conversion that is added is added to these tables."""
    ours = {value for name, value in vars(_convert).items() if name.startswith("to_")}

    assert ours == set(CONVERSIONS)
