"""Settings come from arguments, then from the environment, and are checked at once."""

from __future__ import annotations

import math
import os

import attrs
import pytest

from dify_workflow_async._config import (
    DEFAULT_BASE_URL,
    Limits,
    Settings,
    Timeouts,
    settings,
)
from dify_workflow_async._secret import Secret, find_key
from dify_workflow_async.errors import ConfigurationError


ENVIRON = {
    "DIFY_API_KEY": "app-env",
    "DIFY_BASE_URL": "http://env/v1",
    "DIFY_USER": "env-user",
}


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ((None, None, None), ENVIRON, ("app-env", "http://env/v1", "env-user")),
        (("app-1", "http://a", "me"), ENVIRON, ("app-1", "http://a", "me")),
        (("app-1", "http://a", "me"), {}, ("app-1", "http://a", "me")),
        (("app-1", None, None), {}, ("app-1", DEFAULT_BASE_URL, "")),
        (("", "", ""), ENVIRON, ("app-env", "http://env/v1", "env-user")),
        (("app-1", None, None), {"DIFY_BASE_URL": ""}, ("app-1", DEFAULT_BASE_URL, "")),
        ((" app-1\r\n", None, "me"), {}, ("app-1", DEFAULT_BASE_URL, "me")),
        ((None, None, None), {"DIFY_API_KEY": "a\n"}, ("a", DEFAULT_BASE_URL, "")),
    ],
    ids=repr,
)
def test_arguments_then_environment(arguments, environ, expected, environment):
    """An argument wins over the environment, and the environment over the default."""
    environment(environ)
    key, *others = arguments

    assert find_key(Secret(key)) == Secret(expected[0])
    assert settings(*others, environ) == Settings(*expected[1:])


@pytest.fixture
def environment(monkeypatch):
    """Give a function that sets the process's own environment."""

    def put(environ: dict[str, str]) -> None:
        for name in ENVIRON:
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    return put


def test_the_environment_is_the_process_own(environment):
    """Without an environment the one of the process is read, when it is needed."""
    environment(ENVIRON)

    assert settings(None, None) == settings(None, None, ENVIRON)
    assert os.environ["DIFY_API_KEY"] == "app-env"


@pytest.mark.parametrize("key", [None, "", " ", "\n"], ids=repr)
def test_no_key(key, environment):
    """Without a key nothing can be asked."""
    environment({})
    with pytest.raises(ConfigurationError, match="DIFY_API_KEY"):
        find_key(Secret(key))


@pytest.mark.parametrize(
    "key",
    ["app-\n1", "app-\r\nX: y", "app 1", "app-é", "app-\0", "app-\x7f"],
    ids=ascii,
)
def test_keys_that_no_header_carries(key, environment):
    """A key that would break out of its header is refused, and not repeated."""
    environment({})
    with pytest.raises(ConfigurationError) as caught:
        find_key(Secret(key))

    assert key not in str(caught.value)
    assert "app-" not in str(caught.value)


def test_the_key_is_not_in_repr():
    """Settings can be logged, and so can the key's own value."""
    made = settings(None, "me", {})
    key = find_key(Secret("app-secret"))

    assert repr(key) == str(key) == "<Secret ***>"
    assert "secret" not in str(made)
    assert DEFAULT_BASE_URL in repr(made)


FIELDS = [
    pytest.param(cls, field.name, id=f"{cls.__name__}.{field.name}")
    for cls in (Timeouts, Limits)
    for field in attrs.fields(cls)
]


@pytest.mark.parametrize(("cls", "name"), FIELDS)
def test_numbers_are_checked(cls, name):
    """A time or size below 0, or that is no number, is refused by its name."""
    for value in (-1, -0.001, -math.inf, math.nan):
        with pytest.raises(ConfigurationError, match=f"^{name} must be .* not {value}"):
            cls(**{name: value})
        with pytest.raises(ConfigurationError, match=name):
            attrs.evolve(cls(), **{name: value})


@pytest.mark.parametrize(("cls", "name"), FIELDS)
def test_zero(cls, name):
    """Nothing can be done in no time or space, but two things need not be done."""
    if name in {"tail", "recovery"}:
        assert getattr(cls(**{name: 0}), name) == 0
    else:
        with pytest.raises(ConfigurationError, match=name):
            cls(**{name: 0})


@pytest.mark.parametrize(("cls", "name"), FIELDS)
def test_what_is_allowed(cls, name):
    """Any number above 0 is taken as it is."""
    for value in (1, 0.001, math.inf, 10**12):
        assert getattr(cls(**{name: value}), name) == value


@pytest.mark.parametrize("name", ["connect", "first_byte", "idle", "total", "request"])
def test_none_waits_for_ever(name):
    """These may wait without an end."""
    assert getattr(Timeouts(**{name: None}), name) is None


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (Timeouts, "tail"),
        (Timeouts, "stop"),
        *((Limits, field.name) for field in attrs.fields(Limits)),
    ],
    ids=str,
)
def test_none_where_there_must_be_an_end(cls, name):
    """Where the type says a number, None is refused when the setting is made."""
    with pytest.raises(ConfigurationError, match=name):
        cls(**{name: None})


@pytest.mark.parametrize("cls", [Timeouts, Limits])
def test_settings_are_frozen_values(cls):
    """Settings can be shared: they do not change, and compare by value."""
    made = cls()

    assert made == cls()
    assert hash(made) == hash(cls())
    with pytest.raises(TypeError):
        cls(1)
    for field in attrs.fields(cls):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(made, field.name, 1)


def test_defaults_fit_the_server():
    """Six pings may be lost, and the largest line that was seen fits seven times."""
    assert Timeouts().idle >= 6 * 10
    assert Timeouts().total is None
    assert Limits().max_event_bytes >= 7 * 4_300_000
    assert Limits().max_error_bytes < Limits().max_event_bytes
