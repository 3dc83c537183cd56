"""A batch from one table to another."""

from __future__ import annotations

import asyncio

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from .. import WorkflowClient
from ..batch.tables import Checked, Results, Table, TableRow, read_table
from ..errors import ConfigurationError, TableError
from ._batch_watch import Watch
from ._connection import Connection
from ._progress import display
from ._show import console
from ._signals import Interrupts, on_interrupt
from ._text import printable


if TYPE_CHECKING:
    from ..batch import Batch
    from ..batch.journal import Journal
    from ..distributed import DistributedBatch


@attrs.frozen(kw_only=True)
class Request:
    """What the command was asked for; see its options.

    Attributes:
        dask: ``local`` or the address of a scheduler; None: rows run in this process.
        options: for ``client.batch()``.
    """

    table: Path
    output: Path
    mapping: dict[str, str]
    key: str | None
    journal: str | None
    fresh: bool
    overwrite: bool
    quiet: bool
    delimiter: str | None
    encoding: str
    sheet: str | None
    connection: Connection
    dask: str | None
    workers: int
    options: dict[str, Any]


async def run(request: Request) -> int:
    """Run the batch and tell of it.

    Returns:
        the exit status.

    Raises:
        DifyError: nothing was run.
    """
    async with AsyncExitStack() as stack:
        interrupts = Interrupts()
        stack.enter_context(on_interrupt(interrupts))
        client = await stack.enter_async_context(request.connection.client())
        table, checked = await _read(request, client)
        _refuse_same_file(request)
        journal, had = await _open_journal(request, stack)
        results = await asyncio.to_thread(_results, request, resumed=had > 0)
        results.check()
        stack.callback(results.close)
        shown = display(console(err=True), quiet=request.quiet)
        stack.callback(shown.close)
        batch = _new_batch(
            request,
            client,
            table,
            total=checked.rows,
            key=_key(request, checked),
            journal=journal,
            replay=True,
            validate=True,
            on_progress=shown.show,
            **request.options,
        )
        if not request.quiet:
            for text in _beginning(table, checked, request, had):
                shown.say(text)
        watch = Watch(batch, results, shown, checked.rows, interrupts)
        return await watch.through()


def _new_batch(
    request: Request,
    client: WorkflowClient,
    table: Table,
    *,
    journal: Journal | None,
    **options: Any,
) -> Batch | DistributedBatch:
    """The batch, here or over workers, who open the journal themselves."""
    if request.dask is None:
        return client.batch(table, journal=journal, **options)
    from ..distributed import run_distributed

    return run_distributed(
        table,
        client=request.connection.client,
        cluster=None if request.dask == "local" else request.dask,
        workers=request.workers,
        journal=request.journal,
        **options,
    )


async def _read(request: Request, client: WorkflowClient) -> tuple[Table, Checked]:
    """The table, read once to its end, so that a broken one costs nothing."""
    form = await client.parameters()
    table = await asyncio.to_thread(
        read_table,
        request.table,
        mapping=request.mapping,
        form=form,
        delimiter=request.delimiter,
        encoding=request.encoding,
        sheet=request.sheet,
    )
    return table, await asyncio.to_thread(table.check)


def _results(request: Request, *, resumed: bool) -> Results:
    """The results, which take the place of those of the same batch, if it is *resumed*.

    What its journal has is given again: the table of before has nothing more.
    """
    results = Results(request.output, replace=request.overwrite)
    if resumed and (results.part.exists() or _is_of_a_batch(request.output)):
        return Results(request.output, replace=True)
    return results


def _is_of_a_batch(output: Path) -> bool:
    if not output.exists():
        return False
    try:
        table = read_table(output)
        columns = table.columns
        if columns is None:  # each row has its own
            columns = next((tuple(row.cells) for row in table), ())
    except TableError:
        return False
    return "run.key" in columns


def _refuse_same_file(request: Request) -> None:
    output = request.output
    if output.exists() and output.samefile(request.table):
        msg = "the results cannot take the place of the table that they are made from"
        raise TableError(msg, path=str(output))


async def _open_journal(
    request: Request, stack: AsyncExitStack
) -> tuple[Journal | None, int]:
    """The journal, and how many rows it has already."""
    if request.journal is None:
        return None, 0
    from ..batch.journal import Journal

    journal = await stack.enter_async_context(Journal.open(request.journal))
    had = sum((await journal.counts()).values())
    if had and request.fresh:
        msg = f"the journal has {had} rows already, and --fresh wants a new one"
        raise ConfigurationError(msg)
    return journal, had


def _key(request: Request, checked: Checked) -> Any:
    """The function that gives a row's key: the cell of a column, sent or not."""
    column = request.key
    if column is None:
        return None
    if checked.rows and column not in checked.columns:
        has = ", ".join(map(repr, checked.columns))
        msg = f"there is no column {column!r} for --key; there is {has}"
        raise TableError(msg, path=str(request.table))

    def key(row: TableRow) -> Any:
        return row.cells.get(column)

    return key


def _beginning(table: Table, checked: Checked, request: Request, had: int) -> list[str]:
    """What to know before the first row ends."""
    told = [f"{checked.rows:,} rows in {request.table}"]
    unsent = [x for x in checked.columns if table.variable(x) is None]
    if unsent:
        names = ", ".join(map(printable, unsent))
        told.append(f"not sent, since the app has no such input: {names}")
    if had:
        told.append(f"the journal has {had:,} rows: going on where it ended")
    return told
