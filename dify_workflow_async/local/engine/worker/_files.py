"""Files, as the engine asks for them: bytes from the server's folder, signed links."""

import mimetypes
import uuid

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from graphon.file.enums import FileTransferMethod
from graphon.file.file_factory import standardize_file_type
from graphon.file.models import File
from graphon.file.protocols import WorkflowFileRuntimeProtocol
from graphon.http import HttpxHttpClient
from graphon.http.response import HttpResponse
from graphon.nodes.protocols import (
    FileReferenceFactoryProtocol,
    ToolFileManagerProtocol,
)

from ..._file_links import FileLinks


@attrs.frozen(kw_only=True)
class MadeFile:
    """A file that a node made: its ``id``, and the ``name`` and ``file_key`` of it."""

    id: str
    name: str
    file_key: str
    mime_type: str
    size: int

    @property
    def extension(self) -> str:
        """The extension, with the dot."""
        return Path(self.name).suffix


class Files(
    WorkflowFileRuntimeProtocol, ToolFileManagerProtocol, FileReferenceFactoryProtocol
):
    """The files of one run.

    Args:
        folder: Where the server has its files.
        links: What makes links to them.
        tell: Is told of each file that a node makes.
    """

    def __init__(
        self, folder: Path, links: FileLinks, tell: Callable[[MadeFile], None]
    ) -> None:
        self._folder = folder
        self._links = links
        self._tell = tell
        self._made: dict[str, MadeFile] = {}
        self._http = HttpxHttpClient()

    # What files and prompts ask for

    @property
    def multimodal_send_format(self) -> str:
        """How models get files: in their messages, as no link reaches this machine."""
        return "base64"

    def http_get(self, url: str, *, follow_redirects: bool = True) -> HttpResponse:
        """Get a remote file."""
        return self._http.get(url, follow_redirects=follow_redirects)

    def storage_load(
        self, path: str, *, stream: bool = False
    ) -> bytes | Generator[bytes]:
        """Read a file of the server by its id."""
        data = self._path(path).read_bytes()
        return (part for part in (data,)) if stream else data

    def load_file_bytes(self, *, file: File) -> bytes:
        """Read a file, wherever it is."""
        if file.transfer_method == FileTransferMethod.REMOTE_URL and file.remote_url:
            response = self.http_get(file.remote_url)
            response.raise_for_status()
            return response.content
        return self._path(file.related_id or "").read_bytes()

    def resolve_file_url(self, *, file: File, for_external: bool = True) -> str | None:
        """Make a link to a file."""
        if file.transfer_method == FileTransferMethod.REMOTE_URL:
            return file.remote_url
        file_id = file.related_id or ""
        if file.transfer_method == FileTransferMethod.TOOL_FILE:
            return self.resolve_tool_file_url(
                tool_file_id=file_id,
                extension=file.extension or "",
                for_external=for_external,
            )
        return self.resolve_upload_file_url(
            upload_file_id=file_id, for_external=for_external
        )

    def resolve_upload_file_url(
        self,
        *,
        upload_file_id: str,
        as_attachment: bool = False,
        for_external: bool = True,
    ) -> str:
        """Make a link to a file that was uploaded."""
        del for_external
        link = self._links.to_upload(upload_file_id)
        return f"{link}&as_attachment=true" if as_attachment else link

    def resolve_tool_file_url(
        self, *, tool_file_id: str, extension: str, for_external: bool = True
    ) -> str:
        """Make a link to a file that a node made."""
        del for_external
        return self._links.to_made(tool_file_id, extension)

    def verify_preview_signature(
        self,
        *,
        preview_kind: Literal["image", "file"],
        file_id: str,
        timestamp: str,
        nonce: str,
        sign: str,
    ) -> bool:
        """Tell whether a link is good."""
        del preview_kind
        return self._links.is_good(file_id, timestamp, nonce, sign)

    def _path(self, file_id: str) -> Path:
        return self._folder / f"{uuid.UUID(file_id)}.file"

    # What nodes that make files ask for

    def create_file_by_raw(
        self, *, file_binary: bytes, mimetype: str, filename: str | None = None
    ) -> MadeFile:
        """Keep what a node made."""
        file_id = str(uuid.uuid4())
        mime_type = mimetype.partition(";")[0].strip()
        extension = mimetypes.guess_extension(mime_type) or ".bin"
        made = MadeFile(
            id=file_id,
            name=filename or f"{uuid.uuid4().hex}{extension}",
            file_key=file_id,
            mime_type=mime_type,
            size=len(file_binary),
        )
        self._path(file_id).write_bytes(file_binary)
        self._made[file_id] = made
        self._tell(made)
        return made

    def get_file_generator_by_tool_file_id(
        self, tool_file_id: str
    ) -> tuple[Generator[bytes] | None, File | None]:
        """Read a file that a node made."""
        if tool_file_id not in self._made:
            return None, None
        data = self._path(tool_file_id).read_bytes()
        mapping = {"tool_file_id": tool_file_id}
        return (part for part in (data,)), self.build_from_mapping(mapping=mapping)

    def build_from_mapping(self, *, mapping: Mapping[str, Any]) -> File:
        """Make the value of a file that a node made."""
        made = self._made[str(mapping["tool_file_id"])]
        return File(
            file_type=standardize_file_type(
                extension=made.extension, mime_type=made.mime_type
            ),
            transfer_method=FileTransferMethod.TOOL_FILE,
            related_id=made.id,
            filename=made.name,
            extension=made.extension,
            mime_type=made.mime_type,
            size=made.size,
        )
