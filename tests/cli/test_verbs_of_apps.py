"""``parameters``, ``info`` and ``upload``, as processes against the local server."""

from __future__ import annotations

import json
import re

import pytest

from dify_workflow_async import WorkflowClient
from dify_workflow_async.local import Variable

from ._verbs import KEY, served


FORM = [
    Variable(variable="name", label="Your name", required=True, max_length=40),
    Variable(variable="mood", type="select", options=("glad", "sad"), default="glad"),
    Variable(
        variable="papers",
        type="file-list",
        max_length=3,
        allowed_file_types=("document", "custom"),
        allowed_file_extensions=(".xyz",),
        allowed_file_upload_methods=("local_file",),
    ),
]


@pytest.mark.parametrize("verb", ["parameters", "info", "upload"])
async def test_help(verb):
    """Each tells how it is used, and what its exit statuses mean."""
    async with served() as place:
        done = await place.process(verb, "--help")

    assert done.status == 0
    assert "Usage: dify-workflow" in done.out
    assert re.search(r"130 +interrupted", done.out)
    options = done.out.partition("Exit status")[0]
    assert max(map(len, options.splitlines())) <= 80


async def test_parameters():
    """The form is a table with what each input takes; then come the limits."""
    async with served(inputs=FORM, app={"limits": {"file_size_limit": 7}}) as place:
        done = await place.process("parameters")
        told = await place.run("parameters", "--json")

    assert (done.status, done.err) == (0, "")
    head, name, mood, papers, *rest = done.lines
    assert head.split() == [
        *("variable", "label", "type", "required", "default", "takes"),
    ]
    assert name.split("  ")[0] == "name"
    assert "Your name" in name
    assert "yes" in name
    assert name.endswith("at most 40 characters")
    assert mood.split()[-4:] == ["glad", "glad", "|", "sad"]
    assert papers.endswith("at most 3 files; document, .xyz; as local_file")
    assert "limit for other files      7 MB" in rest
    assert "user_input_form" in json.loads(told.out)


async def test_parameters_of_an_app_without_inputs():
    """That there are none is said, not shown as an empty table."""
    features = {
        "file_upload": {"enabled": True, "number_limits": 2},
        "text_to_speech": {"enabled": True},
    }
    async with served(inputs=(), app={"parameters": features}) as place:
        done = await place.run("parameters")

    assert done.lines[0] == "the app asks for no inputs"
    assert any(line.split() == ["text", "to", "speech", "yes"] for line in done.lines)
    assert any(line.startswith("further files") for line in done.lines)


async def test_parameters_on_a_narrow_terminal():
    """80 columns hold the table."""
    async with served(inputs=FORM) as place:
        done = await place.on_terminal("parameters")

    assert "papers" in done.out
    assert done.width <= 80


async def test_info():
    """What the app is, how its page looks, and the server's version, in one view."""
    app = {"name": "Sums", "description": "It adds.", "tags": ("a", "b")}
    async with served(app=app, version="1.15.0") as place:
        done = await place.process("info")
        told = await place.run("info", "--json")

    assert (done.status, done.err) == (0, "")
    facts = dict(line.split("  ", 1) for line in done.lines)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    assert facts["name"] == "Sums"
    assert facts["tags"] == "a, b"
    assert facts["version"] == "1.15.0"
    assert facts["server"] == place.server.base_url
    parts = json.loads(told.out)
    assert parts["info"]["name"] == "Sums"
    assert parts["server"]["server_version"] == "1.15.0"
    assert parts["end_user"] is None


async def test_info_with_an_end_user_and_without_a_page(tmp_path):
    """An app without a page is no error; the end user is one more part."""
    (tmp_path / "a.txt").write_text("x")
    async with served(app={"site": None}) as place:
        async with WorkflowClient(KEY, place.server.base_url, "ada") as own:
            file = await own.upload(tmp_path / "a.txt")
        done = await place.run("info", "--end-user", str(file.created_by))
        told = await place.run("info", "--json")

    assert done.status == 0
    assert any(line.split() == ["end", "user", "ada"] for line in done.lines)
    assert any(line.split() == ["page", "none"] for line in done.lines)
    parts = json.loads(told.out)
    assert parts["site"] is None
    assert parts["server"] == {"server_version": "1.14.2"}  # a header told


async def test_upload(tmp_path):
    """The ids are told, as a table or for programs, and the server has the files."""
    (tmp_path / "a.txt").write_text("four")
    (tmp_path / "b.csv").write_text("x,y\n")
    files = [str(tmp_path / name) for name in ("a.txt", "b.csv")]
    async with served() as place:
        done = await place.process("upload", *files)
        told = await place.run("upload", files[0], "--json", "--user", "ada")
        stored = [(x.name, x.size) for x in place.server.files]

    assert (done.status, done.err) == (0, "")
    assert done.lines[0].split() == ["id", "name", "size", "type"]
    assert [line.split()[1:] for line in done.lines[1:]] == [
        ["a.txt", "4", "text/plain"],
        ["b.csv", "4", "text/csv"],
    ]
    assert [x["name"] for x in json.loads(told.out)] == ["a.txt"]
    assert stored == [("a.txt", 4), ("b.csv", 4), ("a.txt", 4)]


async def test_upload_from_stdin():
    """What comes from stdin needs a name, and is stored under it."""
    async with served() as place:
        wanted = ("upload", "-", "--name", "in.txt")
        done = await place.process(*wanted, given=b"from a pipe")
        nameless = await place.run("upload", "-", given=b"")
        stored = [(x.name, x.size) for x in place.server.files]

    assert (done.status, done.err) == (0, "")
    assert stored == [("in.txt", 11)]
    assert nameless.status == 2
    assert "--name" in nameless.err


async def test_upload_some_that_are_not_taken(tmp_path):
    """The others are uploaded all the same, and the exit status tells."""
    (tmp_path / "a.txt").write_text("four")
    (tmp_path / "b.exe").write_text("four")
    files = [str(tmp_path / name) for name in ("none.txt", "b.exe", "a.txt")]
    async with served(app={"blocked_extensions": ("exe",)}) as place:
        done = await place.run("upload", *files, "--json")

    assert done.status == 1
    assert [x["name"] for x in json.loads(done.out)] == ["a.txt"]
    missing, blocked = done.err.splitlines()
    assert "none.txt" in missing
    assert "b.exe" in blocked


async def test_upload_with_one_name_for_two():
    """A name is for one file."""
    async with served() as place:
        done = await place.run("upload", "a", "b", "--name", "c")

    assert done.status == 2
    assert "for one file" in done.err


async def test_a_key_that_is_wrong():
    """The server's no is told in a sentence, with status 1."""
    async with served() as place:
        done = await place.run("info", DIFY_API_KEY="app-of-nobody")

    assert (done.status, done.out) == (1, "")
    assert "401" in done.err
    assert "app-of-nobody" not in done.err
