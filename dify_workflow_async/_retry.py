"""Which failure may be repeated, and after how long: a pure decision.

`_api` sleeps. There is no clock and no dice here: the caller hands them in.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import attrs

from .errors import (
    APIError,
    ConfigurationError,
    DifyError,
    ProtocolError,
    QuotaExceeded,
    ServerError,
    TransportError,
)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently to try again.

    Runs are repeated only where nothing can have begun: the connection was never
    made, or the server said that it is busy. Reads and stops are also repeated after
    broken connections, time-outs and 5xx.

    Attributes:
        attempts: tries in all; 1 never repeats.
        base: seconds before the second try, doubled for each further one. The real
            wait is a random part of that (full jitter), so that many clients that
            failed together do not come back together.
        cap: the longest of these waits, in seconds.
        max_retry_after: a server that asks for a longer pause than this many seconds
            is not waited for: its error is raised at once, with ``retry_after``.
    """

    attempts: int = attrs.field(default=4)
    base: float = attrs.field(default=0.5)
    cap: float = attrs.field(default=8.0)
    max_retry_after: float = attrs.field(default=30.0)

    def __attrs_post_init__(self) -> None:
        waits = (self.base, self.cap, self.max_retry_after)
        if self.attempts < 1 or not all(wait >= 0 for wait in waits):  # nor NaN
            msg = "a RetryPolicy has 1 attempt or more, and waits of 0 s or more"
            raise ConfigurationError(msg)


def delay(
    policy: RetryPolicy,
    attempt: int,
    error: DifyError,
    *,
    repeatable: bool,
    dice: float,
) -> float | None:
    """Seconds to wait before the next try, or None to raise *error*.

    Args:
        policy: how patiently.
        attempt: the tries so far, 1 after the first.
        error: what the last try ended in.
        repeatable: True if the request does no harm when it is sent twice.
        dice: a random number from 0 to 1.
    """
    if not may_repeat(error, repeatable=repeatable):
        return None
    return pause(policy, attempt, error.retry_after, dice=dice)


def pause(
    policy: RetryPolicy, attempt: int, asked_for: float | None, *, dice: float
) -> float | None:
    """Seconds to wait before the next try of what may be repeated; None: give up.

    Args:
        policy: how patiently.
        attempt: the tries so far, 1 after the first.
        asked_for: seconds that the server asks to wait.
        dice: a random number from 0 to 1.
    """
    if attempt >= policy.attempts:
        return None
    asked = asked_for or 0.0
    if asked > policy.max_retry_after:
        return None
    # 2 ** 30 times any base is over any cap; more would overflow a float.
    backoff = min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 30))
    return max(asked, backoff * dice)


def may_repeat(error: DifyError, *, repeatable: bool) -> bool:
    """True if the request that ended in *error* may be sent again (promise 1)."""
    if error.safe_to_repeat:
        return True
    if not repeatable or isinstance(error, ProtocolError | QuotaExceeded):
        return False
    if isinstance(error, APIError):
        return isinstance(error, ServerError) or error.status in {408, 429}
    return isinstance(error, TransportError)


def retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds that the header ``Retry-After`` asks for (RFC 9110, 10.2.3).

    Args:
        value: the header: seconds, also with a fraction, or an HTTP date.
        date: the answer's own ``Date``, so that no clock of ours has to be right.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _between(date, value)
    return seconds if 0 <= seconds < float("inf") else None


def _between(start: str | None, end: str) -> float | None:
    try:
        gap = parsedate_to_datetime(end) - parsedate_to_datetime(start or "")
    except (ValueError, TypeError):  # no date, or only one with a zone
        return None
    return max(0.0, gap.total_seconds())


def poll_delay(attempt: int) -> float:
    """Seconds before a run is read again that had not ended; from 0.25 s up to 5 s."""
    return float(min(5.0, 0.25 * 1.5 ** min(attempt - 1, 30)))
