"""Runs take files as real servers do, and their nodes have them in the same form."""

import json
import re

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from dify_workflow_async.local import App, LocalServer, Node, Scenario, Variable


VERSIONS = ["1.12.1", "1.14.2"]
UNKNOWN = "00000000-0000-4000-8000-000000000000"
MISMATCH = (
    "Detected file type does not match the specified type. Please verify the file."
)
INVALID = "1 validation error for WorkflowRunPayload"

Upload = Callable[..., Awaitable[str]]


@pytest.fixture
def upload(http: aiohttp.ClientSession) -> Upload:
    """Give a function that uploads a file, and returns its id."""

    async def send(
        server: LocalServer,
        app: App,
        name: str = "notes.txt",
        mime_type: str = "text/plain",
        *,
        data: bytes = b"x",
        user: str = "u1",
    ) -> str:
        form = aiohttp.FormData({"user": user})
        form.add_field("file", data, filename=name, content_type=mime_type)
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}/files/upload"
        async with http.post(url, data=form, headers=headers) as response:
            return str((await response.json())["id"])

    return send


@pytest.fixture
def run(post_run):
    """Give a function that runs an app, and returns its outputs or the error."""

    async def read(server: LocalServer, app: App, **body: Any) -> Any:
        body = {"response_mode": "blocking", **body}
        async with post_run(server, app, **body) as response:
            answer = await response.json()
        return (
            answer["data"]["outputs"] if response.status == 200 else answer["message"]
        )

    return read


def echo(*, parameters: dict[str, Any] | None = None, **variable: Any) -> App:
    """Make an app that gives back what it gets."""
    inputs = [Variable(variable="x", **variable)] if variable else None
    outputs = {"x": "{x}", "files": "{sys.files}"}
    steps = [Node(type="start"), Node(type="end", outputs=outputs)]
    return App(Scenario(inputs=inputs, steps=steps), parameters=parameters or {})


def local_file(file_id: str | None, kind: str | None = "document") -> dict[str, Any]:
    return {"transfer_method": "local_file", "upload_file_id": file_id, "type": kind}


def remote(url: str, kind: str = "document", **more: Any) -> dict[str, Any]:
    return {"transfer_method": "remote_url", "url": url, "type": kind, **more}


def masked(value: Any) -> str:
    """Write a value, with what is new each time in its kind only."""
    text = json.dumps(value)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r"timestamp=\d{10}&nonce=\w{32}&sign=[\w-]{43}%3D", "<sign>", text)
    return re.sub(r"dify-file-ref:[\w-]{70}==", "<reference>", text)


@pytest.mark.parametrize("version", VERSIONS)
async def test_files_are_like_recorded(version, upload, stream, recordings):
    """File values have the recorded keys, order and content wherever they are."""
    doc = Variable(
        variable="doc",
        type="file",
        required=True,
        allowed_file_types=["document", "image", "custom"],
        allowed_file_extensions=[".csv", ".txt"],
    )
    more = Variable(variable="more", type="file-list", max_length=3)
    outputs = {"doc": "{doc}", "more": "{more}"}
    steps = [
        Node(type="start"),
        Node(type="end", text="{doc}\n{more}", outputs=outputs),
    ]
    app = App(Scenario(inputs=[doc, more], steps=steps))
    port = "5001" if version == "1.12.1" else "5011"
    options = {"files_url": f"http://127.0.0.1:{port}", "close_delay": 0}
    async with LocalServer([app], version=version, **options) as server:
        notes = await upload(server, app, data=b"x" * 20)
        dot = await upload(server, app, "dot.png", "image/png", data=b"x" * 69)
        inputs = {
            "doc": local_file(notes),
            "more": [local_file(dot, "image"), local_file(notes)],
        }
        sent = [
            one for one in await stream(server, app, inputs=inputs) if one != "ping"
        ]
    known = _recorded(recordings / f"dify-{version}" / "run_file_streaming.http")
    for event, place in (
        ("workflow_started", "inputs"),
        ("node_finished", "outputs"),
        ("node_finished", "files"),
        ("workflow_finished", "outputs"),
        ("workflow_finished", "files"),
    ):
        theirs = next(one for one in known if one["event"] == event)["data"][place]
        ours = next(one for one in sent if one["event"] == event)["data"][place]
        if place != "files":
            theirs, ours = ([one[name] for name in inputs] for one in (theirs, ours))
        assert masked(ours) == masked(theirs)
    known_text = [one for one in known if one["event"] == "text_chunk"]
    known_text = "".join(one["data"]["text"] for one in known_text[:3])
    (chunk,) = (one for one in sent if one["event"] == "text_chunk")
    assert masked(chunk["data"]["text"]) == masked(known_text)


