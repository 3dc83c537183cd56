"""Inputs are held against the app's form; all that is wrong is told, by its path."""

from __future__ import annotations

import enum
import math
import subprocess
import sys

from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from dify_workflow_async import _protocol
from dify_workflow_async.inputs import FileFacts, check, dify_type, type_to_send
from dify_workflow_async.models import (
    FileUploadSettings,
    InputVariable,
    Parameters,
    SystemParameters,
)

from . import _recordings


MB = 1024 * 1024
LIMITS = SystemParameters(
    file_size_limit=15,
    image_file_size_limit=10,
    audio_file_size_limit=50,
    video_file_size_limit=100,
)
LINK = {"type": "image", "transfer_method": "remote_url", "url": "https://h/x.png"}
UPLOAD = {"type": "document", "transfer_method": "local_file", "upload_file_id": "1"}


def ask(*variables: InputVariable, **others: Any) -> Parameters:
    return Parameters(
        user_input_form=variables, **{"system_parameters": LIMITS, **others}
    )


def one(value: Any, type_: str, **others: Any) -> list[str]:
    """What is wrong with a value for a variable ``x`` of this type."""
    variable = InputVariable(type=type_, variable="x", **others)
    return check(ask(variable), {"x": value})


class Color(enum.StrEnum):
    """Options, as a program may name them."""

    RED = "red"


class Plain(enum.Enum):
    """Values that are sent for their names."""

    RED = "red"
    URL = "remote_url"
    IMAGE = "image"


# -- values --------------------------------------------------------------------------


TEXT = {"max_length": 3}
COLORS = {"options": ("red", "green")}
SCHEMA = {
    "json_schema": {
        "type": "object",
        "required": ["a", 5],
        "properties": {
            "a": {"type": "string"},
            "b": {"type": ["integer", "null"]},
            "c": {"type": "number"},
            "d": {"type": "boolean"},
            "e": {"type": "array"},
            "f": {"type": "object"},
            "g": {"type": "of tomorrow"},
            "h": {"type": [{}, 5]},
            "i": "no schema",
            "j": {},
        },
    }
}
VALUES = [
    # texts
    ("text-input", TEXT, "abc", None),
    ("text-input", TEXT, "", None),
    ("text-input", TEXT, "你好吗", None),
    ("text-input", TEXT, "\0\0\0", None),
    ("text-input", TEXT, "abcd", "4 characters, and 3 are allowed"),
    ("text-input", {"max_length": 0}, "abcd", None),
    ("text-input", {}, "a" * 100_000, None),
    ("paragraph", TEXT, "abcd", "4 characters, and 3 are allowed"),
    ("paragraph", {}, 5, "a text is needed, not int"),
    ("paragraph", {}, ["a"], "a text is needed, not list"),
    ("paragraph", {}, LINK, "a text is needed, not dict"),
    ("paragraph", {}, FileFacts("a.txt"), "a text is needed, not FileFacts"),
    ("paragraph", {}, True, "a text is needed, not bool"),
    ("paragraph", {}, b"a", "a text is needed, not bytes"),
    ("external_data_tool", {}, "a", None),
    ("external_data_tool", {}, 1, "a text is needed, not int"),
    # what is sent as a text
    ("paragraph", {}, datetime(2026, 1, 1, tzinfo=UTC), None),
    ("text-input", TEXT, date(2026, 1, 1), "10 characters, and 3 are allowed"),
    ("paragraph", {}, Plain.RED, None),
    ("select", COLORS, Color.RED, None),
    ("select", COLORS, Plain.RED, None),
    # choices
    ("select", COLORS, "green", None),
    ("select", COLORS, "blue", "'blue' is none of 'red', 'green'"),
    ("select", COLORS, "Red", "'Red' is none of 'red', 'green'"),
    ("select", COLORS, "", "'' is none of 'red', 'green'"),
    ("select", COLORS, "b" * 99, f"'{'b' * 36}... is none of 'red', 'green'"),
    ("select", COLORS, 5, "a text is needed, not int"),
    ("select", {}, "anything", None),
    # numbers
    ("number", {}, 5, None),
    ("number", {}, 1.5, None),
    ("number", {}, "5", None),
    ("number", {}, " -5 ", None),
    ("number", {}, "1.5", None),
    ("number", {}, "1.5e3", None),
    ("number", {}, "", None),
    ("number", {}, "  ", None),
    ("number", {}, "1e3", "'1e3' is no number"),
    ("number", {}, "1,5", "'1,5' is no number"),
    ("number", {}, "1.5.2", "'1.5.2' is no number"),
    ("number", {}, "five", "'five' is no number"),
    ("number", {}, [5], "a number is needed, not list"),
    ("number", {}, Decimal(5), "a number is needed, not Decimal"),
    # checkboxes
    *(
        ("checkbox", {}, value, None)
        for value in (True, False, 1, 0, "true", "FALSE", "1", "0", "yes", "No", "on")
    ),
    ("checkbox", {}, "off", None),
    ("checkbox", {}, "maybe", "true or false is needed, not 'maybe'"),
    ("checkbox", {}, "", "true or false is needed, not ''"),
    ("checkbox", {}, 2, "true or false is needed, not 2"),
    ("checkbox", {}, 1.0, "true or false is needed, not float"),
    ("checkbox", {}, {}, "true or false is needed, not dict"),
    # objects
    ("json_object", {}, {"a": [None]}, None),
    ("json_object", {}, MappingProxyType({"a": 1}), None),
    ("json_object", {}, {}, None),
    ("json_object", {}, '{"a": 1}', "an object is needed, not str"),
    ("json_object", {}, [], "an object is needed, not list"),
    ("json_object", {}, FileFacts(), "an object is needed, not FileFacts"),
    ("json_object", {"json_schema": {"required": 5, "properties": []}}, {}, None),
    # controls of tomorrow
    ("of tomorrow", {}, b"", None),
    (None, {}, [[]], None),
]


