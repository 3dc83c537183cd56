"""``dify-workflow run``: a workflow, watched to its end."""

from __future__ import annotations

from typing import Any

import attrs
import click

from .. import WorkflowClient
from ._ask import ask, can_ask
from ._connection import Connection, connected
from ._exit import DONE, STATUSES, carry_out
from ._following import Following, followed
from ._inputs import Given, any_file, inputs_of, read_object
from ._options import input_option
from ._outcome import show_ref


@attrs.frozen(kw_only=True)
class Inputs:
    """What the command was given to run with.

    Attributes:
        given: words of ``--input``.
        source: the file of ``--inputs``, if there is one.
        files: words of ``--file``, for ``sys.files``.
        validate: hold them against the app's form.
    """

    given: tuple[str, ...]
    source: str | None
    files: tuple[str, ...]
    validate: bool

    async def read(self, client: WorkflowClient) -> tuple[dict[str, Any], list[Any]]:
        """The inputs by the app's form, and the files beside them.

        Inputs that are missing are asked for.

        Raises:
            InvalidInputs: they cannot be sent.
            DifyError: the form could not be read.
        """
        given = list(map(Given.of, self.given))
        files = list(map(any_file, self.files))
        table = read_object(self.source) if self.source else {}
        form = await client.parameters()
        inputs = inputs_of(form, given, table)
        if can_ask():
            inputs |= ask(form, inputs)
        if self.validate:
            await client.validate(inputs, files=files or None)
        return inputs, files


@click.command(epilog=STATUSES)
@input_option(
    "An input, as the app's form wants it: NAME=TEXT, NAME=@FILE, NAME:=JSON; for "
    "a file, also NAME=https://...; several times for a list of files.",
)
@click.option(
    "--inputs",
    "source",
    metavar="FILE|-",
    help="A JSON object of inputs; - is standard input. --input goes before it.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH|URL",
    help="A file beside the inputs, for apps that take them so (sys.files).",
)
@click.option(
    "--validate/--no-validate",
    default=True,
    help="Hold the inputs against the app's form before anything is sent; the default.",
)
@click.option("--workflow-id", help="A published version; else the newest.")
@click.option("--trace-id", help="For the server's tracing.")
@click.option("--trace-session-id", help="For the server's tracing (from 1.15).")
@click.option("--traceparent", help="Of W3C Trace Context.")
@click.option(
    "-d",
    "--detach",
    is_flag=True,
    help="Start the run, tell its ids, and let it go; `attach` and `wait` find it.",
)
@followed
@connected
def run(
    given: tuple[str, ...],
    *,
    source: str | None,
    files: tuple[str, ...],
    validate: bool,
    detach: bool,
    following: Following,
    connection: Connection,
    **options: Any,
) -> None:
    """Run the workflow, show how it goes, and print its result.

    On a terminal the nodes are shown as a tree, with time, tokens and price, and the
    text above it as it comes; elsewhere there is a line for each event. All of that goes
    to standard error, and the result to standard output. Required inputs that are not
    given are asked for on a terminal.

    Ctrl-C stops the run on the server, and once more leaves at once.
    """
    if detach and (unmet := following.of_the_end()):
        msg = f"--detach does not wait for what {', '.join(unmet)} is to have"
        raise click.UsageError(msg)
    inputs = Inputs(given=given, source=source, files=files, validate=validate)
    carry_out(_run(connection, following, inputs, options, detach=detach))


async def _run(
    connection: Connection,
    following: Following,
    inputs: Inputs,
    options: dict[str, Any],
    *,
    detach: bool,
) -> int:
    following.check()
    async with connection.client(on_cancel=following.on_cancel or "stop") as client:
        found, files = await inputs.read(client)
        options |= {"files": files or None, "timeout": following.timeout}
        if detach:
            show_ref(await client.start(found, **options), following.style)
            return DONE
        return await following.through(client, client.stream(found, **options))
