"""End users: a row for each ``user`` of each app, made on first sight."""

from datetime import UTC, datetime
from typing import Any, Final

import attrs

from ._ids import end_user_id


# Who a request without a user belongs to, where the user is optional.
DEFAULT_USER: Final = "DEFAULT-USER"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")


@attrs.frozen(kw_only=True)
class EndUser:
    """An end user, as the database has it.

    Args:
        app_id: The app that knows the user.
        session_id: The ``user`` of the requests.
        created_at: When it was first seen: UTC, without a zone.
    """

    app_id: str
    session_id: str
    created_at: str = attrs.field(factory=_now)

    @property
    def id(self) -> str:
        """The id, which tells who made a file or a run."""
        return end_user_id(self.app_id, self.session_id)


class EndUsers:
    """All end users of a server."""

    def __init__(self) -> None:
        self._users: dict[str, EndUser] = {}

    def see(self, app_id: str, session_id: str) -> EndUser:
        """Find a user, or make one."""
        user = EndUser(app_id=app_id, session_id=session_id)
        return self._users.setdefault(user.id, user)

    def find(self, user_id: str, app_id: str) -> EndUser | None:
        """Find a user of an app by id."""
        user = self._users.get(user_id)
        return user if user is not None and user.app_id == app_id else None


def end_user_answer(user: EndUser, tenant_id: str) -> dict[str, Any]:
    """Tell about an end user (1.15)."""
    return {
        "id": user.id,
        "tenant_id": tenant_id,
        "app_id": user.app_id,
        "type": "service-api",
        "external_user_id": user.session_id,
        "name": None,
        "is_anonymous": user.session_id == DEFAULT_USER,
        "session_id": user.session_id,
        "created_at": user.created_at,
        "updated_at": user.created_at,
    }
