"""Inputs, held against what the app asks for, before anything is sent.

`check` tells all that is wrong at once, where the server tells the first problem, and
in streaming mode not even as an HTTP error. What it knows of the app are the
`models.Parameters`.
"""

from __future__ import annotations

from ._check import check
from ._files import EXTENSIONS, FileFacts, dify_type, type_to_send


__all__ = [
    "EXTENSIONS",
    "FileFacts",
    "check",
    "dify_type",
    "type_to_send",
]
