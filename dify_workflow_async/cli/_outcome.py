"""What became of a run: for people, and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import click

from .. import WorkflowClient
from ..models import File, PauseReason, RunRef, RunResult
from ._lines import summarize
from ._show import console, put, show_facts, show_json, shown
from ._text import command_line, printable


Style = Literal["table", "json", "outputs", "text"]


def show_result(result: RunResult, style: Style, *, streamed: str | None) -> None:
    """Print a result to standard output.

    Args:
        result: whatever its status.
        style: a table of all; all or the outputs alone as JSON; or the outputs as texts.
        streamed: the text that a person has seen already; it is not shown again.
    """
    match style:
        case "table":
            show_facts(_facts(result, streamed))
        case "json":
            show_json(as_json(result))
        case "outputs":
            if result.outputs or result.is_success:
                show_json(dict(result.outputs))
        case "text":
            _show_text(result, streamed)


def show_ref(ref: RunRef, style: Style) -> None:
    """Print what is needed to find a run again."""
    if style == "table":
        task = ref.task_id or ""
        show_facts([("run", ref.workflow_run_id), ("task", task), ("user", ref.user)])
    elif style == "text":
        put(ref.workflow_run_id)
    else:
        ids = {"workflow_run_id": ref.workflow_run_id, "task_id": ref.task_id}
        show_json(ids | {"user": ref.user})


def as_json(result: RunResult) -> dict[str, Any]:
    """All of a result, as JSON has it; prices are texts, which lose no digit."""
    price = result.total_price
    return {
        "status": result.status,
        "outputs": dict(result.outputs),
        "error": result.error,
        "workflow_run_id": result.workflow_run_id,
        "task_id": result.task_id,
        "elapsed_time": result.elapsed_time,
        "total_steps": result.total_steps,
        "total_tokens": result.total_tokens,
        "total_price": None if price is None else str(price),
        "currency": result.currency,
        "files": [dict(file.raw) for file in result.files],
        "reasons": [dict(reason.raw) for reason in result.reasons],
    }


def _facts(result: RunResult, streamed: str | None) -> Iterator[tuple[str, str]]:
    for name, value in summarize(result):
        if streamed and value == streamed and "\n" in value:
            yield name, f"(the text above, {len(value):,} characters)"
        else:
            yield name, value


def _show_text(result: RunResult, streamed: str | None) -> None:
    """The outputs as texts, unless the run's text was written as it came."""
    if streamed:
        if not streamed.endswith("\n"):
            click.echo()
        return
    console()  # which can print texts of any kind
    for value in result.outputs.values():
        put(shown(value))


# -- files ---------------------------------------------------------------------------


async def download(client: WorkflowClient, result: RunResult, folder: Path) -> None:
    """Save the files of a result, and tell where.

    The second file of a name goes into a folder ``2`` there, and so on.

    Raises:
        DifyError: one could not be had.
        OSError: it cannot be written there.
    """
    names: Counter[str | None] = Counter()
    for file in result.files:
        names[file.filename] += 1
        number = names[file.filename]
        place = folder if number == 1 else folder / str(number)
        place.mkdir(parents=True, exist_ok=True)
        path = await client.download(file).save(place)
        click.echo(f"saved {path} ({_about(file)})", err=True)


def _about(file: File) -> str:
    size = f", {file.size:,} bytes" if file.size and file.size >= 0 else ""
    return printable(f"{file.mime_type or file.type or 'file'}{size}")


# -- pauses --------------------------------------------------------------------------


def show_pause(result: RunResult) -> None:
    """Tell whom a run waits for, and how to go on; to standard error."""
    if not result.reasons:  # as of servers that tell none, and where it is read again
        click.echo("the run waits for a person", err=True)
    for reason in result.reasons:
        for line in _asked(reason):
            click.echo(line, err=True)
    if result.workflow_run_id is not None:
        command = command_line("attach", result.workflow_run_id)
        click.echo(f"then follow it: {command}", err=True)


def _asked(reason: PauseReason) -> Iterator[str]:
    where = printable(reason.node_title or reason.node_id or "a node")
    content = printable(reason.form_content or reason.message or "")
    yield f"{where} waits for a person" + (f": {content}" if content else "")
    if reason.form_token is None:
        yield "  its form was sent elsewhere"
        return
    fields = [("-i", f"{each.output_variable_name}=...") for each in reason.inputs]
    for action in reason.actions:
        options = ["--action", action.id or "", *chain.from_iterable(fields)]
        command = command_line("form", reason.form_token, *options)
        yield f"  {printable(action.title or '')}: {command}"