@pytest.mark.parametrize(
    ("type_", "others", "value", "problem"),
    [
        pytest.param(*row, id=f"{n} {row[0]} {ascii(row[2])[:30]}")
        for n, row in enumerate(VALUES)
    ],
)
def test_value(type_, others, value, problem):
    """Each control takes what the server takes of it, and says what else it needs."""
    expected = [] if problem is None else [f"inputs.x: {problem}"]

    for required in (True, False, None):
        assert one(value, type_, required=required, **others) == expected


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": "x"}, None),
        ({"a": "x", "of tomorrow": 1}, None),
        ({}, "inputs.x.a: required by the schema, and not given"),
        ({"a": 5}, "inputs.x.a: the schema wants string, not int"),
        ({"a": None}, "inputs.x.a: the schema wants string, not null"),
        ({"a": "x", "b": 5}, None),
        ({"a": "x", "b": 5.0}, None),
        ({"a": "x", "b": None}, None),
        (
            {"a": "x", "b": 5.5},
            "inputs.x.b: the schema wants integer or null, not float",
        ),
        (
            {"a": "x", "b": True},
            "inputs.x.b: the schema wants integer or null, not bool",
        ),
        ({"a": "x", "c": 5}, None),
        ({"a": "x", "c": "5"}, "inputs.x.c: the schema wants number, not str"),
        ({"a": "x", "d": False}, None),
        ({"a": "x", "d": 0}, "inputs.x.d: the schema wants boolean, not int"),
        ({"a": "x", "e": ()}, None),
        ({"a": "x", "e": {}}, "inputs.x.e: the schema wants array, not dict"),
        ({"a": "x", "f": {}}, None),
        ({"a": "x", "f": []}, "inputs.x.f: the schema wants object, not list"),
        ({"a": date(2026, 1, 1)}, None),
        ({"a": "x", "g": 1, "h": 1, "i": 1, "j": 1}, None),
    ],
    ids=repr,
)
def test_schema(value, problem):
    """Of a schema the required keys and their types are checked, and no more."""
    assert one(value, "json_object", **SCHEMA) == ([] if problem is None else [problem])


