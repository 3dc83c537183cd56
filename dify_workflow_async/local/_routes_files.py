"""The routes that take files and give them back."""

from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from ._answers import compact_json
from ._app import App
from ._backend import Backend
from ._dialect import Dialect
from ._errors import RequestRefused
from ._file_kinds import extension_of, size_limit
from ._ids import ID_IN_PATH
from ._multipart import FormData, FormFile, read_form
from ._parameters import limits_of
from ._uploads import StoredFile


_SIGNATURE: Final = ("timestamp", "nonce", "sign")
_TRUE: Final = frozenset({"true", "1", "yes", "on"})


class FileRoutes:
    """Handlers of ``/files``.

    Args:
        backend: The state of the server.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[web.RouteDef]:
        """List the routes; the last two are outside the API, and need no key."""
        file = f"{{file_id:{ID_IN_PATH}}}"
        return [
            web.post("/v1/files/upload", self.upload),
            web.get(f"/v1/files/{file}/preview", self.preview, allow_head=False),
            web.get(f"/files/{file}/file-preview", self.download),
            web.get(f"/files/tools/{file}{{extension:[.\\w]*}}", self.download),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """Take one file (1.10)."""
        backend = self._backend
        app = backend.app_of(request)
        limits = limits_of(app)

        def limit(filename: str) -> float:
            return size_limit(extension_of(filename), limits)

        async with read_form(request, backend.files.folder, limit) as form:
            user = backend.user_of(app, form.fields.get("user"))
            given = _one_file(form)
            _check_name(given.filename, app)
            if given.size > limit(given.filename):
                message = backend.dialect.too_large_message
                raise RequestRefused(413, "file_too_large", message)
            file = backend.files.keep(given, user.id)
        return compact_json(_answer(file, backend.tenant_id, backend.dialect), 201)

    async def preview(self, request: web.Request) -> web.StreamResponse:
        """Give a file to those who have the key, if the app does that (1.11)."""
        app = self._backend.app_of(request)
        self._backend.user_of(app, request.query.get("user"))
        file = self._backend.files.find(request.match_info["file_id"].lower())
        if file is None or not app.serves_previews:
            message = "File not found in message context"
            raise RequestRefused(404, "file_not_found", message)
        if self._backend.users.find(file.created_by, app.id) is None:
            message = "File access denied: not owned by requesting app"
            raise RequestRefused(403, "file_access_denied", message)
        response = _send(file, request)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Give a file to those who have a good link."""
        missing = [name for name in _SIGNATURE if not request.query.get(name)]
        if missing:
            problem = f"{missing[0]}\n  Field required"
            message = f"{len(missing)} validation error for FilePreviewQuery\n{problem}"
            raise RequestRefused(400, "invalid_param", message)
        file_id = request.match_info["file_id"].lower()
        file = self._backend.files.find(file_id)
        signature = (request.query[name] for name in _SIGNATURE)
        if file is None or not self._backend.files.links.is_good(file_id, *signature):
            message = "File not found or signature is invalid"
            raise RequestRefused(404, "not_found", message)
        return _send(file, request)


def _one_file(form: FormData) -> FormFile:
    """Find the file of an upload.

    Raises:
        RequestRefused: There is none, or there are others.
    """
    file = form.files.get("file")
    if file is None:
        raise RequestRefused(400, "no_file_uploaded", "Please upload your file.")
    if len(form.files) > 1:
        raise RequestRefused(400, "too_many_files", "Only one file is allowed.")
    if not file.mime_type:
        raise RequestRefused(415, "unsupported_file_type", "File type not allowed.")
    if not file.filename:
        message = "The specified filename does not exist."
        raise RequestRefused(400, "filename_not_exists_error", message)
    return file


def _check_name(filename: str, app: App) -> None:
    """Refuse names that are paths, and extensions that are blocked."""
    if "/" in filename or "\\" in filename:
        message = "Filename contains invalid characters"
        raise RequestRefused(400, "invalid_param", message)
    extension = extension_of(filename)
    if extension in app.blocked_extensions:
        message = f"File extension '.{extension}' is not allowed for security reasons"
        raise RequestRefused(400, "invalid_param", message)


def _answer(file: StoredFile, tenant_id: str, dialect: Dialect) -> dict[str, Any]:
    reference = {"reference": None} if dialect.has_file_references else {}
    return {
        "id": file.id,
        **reference,
        "name": file.name,
        "size": file.size,
        "extension": file.extension,
        "mime_type": file.mime_type,
        "created_by": file.created_by,
        "created_at": file.created_at,
        "preview_url": None,
        "source_url": file.source_url,
        "original_url": None,
        "user_id": None,
        "tenant_id": tenant_id,
        "conversation_id": None,
        "file_key": None,
    }


def _send(file: StoredFile, request: web.Request) -> web.FileResponse:
    """Send a file, or the range that was asked for."""
    mime_type = file.mime_type
    # Pages must not run in the name of the server.
    is_page = mime_type in ("text/html", "application/xhtml+xml")
    is_page = is_page or file.extension in ("html", "htm", "xhtml")
    headers = {"Content-Type": mime_type}
    if mime_type.startswith("text/") or mime_type.endswith("xml"):
        headers["Content-Type"] = f"{mime_type}; charset=utf-8"
    if is_page or request.query.get("as_attachment", "").lower() in _TRUE:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
        }
    if is_page:
        headers["X-Content-Type-Options"] = "nosniff"
    return web.FileResponse(file.path, headers=headers)
