"""Ids and times as the server makes them."""

import hashlib
import time
import uuid


def new_id() -> str:
    """Make a random id."""
    return str(uuid.uuid4())


def end_user_id(app_id: str, user: str) -> str:
    """Tell the id of an end user, always the same for an app and a user."""
    digest = hashlib.sha256(f"{app_id}\0{user}".encode("utf-8", "replace")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


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
