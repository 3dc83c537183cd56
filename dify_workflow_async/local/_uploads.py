"""Uploaded files: where they are, and the signed links to them."""

import asyncio
import shutil
import tempfile

from collections.abc import Iterator
from pathlib import Path

import attrs

from ._file_kinds import extension_of, type_of
from ._file_links import FileLinks
from ._ids import new_id, unix_now
from ._multipart import FormFile


# The column of a file's name holds more, but the server cuts at that.
_LONGEST_NAME = 200


@attrs.frozen(kw_only=True)
class StoredFile:
    """A file that was uploaded.

    Args:
        id: The ``upload_file_id``.
        name: Its name.
        size: How many bytes it has.
        extension: Its extension, without the dot.
        mime_type: Its MIME type, as the client told it.
        created_by: The id of the end user.
        source_url: The link that the upload was answered with.
        path: Where its bytes are until the server closes.
        created_at: When it came, in unix seconds.
    """

    id: str
    name: str
    size: int
    extension: str
    mime_type: str
    created_by: str
    source_url: str = attrs.field(repr=False)
    path: Path = attrs.field(repr=False)
    created_at: int = attrs.field(factory=unix_now)

    @property
    def type(self) -> str:
        """What kind of file it is to a workflow."""
        return type_of(self.extension, self.mime_type)


class FileStore:
    """The files of a server, in a folder that goes when the server closes.

    Args:
        access_timeout: Seconds that a link to a file is good for.

    Attributes:
        links: What makes the links to them.
    """

    def __init__(self, access_timeout: float) -> None:
        self.links = FileLinks(access_timeout=access_timeout)
        self._files: dict[str, StoredFile] = {}
        self._folder: Path | None = None

    def __iter__(self) -> Iterator[StoredFile]:
        return iter(self._files.values())

    @property
    def folder(self) -> Path:
        """The folder, made on first use."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="dify-local-"))
        return self._folder

    def keep(self, file: FormFile, created_by: str) -> StoredFile:
        """Keep a file of a form, under a new id."""
        file_id = new_id()
        extension = extension_of(file.filename)
        uploaded = StoredFile(
            id=file_id,
            name=_shorten(file.filename, extension),
            size=file.size,
            extension=extension,
            mime_type=file.mime_type,
            created_by=created_by,
            source_url=self.link(file_id),
            path=file.path.rename(self.folder / f"{file_id}.file"),
        )
        self._files[file_id] = uploaded
        return uploaded

    def find(self, file_id: str) -> StoredFile | None:
        """Find a file."""
        return self._files.get(file_id)

    def link(self, file_id: str) -> str:
        """Make a link to a file; no two are the same."""
        return self.links.to_upload(file_id)

    def adopt(self, file: StoredFile) -> None:
        """Keep a file that a run made, and has put into the folder."""
        self._files[file.id] = file

    async def close(self) -> None:
        """Forget and remove all files."""
        self._files.clear()
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _shorten(filename: str, extension: str) -> str:
    if len(filename) <= _LONGEST_NAME:
        return filename
    return f"{filename.partition('.')[0][:_LONGEST_NAME]}.{extension}"