@pytest.mark.parametrize("version", VERSIONS)
async def test_echoed_file_can_be_downloaded(version, upload, run, http, get):
    """The link in an output gives what was uploaded."""
    app = echo(type="file")
    async with LocalServer([app], version=version) as server:
        file_id = await upload(server, app, data=b"hello")
        outputs = await run(server, app, inputs={"x": local_file(file_id)})
        async with http.get(outputs["x"]["url"]) as response:
            assert await response.read() == b"hello"
        detail = await get(server, app, f"/workflows/run/{server.runs[0].id}")
        assert json.loads(detail["inputs"])["x"]["related_id"] == file_id


async def test_links_are_new_in_each_event(upload, stream, http):
    """The same file has another link wherever it is told, and each is good."""
    app = echo(type="file")
    async with LocalServer([app], close_delay=0) as server:
        inputs = {"x": local_file(await upload(server, app))}
        frames = await stream(server, app, inputs=inputs)
        links = re.findall(r'"url": "([^"]+)"', json.dumps(frames))
        assert len(set(links)) == len(links) > 6
        for link in links:
            async with http.get(link) as response:
                assert response.status == 200


@pytest.mark.parametrize(
    ("variable", "given", "wanted"),
    [
        ({"type": "file", "required": True}, None, "x is required in input form"),
        ({"type": "file"}, local_file(None), "Invalid upload file id"),
        ({"type": "file"}, local_file("nope"), "Invalid upload file id format"),
        ({"type": "file"}, local_file(UNKNOWN), "Invalid upload file"),
        ({"type": "file"}, local_file("TXT", "image"), MISMATCH),
        ({"type": "file"}, local_file("TXT", "pdf"), MISMATCH),
        ({"type": "file-list"}, [local_file("TXT", "image")], ["image"]),
        ({"type": "file-list"}, [local_file("TXT"), local_file("PNG", None)], "PNG"),
        (
            {"type": "file-list"},
            [local_file("TXT", "pdf")],
            "'pdf' is not a valid FileType",
        ),
        ({"type": "file-list"}, [{}, remote(""), local_file("TXT")], ["document"]),
        (
            {"type": "file"},
            {"type": "document"},
            "transfer_method is required in file mapping",
        ),
        (
            {"type": "file"},
            {"transfer_method": "mail"},
            "No matching enum found for value 'mail'",
        ),
        (
            {"type": "file"},
            {"transfer_method": "tool_file", "tool_file_id": "t"},
            "ToolFile t not found",
        ),
        ({"type": "file"}, remote(""), "Invalid file url"),
        (
            {"type": "file"},
            remote("ftp://a.example/b.txt"),
            "Reached maximum retries (3) for URL ftp://a.example/b.txt",
        ),
        (
            {"type": "file", "allowed_file_types": ["audio"]},
            local_file("TXT"),
            "File validation failed for file: notes.txt",
        ),
        (
            {"type": "file"},
            local_file("TXT", "custom"),
            "File validation failed for file: notes.txt",
        ),
        (
            {"type": "file", "allowed_file_extensions": [".txt"]},
            local_file("TXT", "custom"),
            ["document"],
        ),
        (
            {"type": "file", "allowed_file_upload_methods": ["remote_url"]},
            local_file("TXT"),
            "File validation failed for file: notes.txt",
        ),
        (
            {"type": "file", "allowed_file_upload_methods": ["remote_url"]},
            local_file("PNG", "image"),
            ["image"],
        ),
        (
            {"type": "file-list", "max_length": 1},
            [local_file("TXT"), local_file("TXT")],
            "x in input form must be less than 1 files",
        ),
    ],
)
async def test_references_are_checked(variable, given, wanted, upload, run):
    """Each mistake has its words; what is allowed arrives with its type."""
    app = echo(**variable)
    async with LocalServer([app]) as server:
        ids = {
            "TXT": await upload(server, app),
            "PNG": await upload(server, app, "dot.png", "image/png"),
        }
        text = json.dumps({"x": given})
        for name, file_id in ids.items():
            text = text.replace(f'"{name}"', f'"{file_id}"')
        result = await run(server, app, inputs=json.loads(text))
    if wanted == "PNG":  # by its type left out it is a custom one
        wanted = "File validation failed for file: dot.png"
    if isinstance(wanted, str):
        assert result == wanted
    else:
        files = result["x"] if isinstance(result["x"], list) else [result["x"]]
        assert [file["type"] for file in files] == wanted