@pytest.mark.parametrize("given", [{}, {"x": None}])
@pytest.mark.parametrize("default", [None, "a"])
@pytest.mark.parametrize(
    "type_", ["text-input", "select", "number", "checkbox", "file", "file-list", None]
)
def test_what_is_missing(type_, default, given):
    """Missing and null are the same, and a problem where the input is required."""
    for required in (True, False, None):
        variable = InputVariable(
            type=type_, variable="x", required=required, default=default
        )
        problems = ["inputs.x: required, and not given"] if required else []
        assert check(ask(variable), given) == problems


def test_unknown_inputs():
    """A name that the app does not know is a problem, unless it is asked not to be."""
    parameters = ask(InputVariable(variable="query"), InputVariable(variable="n"))
    inputs = {"Query": "x", "n": 1, 5: 1}

    assert check(parameters, inputs) == [
        "inputs.Query: the app has no such input; it has query, n",
        "inputs.5: the app has no such input; it has query, n",
    ]
    assert check(parameters, inputs, unknown="ignore") == []
    assert check(ask(), {"a": 1}) == [
        "inputs.a: the app has no such input; it has none"
    ]
    assert check(ask(InputVariable(label="nameless", required=True)), {}) == []


@pytest.mark.parametrize("inputs", [None, [], "x", 5, [("x", 1)]], ids=repr)
def test_inputs_that_are_no_mapping(inputs):
    """There is nothing to check in what is no mapping."""
    (problem,) = check(ask(InputVariable(variable="x", required=True)), inputs)

    assert problem.startswith("inputs: a mapping is needed, not ")


def test_all_problems_are_told():
    """Every problem has its sentence, in the order of the form."""
    recording = _recordings.ALL["1.14.2-parameters_inputs"]
    parameters = _protocol.parameters(recording.body)

    problems = check(
        parameters,
        {"n": "x", "color": "pink", "flag": [], "obj": 1, "para": 1, "Name": "Ann"},
        files=5,
    )

    assert problems == [
        "inputs.name: required, and not given",
        "inputs.para: a text is needed, not int",
        "inputs.color: 'pink' is none of 'red', 'green', 'blue'",
        "inputs.n: 'x' is no number",
        "inputs.flag: true or false is needed, not list",
        "inputs.obj: an object is needed, not int",
        (
            "inputs.Name: the app has no such input; "
            "it has name, para, color, n, flag, obj"
        ),
        "files: a list of files is needed, not int",
    ]
    fine = {"name": "Ann", "color": "red", "n": 4, "flag": True, "obj": {"a": [1]}}
    assert check(parameters, {**fine, "para": "p q"}) == []


# -- files ---------------------------------------------------------------------------


