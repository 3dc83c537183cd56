"""What may be repeated, and when: a table without a clock."""

from __future__ import annotations

import math

from typing import Any

import attrs
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async import errors
from dify_workflow_async._retry import RetryPolicy, delay, may_repeat, retry_after
from dify_workflow_async.errors import ConfigurationError, DifyError
from dify_workflow_async.models import RunResult


POLICY = RetryPolicy(attempts=4, base=1.0, cap=8.0, max_retry_after=30.0)
BUSY = errors.TooManyRequests("busy", status=429)

RESULT = RunResult()

# Each class: may a run be repeated after it, and may a read or a stop?
DECISIONS = {
    "DifyError": (False, False),
    "UsageError": (False, False),
    "ConfigurationError": (False, False),
    "InvalidInputs": (False, False),
    "ClientClosed": (False, False),
    "WrongLoop": (False, False),
    "StreamBusy": (False, False),
    "CannotStop": (False, False),
    "NotRelayed": (False, False),
    "TransportError": (False, True),
    "ConnectionFailed": (True, True),
    "ConnectionLost": (False, True),
    "Timeout": (False, True),
    "ConnectTimeout": (True, True),
    "FirstByteTimeout": (False, True),
    "IdleTimeout": (False, True),
    "TotalTimeout": (False, True),
    "WaitTimeout": (False, True),
    "ProtocolError": (False, False),
    "UnexpectedAnswer": (False, False),
    "TooLarge": (False, False),
    "APIError": (False, False),
    "BadRequest": (False, False),
    "InvalidParam": (False, False),
    "NotWorkflowApp": (False, False),
    "AppUnavailable": (False, False),
    "ProviderNotInitialized": (False, False),
    "ProviderQuotaExceeded": (False, False),
    "ModelNotSupported": (False, False),
    "CompletionRequestFailed": (False, False),
    "WorkflowRequestFailed": (False, False),
    "SpeechToTextUnavailable": (False, False),
    "InvalidUpload": (False, False),
    "InvalidFormData": (False, False),
    "FormClosed": (False, False),
    "FormSubmitted": (False, False),
    "FormExpired": (False, False),
    "Unauthorized": (False, False),
    "Forbidden": (False, False),
    "ExecutionNotAllowed": (False, False),
    "FileAccessDenied": (False, False),
    "NotFound": (False, False),
    "RunNotFound": (False, False),
    "FileNotFound": (False, False),
    "EndUserNotFound": (False, False),
    "FileTooLarge": (False, False),
    "UnsupportedFileType": (False, False),
    "TooManyRequests": (True, True),
    "QuotaExceeded": (False, False),
    "ServerError": (False, True),
    "GatewayError": (False, True),
    "PluginFailed": (False, True),
    "RunError": (False, False),
    "RunFailed": (False, False),
    "RunStopped": (False, False),
    "RunPaused": (False, False),
    "OutputsMismatch": (False, False),
    "RunInterrupted": (False, False),
    "RunStateUnknown": (False, False),
    "RunEnded": (False, False),
    "TooManyFailures": (False, False),
    "JournalError": (False, False),
    "JournalUnavailable": (False, False),
    "NotAJournal": (False, False),
    "JournalTooNew": (False, False),
    "JournalMismatch": (False, False),
    "LeaseLost": (False, False),
    "TableError": (False, False),
    "ClusterUnavailable": (False, False),
}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("RunFailed", "RunStopped", "RunPaused"), (RESULT,)),
    **dict.fromkeys(("InvalidInputs", "OutputsMismatch"), ((),)),
    "JournalTooNew": (2, 1),
    "JournalMismatch": ({},),
}


def make(name: str) -> DifyError:
    error: DifyError = getattr(errors, name)(*ARGUMENTS.get(name, ()))
    return error


@pytest.mark.parametrize(
    "name", [name for name in errors.__all__ if not name.endswith("Warning")]
)
def test_decision(name):
    """Runs are repeated where nothing began, reads also after what passes by itself."""
    for_run, for_read = DECISIONS[name]

    assert may_repeat(make(name), repeatable=False) is for_run
    assert may_repeat(make(name), repeatable=True) is for_read
    waits = [
        delay(POLICY, 1, make(name), repeatable=repeatable, dice=1.0)
        for repeatable in (False, True)
    ]
    assert waits == [1.0 if may else None for may in (for_run, for_read)]


@pytest.mark.parametrize(
    ("error", "for_run", "for_read"),
    [
        (errors.QuotaExceeded(status=429), False, False),
        (errors.BadRequest(status=408), False, True),
        (errors.BadRequest(status=425), False, False),
        (errors.APIError(status=429), False, True),
        (errors.TooManyRequests(safe_to_repeat=False, status=429), False, True),
        (errors.TooManyRequests(safe_to_repeat=False, status=400), False, False),
        (errors.ServerError(status=500, safe_to_repeat=False), False, True),
        (errors.ConnectionLost(safe_to_repeat=True), True, True),
        (errors.ConnectionFailed(safe_to_repeat=False), False, True),
    ],
    ids=repr,
)
def test_decision_by_more_than_the_class(error, for_run, for_read):
    """A status, or what the error itself says, may decide."""
    assert may_repeat(error, repeatable=False) is for_run
    assert may_repeat(error, repeatable=True) is for_read


