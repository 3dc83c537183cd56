"""``dify-workflow form``: what a paused run asks a person, and the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import click

from .. import WorkflowClient
from ..errors import InvalidInputs
from ..files import RemoteFile
from ..inputs import FileFacts, type_to_send
from ..models import FileUploadSettings, Form, FormInput, InputVariable, Parameters
from ._connection import Connection, connected
from ._exit import STATUSES, carry_out
from ._inputs import Given, inputs_of
from ._options import input_option
from ._show import moment, show_facts, show_json, show_table, shown
from ._text import safe


@click.command(epilog=STATUSES)
@click.argument("token")
@click.option("--action", metavar="ID", help="Answer the form with this button.")
@input_option(
    "What to fill in: NAME=TEXT, NAME=@FILE, NAME:=JSON; for a file, also "
    "NAME=https://...; several times for a list of files.",
)
@click.option("--json", "as_json", is_flag=True, help="As the server told it.")
@connected
def form(
    token: str,
    *,
    action: str | None,
    given: tuple[str, ...],
    as_json: bool,
    connection: Connection,
) -> None:
    """Show the form TOKEN that a paused run waits for, or answer it with --action.

    Fields that are not filled in get what the form proposes, if it does. The first
    answer counts; the run goes on behind it, and `attach` follows it.
    """
    if given and action is None:
        msg = "--input fills in an answer, and --action says which"
        raise click.UsageError(msg)
    carry_out(_form(token, action, given, connection, as_json=as_json))


async def _form(
    token: str,
    action: str | None,
    given: Sequence[str],
    connection: Connection,
    *,
    as_json: bool,
) -> None:
    words = list(map(Given.of, given))
    async with connection.client() as client:
        asked = await client.get_form(token)
        if action is None:
            _show(asked, as_json=as_json)
            return
        values = _filled_in(asked, action, words)
        inputs: dict[str, Any] = {}
        for field in asked.inputs:
            name = field.output_variable_name or ""
            inputs[name] = await _sent(client, field, values[name])
        await client.submit_form(token, action=action, inputs=inputs)
    if as_json:
        show_json({"action": action, "inputs": inputs})
    else:
        click.echo(safe(f"answered with {action}: the run goes on"))


# -- showing ---------------------------------------------------------------------------


def _show(asked: Form, *, as_json: bool) -> None:
    if as_json:
        show_json(asked.raw)
        return
    if asked.form_content:
        click.echo(safe(asked.form_content) + "\n")
    if asked.inputs:
        headers = ("field", "type", "proposed", "takes")
        show_table(headers, [_row(asked, field) for field in asked.inputs])
        click.echo()
    buttons = [(x.id or "", x.title or "") for x in asked.user_actions]
    show_table(("action", "title"), buttons)
    if asked.expiration_time:
        click.echo()
        show_facts([("expires", moment(asked.expiration_time))])


def _row(asked: Form, field: FormInput) -> list[str]:
    proposed = _proposed(asked, field)
    name = field.output_variable_name or ""
    return [name, field.type or "", proposed or "", "; ".join(_takes(field))]


def _takes(field: FormInput) -> Iterator[str]:
    if options := _options(field):
        yield " | ".join(options)
    kinds = [x for x in field.allowed_file_types if x != "custom"]
    kinds += field.allowed_file_extensions
    if kinds:
        yield ", ".join(kinds)
    if field.number_limits:
        yield f"at most {field.number_limits} files"


def _options(field: FormInput) -> list[str]:
    match (field.option_source or {}).get("value"):
        case [*values]:
            return list(map(shown, values))
        case _:
            return []


def _proposed(asked: Form, field: FormInput) -> str | None:
    """What stands in the field before anybody fills it in."""
    of_run = (asked.resolved_default_values or {}).get(field.output_variable_name or "")
    if of_run is not None:
        return shown(of_run)
    value = (field.default or {}).get("value")
    return None if value is None else shown(value)


# -- answering -------------------------------------------------------------------------


def _filled_in(asked: Form, action: str, given: Sequence[Given]) -> dict[str, Any]:
    """The value of each field, with what the form proposes for those not given.

    Raises:
        InvalidInputs: what does not fit the form, before anything is sent.
    """
    fields = {x.output_variable_name or "": x for x in asked.inputs}
    like_inputs = [InputVariable(variable=x, type=y.type) for x, y in fields.items()]
    values = inputs_of(Parameters(user_input_form=tuple(like_inputs)), given, {})
    problems: list[str] = []
    buttons = [x.id or "" for x in asked.user_actions]
    if action not in buttons:
        has = ", ".join(buttons) or "none"
        problems.append(f"--action: there is no {action!r}; the form has {has}")
    problems += [
        f"{name}: the form has no such field; it has {', '.join(fields) or 'none'}"
        for name in values
        if name not in fields
    ]
    for name, field in fields.items():
        if name not in values:
            values[name] = [] if field.type == "file-list" else _proposed(asked, field)
        problems += [f"{name}: {why}" for why in _problems(field, values[name])]
    if problems:
        raise InvalidInputs(problems)
    return values


def _problems(field: FormInput, value: Any) -> Iterator[str]:
    if value is None:
        yield "must be filled in"
    options = _options(field) if field.type == "select" else []
    if options and value is not None and value not in options:
        yield f"{value!r} is none of {', '.join(options)}"


async def _sent(client: WorkflowClient, field: FormInput, value: Any) -> Any:
    """What is sent for a value: files as forms take them (specification, 1.8)."""
    match value:
        case [*values] if field.type == "file-list":
            return [await _sent(client, field, each) for each in values]
        case RemoteFile():
            name = PurePosixPath(urlsplit(value.url).path).name
            kind = _kind(field, FileFacts(name=name, method="remote_url"))
            return {"type": kind, "transfer_method": "remote_url", "url": value.url}
        case Path():
            file = await client.upload(value)
            facts = FileFacts(name=file.name, mime_type=file.mime_type)
            return {
                "type": _kind(field, facts),
                "transfer_method": "local_file",
                "upload_file_id": file.id,
            }
        case _:
            return value


def _kind(field: FormInput, facts: FileFacts) -> str:
    """A field of a form says what it takes as an app's variable does."""
    allows = FileUploadSettings(
        allowed_file_types=field.allowed_file_types,
        allowed_file_extensions=field.allowed_file_extensions,
        allowed_file_upload_methods=field.allowed_file_upload_methods,
    )
    return type_to_send(facts, allows)
