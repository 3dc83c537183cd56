"""``dify-workflow parameters`` and ``info``: what an app asks for, and what it is."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any, TypeVar

import attrs
import click

from ..errors import Forbidden, NotFound
from ..models import (
    AppInfo,
    EndUser,
    InputVariable,
    Meta,
    Parameters,
    ServerInfo,
    Site,
)
from ._connection import Connection, connected
from ._exit import STATUSES, carry_out
from ._show import moment, show_facts, show_json, show_table, shown


T = TypeVar("T")

_COLUMNS = ("variable", "label", "type", "required", "default", "takes")


@click.command(epilog=STATUSES)
@click.option("--json", "as_json", is_flag=True, help="As the server told it.")
@connected
def parameters(*, as_json: bool, connection: Connection) -> None:
    """Show the form of the app's inputs, and its limits."""
    carry_out(_parameters(connection, as_json=as_json))


async def _parameters(connection: Connection, *, as_json: bool) -> None:
    async with connection.client() as client:
        told = await client.parameters()
    if as_json:
        show_json(told.raw)
        return
    if told.user_input_form:
        show_table(_COLUMNS, [_row(each) for each in told.user_input_form])
    else:
        click.echo("the app asks for no inputs")
    if facts := list(_features(told)):
        click.echo()
        show_facts(facts)


def _row(variable: InputVariable) -> list[str]:
    """An input as a row of `_COLUMNS`."""
    return [
        variable.variable or "",
        variable.label or "",
        variable.type or "",
        "yes" if variable.required else "",
        shown(variable.default),
        "; ".join(_takes(variable)),
    ]


def _takes(variable: InputVariable) -> Iterator[str]:
    """What limits the values of an input."""
    if variable.options:
        yield " | ".join(variable.options)
    if variable.max_length:
        what = "files" if variable.type == "file-list" else "characters"
        yield f"at most {variable.max_length:,} {what}"
    yield from _files(variable)
    if variable.json_schema:
        yield f"schema {shown(variable.json_schema)}"


def _files(takes: Any) -> Iterator[str]:
    """Which files an input, or a run, takes."""
    kinds = [x for x in takes.allowed_file_types if x != "custom"]
    kinds += takes.allowed_file_extensions
    if kinds:
        yield ", ".join(kinds)
    if takes.allowed_file_upload_methods:
        yield "as " + ", ".join(takes.allowed_file_upload_methods)


_LIMITS = {
    "file_size_limit": ("other files", "MB"),
    "image_file_size_limit": ("images", "MB"),
    "audio_file_size_limit": ("sounds", "MB"),
    "video_file_size_limit": ("videos", "MB"),
    "workflow_file_upload_limit": ("files of a list", ""),
}


def _features(told: Parameters) -> Iterator[tuple[str, str]]:
    """What the app takes beside its inputs, and the server's limits."""
    files = told.file_upload
    if files is not None and files.enabled:
        words = [f"at most {files.number_limits}"] if files.number_limits else []
        yield "further files", "; ".join([*words, *_files(files)])
    for name, feature in (
        ("speech to text", told.speech_to_text),
        ("text to speech", told.text_to_speech),
    ):
        if feature and feature.get("enabled"):
            yield name, "yes"
    limits = attrs.asdict(told.system_parameters) if told.system_parameters else {}
    for name, (what, unit) in _LIMITS.items():
        if limits.get(name) is not None:
            yield f"limit for {what}", f"{limits[name]:,} {unit}".rstrip()


# -- info ------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class _About:
    info: AppInfo
    site: Site | None
    meta: Meta | None
    server: ServerInfo | None
    end_user: EndUser | None

    def as_json(self) -> dict[str, Any]:
        """As the server told each part; null for those that it did not tell."""
        parts = attrs.asdict(self, recurse=False)
        told = {name: part and dict(part.raw) for name, part in parts.items()}
        if self.server and not self.server.raw:  # a header told
            told["server"] = {"server_version": self.server.server_version}
        return told


@click.command(epilog=STATUSES)
@click.option(
    "--end-user",
    "end_user_id",
    metavar="ID",
    help="Show an end user, too, by the server's own id, which uploads tell.",
)
@click.option("--json", "as_json", is_flag=True, help="As the server told it.")
@connected
def info(*, end_user_id: str | None, as_json: bool, connection: Connection) -> None:
    """Show what the app is, how its page looks, and the server's version."""
    carry_out(_info(end_user_id, connection, as_json=as_json))


async def _info(
    end_user_id: str | None, connection: Connection, *, as_json: bool
) -> None:
    async with connection.client() as client:
        about = _About(
            info=await client.info(),
            site=await _if_any(client.site()),
            meta=await _if_any(client.meta()),
            server=await _if_any(client.server_info()),
            end_user=await client.end_user(end_user_id) if end_user_id else None,
        )
        base_url = client.base_url
    if as_json:
        show_json(about.as_json())
    else:
        show_facts((name, text) for name, text in _facts(about, base_url) if text)


async def _if_any(asked: Awaitable[T]) -> T | None:
    """What older servers, and apps without a page, do not have."""
    try:
        return await asked
    except (NotFound, Forbidden):
        return None


def _facts(about: _About, base_url: str) -> Iterator[tuple[str, str]]:
    app, site, server = about.info, about.site or Site(), about.server
    yield "name", app.name or ""
    yield "description", app.description or ""
    yield "kind", app.mode or ""
    yield "tags", ", ".join(app.tags)
    yield "author", app.author_name or ""
    yield "server", base_url
    yield "version", (server and server.server_version) or ""
    yield "page", (site.title or "") if about.site else "none"
    yield "page's text", site.description or ""
    yield "page's language", site.default_language or ""
    yield "icon", site.icon_url or site.icon or ""
    yield "copyright", site.copyright or ""
    yield "privacy policy", site.privacy_policy or ""
    yield "disclaimer", site.custom_disclaimer or ""
    yield "tools", ", ".join(about.meta.tool_icons) if about.meta else ""
    if user := about.end_user:
        yield "end user", user.session_id or user.external_user_id or ""
        yield "end user's id", user.id or ""
        yield "end user's name", user.name or ""
        yield "end user's kind", user.type or ""
        yield "end user since", moment(user.created_at)
