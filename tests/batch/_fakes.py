"""What the tests of batches put in the place of runs, journals and servers."""

from __future__ import annotations

import asyncio

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import attrs

from dify_workflow_async.batch import Claim, Record, Row, Started, State, Verdict
from dify_workflow_async.batch.journal import Journal
from dify_workflow_async.errors import LeaseLost
from dify_workflow_async.models import RunRef, RunResult


Identity = tuple[str, str]


def ref(row: Row | str) -> RunRef:
    """The run of this row."""
    key = row if isinstance(row, str) else row.key
    return RunRef(workflow_run_id=f"run-{key[:8]}", task_id=f"task-{key[:8]}", user="u")


def result(row: Row, status: str = "succeeded", **fields: Any) -> RunResult:
    """What a run of this row gives."""
    run_id = ref(row).workflow_run_id
    outputs = {"echo": dict(row.inputs)}
    return RunResult(
        status=status, workflow_run_id=run_id, outputs=outputs, total_tokens=3, **fields
    )


@attrs.define
class Works:
    """A row's work that does as it is told.

    Attributes:
        do: for keys or inputs ``n``: what happens, instead of a success: an exception
            is raised, a result returned, a function called with the row; of a list one
            after another.
        gate: if there is one, each run waits for it.
        calls: the keys of the rows, as they were started.
        known: the runs that were to be found again.
        running: how many run now; `most` is the most there were.
    """

    do: dict[Any, Any] = attrs.field(factory=dict)
    gate: asyncio.Event | None = None
    calls: list[str] = attrs.field(factory=list)
    known: list[RunRef] = attrs.field(factory=list)
    cancelled: list[str] = attrs.field(factory=list)
    running: int = 0
    most: int = 0

    async def __call__(
        self, row: Row, *, known: RunRef | None, started: Started
    ) -> RunResult:
        self.calls.append(row.key)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await self._run(row, known, started)
        except asyncio.CancelledError:
            self.cancelled.append(row.key)
            raise
        finally:
            self.running -= 1

    async def _run(self, row: Row, known: RunRef | None, started: Started) -> RunResult:
        what = self._what(row)
        if isinstance(what, BaseException):
            raise what
        if known is not None:
            self.known.append(known)
        else:
            await started(ref(row))
        if callable(what):
            what = await what(row)
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        if isinstance(what, AfterStart):
            raise what.error
        return result(row) if what is None else what

    def _what(self, row: Row) -> Any:
        what = self.do.get(row.key, self.do.get(row.inputs.get("n")))
        if isinstance(what, list):
            what = what.pop(0) if what else None
        return what


@attrs.frozen
class AfterStart:
    """An error that comes when the run's id is known."""

    error: BaseException


@attrs.define
class Kept:
    """A row in a journal in memory."""

    record: Record
    owner: MemoryJournal | None = None


class MemoryJournal(Journal):
    """A journal without a database; its rules are those that `Journal` tells.

    Args:
        rows: what another one left behind, or works on.
        failures: errors to raise by the names of calls, one after another.
    """

    def __init__(
        self,
        rows: dict[Identity, Kept] | None = None,
        **failures: list[BaseException],
    ) -> None:
        self.rows = {} if rows is None else rows
        self.failures = failures
        self.bound: Mapping[str, str] | None = None
        self.offers: list[int] = []
        self.called: Counter[str] = Counter()
        self.before: dict[str, Callable[[], Awaitable[Any]]] = {}
        self.sure = True

    @property
    def is_sure(self) -> bool:
        return self.sure

    @property
    def states(self) -> Counter[State]:
        """How many rows stand where."""
        return Counter(kept.record.state for kept in self.rows.values())

    def of(self, key: str) -> Record:
        """What is kept of the only row of this key."""
        (found,) = (k.record for (name, _), k in self.rows.items() if name == key)
        return found

    def die(self) -> None:
        """Be gone without a word, as a process that is killed."""
        for kept in self.rows.values():
            if kept.owner is self:
                kept.owner = None

    async def _enter(self, name: str) -> None:
        self.called[name] += 1
        if name in self.before:
            await self.before[name]()
        if self.failures.get(name):
            raise self.failures[name].pop(0)

    async def bind(self, binding: Mapping[str, str]) -> None:
        await self._enter("bind")
        self.bound = binding

    async def offer(
        self, rows: Sequence[Row], *, rerun: Collection[State] = ()
    ) -> list[Claim]:
        await self._enter("offer")
        self.offers.append(len(rows))
        return [self._claim(row, rerun) for row in rows]

    def _claim(self, row: Row, rerun: Collection[State]) -> Claim:
        new = Record(key=row.key, digest=row.digest, state=State.PENDING)
        kept = self.rows.setdefault((row.key, row.digest), Kept(new))
        state = kept.record.state
        if kept.owner is not None:
            verdict = Verdict.HELD
        elif state is State.RUNNING:
            verdict, kept.owner = Verdict.RECOVER, self
        elif state is State.STARTED or (state is State.UNKNOWN and state not in rerun):
            verdict = Verdict.UNKNOWN
            kept.record = attrs.evolve(kept.record, state=State.UNKNOWN)
        elif state in {State.PENDING, State.REFUSED, *rerun}:
            verdict, kept.owner = Verdict.RUN, self
            kept.record = attrs.evolve(
                kept.record, state=State.STARTED, attempts=kept.record.attempts + 1
            )
        else:
            verdict = Verdict.DONE
        return Claim(verdict=verdict, record=kept.record, row=row)

    def _mine(self, key: str, digest: str) -> Kept:
        kept = self.rows[key, digest]
        if kept.owner is not self:
            raise LeaseLost(key)
        return kept

    async def known(self, row: Row, ref: RunRef) -> None:
        await self._enter("known")
        kept = self._mine(row.key, row.digest)
        kept.record = attrs.evolve(kept.record, state=State.RUNNING, ref=ref)

    async def finish(self, record: Record) -> None:
        await self._enter("finish")
        kept = self._mine(record.key, record.digest)
        kept.record = attrs.evolve(record, attempts=kept.record.attempts)
        kept.owner = None

    async def release(self, row: Row) -> None:
        await self._enter("release")
        kept = self._mine(row.key, row.digest)
        if kept.record.state is State.STARTED:
            kept.record = attrs.evolve(kept.record, state=State.PENDING)
        kept.owner = None


async def collect(batch: Any) -> list[Any]:
    """All items of a batch, which is entered and left."""
    async with batch:
        return [item async for item in batch]


def rows(n: int) -> list[dict[str, Any]]:
    """So many rows, which tell their numbers."""
    return [{"n": i} for i in range(n)]


async def until_failure(batch: Any) -> tuple[list[Any], BaseException | None]:
    """The items of a batch, and what it raises at the end."""
    items: list[Any] = []
    try:
        async for item in batch:
            items.append(item)  # noqa: PERF401 - what comes before the error
    except Exception as error:  # noqa: BLE001 - it is looked at
        return items, error
    return items, None
