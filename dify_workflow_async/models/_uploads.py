"""Files that were uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from ._base import Value, raw_field


@attrs.frozen(kw_only=True, repr=False, eq=False)
class UploadedFile(Value):
    """What the server keeps of an upload (specification, section 1.10).

    Attributes:
        id: what a run's inputs refer to it by, as ``upload_file_id``.
        name: as sent; names of more than 200 characters are shortened.
        size: in bytes.
        extension: without its dot, such as ``"png"``, unlike that of `File`.
        created_by: the id of the end user, not the ``user`` that was sent.
        source_url: signed; it expires, after 300 s by default.
    """

    id: str | None = None
    name: str | None = None
    size: int | None = None
    extension: str | None = None
    mime_type: str | None = None
    created_by: str | None = None
    created_at: datetime | None = None
    preview_url: str | None = None
    source_url: str | None = None
    original_url: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    conversation_id: str | None = None
    file_key: str | None = None
    reference: str | None = None
    raw: Mapping[str, Any] = raw_field()
