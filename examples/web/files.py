"""Files of visitors: what the page may offer, and how they get to Dify and into runs."""

from __future__ import annotations

import re
import secrets

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any, Protocol

import attrs

from dify_workflow_async.errors import InvalidInputs
from dify_workflow_async.files import RemoteFile, Upload
from dify_workflow_async.inputs import EXTENSIONS, FileFacts, check, dify_type
from dify_workflow_async.models import (
    InputVariable,
    Parameters,
    SystemParameters,
    UploadedFile,
)


MOST = 10_000
"""Uploads that are remembered; the oldest is forgotten first."""

PLAIN = {"text-input", "paragraph", "select", "number", "checkbox", "json_object"}
FILES = {"file", "file-list"}

USUAL = {
    "file_size_limit": 15,
    "image_file_size_limit": 10,
    "audio_file_size_limit": 50,
    "video_file_size_limit": 100,
}
"""MB that Dify takes, where it does not tell."""


class Client(Protocol):
    """What is asked of the client."""

    async def parameters(self) -> Parameters:
        """Read the form of the app's inputs."""
        ...

    async def upload(self, file: Upload, *, user: str) -> UploadedFile:
        """Upload a file."""
        ...


class Gone(InvalidInputs):
    """Raised for uploads that are not known here, or not any more."""


@attrs.frozen(kw_only=True)
class Incoming:
    """A file as a browser sends it: the body of a request, and nothing around it.

    Args:
        field: the variable that it is for.
        name: as the visitor's machine has it.
        size: of the body, as it is told before it comes.
        mime_type: as the browser guesses.
        content: the body, as it comes.
    """

    field: str
    name: str
    size: int | None
    mime_type: str | None
    content: AsyncIterable[bytes]


class Uploads:
    """The uploads of all visitors, each known to its own by a random handle.

    No id of Dify's gets to a browser, and none is taken from one: what is no handle
    that this visitor was given starts no run. Like the hub's runs, they belong to one
    process, and are forgotten when it ends.
    """

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], UploadedFile] = {}

    async def take(self, client: Client, visitor: str, given: Incoming) -> str:
        """Upload a file, piece by piece as it comes, and give its handle.

        Raises:
            InvalidInputs: the form has no such field, or takes no such file; nothing
                was read.
            DifyError: Dify did not take it.
        """
        form = await client.parameters()
        variable = _variables(form).get(given.field)
        if variable is None or variable.type not in FILES:
            msg = f"{given.field}: the form asks for no such file"
            raise InvalidInputs([msg])
        upload = _upload(given)
        _check(variable, given.size, upload, limits_of(form))
        file = await client.upload(upload, user=visitor)
        handle = secrets.token_urlsafe(16)
        self._files[visitor, handle] = file
        while len(self._files) > MOST:
            del self._files[next(iter(self._files))]
        return handle

    async def inputs(
        self, client: Client, visitor: str, given: object
    ) -> dict[str, Any]:
        """The inputs of a run, with files in the place of handles and links.

        Nothing else may stand there: a browser could name any file of Dify's.

        Raises:
            InvalidInputs: something does; `Gone` if it is only a handle.
        """
        if not isinstance(given, dict):
            msg = "the inputs must be an object"
            raise InvalidInputs([msg])
        variables = _variables(await client.parameters())
        inputs: dict[str, Any] = {}
        for name, value in given.items():
            match variables.get(name):
                case InputVariable(type="file") as variable:
                    inputs[name] = self._file(visitor, variable, value)
                case InputVariable(type="file-list") as variable:
                    files = value if isinstance(value, list) else [value]
                    inputs[name] = [self._file(visitor, variable, x) for x in files]
                case InputVariable(type=kind) if kind not in PLAIN:
                    raise InvalidInputs([f"{name}: this page sends no such values"])
                case _:  # checked against the form, before it is sent
                    inputs[name] = value
        return inputs

    def _file(
        self, visitor: str, variable: InputVariable, value: object
    ) -> UploadedFile | RemoteFile:
        match value:
            case {"upload": str(handle), **rest} if not rest:
                if file := self._files.get((visitor, handle)):
                    return file
                msg = f"{_label(variable)}: please choose the file again"
                raise Gone([msg])
            case {"url": str(url), **rest} if not rest:
                if re.match("https?://", url):
                    return RemoteFile(url)
        msg = (
            f"{_label(variable)}: a file, or a link that begins with https:// is needed"
        )
        raise InvalidInputs([msg])


def files_of(variable: InputVariable) -> dict[str, Any] | None:
    """What the page has to know of a field for files; None for another."""
    if variable.type not in FILES:
        return None
    methods = variable.allowed_file_upload_methods or ("local_file", "remote_url")
    extensions = (x.lower().lstrip(".") for x in variable.allowed_file_extensions)
    return {
        "types": [x for x in variable.allowed_file_types if x in EXTENSIONS],
        "extensions": list(extensions),
        "local": "local_file" in methods,
        "remote": "remote_url" in methods,
        "most": variable.max_length if variable.type == "file-list" else 1,
    }


def kinds_of(form: Parameters) -> dict[str, Any]:
    """How the page tells files apart, and how many bytes they may have."""
    limits = limits_of(form)
    return {
        "extensions": {kind: sorted(each) for kind, each in EXTENSIONS.items()},
        "sizes": {
            "image": limits.image_file_size_limit,
            "audio": limits.audio_file_size_limit,
            "video": limits.video_file_size_limit,
            "document": limits.file_size_limit,
            "custom": limits.file_size_limit,
        },
    }


def limits_of(form: Parameters) -> SystemParameters:
    """The limits that Dify tells, or its usual ones."""
    told = form.system_parameters or SystemParameters()
    missing = {name: mb for name, mb in USUAL.items() if getattr(told, name) is None}
    return attrs.evolve(told, **missing)


def _variables(form: Parameters) -> dict[str, InputVariable]:
    return {x.variable: x for x in form.user_input_form if x.variable}


def _label(variable: InputVariable) -> str:
    return variable.label or variable.variable or "File"


def _upload(given: Incoming) -> Upload:
    """The file under a name that a server takes: no path, and no control characters."""
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", given.name)[-200:] or "file"
    # Browsers ask the visitor's machine, which may take a CSV for a file of Excel's.
    mime_type = given.mime_type if dify_type(name) == "custom" else None
    content = _exactly(given.size or 0, given.content)
    return Upload(content, name=name, mime_type=mime_type or None)


async def _exactly(size: int, content: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """A body of the size that was told: one that is compressed may have any other."""
    rest = size
    async for piece in content:
        rest -= len(piece)
        if rest < 0:
            break
        yield piece
    if rest:
        msg = f"the file has {'less' if rest > 0 else 'more'} than its {size} bytes"
        raise InvalidInputs([msg])


def _check(
    variable: InputVariable, size: int | None, upload: Upload, limits: SystemParameters
) -> None:
    """Compare a file with its field, by what is known before it comes."""
    name = variable.variable or ""
    if size is None:
        raise InvalidInputs([f"{_label(variable)}: the file's size must be told"])
    facts = FileFacts(upload.name, size, upload.mime_type)
    form = Parameters(user_input_form=(variable,), system_parameters=limits)
    value = [facts] if variable.type == "file-list" else facts
    if problems := check(form, {name: value}):
        label = f"{_label(variable)}: {upload.name}: "
        raise InvalidInputs([label + x.partition(": ")[2] for x in problems])
