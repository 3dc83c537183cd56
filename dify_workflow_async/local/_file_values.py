"""File values: what a workflow has in place of the references that a client sent."""

import json

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from ._dialect import Dialect
from ._ids import new_id
from ._json import is_list, is_object
from ._steps import Json


Link: TypeAlias = Callable[[str], str]

IDENTITY: Final = "__dify__file__"

_ABOUT: Final = ("filename", "extension", "mime_type", "size")


def file_value(
    *,
    dialect: Dialect,
    tenant_id: str,
    reference: Json,
    kind: str,
    related_id: str | None,
    about: Json,
    links: tuple[str, str],
) -> dict[str, Any]:
    """Make the value of a file; its shape changed with 1.14.

    Args:
        dialect: The version of the server.
        tenant_id: The workspace, which older versions tell.
        reference: What the client sent.
        kind: The type of the file.
        related_id: The id of the upload, if it is one.
        about: ``filename``, ``extension``, ``mime_type`` and ``size``.
        links: ``remote_url`` and ``url``.
    """
    remote_url, url = links
    head = {
        "dify_model_identity": IDENTITY,
        "id": reference.get("id"),
        "tenant_id": tenant_id,
        "type": kind,
        "transfer_method": reference["transfer_method"],
        "remote_url": remote_url,
    }
    if not dialect.has_file_references:
        return {**head, "related_id": related_id, **about, "url": url}
    del head["tenant_id"]
    opaque = None if related_id is None else _opaque(related_id)
    return {**head, "reference": opaque, **about, "related_id": related_id, "url": url}


def is_file(value: Any) -> bool:
    """Tell whether a value is a file."""
    return is_object(value) and value.get("dify_model_identity") == IDENTITY


def files_in(value: Any) -> list[Any]:
    """Find the files in outputs, as they are listed beside them."""
    if is_file(value):
        return [value]
    items: list[Any] = []
    if is_list(value):
        items = value
    elif is_object(value):
        items = list(value.values())
    return [file for item in items for file in files_in(item)]


def as_markdown(value: Any) -> str | None:
    """Write a file, or a list of files, as text shows it: a link or an image."""
    if is_file(value):
        mark = "!" if value.get("type") == "image" else ""
        return f"{mark}[{value.get('filename')}]({value.get('url')})"
    if is_list(value) and value and all(is_file(item) for item in value):
        return "\n".join(str(as_markdown(item)) for item in value)
    return None


def with_fresh_links(value: Any, link: Link) -> Any:
    """Give the files in a value new links, as each time that they are told."""
    if is_list(value):
        return [with_fresh_links(item, link) for item in value]
    if not is_object(value):
        return value
    if is_file(value):  # those that a scenario made up stay as they are
        is_upload = value.get("transfer_method") == "local_file"
        related_id = value.get("related_id")
        fresh = {"url": link(related_id)} if is_upload and related_id else {}
        return {**value, **fresh}
    return {key: with_fresh_links(item, link) for key, item in value.items()}


def in_shape_of(dialect: Dialect, value: Any, tenant_id: str) -> Any:
    """Give the files in a value of the engine the shape of a version.

    Args:
        dialect: The version; the engine's own shape is that of 1.14.
        value: Any JSON value.
        tenant_id: The workspace, which older versions tell.
    """
    if dialect.has_file_references:
        return value
    if is_list(value):
        return [in_shape_of(dialect, item, tenant_id) for item in value]
    if not is_object(value):
        return value
    if not is_file(value):
        return {
            key: in_shape_of(dialect, item, tenant_id) for key, item in value.items()
        }
    return file_value(
        dialect=dialect,
        tenant_id=tenant_id,
        reference=value,
        kind=value["type"],
        related_id=value["related_id"],
        about={key: value[key] for key in _ABOUT},
        links=(value["remote_url"], value["url"]),
    )


def placeholder_name(extension: str) -> str:
    """Make a name for a file whose link has none."""
    return f"{new_id().replace('-', '')}{extension}"


def _opaque(file_id: str) -> str:
    record = json.dumps({"record_id": file_id}, separators=(",", ":"))
    return f"dify-file-ref:{urlsafe_b64encode(record.encode()).decode('ascii')}"