IMAGES = {"allowed_file_types": ("image",)}
CUSTOM = {
    "allowed_file_types": ("custom", "image"),
    "allowed_file_extensions": (".CSV", "log"),
}
LINKS_ONLY = {"allowed_file_upload_methods": ("remote_url",)}
IMAGE_ONLY = "allowed is image"
SOME_CUSTOM = "allowed is image or .csv or .log"
TYPES = "allowed is image or video or audio or document or custom"
FILES = [
    # mappings
    ({}, LINK, None),
    ({}, UPLOAD, None),
    ({}, {**LINK, "type": "custom"}, None),
    ({}, {"transfer_method": "remote_url", "remote_url": "http://h/x"}, None),
    ({}, {"transfer_method": "tool_file", "tool_file_id": "1"}, None),
    ({**IMAGES, **LINKS_ONLY}, {"transfer_method": "datasource_file"}, None),
    ({}, {"transfer_method": Plain.URL, "type": Plain.IMAGE, "url": "http://h"}, None),
    ({}, {}, ".transfer_method: remote_url or local_file is needed, not None"),
    (
        {},
        {"transfer_method": ["x"]},
        ".transfer_method: remote_url or local_file is needed, not ['x']",
    ),
    (LINKS_ONLY, LINK, None),
    (
        LINKS_ONLY,
        UPLOAD,
        ".transfer_method: local_file is not allowed; allowed is remote_url",
    ),
    ({}, {**LINK, "url": ""}, ".url: a text that begins with http is needed"),
    ({}, {**LINK, "url": "ftp://h"}, ".url: a text that begins with http is needed"),
    ({}, {**LINK, "url": 5}, ".url: a text that begins with http is needed"),
    (
        {},
        {**UPLOAD, "upload_file_id": ""},
        ".upload_file_id: the id of an upload is needed",
    ),
    (
        {},
        {**UPLOAD, "upload_file_id": 5},
        ".upload_file_id: the id of an upload is needed",
    ),
    ({}, {**LINK, "type": "picture"}, f".type: 'picture' is not allowed; {TYPES}"),
    ({}, {**LINK, "type": None}, f".type: None is not allowed; {TYPES}"),
    ({}, {**LINK, "type": []}, f".type: [] is not allowed; {TYPES}"),
    (IMAGES, LINK, None),
    (IMAGES, UPLOAD, f".type: document is not allowed; {IMAGE_ONLY}"),
    (
        IMAGES,
        {**UPLOAD, "type": "custom"},
        f".type: custom is not allowed; {IMAGE_ONLY}",
    ),
    (
        IMAGES,
        {"transfer_method": "local_file", "upload_file_id": "1"},
        f".type: custom is not allowed; {IMAGE_ONLY}",
    ),
    (CUSTOM, LINK, None),
    (CUSTOM, {**UPLOAD, "type": "custom"}, None),
    (CUSTOM, {"transfer_method": "local_file", "upload_file_id": "1"}, None),
    (CUSTOM, UPLOAD, f".type: document is not allowed; {SOME_CUSTOM}"),
    (
        {"allowed_file_types": ("custom",)},
        LINK,
        ".type: image is not allowed; allowed is nothing",
    ),
    # facts
    ({}, FileFacts(), None),
    ({}, FileFacts("x.exe"), None),
    ({}, FileFacts("x.png", type="custom"), None),
    (IMAGES, FileFacts("x.PNG"), None),
    (IMAGES, FileFacts("x.png", type="image"), None),
    (IMAGES, FileFacts("x", mime_type="image/png"), None),
    (IMAGES, FileFacts("x.txt"), f": .txt (document) is not allowed; {IMAGE_ONLY}"),
    (
        IMAGES,
        FileFacts("x", mime_type="application/zip"),
        f": custom is not allowed; {IMAGE_ONLY}",
    ),
    (
        IMAGES,
        FileFacts("x.png", type="custom"),
        f": .png (custom) is not allowed; {IMAGE_ONLY}",
    ),
    ({}, FileFacts("x.png", type="picture"), f": 'picture' is not allowed; {TYPES}"),
    (CUSTOM, FileFacts("x.png"), None),
    (CUSTOM, FileFacts("x.csv"), None),
    (CUSTOM, FileFacts("x.CSV", type="custom"), None),
    (CUSTOM, FileFacts("x.log"), None),
    (
        CUSTOM,
        FileFacts("x.csv", type="document"),
        f": .csv (document) is not allowed; {SOME_CUSTOM}",
    ),
    (CUSTOM, FileFacts("x.txt"), f": .txt (document) is not allowed; {SOME_CUSTOM}"),
    (CUSTOM, FileFacts("x.exe"), f": .exe (custom) is not allowed; {SOME_CUSTOM}"),
    (
        LINKS_ONLY,
        FileFacts("x.png"),
        ": local_file is not allowed; allowed is remote_url",
    ),
    # What a link leads to is not known from its name.
    (LINKS_ONLY, FileFacts("x.png", method="remote_url"), None),
    (IMAGES, FileFacts("x.txt", method="remote_url"), None),
    (IMAGES, FileFacts("x.txt", type="image", method="remote_url"), None),
    (
        IMAGES,
        FileFacts("x.png", type="audio", method="remote_url"),
        f": audio is not allowed; {IMAGE_ONLY}",
    ),
    (CUSTOM, FileFacts("x.exe", type="custom", method="remote_url"), None),
    # sizes
    ({}, FileFacts("x.png", 10 * MB), None),
    ({}, FileFacts("x.png", 10 * MB + 1), ": 10.1 MB, and 10 MB are allowed"),
    ({}, FileFacts("x.mp4", 100 * MB + 1), ": 100.1 MB, and 100 MB are allowed"),
    ({}, FileFacts("x.mp3", 51 * MB), ": 51.0 MB, and 50 MB are allowed"),
    ({}, FileFacts("x.pdf", 16 * MB), ": 16.0 MB, and 15 MB are allowed"),
    ({}, FileFacts("x", 16 * MB), ": 16.0 MB, and 15 MB are allowed"),
    ({}, FileFacts("x", 12 * MB, mime_type="image/png"), None),
    ({}, FileFacts("x.png", 99 * MB, method="remote_url"), None),
    # neither
    ({}, "x.png", ": a file is needed, not str"),
    ({}, 5, ": a file is needed, not int"),
    ({}, [LINK], ": a file is needed, not list"),
]


