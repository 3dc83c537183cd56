"""The command ``dify-workflow doctor``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ...models import Parameters
from .._connection import Connection, connected
from .._exit import DONE, FAILED, carry_out
from .._inputs import Given, inputs_of
from .._options import input_option
from ._examine import Notes, Trial, examine
from ._finding import Mark
from ._report import show, show_all


_EPILOG = """\b
Exit status: 0 nothing is wrong; 1 something is, or with --strict is in doubt;
2 wrong options; 130 interrupted.
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--run",
    "may_run",
    is_flag=True,
    help="Run the workflow once, and measure when its events come. A run may cost "
    "money, and do what the workflow does.",
)
@input_option(
    "An input of that run, as `run` takes it.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds that the run may take; then it is stopped.",
)
@click.option("--strict", is_flag=True, help="What is in doubt is wrong.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@connected
def doctor(
    *,
    may_run: bool,
    given: tuple[str, ...],
    timeout: float,
    strict: bool,
    as_json: bool,
    connection: Connection,
) -> None:
    """Find out why an app cannot be reached, or its events do not come as they should.

    Looks at the base URL, the network, TLS, the key, the server's version and clock;
    with --run, at the pace of a run's events, which tells of proxies that buffer, cut
    or lose them. Each trouble is named with its cause and what to do.
    """
    if given and not may_run:
        msg = "--input is for the run that --run asks for"
        raise click.UsageError(msg)

    def inputs(form: Parameters) -> Mapping[str, Any]:
        return inputs_of(form, map(Given.of, given), {})

    trial = Trial(inputs=inputs, timeout=timeout) if may_run else None
    carry_out(_doctor(connection, trial, strict=strict, as_json=as_json))


async def _doctor(
    connection: Connection, trial: Trial | None, *, strict: bool, as_json: bool
) -> int:
    notes = Notes((lambda _: None) if as_json else show)
    await examine(connection, trial, notes)
    if as_json:
        show_all(notes.findings)
    bad = {Mark.WRONG, Mark.DOUBT} if strict else {Mark.WRONG}
    return FAILED if any(each.mark in bad for each in notes.findings) else DONE
