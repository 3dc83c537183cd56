"""Files, held against what a variable allows (specification, sections 1.10, 2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self

import attrs

from ._values import as_sent, is_list, is_mapping, kind_of, shown


if TYPE_CHECKING:
    from ..models import FileUploadSettings, InputVariable, SystemParameters


@attrs.frozen
class FileFacts:
    """What is known of a file before it is uploaded or named to the server.

    Attributes:
        name: with its extension.
        size: in bytes.
        type: ``image``, ``document``, ``audio``, ``video`` or ``custom``; None for
            whichever of what its name says and ``custom`` is allowed.
        method: ``local_file`` for an upload, ``remote_url`` for a link.
    """

    name: str | None = None
    size: int | None = None
    mime_type: str | None = None
    type: str | None = None
    method: str = "local_file"


EXTENSIONS: Mapping[str, frozenset[str]] = {
    "image": frozenset({"jpg", "jpeg", "png", "gif", "webp", "svg"}),
    "video": frozenset({"mp4", "mov", "mpeg", "webm"}),
    "audio": frozenset({"mp3", "m4a", "wav", "amr", "mpga"}),
    "document": frozenset(
        {
            *("txt", "md", "markdown", "mdx", "pdf", "html", "htm", "xlsx", "xls"),
            *("vtt", "properties", "doc", "docx", "csv", "eml", "msg", "pptx", "ppt"),
            *("xml", "epub"),
        }
    ),
}
"""The extensions that Dify takes for each type; all other files are ``custom``."""

_TYPES = (*EXTENSIONS, "custom")
_MEGABYTE = 1024 * 1024


def dify_type(name: str | None, mime_type: str | None = None) -> str:
    """The type of a file, as Dify finds it: by its extension, then by its MIME type.

    Returns:
        ``image``, ``document``, ``audio``, ``video``, or else ``custom``.
    """
    extension = extension_of(name)
    for kind, extensions in EXTENSIONS.items():
        if extension in extensions:
            return kind
    main, _, sub = (mime_type or "").lower().partition("/")
    if main in {"image", "video", "audio"}:
        return main
    return "document" if main == "text" or sub.startswith("pdf") else "custom"


def extension_of(name: str | None) -> str:
    """In small letters and without its dot."""
    return PurePath(name or "").suffix.lower().lstrip(".")


@attrs.frozen(kw_only=True)
class Rules:
    """What files are allowed in one place; empty tuples allow everything.

    Attributes:
        extensions: of files that are sent as ``custom``, without their dots.
    """

    types: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    @classmethod
    def of(cls, place: InputVariable | FileUploadSettings | None) -> Self:
        """The rules of a variable, or of the ``files`` beside the inputs."""
        if place is None:
            return cls()
        extensions = place.allowed_file_extensions
        return cls(
            types=place.allowed_file_types,
            extensions=tuple(each.lower().lstrip(".") for each in extensions),
            methods=place.allowed_file_upload_methods,
        )

    def type_to_send(self, file: FileFacts) -> str:
        """See the function of this name."""
        if file.type is not None:
            return file.type
        found, extension = dify_type(file.name, file.mime_type), extension_of(file.name)
        if not extension and not file.mime_type and len(self.types) == 1:
            return self.types[0]
        if self._allow(found, extension) or not self._allow("custom", extension):
            return found
        return "custom"

    def problems(
        self, path: str, file: object, limits: SystemParameters | None, *, strict: bool
    ) -> Iterator[str]:
        """What is wrong with one file.

        Args:
            path: where it is, for the sentences.
            file: a mapping, or a `FileFacts`.
            limits: the server's, on sizes.
            strict: True where the server compares the type with its own idea of it.
        """
        if isinstance(file, FileFacts):
            yield from self._problems_of_facts(path, file, strict=strict)
            yield from _problems_of_size(path, file, limits)
        elif is_mapping(file):
            yield from self._problems_of_mapping(path, file)
        else:
            yield f"{path}: a file is needed, not {kind_of(file)}"

    def _problems_of_facts(
        self, path: str, file: FileFacts, *, strict: bool
    ) -> Iterator[str]:
        if self.methods and file.method not in self.methods:
            yield f"{path}: {_not_allowed(file.method, self.methods)}"
        if file.type is not None and file.type not in _TYPES:
            yield f"{path}: {_not_allowed(shown(file.type), _TYPES)}"
        elif file.method == "local_file":
            yield from self._problems_of_type(path, file, strict=strict)
        elif file.type is not None and not self._may_allow(file.type):
            yield f"{path}: {self._refusal(file.type)}"

    def _problems_of_type(
        self, path: str, file: FileFacts, *, strict: bool
    ) -> Iterator[str]:
        found, extension = dify_type(file.name, file.mime_type), extension_of(file.name)
        kind = self.type_to_send(file)
        if not self._allow(kind, extension):
            yield f"{path}: {self._refusal(file.type or found, extension)}"
        elif strict and kind not in {"custom", found}:
            yield f"{path}: sent as {kind}, but Dify takes {shown(file.name)} for {found}"

    def _allow(self, kind: str, extension: str) -> bool:
        if kind == "custom":
            return extension in self.extensions or not (self.types or self.extensions)
        return not self.types or kind in self.types

    def _may_allow(self, kind: str) -> bool:
        """True if a file of this type is allowed, given that its extension is right."""
        if kind == "custom":
            return bool(self.extensions) or not self.types
        return not self.types or kind in self.types

    def _refusal(self, kind: str, extension: str = "") -> str:
        allowed = [each for each in self.types if each != "custom"]
        allowed += [f".{each}" for each in self.extensions]
        return _not_allowed(f".{extension} ({kind})" if extension else kind, allowed)

    def _problems_of_mapping(self, path: str, file: Mapping[Any, Any]) -> Iterator[str]:
        method = as_sent(file.get("transfer_method"))
        if method == "remote_url":
            if not _is_url(file.get("url") or file.get("remote_url")):
                yield f"{path}.url: a text that begins with http is needed"
        elif method == "local_file":
            if not _is_id(file.get("upload_file_id")):
                yield f"{path}.upload_file_id: the id of an upload is needed"
        elif method in _INTERNAL:  # made by the server, and allowed everywhere
            return
        else:
            needed = f"remote_url or local_file is needed, not {shown(method)}"
            yield f"{path}.transfer_method: {needed}"
            method = None
        if method is not None and self.methods and method not in self.methods:
            yield f"{path}.transfer_method: {_not_allowed(str(method), self.methods)}"
        # The server takes a file without a type for a custom one.
        kind = as_sent(file.get("type", "custom"))
        if not isinstance(kind, str) or kind not in _TYPES:
            yield f"{path}.type: {_not_allowed(shown(kind), _TYPES)}"
        elif not self._may_allow(kind):
            yield f"{path}.type: {self._refusal(kind)}"


def type_to_send(
    file: FileFacts, place: InputVariable | FileUploadSettings | None = None
) -> str:
    """The type that a file is to be sent as, if it is to be allowed there.

    Some variables take a type of files, others take extensions, and those only of
    files that are sent as ``custom``. A file of which nothing is known is sent as the
    only type that is allowed.

    Args:
        file: a type of its own is left as it is.
        place: the variable, or the settings of the ``files`` beside the inputs.
    """
    return Rules.of(place).type_to_send(file)


_INTERNAL = ("tool_file", "datasource_file")


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith("http")


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != ""


def problems_of_files(
    path: str,
    files: object,
    rules: Rules,
    limits: SystemParameters | None,
    *,
    number: int | None,
    strict: bool = True,
) -> Iterator[str]:
    """What is wrong with a list of files, of which there may be *number*."""
    if not is_list(files):
        yield f"{path}: a list of files is needed, not {kind_of(files)}"
        return
    if number and len(files) > number:
        yield f"{path}: {len(files)} files, and {number} are allowed"
    for index, file in enumerate(files):
        yield from rules.problems(f"{path}[{index}]", file, limits, strict=strict)


def _problems_of_size(
    path: str, file: FileFacts, limits: SystemParameters | None
) -> Iterator[str]:
    if file.size is None or file.method != "local_file" or limits is None:
        return
    limit = {
        "image": limits.image_file_size_limit,
        "video": limits.video_file_size_limit,
        "audio": limits.audio_file_size_limit,
    }.get(dify_type(file.name), limits.file_size_limit)
    if limit is not None and file.size > limit * _MEGABYTE:
        # Rounded up, lest it seem to be the limit itself.
        size = -(-file.size * 10 // _MEGABYTE) / 10
        yield f"{path}: {size} MB, and {limit} MB are allowed"


def _not_allowed(what: str, allowed: Iterable[str]) -> str:
    return f"{what} is not allowed; allowed is {' or '.join(allowed) or 'nothing'}"
