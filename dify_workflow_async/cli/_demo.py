"""``dify-workflow demo``: a run to watch, without a Dify."""

from __future__ import annotations

import time

import click

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import WorkflowClient
from ..local import App, LocalServer, demo_scenario
from ..models import RunResult
from ._exit import carry_out
from ._lines import describe, summarize
from ._show import console


@click.command()
@click.option(
    "--topic", default="events", show_default=True, help="Input of the workflow."
)
def demo(topic: str) -> None:
    """Run a workflow on a server of this machine and show its events.

    Starts a local server on a free port, streams a workflow with text, an iteration
    and speech, prints its events as they come, and its result.
    """
    carry_out(_demo(topic, console()))


async def _demo(topic: str, out: Console) -> None:
    app = App(demo_scenario())
    # Servers up to 1.12 send the end of the speech after the end of the run.
    async with LocalServer([app], version="1.12.1") as server:
        out.print(f"a local server listens on {server.base_url}\n")
        async with WorkflowClient(app.key, server.base_url, "demo") as client:
            result = await _watch(client, topic, out)
    _show(result, out)


async def _watch(client: WorkflowClient, topic: str, out: Console) -> RunResult:
    begin = time.monotonic()
    async with client.stream({"topic": topic}) as run:
        async for event in run:
            out.print(
                f"[dim]{time.monotonic() - begin:6.2f} s[/]  "
                f"[cyan]{event.event_name:<20}[/]  {escape(describe(event))}",
                soft_wrap=True,
            )
        return await run.result()


def _show(result: RunResult, out: Console) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in summarize(result):
        table.add_row(f"[bold]{name}[/]", escape(value))
    out.print()
    out.print(table)
