"""The verbs that tell about an app, its runs, and the server."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from .._files import Files, find_problems
from .._logs import Logs
from ..errors import InvalidInputs
from ._base import Base


if TYPE_CHECKING:
    from .._call import Inputs
    from ..models import AppInfo, EndUser, Meta, Parameters, ServerInfo, Site


class AppVerbs(Base):
    """The app, and the server."""

    async def parameters(self, *, refresh: bool = False) -> Parameters:
        """Read the form of the app's inputs, and its limits (specification, 1.12).

        The answer is kept for as long as the client lives.

        Args:
            refresh: ask again, for instance after the app was published anew.

        Raises:
            AppUnavailable: nothing is published.
            DifyError: as for any request.
        """
        self._api.lifetime.check()
        return await self._api.parameters(refresh=refresh)

    async def validate(
        self, inputs: Inputs | None = None, *, files: Files | None = None
    ) -> None:
        """Compare inputs with the app's form, without running (sections 1.12, 2.1).

        Missing required values, wrong types, texts that are too long, values that are
        no option, files that are too many, too large or of a wrong kind, and names
        that the app does not have.

        Args:
            inputs: as for `run`.
            files: as for `run`.

        Raises:
            InvalidInputs: all problems, each with its path.
            DifyError: the form could not be read.
        """
        self._api.lifetime.check()
        if problems := await find_problems(self._api, inputs or {}, files):
            raise InvalidInputs(problems)

    def logs(
        self,
        *,
        page: int = 1,
        limit: int = 20,
        keyword: str | None = None,
        status: str | None = None,
        before: datetime | None = None,
        after: datetime | None = None,
        user: str | None = None,
        account: str | None = None,
    ) -> Logs:
        """List the app's runs, the newest first (specification, section 1.9).

        ``await client.logs()`` gives a page; ``async for entry in client.logs()`` walks
        all pages.

        Args:
            page: the first to read, 1 to 99999.
            limit: entries on a page, 1 to 100.
            keyword: in inputs, outputs or the user's id, or a run id; the server uses
                30 characters.
            status: ``succeeded``, ``failed`` or ``stopped``.
            before: runs that began at this time or before; with a time zone.
            after: runs that began at this time or after; with a time zone.
            user: runs of this end user (servers from 1.5).
            account: runs of the account with this e-mail address (servers from 1.5).

        Raises:
            ConfigurationError: a page, limit or time that cannot be meant.
            InvalidParam: when it is read: the server refuses a filter.
        """
        filters: dict[str, Any] = {
            "keyword": keyword,
            "status": status,
            "before": before,
            "after": after,
            "created_by_end_user_session_id": user,
            "created_by_account": account,
        }
        return Logs(self._api, page=page, limit=limit, filters=filters)

    async def info(self) -> AppInfo:
        """Read the app's name, description, mode and tags (specification, 1.13)."""
        self._api.lifetime.check()
        return await self._api.info()

    async def site(self) -> Site:
        """Read how the app's web page looks (specification, section 1.13).

        Raises:
            Forbidden: the app has none.
            NotFound: servers before 1.4.
        """
        self._api.lifetime.check()
        return await self._api.site()

    async def meta(self) -> Meta:
        """Read the icons of the app's tools (specification, section 1.13)."""
        self._api.lifetime.check()
        return await self._api.meta()

    async def end_user(self, end_user_id: str) -> EndUser:
        """Read an end user by the id that events and uploads tell (section 1.15).

        Args:
            end_user_id: Dify's own id, not the ``user`` of a call.

        Raises:
            NotFound: no such user, or the server is older than 1.13.
        """
        self._api.lifetime.check()
        return await self._api.end_user(end_user_id)

    async def server_info(self) -> ServerInfo:
        """Read the server's version (specification, section 1.15).

        Some servers have no such page; then it is the version in their headers.

        Raises:
            NotFound: there is neither.
        """
        self._api.lifetime.check()
        return await self._api.server_info()
