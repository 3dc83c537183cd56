"""What of a run is not the same twice, and so is compared with no recording."""

from __future__ import annotations

import re

from typing import Any


# Of this machine and this moment: in texts, and by key.
MASKS = [
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST"),
    (re.compile(r'File "[^"]*main\.py", line \d+'), "File"),
    (re.compile(r"\n *[~^]+(?=\n)"), ""),  # which Pythons draw differently
    (re.compile(r"exit status \d+"), "exit status"),
    (re.compile(r'"(latency|time_to_\w+)": [\d.]+'), r'"\1": 0'),
]
OWN_KEYS = {"latency", "time_to_first_token", "time_to_generate", "url", "remote_url"}
OWN_KEYS |= {"server", "date", "content-type", "related_id", "reference", "tenant_id"}


def masked(value: Any) -> Any:
    """Take out of a value what is not the same twice."""
    if isinstance(value, str):
        for pattern, instead in MASKS:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, dict):
        return {
            key: None if key in OWN_KEYS or key.startswith("sys.") else masked(item)
            for key, item in value.items()
        }
    return value