@pytest.mark.parametrize("version", VERSIONS)
async def test_wrong_file_of_a_stream(version, stream, post_run):
    """In a stream a wrong file is an event since 1.13, and HTTP 400 before."""
    app = echo(type="file")
    body = {"inputs": {"x": local_file(UNKNOWN)}}
    async with LocalServer([app], version=version, error_silence=0) as server:
        if version == "1.14.2":
            frames = await stream(server, app, **body)
            assert frames[1]["message"] == "Invalid upload file"
            return
        async with post_run(server, app, **body) as response:
            assert response.status == 400
            assert (await response.json())["code"] == "invalid_param"


@pytest.mark.parametrize("version", ["1.12.1", "1.13.0", "1.14.2"])
async def test_file_of_another_user(version, upload, run):
    """Since 1.14 a run takes only files of its own user."""
    app = echo(type="file")
    async with LocalServer([app], version=version) as server:
        file_id = await upload(server, app, user="somebody")
        result = await run(server, app, inputs={"x": local_file(file_id)})
    if version == "1.14.2":
        assert result == "Invalid upload file"
    else:
        assert result["x"]["related_id"] == file_id


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("url", "kind", "name", "extension", "mime_type"),
    [
        (
            "https://a.example/b%20c.pdf?d=1",
            "document",
            "b c.pdf",
            ".pdf",
            "application/pdf",
        ),
        ("http://a.example/x.strange", "custom", "x.strange", ".strange", ""),
        ("http://a.example/", "custom", None, ".bin", ""),
    ],
)
async def test_file_elsewhere(url, kind, name, extension, mime_type, version, run):
    """A link to elsewhere is taken as it is, and nobody is asked about it."""
    allowed = [".pdf", ".strange", ".bin"]
    app = echo(type="file", allowed_file_extensions=allowed)
    async with LocalServer([app], version=version) as server:
        outputs = await run(server, app, inputs={"x": remote(url, "custom")})
    file = outputs["x"]
    assert (file["type"], file["extension"], file["mime_type"]) == (
        kind,
        extension,
        mime_type,
    )
    assert file["filename"] == name or (
        name is None and file["filename"].endswith(".bin")
    )
    assert (file["remote_url"], file["url"], file["size"]) == (url, url, -1)
    assert file["related_id"] is None
    assert ("reference" in file) == (version == "1.14.2")


async def test_upload_that_is_sent_as_a_link(upload, run):
    """A link may be an upload as well; then it leads there."""
    app = echo(type="file")
    async with LocalServer([app]) as server:
        file_id = await upload(server, app)
        given = remote("", upload_file_id=file_id)
        file = (await run(server, app, inputs={"x": given}))["x"]
        own = server.base_url.removesuffix("/v1")
    assert file["transfer_method"] == "remote_url"
    assert file["url"] == file["remote_url"]
    assert file["url"].startswith(f"{own}/files/{file_id}/")


FILE_UPLOAD = {
    "enabled": True,
    "allowed_file_types": ["image", "document"],
    "allowed_file_extensions": [],
    "allowed_file_upload_methods": ["local_file"],
    "number_limits": 2,
}


@pytest.mark.parametrize(
    ("enabled", "files", "wanted"),
    [
        (False, [local_file("TXT")] * 4, 4),
        (False, None, 0),
        (False, [local_file(UNKNOWN)], "Invalid upload file"),
        (False, [local_file("TXT", "image")], MISMATCH),
        (True, [local_file("TXT"), {}], 1),
        (
            True,
            [local_file("TXT")] * 3,
            "Number of files exceeds the maximum limit 2",
        ),
        (
            True,
            [local_file("PNG", "image")] * 3,
            "Number of image files exceeds the maximum limit 2",
        ),
        (
            True,
            [remote("http://a.example/b.png", "image")],
            "File validation failed for file: b.png",
        ),
        (False, {}, 0),
        (
            False,
            {"a": 1},
            f"{INVALID}\nfiles\n  Input should be a valid list",
        ),
        (
            False,
            [7],
            f"{INVALID}\nfiles.0\n  Input should be a valid dictionary",
        ),
    ],
)
async def test_files_beside_the_inputs(enabled, files, wanted, upload, run):
    """The ``files`` of a run are ``sys.files``, within the limits if there are any."""
    app = echo(parameters={"file_upload": FILE_UPLOAD} if enabled else None)
    async with LocalServer([app]) as server:
        text = json.dumps(files)
        text = text.replace('"TXT"', f'"{await upload(server, app)}"')
        png = await upload(server, app, "dot.png", "image/png")
        result = await run(
            server, app, files=json.loads(text.replace('"PNG"', f'"{png}"'))
        )
    assert (result if isinstance(wanted, str) else len(result["files"])) == wanted


def _recorded(path) -> list[Any]:
    """Read the events of a recorded stream."""
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