def test_attempts_end():
    """The last attempt's error is raised; one attempt never repeats."""
    waits = [delay(POLICY, n, BUSY, repeatable=False, dice=0.5) for n in range(1, 6)]
    once = RetryPolicy(attempts=1)

    assert waits == [0.5, 1.0, 2.0, None, None]
    assert delay(once, 1, BUSY, repeatable=True, dice=0.5) is None


def test_waits_double_up_to_the_cap():
    """With the dice at their highest the waits are 1, 2, 4, 8, 8, ... seconds."""
    policy = attrs.evolve(POLICY, attempts=2000)
    waits = [delay(policy, n, BUSY, repeatable=False, dice=1.0) for n in range(1, 1999)]

    assert waits[:6] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert set(waits[3:]) == {8.0}


@settings(deadline=None)
@given(
    attempt=st.integers(1, 10_000),
    dice=st.floats(0, 1),
    base=st.floats(0, 1e6),
    cap=st.floats(0, 1e6),
    asked=st.none() | st.floats(0, 30),
)
def test_waits_are_within_bounds(attempt, dice, base, cap, asked):
    """No wait is negative, over the cap, or shorter than what the server asks for."""
    policy = RetryPolicy(attempts=10_001, base=base, cap=cap)
    busy = errors.TooManyRequests(retry_after=asked)

    wait = delay(policy, attempt, busy, repeatable=False, dice=dice)

    assert (asked or 0.0) <= wait <= max(asked or 0.0, cap)


@settings(deadline=None)
@given(dice=st.floats(0, 1))
def test_jitter_is_full(dice):
    """The dice choose from nothing to the whole wait."""
    assert delay(POLICY, 3, BUSY, repeatable=False, dice=dice) == 4.0 * dice


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(None, 0.25), (0.0, 0.25), (0.1, 0.25), (7.0, 7.0), (30.0, 30.0), (30.1, None)],
)
def test_what_the_server_asks(asked, wait):
    """A pause that is asked for is kept, unless it is longer than the policy's."""
    error = errors.TooManyRequests("busy", retry_after=asked)

    assert delay(POLICY, 1, error, repeatable=False, dice=0.25) == wait


DATE = "Thu, 18 Jul 2024 03:17:40 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        (None, DATE, None),
        ("", DATE, None),
        ("0", None, 0.0),
        ("120", None, 120.0),
        (" 3 ", None, 3.0),
        ("1.5", DATE, 1.5),
        ("-1", DATE, None),
        ("inf", DATE, None),
        ("nan", DATE, None),
        ("1e999", DATE, None),
        ("soon", DATE, None),
        ("soon", None, None),
        ("Thu, 18 Jul 2024 03:18:40 GMT", DATE, 60.0),
        ("Thu, 18 Jul 2024 03:17:40 GMT", DATE, 0.0),
        ("Thu, 18 Jul 2024 03:17:00 GMT", DATE, 0.0),
        ("Thu, 18 Jul 2024 05:18:40 +0200", DATE, 60.0),
        ("Thursday, 18-Jul-24 03:18:40 GMT", DATE, 60.0),
        ("Thu, 18 Jul 2024 03:18:40 GMT", None, None),
        ("Thu, 18 Jul 2024 03:18:40 GMT", "yesterday", None),
        ("Thu, 18 Jul 2024 03:18:40", DATE, None),
        ("Thu, 99 Jul 2024 03:18:40 GMT", DATE, None),
    ],
    ids=repr,
)
def test_retry_after(value, date, seconds):
    """Seconds or a date against the answer's own date; anything else is unknown."""
    assert retry_after(value, date) == seconds


@settings(deadline=None, max_examples=300)
@given(value=st.text(max_size=30), date=st.none() | st.text(max_size=30))
def test_retry_after_never_raises(value, date):
    """No header is so odd that it hides the error that it came with."""
    seconds = retry_after(value, date)

    assert seconds is None or 0 <= seconds < math.inf


@pytest.mark.parametrize(
    "bad",
    [
        {"attempts": 0},
        {"attempts": -1},
        {"base": -0.1},
        {"cap": -1},
        {"max_retry_after": -1},
        {"base": math.nan},
        {"cap": math.nan},
        {"max_retry_after": math.nan},
    ],
    ids=repr,
)
def test_bad_policy(bad):
    """A policy without an attempt, or with a wait of less than nothing, is refused."""
    with pytest.raises(ConfigurationError):
        RetryPolicy(**bad)


def test_policy_is_a_value():
    """A policy is frozen, compares by value, and may be as short as can be."""
    assert RetryPolicy() == RetryPolicy()
    assert RetryPolicy(attempts=1, base=0, cap=0).attempts == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        POLICY.attempts = 1
