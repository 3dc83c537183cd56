"""``dify-workflow form``: what a paused run asks a person, and the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import click

from .. import WorkflowClient
from ..errors import InvalidInputs
from ..inputs import FileFacts, type_to_send
from ..models import FileUploadSettings, Form, FormInput
from ._connection import Connection, connected
from ._exit import STATUSES, carry_out
from ._pairs import pairs
from ._show import lines, moment, show_facts, show_json, show_table, shown


@click.command(epilog=STATUSES)
@click.argument("token")
@click.option("--action", metavar="ID", help="Answer the form with this button.")
@click.option(
    "-i",
    "--input",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="What to fill in. Of a file: its path, or its URL.",
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
    values = pairs(given)
    carry_out(_form(token, action, values, connection, as_json=as_json))


async def _form(
    token: str,
    action: str | None,
    values: Mapping[str, list[str]],
    connection: Connection,
    *,
    as_json: bool,
) -> None:
    async with connection.client() as client:
        asked = await client.get_form(token)
        if action is None:
            _show(asked, as_json=as_json)
            return
        checked = _checked(asked, action, values)
        inputs = {
            field.output_variable_name or "": await _value(client, field, texts)
            for field, texts in checked
        }
        await client.submit_form(token, action=action, inputs=inputs)
    if as_json:
        show_json({"action": action, "inputs": inputs})
    else:
        click.echo(lines(f"answered with {action}: the run goes on"))


# -- showing ---------------------------------------------------------------------------


def _show(asked: Form, *, as_json: bool) -> None:
    if as_json:
        show_json(asked.raw)
        return
    if asked.form_content:
        click.echo(lines(asked.form_content) + "\n")
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
    value = (field.option_source or {}).get("value")
    return [shown(x) for x in value] if isinstance(value, list) else []


def _proposed(asked: Form, field: FormInput) -> str | None:
    """What stands in the field before anybody fills it in."""
    of_run = (asked.resolved_default_values or {}).get(field.output_variable_name or "")
    if of_run is not None:
        return shown(of_run)
    value = (field.default or {}).get("value")
    return None if value is None else shown(value)


# -- answering -------------------------------------------------------------------------


def _checked(
    asked: Form, action: str, values: Mapping[str, list[str]]
) -> list[tuple[FormInput, list[str]]]:
    """Each field with its values.

    Raises:
        InvalidInputs: all that does not fit the form, before anything is sent.
    """
    problems: list[str] = []
    buttons = [x.id or "" for x in asked.user_actions]
    if action not in buttons:
        has = ", ".join(buttons) or "none"
        problems.append(f"--action: there is no {action!r}; the form has {has}")
    fields = {x.output_variable_name or "": x for x in asked.inputs}
    problems += [
        f"{name}: the form has no such field; it has {', '.join(fields) or 'none'}"
        for name in values
        if name not in fields
    ]
    found: list[tuple[FormInput, list[str]]] = []
    for name, field in fields.items():
        proposed = _proposed(asked, field)
        texts = values.get(name) or ([] if proposed is None else [proposed])
        problems += [f"{name}: {why}" for why in _problems(field, texts)]
        found.append((field, texts))
    if problems:
        raise InvalidInputs(problems)
    return found


def _problems(field: FormInput, texts: Sequence[str]) -> Iterator[str]:
    if field.type == "file-list":
        return
    if not texts:
        yield "must be filled in"
    if len(texts) > 1:
        yield "is filled in twice"
    options = _options(field)
    if field.type == "select" and options and texts and texts[0] not in options:
        yield f"{texts[0]!r} is none of {', '.join(options)}"


async def _value(client: WorkflowClient, field: FormInput, texts: list[str]) -> Any:
    """What is sent for a field: its text, or the files that it names."""
    if field.type == "file-list":
        return [await _file(client, field, text) for text in texts]
    if field.type == "file":
        return await _file(client, field, texts[0])
    return texts[0]


async def _file(client: WorkflowClient, field: FormInput, text: str) -> dict[str, Any]:
    """A file as forms take it (specification, section 1.8), uploaded if it is here."""
    if text.startswith(("http://", "https://")):
        name = PurePosixPath(urlsplit(text).path).name
        kind = _kind(field, FileFacts(name=name, method="remote_url"))
        return {"type": kind, "transfer_method": "remote_url", "url": text}
    uploaded = await client.upload(Path(text))
    facts = FileFacts(name=uploaded.name, mime_type=uploaded.mime_type)
    return {
        "type": _kind(field, facts),
        "transfer_method": "local_file",
        "upload_file_id": uploaded.id,
    }


def _kind(field: FormInput, facts: FileFacts) -> str:
    """A field of a form says what it takes as an app's variable does."""
    allows = FileUploadSettings(
        allowed_file_types=field.allowed_file_types,
        allowed_file_extensions=field.allowed_file_extensions,
        allowed_file_upload_methods=field.allowed_file_upload_methods,
    )
    return type_to_send(facts, allows)