@pytest.mark.parametrize(
    ("rules", "file", "problem"),
    [pytest.param(*row, id=f"{n} {ascii(row[1])[:60]}") for n, row in enumerate(FILES)],
)
def test_file(rules, file, problem):
    """A file is told the same whether it is alone, in a list, or beside the inputs."""
    upload = FileUploadSettings(enabled=True, **rules)

    alone = one(file, "file", required=True, **rules)
    listed = one((LINK | {"type": "image"}, file), "file-list", **rules)
    beside = check(ask(file_upload=upload), {}, [file])

    assert alone == ([] if problem is None else [f"inputs.x{problem}"])
    assert [x for x in listed if "x[0]" not in x] == (
        [] if problem is None else [f"inputs.x[1]{problem}"]
    )
    assert beside == ([] if problem is None else [f"files[0]{problem}"])


@pytest.mark.parametrize(
    ("type_", "problem"),
    [
        ("image", "sent as image, but Dify takes 'x.txt' for document"),
        ("document", None),
        ("custom", None),
        (None, None),
    ],
)
def test_a_type_that_the_name_denies(type_, problem):
    """The server compares types, except in a list of files."""
    file = FileFacts("x.txt", type=type_)
    upload = FileUploadSettings(enabled=True)

    assert one(file, "file") == ([] if problem is None else [f"inputs.x: {problem}"])
    assert one([file], "file-list") == []
    for settings_ in (upload, FileUploadSettings(), None):
        assert check(ask(file_upload=settings_), {}, [file]) == (
            [] if problem is None else [f"files[0]: {problem}"]
        )


def test_a_file_of_which_nothing_is_known():
    """It is sent as the only type that is allowed, which a list of files takes."""
    file = FileFacts("x")
    problem = "inputs.x: sent as image, but Dify takes 'x' for custom"

    assert one([file], "file-list", **IMAGES) == []
    assert one(file, "file", **IMAGES) == [problem]
    assert one(file, "file", **CUSTOM) == [
        f"inputs.x: custom is not allowed; {SOME_CUSTOM}"
    ]
    assert one(file, "file") == []


def test_no_file():
    """A form that is left empty sends a text; an empty list is a list."""
    assert one("", "file", required=False) == []
    assert one("", "file", required=True) == ["inputs.x: a file is needed, not str"]
    assert one([], "file-list", required=True) == []
    assert one("", "file-list") == ["inputs.x: a list of files is needed, not str"]
    assert one(LINK, "file-list") == ["inputs.x: a list of files is needed, not dict"]
    assert check(ask(), {}, []) == []
    assert check(ask(), {}, None) == []


@pytest.mark.parametrize(
    ("limit", "number", "problems"),
    [
        (3, 3, []),
        (3, 4, ["4 files, and 3 are allowed"]),
        (0, 4, []),
        (None, 4, []),
    ],
)
def test_how_many_files(limit, number, problems):
    """A list has its limit in the variable, the files beside in the app's settings."""
    files = [LINK] * number
    on = FileUploadSettings(enabled=True, number_limits=limit)
    off = FileUploadSettings(enabled=False, number_limits=limit)

    assert one(files, "file-list", max_length=limit) == [
        f"inputs.x: {problem}" for problem in problems
    ]
    assert check(ask(file_upload=on), {}, files) == [
        f"files: {problem}" for problem in problems
    ]
    assert check(ask(file_upload=off), {}, files) == []


