"""Files among the inputs of a run: found, checked, uploaded, and named to the server.

What most runs need is here; what files need is imported when there are some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._protocol import is_a
from ..errors import InvalidInputs


if TYPE_CHECKING:
    from .._api import Api
    from .._config import Timeouts
    from ..models import UploadedFile
    from ._sources import Source

Files = Sequence[Any]
"""Files as `files` has them, or file objects as the server takes them."""

_NO_FILES = frozenset({str, int, float, bool, type(None)})


def holds_files(inputs: Mapping[str, Any], files: Files | None) -> bool:
    """True if `prepare` has something to do. Looks at no more than it must.

    Files are values of their own, or in lists; what else cannot be sent, `_encode`
    tells of. A list that begins with text or numbers is taken for one without files.
    """
    values = inputs.values() if is_a(Mapping, inputs) else ()
    return _any_file(values) or (files is not None and _any_file([files]))


def _any_file(values: Iterable[Any]) -> bool:
    for value in values:
        kind = value.__class__
        if kind in _NO_FILES or kind is dict:
            continue
        if kind is list or kind is tuple:
            if value and value[0].__class__ not in _NO_FILES and any(map(_is, value)):
                return True
        elif _is(value):
            return True
    return False


def _is(value: object) -> bool:
    """True for a file, and for what its user may take for one."""
    if value.__class__ is dict:
        return False
    from ._inspect import is_file

    return is_file(value)


async def prepare(
    api: Api,
    inputs: Mapping[str, Any],
    files: Files | None,
    *,
    user: str,
    validate: bool = False,
) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]] | None]:
    """Upload the files among *inputs* and *files*.

    Args:
        api: for the app.
        inputs: as the user gave them.
        files: likewise.
        user: who runs, and so who uploads: servers from 1.14 compare the two.
        validate: also check what is no file.

    Returns:
        Both, with file objects as the server takes them in the place of files.

    Raises:
        InvalidInputs: files that cannot be read, or that the app does not take;
            nothing was uploaded.
        DifyError: an upload failed.
    """
    from ._prepare import Prepared

    prepared = await Prepared.of(inputs, files)
    if not (prepared.found or validate):
        return inputs, files
    problems = prepared.check(await api.parameters(), files_only=not validate)
    if problems:
        raise InvalidInputs(problems)
    await prepared.upload(api, user)
    return prepared.wire()


async def find_problems(
    api: Api, inputs: Mapping[str, Any], files: Files | None
) -> list[str]:
    """All that the app would not take; nothing is uploaded.

    Raises:
        DifyError: the app's form could not be read.
    """
    from ._prepare import Prepared

    try:
        prepared = await Prepared.of(inputs, files)
    except InvalidInputs as error:
        return list(error.problems)
    return prepared.check(await api.parameters(), files_only=False)


async def inspected(file: Any, *, path: str = "file") -> Source:
    """What is to be sent for a file of this machine.

    Raises:
        InvalidInputs: it is none, or cannot be read.
    """
    from ._inspect import inspect

    return await inspect(file, path)


async def upload(api: Api, file: Any, *, user: str, timeouts: Timeouts) -> UploadedFile:
    """Upload one file.

    Raises:
        InvalidInputs: it cannot be read.
        DifyError: the upload failed.
    """
    from ._multipart import form_body

    body = form_body(await inspected(file), user=user)
    return await api.upload(body, timeouts)
