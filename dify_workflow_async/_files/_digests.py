"""Files among inputs, told apart by what is in them."""

from __future__ import annotations

import hashlib

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidInputs
from ._prepare import Prepared
from ._sources import Source


async def with_digests(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The *inputs* with each file replaced by its name and the SHA-256 of its content.

    Files of elsewhere are replaced by what the server is told of them.

    Raises:
        InvalidInputs: a file cannot be read, or only once, so that nothing would be
            left to upload.
    """
    prepared = await Prepared.of(inputs, None)
    told: dict[Any, Mapping[str, str]] = {}
    for found in prepared.found:
        if found.source is None:
            told[found] = found.wire
        else:
            told[found] = await _told(found.source, found.path)
    rendered: Mapping[str, Any]
    rendered, _ = prepared.rendered(told.__getitem__)
    return rendered


async def _told(source: Source, path: str) -> Mapping[str, str]:
    if not source.repeatable:
        problem = (
            f"{path}: can be read once only, and a journal has to know what is in it"
        )
        raise InvalidInputs([problem])
    digest = hashlib.sha256()
    async for piece in source.chunks():
        digest.update(piece)
    return {"name": source.name, "sha256": digest.hexdigest()}
