"""The verbs for files and sounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

import attrs

from .. import _files, _protocol, models
from ..errors import ConfigurationError, InvalidInputs
from ._base import Base


if TYPE_CHECKING:
    from .._config import Timeouts
    from .._download import Download
    from .._protocol import Request
    from .._transport import Answer
    from ..files import BinaryFile, Upload
    from ..models import File, UploadedFile


class FileVerbs(Base):
    """Files, and speech."""

    async def upload(
        self,
        file: PathLike[str] | BinaryFile | Upload,
        *,
        user: str | None = None,
        timeout: float | None = None,
    ) -> UploadedFile:
        """Upload a file, for later runs (specification, section 1.10).

        `run` does it by itself for files in its inputs. The file is read piece by
        piece; servers take 15 MB by default, images 10, sounds 50, videos 100.

        Args:
            file: a path, a file open for reading bytes that has a name, or an
                `Upload <dify_workflow_async.files.Upload>`.
            user: the end user, at most 255 characters; else the client's. Servers
                from 1.14 let only the same user run with it.
            timeout: seconds for all of it; without, it may take as long as it makes
                progress.

        Returns:
            The file as the server knows it; give it as an input, as often as you like.

        Raises:
            InvalidInputs: the file cannot be read, or has no name; nothing was sent.
            UsageError: it changed while it was sent.
            FileTooLarge: the server, or a proxy before it, takes no such size.
            UnsupportedFileType: it takes no such file.
            APIError: it refused for another reason.
            TransportError: the upload did not get through. It was tried again, unless
                the content can be read only once.
        """
        self._api.lifetime.check()
        return await _files.upload(
            self._api,
            file,
            user=_protocol.checked_user(user or self._user),
            timeouts=self._timeouts(timeout),
        )

    def download(
        self, file: File | UploadedFile | str, *, timeout: float | None = None
    ) -> Download:
        """Download a file of a run's outputs (specification, section 2.3).

        Nothing is sent before the download is used: ``await download.read()`` or
        ``await download.save(path)``, or ``async with`` to read it piece by piece.

        The API key is not sent, and the client's own ``headers`` go to its own server
        only. At most 10 redirects are followed.

        Args:
            file: from ``result.files`` or an upload, or a URL; a relative one is one
                of the client's server.
            timeout: seconds for all of it; without, it may take as long as something
                comes within ``Timeouts.idle``.

        Raises:
            ConfigurationError: the file has no URL, or one that is not http(s).
        """
        from .._download import Download, open_target, target_of

        url, name = _url_of(file)
        target = target_of(url, self._api.base_url)
        opening = partial(open_target, self._api, target, self._timeouts(timeout))
        return Download(self._api, opening, name=name, url=target.url)

    def preview(
        self, file_id: str, *, as_attachment: bool = False, timeout: float | None = None
    ) -> Download:
        """Download an upload by its id (specification, section 1.11).

        Dify serves only files that a chat message refers to, and answers 404 for those
        of workflow runs: use `download` for them.

        Args:
            file_id: the ``id`` of an upload.
            as_attachment: ask for ``application/octet-stream`` and a file name.
            timeout: as for `download`.

        Returns:
            A download; using it raises FileAccessDenied, FileNotFound, and what any
            download does.

        Raises:
            ConfigurationError: this can be no id.
        """
        request = _protocol.preview_request(file_id, as_attachment=as_attachment)
        send = partial(self._api.send, request, self._timeouts(timeout))
        return self._download(request, send)

    def text_to_audio(
        self,
        text: str,
        *,
        voice: str | None = None,
        user: str | None = None,
        message_id: str | None = None,
        timeout: float | None = None,
    ) -> Download:
        """Turn text into speech (specification, section 1.14).

        The app must have the feature switched on.

        Args:
            text: what to say.
            voice: one of the model's voices; else the app's.
            user: the end user, at most 255 characters; else the client's.
            message_id: a message of a chat app to read aloud instead of *text*.
            timeout: as for `download`.

        Returns:
            A download of the sound, mostly ``audio/mpeg``, as the model makes it.
            Using it raises InvalidParam if the feature is off, NotFound for an
            unknown message, and what any download does.

        Raises:
            InvalidInputs: there is nothing to say.
            ConfigurationError: there is no user.
        """
        request = _protocol.speech_request(
            text, user=user or self._user, voice=voice, message_id=message_id
        )
        send = partial(self._api.speak, request, self._patient(timeout))
        return self._download(request, send)

    async def audio_to_text(
        self,
        file: PathLike[str] | BinaryFile | Upload,
        *,
        user: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Turn speech into text (specification, section 1.14).

        The app must have the feature switched on.

        Args:
            file: as for `upload`; mp3, m4a, wav, amr or mpga, of at most 30 MB.
            user: the end user, at most 255 characters; else the client's.
            timeout: seconds for all of it; without, it may take as long as the sound
                is taken by the server, and the model to hear it.

        Returns:
            The text; empty if nothing was understood.

        Raises:
            InvalidInputs: the file cannot be read, has no name, or is of another
                kind; nothing was sent.
            InvalidParam, BadRequest: the feature is off, or has no model.
            FileTooLarge, UnsupportedFileType: the server does not take it.
            DifyError: as for `upload`.
        """
        from .._files._kinds import audio_mime
        from .._files._multipart import form_body

        self._api.lifetime.check()
        user = _protocol.checked_user(user or self._user)
        source = await _files.inspected(file)
        mime_type = audio_mime(source.name, source.mime_type)
        if mime_type is None:
            kind = f"{source.name!r} is {source.mime_type}"
            msg = f"file: {kind}; the server takes mp3, m4a, wav, amr and mpga"
            raise InvalidInputs([msg])
        body = form_body(attrs.evolve(source, mime_type=mime_type), user=user)
        return await self._api.hear(body, self._patient(timeout))

    def _download(
        self, request: Request, send: Callable[[], Awaitable[Answer]]
    ) -> Download:
        from .._download import Download

        async def opening() -> tuple[Answer, str]:
            return await send(), self._api.describe(request)

        return Download(self._api, opening)

    def _timeouts(self, timeout: float | None) -> Timeouts:
        """A run's time limit is not that of a file."""
        return attrs.evolve(self._api.timeouts, total=timeout)

    def _patient(self, timeout: float | None) -> Timeouts:
        """A model may take its time before it answers."""
        return attrs.evolve(self._timeouts(timeout), first_byte=None)


def _url_of(file: File | UploadedFile | str) -> tuple[str, str | None]:
    """Where a file is, and what it is called.

    Raises:
        ConfigurationError: it does not tell.
    """
    url: str | None
    name: str | None = None
    match file:
        case str():
            url = file
        case models.File():
            url, name = file.url or file.remote_url, file.filename
        case models.UploadedFile():
            url, name = file.source_url, file.name
        case _:  # pyright: ignore[reportUnnecessaryComparison]
            url = None  # type: ignore[unreachable]
    if not url:
        msg = f"there is no URL to download from in {file!r}"
        raise ConfigurationError(msg)
    return url, name
