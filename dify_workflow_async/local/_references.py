"""References to files in the body of a run: checked, and turned into file values.

The order of the checks, and their words, are the server's (section 2.2).
"""

import mimetypes

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import attrs

from ._dialect import Dialect
from ._file_kinds import FILE_TYPES, type_of
from ._file_values import file_value, placeholder_name
from ._ids import is_id
from ._scenario import Variable
from ._steps import Json
from ._uploads import FileStore, StoredFile


_METHODS = ("remote_url", "local_file", "tool_file", "datasource_file")
_OTHER_IDS = {
    "tool_file": ("ToolFile", "tool_file_id"),
    "datasource_file": ("DatasourceFile", "datasource_file_id"),
}


@attrs.frozen(kw_only=True)
class Rules:
    """What files are allowed in one place.

    Args:
        types: The types; all if there are none.
        extensions: The extensions of the type ``custom``, with the dot.
        methods: The transfer methods; all if there are none.
        image_methods: The same of images, where another rule holds for them.
        number: How many files; 0 for any number.
    """

    types: tuple[str, ...]
    extensions: tuple[str, ...]
    methods: tuple[str, ...]
    image_methods: tuple[str, ...] = ()
    number: int = 0

    def allow(self, reference: Json, extension: str) -> bool:
        """Tell whether a reference fits, by the type that it claims."""
        kind = reference.get("type", "custom")
        if kind == "custom":
            if extension not in self.extensions:
                return False
        elif self.types and kind not in self.types:
            return False
        # The rule for methods leaves images out where no other rule is set for
        # them, as in variables.
        methods = self.image_methods if kind == "image" else self.methods
        return not methods or reference["transfer_method"] in methods


@attrs.frozen(kw_only=True)
class References:
    """What an end user may refer to.

    Args:
        files: What was uploaded.
        user_id: The id of the end user.
        tenant_id: The workspace.
        dialect: The version of the server.
    """

    files: FileStore
    user_id: str
    tenant_id: str
    dialect: Dialect

    def attached(self, given: list[Json], upload: Mapping[str, Any]) -> list[Json]:
        """Read the ``files`` of a run.

        Args:
            given: What the client sent.
            upload: The ``file_upload`` of the app; while it is off, nothing but
                the existence of the files is checked.

        Raises:
            ValueError: A reference is wrong, or there are too many.
        """
        if not upload.get("enabled"):
            return self._values(given, None, strict=True)
        methods = tuple(upload.get("allowed_file_upload_methods", ()))
        rules = Rules(
            types=tuple(upload.get("allowed_file_types", ())),
            extensions=tuple(upload.get("allowed_file_extensions", ())),
            methods=methods,
            image_methods=methods,
            number=upload.get("number_limits", 1),
        )
        values = self._values(given, rules, strict=True)
        images = sum(value["type"] == "image" for value in values)
        for count, word in ((images, "image files"), (len(values), "files")):
            if rules.number and count > rules.number:
                message = f"Number of {word} exceeds the maximum limit {rules.number}"
                raise ValueError(message)
        return values

    def in_inputs(
        self, variables: Iterable[Variable] | None, inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Read the references in inputs that were checked already.

        Args:
            variables: What the Start node declares; without that, inputs stay as
                they are.
            inputs: A value for each variable.

        Raises:
            ValueError: A reference is wrong.
        """
        read = dict(inputs)
        for variable in variables or ():
            name, value = variable.variable, inputs[variable.variable]
            rules = Rules(
                types=variable.allowed_file_types,
                extensions=variable.allowed_file_extensions,
                methods=variable.allowed_file_upload_methods,
            )
            if variable.type == "file" and value is not None:
                read[name] = self._value(value, rules, strict=True)
            elif variable.type == "file-list" and value is not None:
                read[name] = self._values(value, rules, strict=False)
        return read

    def _values(
        self, references: list[Json], rules: Rules | None, *, strict: bool
    ) -> list[Json]:
        return [
            self._value(reference, rules, strict=strict)
            for reference in references
            if _counts(reference)
        ]

    def _value(self, reference: Json, rules: Rules | None, *, strict: bool) -> Json:
        method = reference.get("transfer_method")
        if not method:
            _refuse("transfer_method is required in file mapping")
        if method not in _METHODS:
            _refuse(f"No matching enum found for value '{method}'")
        if method in _OTHER_IDS:  # nothing makes such files here
            name, key = _OTHER_IDS[method]
            _refuse(f"{name} {reference.get(key)} not found")
        if method == "local_file" or reference.get("upload_file_id"):
            value = self._uploaded(reference, strict=strict)
        else:
            value = self._remote(reference, strict=strict)
        if rules is not None and not rules.allow(reference, value["extension"]):
            _refuse(f"File validation failed for file: {value['filename']}")
        return value

    def _uploaded(self, reference: Json, *, strict: bool) -> Json:
        file = self._find(reference.get("upload_file_id"))
        url = remote_url = self.files.link(file.id)
        if reference["transfer_method"] == "local_file":
            # Newer servers lose the link of the upload on the way to the run.
            remote_url = "" if self.dialect.has_file_references else file.source_url
        return file_value(
            dialect=self.dialect,
            tenant_id=self.tenant_id,
            reference=reference,
            kind=_kind(reference, file.type, strict=strict),
            related_id=file.id,
            about={
                "filename": file.name,
                "extension": f".{file.extension}",
                "mime_type": file.mime_type,
                "size": file.size,
            },
            links=(remote_url, url),
        )

    def _find(self, file_id: Any) -> StoredFile:
        if not file_id:
            _refuse("Invalid upload file id")
        if not is_id(str(file_id)):
            _refuse("Invalid upload file id format")
        file = self.files.find(str(file_id))
        if file is None:
            _refuse("Invalid upload file")
        if self.dialect.guards_files and file.created_by != self.user_id:
            _refuse("Invalid upload file")
        return file

    def _remote(self, reference: Json, *, strict: bool) -> Json:
        url = reference.get("url") or reference.get("remote_url")
        if not url:
            _refuse("Invalid file url")
        parts = urlsplit(str(url))
        if parts.scheme not in ("http", "https") or not parts.netloc:
            _refuse(f"Reached maximum retries (3) for URL {url}")
        # A real server asks the host with HEAD; this one asks nobody, and tells
        # what a real one does if the host says nothing.
        filename = unquote(PurePosixPath(parts.path).name)
        mime_type = mimetypes.guess_type(filename)[0] or ""
        extension = mimetypes.guess_extension(mime_type)
        extension = extension or PurePosixPath(filename).suffix or ".bin"
        return file_value(
            dialect=self.dialect,
            tenant_id=self.tenant_id,
            reference=reference,
            kind=_kind(reference, type_of(extension[1:], mime_type), strict=strict),
            related_id=None,
            about={
                "filename": filename or placeholder_name(extension),
                "extension": extension,
                "mime_type": mime_type,
                "size": -1,
            },
            links=(str(url), str(url)),
        )


def _counts(reference: Json) -> bool:
    """Tell whether an entry of an array is more than a leftover of a form."""
    method = reference.get("transfer_method")
    if method == "remote_url":
        return bool(reference.get("url") or reference.get("remote_url"))
    return bool(method)


def _kind(reference: Json, detected: str, *, strict: bool) -> str:
    claimed = reference.get("type") or "custom"
    if claimed == "custom":
        return detected
    if strict and claimed != detected:
        _refuse(
            "Detected file type does not match the specified type. "
            "Please verify the file."
        )
    if claimed not in FILE_TYPES:
        _refuse(f"'{claimed}' is not a valid FileType")
    return str(claimed)


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)
