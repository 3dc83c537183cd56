"""Words of a command line as inputs, by an app's form."""

from __future__ import annotations

import io

import pytest

from dify_workflow_async.cli._inputs import Given, any_file, inputs_of, read_object
from dify_workflow_async.errors import InvalidInputs
from dify_workflow_async.files import RemoteFile
from dify_workflow_async.models import InputVariable, Parameters


KINDS = {
    "text": "text-input",
    "story": "paragraph",
    "kind": "select",
    "n": "number",
    "on": "checkbox",
    "data": "json_object",
    "doc": "file",
    "docs": "file-list",
    "tomorrow": "hologram",
}
FORM = Parameters(
    user_input_form=tuple(
        InputVariable(variable=name, type=kind) for name, kind in KINDS.items()
    )
)
LINK = "https://example.org/a.pdf"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with files, which the test is in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("first\n", encoding="utf-8-sig")
    (tmp_path / "b.json").write_text('{"b": 1}')
    (tmp_path / "bytes.bin").write_bytes(b"\xff\xfe\x00")
    return tmp_path


def read(*words, **table):
    return inputs_of(FORM, list(map(Given.of, words)), table)


@pytest.mark.parametrize(
    ("words", "inputs"),
    [
        (["text=a=b"], {"text": "a=b"}),
        (["text="], {"text": ""}),
        (["text=12"], {"text": "12"}),
        (["text:=12"], {"text": 12}),
        (["kind=x", "story=y"], {"kind": "x", "story": "y"}),
        (["n=12"], {"n": 12}),
        (["n=-1.5e3"], {"n": -1500.0}),
        (["on=yes"], {"on": True}),
        (["on=OFF"], {"on": False}),
        (['data={"a": [1]}'], {"data": {"a": [1]}}),
        (['data:={"a": [1]}'], {"data": {"a": [1]}}),
        (["unknown=1", "tomorrow=2"], {"unknown": "1", "tomorrow": "2"}),
        (["text=@a.txt"], {"text": "first\n"}),
        (["data=@b.json"], {"data": {"b": 1}}),
        (["text=@@a.txt"], {"text": "@a.txt"}),
        (["text=@@@"], {"text": "@@"}),
        (["doc="], {"doc": ""}),
        (["docs="], {"docs": []}),
        ([f"doc={LINK}"], {"doc": RemoteFile(LINK)}),
        ([f"docs={LINK}"], {"docs": [RemoteFile(LINK)]}),
        ([], {}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_words(here, words, inputs):
    """The form says what a text is to become; JSON is what it is."""
    assert read(*words) == inputs


def test_files(here):
    """A path is a file of this machine, once or several times."""
    found = read("doc=@a.txt", "docs=@a.txt", "docs=@b.json")

    assert found["doc"].read_text(encoding="utf-8-sig") == "first\n"
    assert [path.name for path in found["docs"]] == ["a.txt", "b.json"]


def test_a_home_directory(here, monkeypatch):
    """A tilde behind the sign is the home directory, which no shell sees there."""
    monkeypatch.setenv("HOME", str(here))
    assert read("doc=@~/a.txt")["doc"] == here / "a.txt"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["n=abc"], "input 'n': 'abc' is no number"),
        (["n="], "input 'n': '' is no number"),
        (["on=maybe"], "input 'on': 'maybe' is neither true nor false"),
        (["data={"], "input 'data': no JSON"),
        (["text:=x"], "input 'text': no JSON"),
        (["text=a", "text=b"], "input 'text': it is given twice"),
        (
            ["text=@nowhere"],
            "input 'text': 'nowhere' cannot be read: No such file or directory; @@ begins",
        ),
        (["text=@bytes.bin"], "input 'text': 'bytes.bin' is no text in UTF-8"),
        (["doc=@nowhere"], "input 'doc': there is no file 'nowhere'"),
        (["doc=@~nobodyhere/a"], "input 'doc': there is no file '~nobodyhere/a'"),
        (["doc=@."], "input 'doc': there is no file '.'"),
        (["doc=@"], "input 'doc': '@' is no file"),
        (["docs=a.txt"], "input 'docs': 'a.txt' is no file: @PATH uploads one"),
        (["docs:=[", "docs=@a.txt"], "input 'docs': it is given twice"),
        (["text"], "--input 'text': NAME=TEXT"),
        (["=a"], "--input '=a': NAME=TEXT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant(here, words, says):
    """It is told with the name of the input."""
    with pytest.raises(InvalidInputs) as caught:
        read(*words)
    assert says in str(caught.value)


def test_all_problems_at_once(here):
    """Not only the first one is told."""
    with pytest.raises(InvalidInputs) as caught:
        read("n=a", "on=b", doc="nowhere")
    assert len(caught.value.problems) == 3


def test_a_table(here):
    """Values of JSON stay as they are, texts for files name files, and words win."""
    inputs = read(
        "text=word",
        text="table",
        n="12",
        doc="@a.txt",
        docs=["@a.txt", LINK, {"transfer_method": "local_file"}],
        data={"a": 1},
    )

    assert inputs["text"] == "word"
    assert inputs["n"] == "12"
    assert inputs["doc"].name == "a.txt"
    assert inputs["docs"][1:] == [RemoteFile(LINK), {"transfer_method": "local_file"}]
    assert inputs["docs"][0].name == "a.txt"
    assert inputs["data"] == {"a": 1}


def test_a_file_as_the_server_has_it(here):
    """An object, or nothing, is left alone where a file is wanted."""
    uploaded = {"transfer_method": "local_file", "upload_file_id": "1"}
    assert read(doc=uploaded, docs=None) == {"doc": uploaded, "docs": None}


def test_a_file_without_its_sign(here):
    """Where only a file can be meant, a path needs no sign, and may have it."""
    assert any_file("a.txt") == any_file("@a.txt")
    assert any_file(LINK) == RemoteFile(LINK)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "--inputs: in.json is not JSON: "),
        ("[" * 100_000, "--inputs: in.json is not JSON: "),
        ("[1]", "--inputs: an object is needed, and in.json has another value"),
    ],
    ids=["broken", "deep", "a list"],
)
def test_a_file_of_inputs_that_is_none(here, content, says):
    """The sentence tells which file, and why."""
    (here / "in.json").write_text(content)
    with pytest.raises(InvalidInputs) as caught:
        read_object("in.json")
    assert str(caught.value).startswith(says)


def test_a_file_of_inputs_that_is_not_there(here):
    """That is what is told, and nothing of JSON or of signs."""
    with pytest.raises(InvalidInputs) as caught:
        read_object("nowhere.json")
    assert caught.value.problems == (
        "--inputs: 'nowhere.json' cannot be read: No such file or directory",
    )


def test_inputs_from_standard_input(here, monkeypatch):
    """A hyphen is standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": "\xc3\xa4"}')))
    assert read_object("-") == {"a": "ä"}
