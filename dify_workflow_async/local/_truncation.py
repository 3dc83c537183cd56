"""Long values cut short, as some servers show them in events."""

from typing import Any

from ._json import is_list, is_object


def truncate(value: Any, limit: int | None) -> tuple[Any, bool]:
    """Cut the texts and lists of a JSON value that are too long.

    Args:
        value: The value.
        limit: The characters of a text, and the items of a list, that may be
            there; ``None`` cuts nothing.

    Returns:
        The value, its texts ending in ``...`` where they were cut, and whether
        anything was cut.
    """
    if limit is None:
        return value, False
    if isinstance(value, str):
        cut = len(value) > limit
        return (f"{value[:limit]}..." if cut else value), cut
    if is_object(value):
        parts = {key: truncate(item, limit) for key, item in value.items()}
        shown = {key: part for key, (part, _) in parts.items()}
        return shown, any(cut for _, cut in parts.values())
    if is_list(value):
        items = [truncate(item, limit) for item in value[:limit]]
        cut = len(value) > limit or any(cut for _, cut in items)
        return [item for item, _ in items], cut
    return value, False
