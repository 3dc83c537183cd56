"""Files among the outputs of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ._base import Value, raw_field


@attrs.frozen(kw_only=True, repr=False, eq=False)
class File(Value):
    """A file among the outputs of a node or a run (specification, section 2.3).

    Attributes:
        type: ``image``, ``document``, ``audio``, ``video`` or ``custom``.
        transfer_method: ``local_file``, ``remote_url`` or ``tool_file``.
        extension: with its dot, such as ``".png"``.
        size: in bytes; -1 if the server does not know.
        url: signed; it expires, after 300 s by default, and may be relative.
    """

    id: str | None = None
    type: str | None = None
    transfer_method: str | None = None
    remote_url: str | None = None
    related_id: str | None = None
    filename: str | None = None
    extension: str | None = None
    mime_type: str | None = None
    size: int | None = None
    url: str | None = None
    raw: Mapping[str, Any] = raw_field()
