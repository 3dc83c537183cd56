"""One row, from its start to its end: tries, and what the journal is told."""

from __future__ import annotations

import asyncio
import random

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from .._protocol import is_a
from .._retry import RetryPolicy, pause
from ..errors import (
    DifyError,
    InvalidInputs,
    JournalError,
    LeaseLost,
    RunInterrupted,
    RunStateUnknown,
    UsageError,
)
from ..models import RunRef, RunResult
from ._ends import is_worth_repeating, record_of, state_of_error, state_of_outcome
from ._pace import Pace
from ._rows import is_asked_to_end
from ._values import BatchItem, Outcome, State, Work


if TYPE_CHECKING:
    from ._rows import Read
    from .journal import Journal


@attrs.define(kw_only=True, eq=False)
class Plan:
    """What all rows of a batch have in common.

    Attributes:
        journal: None: nothing is kept.
        now: the clock.
        broken: is told when the journal fails; the rows that run go on without it.
    """

    work: Work
    pace: Pace
    policy: RetryPolicy
    may_run_twice: bool
    now: Callable[[], float]
    broken: Callable[[BaseException], object]
    journal: Journal | None = None


class RowRun:
    """Runs one row.

    Args:
        plan: see there.
        read: the row, as it was read.
        known: its run, if that was started before.

    Attributes:
        since: when the last request was sent that the pace has not heard of.
        is_cancellable: True while cancelling its task loses nothing but the run.
        is_resting: True between two tries.
    """

    __slots__ = (
        "_attempts",
        "_began",
        "_known",
        "_plan",
        "_ref",
        "is_cancellable",
        "is_resting",
        "read",
        "row",
        "since",
    )

    def __init__(self, plan: Plan, read: Read, known: RunRef | None) -> None:
        self.read = read
        self.row = read.row
        self.since = 0.0
        self.is_cancellable = self.is_resting = False
        self._plan = plan
        self._known = self._ref = known
        self._attempts = 0
        self._began = 0.0

    async def to_end(self) -> BatchItem:
        """Run it, as often as may be and helps, and have the journal keep its end."""
        plan = self._plan
        self._began = plan.now()
        while (item := await self._try()) is None:
            self._known = self._ref = None
        return item if plan.journal is None else await self._keep(plan.journal, item)

    async def _try(self) -> BatchItem | None:
        """How one try ended; None if there is to be another."""
        plan = self._plan
        self._attempts += 1
        self.since = plan.now()
        self.is_cancellable = True
        try:
            result = await plan.work(self.row, known=self._known, started=self._started)
        except asyncio.CancelledError:
            # Its task is the batch's own, and ends with the row.
            return self._failed(self._cancelled())
        except Exception as error:  # noqa: BLE001 - it is the row's
            self.is_cancellable = False
            return None if await self._may_try_again(error) else self._failed(error)
        finally:
            self.is_cancellable = False
        plan.pace.went_well()
        if is_a(RunResult, result) or is_a(Outcome, result):
            return self._item(state_of_outcome(result), result)
        kind = type(result).__name__
        msg = f"a row's work returns a RunResult, or what has all of its parts, not {kind}"
        return self._item(State.FAILED, error=UsageError(msg))

    async def _started(self, ref: RunRef) -> None:
        self._ref = ref
        journal = self._plan.journal
        if journal is None:
            return
        try:
            await journal.known(self.row, ref)
        except LeaseLost:
            raise  # another process has the row: this run is one too many
        except JournalError as error:
            self._plan.broken(error)

    # -- another try -------------------------------------------------------------------

    async def _may_try_again(self, error: Exception) -> bool:
        plan = self._plan
        plan.pace.went_wrong(error, self.since, plan.now())
        if not is_worth_repeating(error, may_run_twice=plan.may_run_twice):
            return False
        wait = pause(
            plan.policy,
            self._attempts,
            getattr(error, "retry_after", None),
            dice=random.random(),  # noqa: S311 - jitter, not a secret
        )
        return wait is not None and await self._rest(wait)

    async def _rest(self, seconds: float) -> bool:
        """Wait before another try; False if there may be none by then."""
        plan = self._plan
        self.is_cancellable = self.is_resting = True
        try:
            await asyncio.sleep(seconds)
            while wait := plan.pace.wait(plan.now()):  # noqa: ASYNC110 - for the time
                await asyncio.sleep(wait)
        except asyncio.CancelledError:
            return False
        finally:
            self.is_cancellable = self.is_resting = False
        if plan.journal is not None and not plan.journal.is_sure:
            return False  # another process may have taken the row meanwhile
        plan.pace.take(plan.now())
        return True

    # -- ends --------------------------------------------------------------------------

    def _cancelled(self) -> DifyError:
        what = "the batch was left" if is_asked_to_end() else "the work was cancelled"
        if self._ref is not None:
            return RunInterrupted(
                f"{what}, and the row's run with it",
                run_id=self._ref.workflow_run_id,
                task_id=self._ref.task_id,
            )
        return RunStateUnknown(f"{what} while the row was being started")

    def _failed(self, error: Exception) -> BatchItem:
        state = state_of_error(error, self._ref)
        return self._item(state, getattr(error, "result", None), error)

    def _item(
        self,
        state: State,
        result: Outcome | None = None,
        error: Exception | None = None,
    ) -> BatchItem:
        row = self.row
        return BatchItem(
            key=row.key,
            index=row.index,
            inputs=row.inputs,
            state=state,
            result=result,
            error=error,
            attempts=self._attempts,
            waited=self._began - self.read.at,
            seconds=self._plan.now() - self._began,
        )

    async def _keep(self, journal: Journal, item: BatchItem) -> BatchItem:
        """Have the journal keep the end, before anybody hears of it."""
        if isinstance(item.error, LeaseLost):
            return item
        try:
            if item.state is State.RUNNING:
                await self._leave_to_recovery(journal, item.error)
            else:
                return await self._finish(journal, item)
        except LeaseLost as error:
            # What another process finds out about the row is what the journal keeps.
            return attrs.evolve(item, state=State.UNKNOWN, error=error)
        except Exception as error:  # noqa: BLE001 - told to who iterates
            self._plan.broken(error)
        return item

    async def _finish(self, journal: Journal, item: BatchItem) -> BatchItem:
        record = record_of(self.row, item, self._ref)
        try:
            await journal.finish(record)
        except InvalidInputs as error:  # outputs that are no JSON, which no run has
            item = attrs.evolve(item, state=State.FAILED, error=error)
            await journal.finish(
                attrs.evolve(
                    record,
                    state=item.state,
                    outputs={},
                    error_type=type(error).__name__,
                    error=str(error),
                )
            )
        return item

    async def _leave_to_recovery(self, journal: Journal, error: Any) -> None:
        """Let the row stay ``running``, for the next who opens the journal."""
        row = self.row
        if self._ref is None:
            ref = RunRef(workflow_run_id=error.run_id, task_id=error.task_id)
            await journal.known(row, ref)
        await journal.release(row)
