"""`Download`: a body that is read as it comes, or saved."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

from .._exchange import Exchange
from .._transport import Answer
from ..errors import ClientClosed, DifyError, TooLarge, UsageError
from ._fetch import open_target, target_of
from ._names import name_in, safe_name


__all__ = ["Download", "Opening", "name_in", "open_target", "safe_name", "target_of"]

Opening = Callable[[], Awaitable[tuple[Answer, str]]]
"""Asks for the body; gives the answer, and what was asked for, as errors tell it."""

_PIECE = 1024 * 1024


class Download:
    """A file or a sound that comes from a server: nothing is sent before it is used.

    Use `read` or `save` alone, or read the pieces as they come:

    .. code-block:: python

        async with client.download(file) as download:
            async for piece in download:
                ...

    Made by the client's ``download()``, ``preview()`` and ``text_to_audio()``. Each is used
    once. Downloads have no time limit in all, unless ``timeout=`` gave one; a server
    that says nothing for ``Timeouts.idle`` is given up.
    """

    def __init__(
        self, api: Exchange, opening: Opening, *, name: str | None = None, url: str = ""
    ) -> None:
        self._api = api
        self._opening = opening
        self._name = name
        self._url = url
        self._answer: Answer | None = None
        self._asked_for = ""
        self._entered = False
        self._failure: DifyError | None = None

    # -- what is known of it ---------------------------------------------------------

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._opened().status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer."""
        return self._opened().headers

    @property
    def content_type(self) -> str | None:
        """The MIME type, with its parameters."""
        return self.headers.get("Content-Type")

    @property
    def size(self) -> int | None:
        """In bytes, if the server tells."""
        length = self.headers.get("Content-Length", "")
        if "Content-Encoding" in self.headers or not length.isdecimal():
            return None
        return int(length)

    @property
    def name(self) -> str | None:
        """What the file is called, by itself, by the answer or by the URL.

        This is as it came: do not use it for a path. `save` makes it safe.
        """
        return self._name or name_in(self.headers, self._url)

    def __repr__(self) -> str:
        return f"<Download {self._asked_for or 'not begun'}>"

    # -- life ------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Ask for it, and wait until it begins to come.

        Raises:
            Forbidden, NotFound: the signed URL has expired, most likely.
            DifyError: it was not got.
        """
        if self._entered:
            msg = "a download is used once: ask the client for another"
            raise UsageError(msg)
        self._entered = True
        self._api.lifetime.check()
        self._answer, self._asked_for = await self._opening()
        self._api.lifetime.on_close.add(self._on_close)
        if self._api.lifetime.closed:  # meanwhile
            self._on_close()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free the connection, whether or not all was read."""
        self._leave(UsageError("the download was left"))

    def _on_close(self) -> None:
        self._leave(ClientClosed("the client was closed"))

    def _leave(self, failure: DifyError) -> None:
        self._api.lifetime.ended(self._on_close)
        self._failure = self._failure or failure
        self._opened().close()

    def _opened(self) -> Answer:
        if self._answer is None:
            msg = (
                "enter the download first: async with client.download(...) as download"
            )
            raise UsageError(msg)
        return self._answer

    @asynccontextmanager
    async def _in_use(self) -> AsyncGenerator[None]:
        """Enter, unless the user has."""
        if self._answer is not None:
            yield
            return
        async with self:
            yield

    # -- reading ---------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they come, in pieces of any size."""
        return self

    async def __anext__(self) -> bytes:
        """The next bytes.

        Raises:
            StopAsyncIteration: all has come.
            ConnectionLost, IdleTimeout, TotalTimeout: the rest did not.
        """
        answer = self._opened()
        if self._failure is not None:
            raise self._failure
        try:
            chunk = await answer.read_chunk()
        except DifyError as error:
            if self._failure is not None:  # another task has closed the client
                raise self._failure from None
            error.request = self._asked_for
            raise
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def read(self) -> bytes:
        """All of it, in memory.

        Raises:
            TooLarge: it has more than ``Limits.max_body_bytes``: use `save`.
            DifyError: it was not got, or not to its end.
        """
        limit = self._api.limits.max_body_bytes
        body = bytearray()
        async with self._in_use():
            too_large = (self.size or 0) > limit
            while not too_large and (chunk := await anext(self, b"")):
                body += chunk
                too_large = len(body) > limit
        if too_large:
            msg = f"the file has more than {limit} bytes (Limits): save() it"
            raise TooLarge(msg, request=self._asked_for)
        return bytes(body)

    async def save(self, path: str | PathLike[str]) -> Path:
        """Write all of it to a file, as it comes.

        The bytes go to a temporary file beside it, which takes its place at the end:
        no failure leaves half a file, and none that was there before is lost.

        Args:
            path: the file, or a directory to save it in under its own name, reduced
                to its last part. A file of that name is replaced.

        Returns:
            Where it is.

        Raises:
            OSError: it cannot be written there.
            DifyError: it was not got, or not to its end.
        """
        from ._saving import Saving

        saving = Saving(path)
        in_thread = partial(asyncio.get_running_loop().run_in_executor, None)
        try:
            await in_thread(saving.open)
            async with self._in_use():
                waiting = bytearray()
                async for chunk in self:
                    waiting += chunk
                    if len(waiting) >= _PIECE:
                        await in_thread(saving.write, waiting)
                        waiting = bytearray()
                await in_thread(saving.write, waiting)
                return await in_thread(saving.finish, self.name)
        finally:
            await asyncio.shield(in_thread(saving.abandon))
