"""The files of one run: from what the user gave to what the server takes."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import attrs

from .. import inputs as form
from .. import models
from .._protocol import is_a
from ..errors import DifyError, InvalidInputs
from ..files import RemoteFile, Upload
from ._inspect import is_file, is_stream, look
from ._kinds import mime_of_name
from ._multipart import form_body
from ._sources import Source


if TYPE_CHECKING:
    from .._api import Api
    from .._config import Timeouts
    from ..models import FileUploadSettings, InputVariable, Parameters

AT_ONCE = 4
"""Uploads of one run at a time; more would share the same line."""


@attrs.define(eq=False)
class _Found:
    """A file among the inputs.

    Attributes:
        path: where it is, for errors.
        source: how it is uploaded, if it is of this machine.
        wire: as the server takes it, without its type.
        type: its type, known once the app's form is.
    """

    path: str
    value: Any
    facts: form.FileFacts = attrs.field(factory=form.FileFacts)
    source: Source | None = None
    wire: dict[str, str] = attrs.field(factory=dict[str, str])
    type: str = "custom"

    def look(self) -> None:
        """Find out what it is; waits for the disk."""
        match self.value:
            case RemoteFile() as file:
                name = file.name or unquote(urlsplit(file.url).path.rpartition("/")[2])
                self.facts = form.FileFacts(
                    name=name,
                    mime_type=mime_of_name(name),
                    type=file.type,
                    method="remote_url",
                )
                self.wire = {"transfer_method": "remote_url", "url": file.url}
            case models.UploadedFile() as file:
                if not file.id:
                    raise InvalidInputs([f"{self.path}: the uploaded file has no id"])
                self.facts = form.FileFacts(file.name, file.size, file.mime_type)
                self._is_uploaded(file.id)
            case value:
                source = self.source = look(value, self.path)
                kind = value.type if isinstance(value, Upload) else None
                self.facts = form.FileFacts(
                    source.name, source.size, source.mime_type, kind
                )

    def _is_uploaded(self, file_id: str) -> None:
        self.wire = {"transfer_method": "local_file", "upload_file_id": file_id}

    def decide(self, place: InputVariable | FileUploadSettings | None) -> None:
        """Choose its type, as the app allows."""
        facts = self.facts
        found = form.dify_type(facts.name, facts.mime_type)
        types = place.allowed_file_types if place else ()
        is_known = facts.mime_type or PurePath(facts.name or "").suffix
        if facts.type is not None:
            self.type = facts.type
        elif not is_known and len(types) == 1:
            self.type = types[0]  # the server finds out, and nothing else is allowed
        else:
            self.type = found if not types or found in types else "custom"

    async def upload(self, api: Api, source: Source, user: str) -> None:
        """Upload it; an error tells which it was."""
        timeouts: Timeouts = attrs.evolve(api.timeouts, total=None)
        try:
            file = await api.upload(form_body(source, user=user), timeouts)
        except DifyError as error:
            error.reword(f"{self.path}: {error.message}")
            raise
        self._is_uploaded(file.id or "")

    def to_wire(self) -> Mapping[str, Any]:
        """As the server takes it (specification, section 2.2)."""
        return {"type": self.type, **self.wire}


@attrs.define(eq=False)
class Prepared:
    """The inputs and files of a run, with what was found in them."""

    inputs: Any
    files: Any
    found: list[_Found]

    @classmethod
    async def of(cls, inputs: Mapping[str, Any], files: Sequence[Any] | None) -> Self:
        """Find the files, and look at them.

        Raises:
            InvalidInputs: some cannot be read; all problems together.
        """
        found: list[_Found] = []
        prepared = cls(
            {name: _find(f"inputs.{name}", inputs[name], found) for name in inputs}
            if is_a(Mapping, inputs)
            else inputs,
            _find("files", [files] if is_file(files) else files, found),
            found,
        )
        if found:
            loop = asyncio.get_running_loop()
            if problems := await loop.run_in_executor(None, _look_at_all, found):
                raise InvalidInputs(problems)
        return prepared

    def check(self, parameters: Parameters, *, files_only: bool) -> list[str]:
        """Bring all into the shape that the app wants, and tell what it will not take.

        Args:
            parameters: the app's.
            files_only: do not tell of what is no file.
        """
        variables = {x.variable: x for x in parameters.user_input_form}
        if is_a(Mapping, self.inputs):
            for name, value in self.inputs.items():
                variable = variables.get(name)
                self.inputs[name] = _shaped(value, variable)
                _decide(value, variable)
        upload = parameters.file_upload
        _decide(self.files, upload if upload and upload.enabled else None)
        inputs, files = self.rendered(lambda found: found.facts)
        problems = form.check(parameters, inputs, files)
        if not files_only:
            return problems
        places = {x.path.partition("[")[0] for x in self.found}
        ours = tuple(f"{place}{end}" for place in places for end in ":[.")
        return [problem for problem in problems if problem.startswith(ours)]

    async def upload(self, api: Api, user: str) -> None:
        """Upload what is of this machine, some at a time.

        Raises:
            DifyError: the first that failed; the others are given up.
        """
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(found: _Found, source: Source) -> None:
            async with gate:
                await found.upload(api, source, user)

        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for found in self.found:
                    if found.source is not None:
                        _ = group.create_task(one(found, found.source))
        except BaseExceptionGroup as failures:
            failure = failures.exceptions[0]
        if failure is not None:
            raise failure

    def wire(self) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]] | None]:
        """Inputs and files as the server takes them."""
        return self.rendered(_Found.to_wire)

    def rendered(self, render: Callable[[_Found], Any]) -> tuple[Any, Any]:
        """Inputs and files, with what *render* makes of each file in its place."""

        def rendered(value: Any) -> Any:
            if isinstance(value, _Found):
                return render(value)
            if isinstance(value, list):
                return [
                    render(x) if isinstance(x, _Found) else x
                    for x in value  # pyright: ignore[reportUnknownVariableType]
                ]
            return value

        inputs = self.inputs
        if is_a(Mapping, inputs):
            inputs = {name: rendered(value) for name, value in inputs.items()}
        return inputs, rendered(self.files)


def _find(path: str, value: Any, found: list[_Found]) -> Any:
    """The value with each file in it replaced by what is found about it."""
    if value.__class__ in {list, tuple}:
        if not any(map(is_file, value)):
            return value
        return [_find_one(f"{path}[{i}]", x, found) for i, x in enumerate(value)]
    return _find_one(path, value, found)


def _find_one(path: str, value: Any, found: list[_Found]) -> Any:
    if not is_file(value):
        return value
    found.append(_Found(path, value))
    return found[-1]


def _look_at_all(found: list[_Found]) -> list[str]:
    problems: list[str] = []
    once: dict[int, str] = {}
    for each in found:
        try:
            each.look()
        except InvalidInputs as error:
            problems += error.problems
            continue
        content = each.value.content if isinstance(each.value, Upload) else each.value
        first = once.setdefault(id(content), each.path)
        if first != each.path and is_stream(content):
            problems.append(f"{each.path}: {first} has it already, and it is read once")
    return problems


def _shaped(value: Any, variable: InputVariable | None) -> Any:
    """One object for a ``file``, an array for a ``file-list``."""
    kind = variable.type if variable else None
    match value:
        case [_Found() as one] if kind == "file":
            return one
        case _Found() if kind == "file-list":
            return [value]
        case _:
            return value


def _decide(value: Any, place: InputVariable | FileUploadSettings | None) -> None:
    for each in value if isinstance(value, list) else [value]:  # pyright: ignore[reportUnknownVariableType]
        if isinstance(each, _Found):
            each.decide(place)
