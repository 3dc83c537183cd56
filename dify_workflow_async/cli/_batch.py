"""``dify-workflow batch``: a workflow for every row of a table."""

from __future__ import annotations

import asyncio

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from ..batch import State
from ..errors import DifyError
from ._batch_run import Request, run
from ._batch_status import show_status
from ._batch_watch import NOTHING_RUN
from ._connection import connected


T = TypeVar("T")

_FILE = click.Path(path_type=Path, dir_okay=False)


class _Refused(click.ClickException):
    exit_code = NOTHING_RUN


class _Batch(click.Group):
    """A group that is a command, too: ``batch in.csv`` beside ``batch status``."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The group's, if a command of it is named, and else that of `run_batch`."""
        if args and args[0] in self.commands:
            return super().make_context(info_name, args, parent, **extra)
        return run_batch.make_context(info_name, args, parent, **extra)


@click.group(cls=_Batch, short_help="Run the workflow for each row of a table.")
def batch() -> None:
    """Tell of batches."""


def _pairs(
    ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    """``--map COLUMN=INPUT``, any number of times."""
    pairs: dict[str, str] = {}
    for each in value:
        column, equals, name = each.rpartition("=")
        if not (column and equals and name):
            msg = f"{each!r} is not COLUMN=INPUT"
            raise click.BadParameter(msg, ctx, parameter)
        if column in pairs:
            msg = f"the column {column!r} is given twice"
            raise click.BadParameter(msg, ctx, parameter)
        pairs[column] = name
    return pairs


_EPILOG = """\b
Exit status: 0 all rows succeeded; 1 some did not; 2 nothing was run;
3 the batch did not come to its end.

`dify-workflow batch status JOURNAL` tells where a batch stands.
"""


@click.command(epilog=_EPILOG)
@click.argument("table", type=_FILE)
@click.option(
    "-o",
    "--output",
    type=_FILE,
    required=True,
    help="Where the results go: .csv, .tsv, .jsonl, .parquet or .xlsx.",
)
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="COLUMN=INPUT",
    callback=_pairs,
    help="Send a column as an input of another name. Other columns are sent if the "
    "app has inputs of their names.",
)
@click.option(
    "--key",
    metavar="COLUMN",
    help="The column that tells a row from all others; else its inputs do.",
)
@click.option("--delimiter", help="Between the cells of a CSV; else a comma.")
@click.option("--encoding", default="utf-8-sig", show_default=True, help="Of a CSV.")
@click.option("--sheet", help="Of a workbook; else the first.")
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
@click.option(
    "--journal",
    metavar="FILE|URL",
    help="Keep what becomes of each row, here or on a PostgreSQL; run again with it, "
    "the batch goes on where it ended.",
)
@click.option(
    "--resume/--fresh",
    default=True,
    help="Go on where the journal's batch ended, which is the default, or refuse a "
    "journal that has rows already.",
)
@click.option("--rerun-unknown", is_flag=True, help="Run rows that may have been run.")
@click.option("--rerun-failed", is_flag=True, help="Run rows again that failed.")
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How many rows run at once.",
)
@click.option(
    "--rate", metavar="N/s|N/min", help="How many rows start in a second or a minute."
)
@click.option(
    "--adaptive", is_flag=True, help="Run fewer at once while the server is busy."
)
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How often a row is tried that was refused before it ran.",
)
@click.option(
    "--may-run-twice",
    is_flag=True,
    help="Try rows again that may have run: your word that it does no harm.",
)
@click.option(
    "--max-failures",
    type=click.IntRange(1),
    help="Start no more rows after so many failed.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    help="Seconds that a run may take.",
)
@click.option("--workflow-id", help="A published version; else the newest.")
@click.option(
    "--dask",
    metavar="local|ADDRESS",
    help="Run the rows on the workers of a Dask cluster, of a new one on this machine "
    "or of the one whose scheduler is at tcp://...; needs --journal.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="How many workers of the cluster have a share.",
)
@click.option("-q", "--quiet", is_flag=True, help="Tell only of rows that go wrong.")
@connected
def run_batch(**options: Any) -> None:
    """Run the workflow for each row of TABLE, and write what comes of it.

    TABLE is .csv, .tsv, .jsonl, .parquet, .xlsx or another kind of workbook. Ctrl-C
    lets the rows end that run, and a second one stops them.
    """
    options["fresh"] = not options.pop("resume")
    needs_journal = ("fresh", "rerun_unknown", "rerun_failed", "dask")
    if options["journal"] is None:
        for name in needs_journal:
            if options[name]:
                msg = f"--{name.replace('_', '-')} needs --journal"
                raise click.UsageError(msg)
    own = {name: options.pop(name) for name in _OWN}
    raise click.exceptions.Exit(_done(run(Request(options=options, **own))))


_OWN = (
    *("table", "output", "mapping", "key", "delimiter", "encoding", "sheet"),
    *("overwrite", "journal", "fresh", "quiet", "connection"),
    *("dask", "workers"),
)
"""Options of the command; the others are for ``client.batch()``."""


@batch.command("status")
@click.argument("journal", metavar="JOURNAL")
@click.option(
    "--list",
    "state",
    type=click.Choice([state.value for state in State]),
    help="List the rows that stand so: key, run and error.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(journal: str, state: str | None, as_json: bool) -> None:
    """Tell where the batch of JOURNAL stands, also while it runs."""
    _done(show_status(journal, State(state) if state else None, as_json=as_json))


def _done(work: Coroutine[Any, Any, T]) -> T:
    """Run it; an error is told in a sentence, and is no traceback."""
    try:
        return asyncio.run(work)
    except DifyError as error:
        raise _Refused(str(error)) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise click.exceptions.Exit(130) from None  # as shells have it
