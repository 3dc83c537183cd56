"""A batch, from its first row to its last, or to where it is stopped."""

from __future__ import annotations

import asyncio

from collections import Counter
from typing import TYPE_CHECKING

import click

from ..batch import Batch, BatchItem, State
from ..batch.tables import Results, Written
from ..errors import DifyError, TableError
from ._progress import Display, summarize
from ._signals import Interrupts
from ._text import printable


if TYPE_CHECKING:
    from ..distributed import DistributedBatch

SUCCEEDED, SOME_DID_NOT, NOTHING_RUN, NOT_ALL = 0, 1, 2, 3
"""The exit statuses, which docs/howto/batch-command.md tells."""

_TOLD = 10
"""Rows that did not succeed of which the terminal tells; all are in the table."""


class Watch:
    """Sees a batch through, and writes what comes of it.

    Args:
        batch: not yet entered.
        results: not yet open.
        shown: where to tell of it.
        total: how many rows there are.
        interrupts: of the first two the batch is to be stopped.
    """

    def __init__(
        self,
        batch: Batch | DistributedBatch,
        results: Results,
        shown: Display,
        total: int,
        interrupts: Interrupts,
    ) -> None:
        self._batch = batch
        self._results = results
        self._shown = shown
        self._total = total
        self._states: Counter[State] = Counter()
        self._interrupts = interrupts

    async def through(self) -> int:
        """Run it, and write the table.

        Returns:
            the exit status.

        Raises:
            DifyError: nothing was run.
        """
        failures: list[DifyError] = []
        async with self._batch as batch:
            self._results.open()  # by now the journal is known to be this batch's
            self._interrupts.answers = [self._stop, self._abort]
            try:
                async for item in batch:
                    self._take(item)
            except DifyError as error:
                failures.append(error)
        try:
            written = await asyncio.to_thread(self._results.finish)
        except TableError as error:
            failures.append(error)
        else:
            self._summarize(written)
        for failure in failures:
            click.echo(f"Error: {failure}", err=True)
        return self._status(failed=bool(failures))

    def _stop(self) -> None:
        self._batch.stop()
        self._shown.say(
            f"stopping: no more rows start; {self._batch.progress.running} that run "
            "go on to their end, unless you interrupt once more"
        )

    def _abort(self) -> None:
        self._shown.say(f"stopping {self._batch.progress.running} runs")
        self._batch.abort()

    def _take(self, item: BatchItem) -> None:
        self._results.add(item)
        self._states[item.state] += 1
        if item.state is State.SUCCEEDED:
            return
        bad = self._states.total() - self._states[State.SUCCEEDED]
        if bad <= _TOLD:
            self._shown.say(_complaint(item))
        elif bad == _TOLD + 1:
            self._shown.say("more rows did not succeed: the table tells which")

    def _summarize(self, written: Written) -> None:
        self._shown.close()
        for text in summarize(self._batch.summary, self._states):
            click.echo(text)
        click.echo(f"written to {written.path}")
        if written.cut:
            click.echo(
                f"{written.cut:,} texts were cut, since Excel's cells hold no more "
                "than 32,767 characters: other formats have them whole",
                err=True,
            )

    def _status(self, *, failed: bool) -> int:
        ended = self._states.total()
        if failed or (self._interrupts.count and ended < self._total):
            return NOT_ALL
        if self._interrupts.count > 1 and self._states[State.SUCCEEDED] < ended:
            return NOT_ALL
        return SUCCEEDED if self._states[State.SUCCEEDED] == ended else SOME_DID_NOT


def _complaint(item: BatchItem) -> str:
    """Why a row did not succeed."""
    error = item.error or (item.record and item.record.error) or ""
    key = "" if item.key == str(item.index) else f" ({printable(item.key, 40)})"
    return printable(f"row {item.index + 1}{key} {item.state.value}: {error}")
