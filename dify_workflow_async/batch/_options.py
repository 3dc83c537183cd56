"""What a batch may be asked for."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict

import attrs

from .._retry import RetryPolicy
from ..errors import ConfigurationError
from ._pace import MAX_PAUSE, Pace, per_second
from ._rows import Key
from ._tally import Progress


if TYPE_CHECKING:
    from .journal import Journal

OnProgress = Callable[[Progress], object]
"""Called in the event loop, so it must not block; what it raises is logged."""


class BatchOptions(TypedDict, total=False):
    """What a batch may be asked for.

    Attributes:
        key: the name of the input that tells a row from all others, or a function of
            the inputs that returns a text or an integer. Without it a row is known by
            its inputs, and equal ones by their order, which takes about 120 bytes of
            memory for each row; without a journal, by its number.
        concurrency: how many rows run at once, at most; 10 by default.
        rate: how many rows start per second, at most: ``5``, ``"5/s"``, ``"100/min"``.
        adaptive: run fewer at once while the server has too much to do (429 and 5xx).
        ordered: give the items in the order of the rows. At most twice as many as
            *concurrency* are held back for that; then no more are read.
        attempts: how often a row is tried, at most; 3 by default. It is tried again
            only after an error that is ``safe_to_repeat``.
        may_run_twice: also after errors that leave open whether a run began, and after
            failed runs: your word that it does no harm if the workflow runs twice.
        journal: a file, a URL, or an open `Journal`, in which the batch goes on where
            it ended, however that was.
        rerun_unknown: run rows of which the journal does not know whether they ran.
        rerun_failed: run rows again that failed or were stopped.
        replay: also give the ends that the journal has from before, as items with a
            ``record``.
        max_failures: after so many rows that failed start no more; when those that run
            have ended, the loop raises `TooManyFailures`.
        on_progress: called every half second, and at the end.
        total: the number of rows, if it is known and *rows* has no length.
    """

    key: Key | None
    concurrency: int
    rate: str | float | None
    adaptive: bool
    ordered: bool
    attempts: int
    may_run_twice: bool
    journal: str | PathLike[str] | Journal | None
    rerun_unknown: bool
    rerun_failed: bool
    replay: bool
    max_failures: int | None
    on_progress: OnProgress | None
    total: int | None


def _at_least_1(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (not isinstance(value, int) or value < 1):
        msg = f"{attribute.name} must be 1 or more, not {value!r}"
        raise ConfigurationError(msg)


@attrs.frozen(kw_only=True)
class Options:
    """The same, completed and checked.

    Raises:
        ConfigurationError: one of them is wrong.
    """

    key: Key | None = None
    concurrency: int = attrs.field(default=10, validator=_at_least_1)
    rate: str | float | None = None
    adaptive: bool = False
    ordered: bool = False
    attempts: int = attrs.field(default=3, validator=_at_least_1)
    may_run_twice: bool = False
    journal: str | PathLike[str] | Journal | None = None
    rerun_unknown: bool = False
    rerun_failed: bool = False
    replay: bool = False
    max_failures: int | None = attrs.field(default=None, validator=_at_least_1)
    on_progress: OnProgress | None = None
    total: int | None = None

    def pace(self) -> Pace:
        """When rows may start."""
        rate = None if self.rate is None else per_second(self.rate)
        return Pace(self.concurrency, rate, adaptive=self.adaptive)

    def policy(self) -> RetryPolicy:
        """How patiently rows are tried again: a batch has more time than a caller."""
        return RetryPolicy(
            attempts=self.attempts, base=1.0, cap=60.0, max_retry_after=MAX_PAUSE
        )