def test_files_beside_that_are_switched_off():
    """While the app takes no files, only their form is looked at, and their size."""
    off = FileUploadSettings(enabled=False, **IMAGES)
    files = [UPLOAD, {}, FileFacts("x.pdf", 16 * MB)]

    assert check(ask(file_upload=off), {}, files) == [
        "files[1].transfer_method: remote_url or local_file is needed, not None",
        "files[2]: 16.0 MB, and 15 MB are allowed",
    ]


def test_limits_that_are_not_known():
    """Old servers tell fewer limits, or none."""
    variable = InputVariable(type="file", variable="x")
    huge = {"x": FileFacts("x.mp4", 10**12)}

    for limits in (None, SystemParameters(), SystemParameters(image_file_size_limit=1)):
        assert check(ask(variable, system_parameters=limits), huge) == []


def test_several_problems_of_one_file():
    """A file may be wrong in more than one way."""
    rules = {**IMAGES, **LINKS_ONLY}

    assert one({**UPLOAD, "upload_file_id": None}, "file", **rules) == [
        "inputs.x.upload_file_id: the id of an upload is needed",
        "inputs.x.transfer_method: local_file is not allowed; allowed is remote_url",
        f"inputs.x.type: document is not allowed; {IMAGE_ONLY}",
    ]
    assert one(FileFacts("x.pdf", 16 * MB), "file", **rules) == [
        "inputs.x: local_file is not allowed; allowed is remote_url",
        f"inputs.x: .pdf (document) is not allowed; {IMAGE_ONLY}",
        "inputs.x: 16.0 MB, and 15 MB are allowed",
    ]
    assert one({"type": "picture"}, "file", **rules) == [
        "inputs.x.transfer_method: remote_url or local_file is needed, not None",
        f"inputs.x.type: 'picture' is not allowed; {TYPES}",
    ]


def test_a_real_app_with_files():
    """The form of a real server is what `check` reads."""
    recording = _recordings.ALL["1.12.1-parameters_file"]
    parameters = _protocol.parameters(recording.body)

    assert check(parameters, {"doc": FileFacts("notes.txt", 20), "more": [LINK]}) == []
    assert check(parameters, {"doc": FileFacts("a.mp3"), "more": [LINK] * 4}) == [
        (
            "inputs.doc: .mp3 (audio) is not allowed; "
            "allowed is document or image or .csv or .txt"
        ),
        "inputs.more: 4 files, and 3 are allowed",
    ]


# -- types of files ------------------------------------------------------------------


EXTENSIONS = {
    "document": "TXT MD MARKDOWN MDX PDF HTML HTM XLSX XLS VTT PROPERTIES DOC DOCX CSV "
    "EML MSG PPTX PPT XML EPUB",
    "image": "JPG JPEG PNG GIF WEBP SVG",
    "audio": "MP3 M4A WAV AMR MPGA",
    "video": "MP4 MOV MPEG WEBM",
    "custom": "EXE PY ZIP JSON 7Z",
}


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_types_by_extension(kind):
    """The extension decides, in capitals or not, whatever the MIME type says."""
    for extension in EXTENSIONS[kind].split():
        for name in (f"a.{extension}", f"b.c.{extension.lower()}", f"d/.e.{extension}"):
            assert dify_type(name) == kind, name
            if kind != "custom":
                assert dify_type(name, "application/zip") == kind
                assert dify_type(name, "image/png") == kind


