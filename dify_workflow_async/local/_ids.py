"""Ids and times as the server makes them."""

import hashlib
import time
import uuid

from typing import Final


def new_id() -> str:
    """Make a random id."""
    return str(uuid.uuid4())


def end_user_id(app_id: str, user: str) -> str:
    """Tell the id of an end user, always the same for an app and a user."""
    return derived_id(app_id, user)


def derived_id(owner: str, name: str) -> str:
    """Tell an id of something that is named, always the same for its owner."""
    digest = hashlib.sha256(f"{owner}\0{name}".encode("utf-8", "replace")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


# Of a path: what has another form has no route, and so gets the HTML page.
ID_IN_PATH: Final = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


def is_id(text: str) -> bool:
    """Tell whether a text has the form of an id."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def unix_now() -> int:
    """Tell the time in whole seconds since 1970, as every ``*_at`` has it."""
    return int(time.time())


def seconds_since(started: float) -> float:
    """Tell how long ago a value of ``time.perf_counter`` was, to the microsecond."""
    return round(time.perf_counter() - started, 6)
