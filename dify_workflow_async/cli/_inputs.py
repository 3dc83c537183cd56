"""The inputs of a run, from the words of a command line, by the app's form."""

from __future__ import annotations

import json
import sys

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard, cast

import attrs

from ..errors import InvalidInputs
from ..files import RemoteFile
from ..models import InputVariable, Parameters


TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})

_LINKS = ("http://", "https://")


@attrs.frozen
class Given:
    """One ``--input``.

    Attributes:
        text: what is behind the sign.
        is_json: True of ``NAME:=JSON``, False of ``NAME=TEXT``.
    """

    name: str
    text: str
    is_json: bool

    @classmethod
    def of(cls, word: str) -> Given:
        """Part a word at its first ``=``.

        Raises:
            InvalidInputs: there is none, or no name before it.
        """
        name, equals, text = word.partition("=")
        is_json = name.endswith(":")
        name = name.removesuffix(":").strip()
        if not (equals and name):
            msg = f"--input {word!r}: NAME=TEXT, NAME=@FILE or NAME:=JSON is needed"
            raise InvalidInputs([msg])
        return cls(name, text, is_json)


def inputs_of(
    form: Parameters, given: Iterable[Given], table: Mapping[str, Any]
) -> dict[str, Any]:
    """The inputs, as the client takes them.

    Args:
        form: the app's, which says what a text is to become.
        given: goes before what *table* has.
        table: by name, as JSON has them; texts for files are read as in *given*.

    Raises:
        InvalidInputs: all that cannot be meant, each with its name.
    """
    variables = {x.variable: x for x in form.user_input_form if x.variable}
    inputs: dict[str, Any] = {}
    problems: list[str] = []
    named: dict[str, list[Given]] = {}
    for each in given:
        named.setdefault(each.name, []).append(each)
    for name, value in table.items():
        if name not in named:
            try:
                inputs[name] = _of_json(value, variables.get(name))
            except InvalidInputs as error:
                problems += [f"input {name!r}: {x}" for x in error.problems]
    for name, words in named.items():
        try:
            inputs[name] = _of_words(words, variables.get(name))
        except InvalidInputs as error:
            problems += [f"input {name!r}: {x}" for x in error.problems]
    if problems:
        raise InvalidInputs(problems)
    return inputs


def _of_words(words: list[Given], variable: InputVariable | None) -> Any:
    if _type(variable) == "file-list" and not any(each.is_json for each in words):
        return [file_of(each.text) for each in words if each.text]
    if len(words) > 1:
        raise InvalidInputs(["it is given twice"])
    (word,) = words
    return _json(word.text) if word.is_json else value_of(word.text, variable)


def _of_json(value: Any, variable: InputVariable | None) -> Any:
    """A value of a JSON object: as it is, but for texts that name files."""
    kind = _type(variable)
    if kind == "file" and _is_text(value) and value:
        return file_of(value)
    if kind == "file-list" and _is_list(value):
        return [file_of(each) if _is_text(each) else each for each in value]
    return value


def value_of(text: str, variable: InputVariable | None) -> Any:
    """What a text is to become.

    Args:
        text: ``@FILE`` is the content of a file; behind ``@@`` the text has one ``@``.
        variable: of the form; without one a text is a text.

    Raises:
        InvalidInputs: it is nothing of that kind.
    """
    kind = _type(variable)
    if kind == "file":
        return file_of(text) if text else ""
    if kind == "file-list":
        return [file_of(text)] if text else []
    text = _content(text)
    match kind:
        case "number":
            return _number(text)
        case "checkbox":
            return _truth(text)
        case "json_object":
            return _json(text)
        case _:
            return text


def file_of(text: str) -> Path | RemoteFile:
    """A file of this machine, or one that the server fetches itself.

    Raises:
        InvalidInputs: it is neither, or there is no such file.
    """
    if text.startswith(_LINKS):
        return RemoteFile(text)
    if not text.startswith("@") or text == "@":
        msg = (
            f"{text!r} is no file: @PATH uploads one, https://... lets the server fetch"
        )
        raise InvalidInputs([msg])
    path = Path(text[1:])
    with suppress(RuntimeError):  # ~NAME, and there is nobody of that name
        path = path.expanduser()
    if not path.is_file():
        raise InvalidInputs([f"there is no file {str(path)!r}"])
    return path


def any_file(text: str) -> Path | RemoteFile:
    """A file where nothing else can be meant: the path needs no ``@``.

    Raises:
        InvalidInputs: there is no such file.
    """
    return file_of(text if text.startswith(("@", *_LINKS)) else f"@{text}")


def read_object(path: str) -> dict[str, Any]:
    """The JSON object in a file; ``-`` is standard input.

    Raises:
        InvalidInputs: it cannot be read, or is none.
    """
    what = "standard input" if path == "-" else path
    try:
        text = _read(path)
    except InvalidInputs as error:
        raise InvalidInputs([f"--inputs: {x}" for x in error.problems]) from None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"--inputs: {what} is not JSON: {error}"
        raise InvalidInputs([msg]) from None
    if not isinstance(value, dict):
        msg = f"--inputs: an object is needed, and {what} has another value"
        raise InvalidInputs([msg])
    return cast("dict[str, Any]", value)


# -- kinds ---------------------------------------------------------------------------


def _type(variable: InputVariable | None) -> str | None:
    return variable.type if variable else None


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _content(text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    if not text.startswith("@"):
        return text
    try:
        return _read(text[1:])
    except InvalidInputs as error:
        hint = "; @@ begins a text with an @"
        raise InvalidInputs([x + hint for x in error.problems]) from None


def _read(path: str) -> str:
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        msg = f"{path!r} cannot be read: {error.strerror}"
        raise InvalidInputs([msg]) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputs([f"{path!r} is no text in UTF-8"]) from None


def _number(text: str) -> int | float:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    raise InvalidInputs([f"{text!r} is no number"])


def _truth(text: str) -> bool:
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise InvalidInputs([f"{text!r} is neither true nor false"])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputs([f"no JSON: {error}"]) from None