@pytest.mark.parametrize("name", [None, "", "noextension", ".png", "a.", "a.bin"])
@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [
        ("image/x-icon", "image"),
        ("IMAGE/PNG", "image"),
        ("audio/mpeg", "audio"),
        ("video/ogg", "video"),
        ("text/plain; charset=utf-8", "document"),
        ("text/x-python", "document"),
        ("application/pdf", "document"),
        ("application/zip", "custom"),
        ("document/odd", "custom"),
        ("custom/odd", "custom"),
        ("image", "image"),
        ("", "custom"),
        (None, "custom"),
    ],
)
def test_types_by_mime_type(name, mime_type, kind):
    """Without an extension that says something, the MIME type decides."""
    assert dify_type(name, mime_type) == kind


@pytest.mark.parametrize(
    ("file", "rules", "kind"),
    [
        (FileFacts("x.csv"), None, "document"),
        (FileFacts("x.csv"), {}, "document"),
        (FileFacts("x.csv"), CUSTOM, "custom"),
        (FileFacts("x.csv", type="document"), CUSTOM, "document"),
        (FileFacts("x.png"), CUSTOM, "image"),
        (FileFacts("x.txt"), CUSTOM, "document"),
        (FileFacts("x.exe"), CUSTOM, "custom"),
        (FileFacts("x.exe"), None, "custom"),
        (FileFacts("x.txt"), IMAGES, "document"),
        (FileFacts("x", mime_type="image/png"), IMAGES, "image"),
        (FileFacts("x", mime_type="a/b"), IMAGES, "custom"),
        (FileFacts("x"), IMAGES, "image"),
        (FileFacts("x"), CUSTOM, "custom"),
        (FileFacts("x"), None, "custom"),
    ],
    ids=repr,
)
def test_type_to_send(file, rules, kind):
    """A file is sent as what it is, unless only its extension is allowed."""
    place = None if rules is None else InputVariable(**rules)

    assert type_to_send(file, place) == kind
    if rules is not None:
        assert type_to_send(file, FileUploadSettings(**rules)) == kind


@given(name=st.text(max_size=10), kinds=st.sets(st.sampled_from(sorted(EXTENSIONS))))
def test_what_passes_can_be_sent(name, kinds):
    """A file that `check` passes has a type to send with which it passes, too."""
    variable = InputVariable(
        type="file",
        variable="x",
        allowed_file_types=tuple(sorted(kinds)),
        allowed_file_extensions=(".csv", ".log"),
    )
    for file in (FileFacts(name), FileFacts(f"{name}.csv"), FileFacts(f"{name}.png")):
        sent = FileFacts(file.name, type=type_to_send(file, variable))
        passes = check(ask(variable), {"x": file}) == []
        assert (check(ask(variable), {"x": sent}) == []) is passes


# -- whatever comes ------------------------------------------------------------------


ODD = st.sampled_from([b"x", object(), Plain.RED, 10**400, math.nan, FileFacts()])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | ODD,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "transfer_method", "url", "upload_file_id", "a"]),
            inner
            | st.sampled_from(["remote_url", "local_file", "tool_file", "custom"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)
CONTROLS = [
    *("text-input", "paragraph", "select", "number", "checkbox", "json_object"),
    *("file", "file-list", "external_data_tool", "of tomorrow", None),
]


@settings(deadline=None, max_examples=300)
@given(value=ANYTHING, files=ANYTHING, schema=ANYTHING, inputs=ANYTHING)
def test_nothing_raises(value, files, schema, inputs):
    """Any value for any control is right, or told in a sentence with its path."""
    for control in CONTROLS:
        variable = InputVariable(
            type=control,
            variable="x",
            json_schema={"properties": {"a": schema}, "required": schema},
            **CUSTOM,
        )
        for problem in check(ask(variable), {"x": value}, files):
            path, _, sentence = problem.partition(": ")
            assert path.startswith(("inputs.x", "files"))
            assert sentence
        assert all(isinstance(x, str) for x in check(ask(variable), inputs))


def test_the_room_is_light():
    """Checking needs neither the network's modules nor the models of an app."""
    script = (
        "import sys, types\n"
        "import dify_workflow_async\n"
        "import dify_workflow_async.inputs\n"
        "print('dify_workflow_async.models._app' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )

    assert (done.stdout, done.stderr) == ("False\n", "")
