"""Files are taken, kept and given back as real servers do."""

import asyncio
import json
import re
import shutil
import tracemalloc

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from dify_workflow_async import local
from dify_workflow_async.local import App, LocalServer, Replay, Scenario


VERSIONS = ["1.12.1", "1.14.2"]
BOUNDARY = "b0undary"

Upload = Callable[..., Awaitable[tuple[int, Any]]]


def quick(**options: Any) -> App:
    return App(Scenario(), **options)


def part(
    data: str = "x",
    *,
    name: str = "file",
    filename: str | None = "a.txt",
    mime_type: str | None = "text/plain",
) -> str:
    """Write one part of a form, with nothing made proper."""
    disposition = f'form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n"
    if mime_type is not None:
        head += f"Content-Type: {mime_type}\r\n"
    return f"{head}\r\n{data}\r\n"


def field(name: str, value: str) -> str:
    return part(value, name=name, filename=None, mime_type=None)


@pytest.fixture
def upload(http: aiohttp.ClientSession) -> Upload:
    """Give a function that sends parts of a form, and returns status and JSON."""

    async def send(server: LocalServer, app: App, *parts: str) -> tuple[int, Any]:
        body = "".join(parts) + f"--{BOUNDARY}--\r\n"
        headers = {
            "Authorization": f"Bearer {app.key}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        url = f"{server.base_url}/files/upload"
        async with http.post(url, data=body.encode(), headers=headers) as response:
            return response.status, await response.json()

    return send


async def exchange(server: LocalServer, request: bytes, app: App) -> bytes:
    """Send the bytes of a recorded request, and read the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request.replace(b"app-EXAMPLE", app.key.encode()))
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.split(b"Content-Length: ")[1].split()[0]))
    writer.close()
    await writer.wait_closed()
    return head + body


def head_of(raw: bytes) -> set[bytes]:
    """Take the lines of a head, without the date and the length of the date's sort."""
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return {line for line in lines if not line.startswith(b"Date:")}


def masked(raw: bytes) -> bytes:
    """Take the body of an answer, with what is new each time in its kind only."""
    body = raw.partition(b"\r\n\r\n")[2]
    body = re.sub(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"<id>", body)
    body = re.sub(rb"\b1[0-9]{9}\b", b"<time>", body)
    body = re.sub(rb"nonce=[0-9a-f]{32}", b"nonce=<nonce>", body)
    body = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\b", b"<iso time>", body)
    return re.sub(rb"sign=[\w-]{43}%3D", b"sign=<sign>", body)


CASES = [
    ("1.12.1", "upload_txt"),
    ("1.12.1", "upload_png"),
    ("1.12.1", "upload_unicode_name"),
    ("1.12.1", "err_upload_no_file"),
    ("1.12.1", "err_upload_too_large"),
    ("1.12.1", "err_upload_two_files"),
    ("1.12.1", "preview_unknown"),
    ("1.12.1", "audio_to_text"),
    ("1.12.1", "text_to_audio"),
    ("1.12.1", "site_hello"),
    ("1.12.1", "meta_hello"),
    ("1.14.2", "upload_txt"),
    ("1.14.2", "end_user_get"),
]


@pytest.mark.parametrize(("version", "name"), CASES)
async def test_same_request_gets_same_answer(version, name, recordings, upload):
    """The bytes of a recorded request get the recorded answer, but for ids."""
    path = recordings / f"dify-{version}" / f"{name}.http"
    request = path.with_suffix(".req").read_bytes()
    known = path.read_bytes()
    app = quick(name="hello")
    port = "5001" if version == "1.12.1" else "5011"
    options = {"version": version, "files_url": f"http://127.0.0.1:{port}"}
    async with LocalServer([app], **options) as server:
        if name == "err_upload_too_large":  # only its begin was recorded
            end = b"\r\n------recfea4fff73577486fafcc530e292a859f--\r\n"
            there = len(request.partition(b"\r\n\r\n")[2]) + len(end)
            request += b"x" * (15_728_918 - there) + end
        if name == "end_user_get":
            _, file = await upload(server, app, field("user", "u1"), part())
            old = re.findall(rb"end-users/(\S+)", request)[0]
            request = request.replace(old, file["created_by"].encode())
        raw = await exchange(server, request, app)
    assert head_of(raw) == head_of(known)
    assert masked(raw) == masked(known)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("options", "parts", "status", "code", "message"),
    [
        ({}, [], 400, "no_file_uploaded", "Please upload your file."),
        ({}, [part(name="other")], 400, "no_file_uploaded", "Please upload your file."),
        ({}, [part(), part("y")], 201, None, None),
        (
            {},
            [part(filename="")],
            400,
            "filename_not_exists_error",
            "The specified filename does not exist.",
        ),
        (
            {},
            [part(filename="/a.txt")],
            400,
            "invalid_param",
            "Filename contains invalid characters",
        ),
        (
            {},
            [part(filename=r"a\b.txt")],
            400,
            "invalid_param",
            "Filename contains invalid characters",
        ),
        (
            {"blocked_extensions": ["exe"]},
            [part(filename="A.EXE")],
            400,
            "invalid_param",
            "File extension '.exe' is not allowed for security reasons",
        ),
        (
            {},
            [part(mime_type=None)],
            415,
            "unsupported_file_type",
            "File type not allowed.",
        ),
        ({}, [field("user", "u" * 256), part()], 500, "unknown", None),
        (
            {},
            [field("user", "u" * 500_001), part()],
            413,
            "request_entity_too_large",
            None,
        ),
    ],
)
async def test_uploads_are_checked(
    version, options, parts, status, code, message, upload
):
    """Each mistake has its status, its code and its words."""
    app = quick(**options)
    async with LocalServer([app], version=version) as server:
        answer_status, answer = await upload(server, app, *parts)
        assert (answer_status, answer.get("code")) == (status, code)
        if message is not None:
            assert answer["message"] == message
        kept = [file.path.read_text("utf-8") for file in server.files]
        assert kept == (["x"] if status == 201 else [])
        folder = server._backend.files.folder
        assert len(list(folder.iterdir())) == len(kept)


@pytest.mark.parametrize(
    ("filename", "limit", "size"),
    [
        ("a.txt", "file_size_limit", 15),
        ("a.PNG", "image_file_size_limit", 10),
        ("a.mp4", "video_file_size_limit", 100),
        ("a.mp3", "audio_file_size_limit", 50),
    ],
)
@pytest.mark.parametrize("way", ["limits", "parameters"])
async def test_each_class_of_files_has_its_limit(
    filename, limit, size, way, upload, get
):
    """A file of the limit's size is taken, one more byte is too much."""
    mega = 1024 * 1024
    small = {limit: 1 / mega}
    given = small if way == "limits" else {"system_parameters": small}
    app, usual = quick(**{way: given}), quick()
    async with LocalServer([app, usual]) as server:
        for data, wanted in (("x", 201), ("xx", 413)):
            status, answer = await upload(server, app, part(data, filename=filename))
            assert status == wanted
        told = await get(server, usual, "/parameters")
    assert (answer["code"], answer["message"]) == ("file_too_large", "")
    assert told["system_parameters"][limit] == size


async def test_names_are_kept_but_for_their_length(upload):
    """A long name is cut as on the server; one without an extension keeps none."""
    app = quick()
    async with LocalServer([app]) as server:
        _, long = await upload(server, app, part(filename="n" * 250 + ".tar.gz"))
        _, none = await upload(server, app, part(filename="Makefile"))
        _, quoted = await upload(server, app, part(filename='a\\"b.Txt'))
    assert (long["name"], long["extension"]) == ("n" * 200 + ".gz", "gz")
    assert (none["name"], none["extension"]) == ("Makefile", "")
    assert (quoted["name"], quoted["extension"]) == ('a"b.Txt', "txt")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--x"),
        ("multipart/form-data; boundary=x", b"{}\r\n--"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\nv\r\n--x--"),
    ],
)
async def test_what_is_no_form_has_no_file(kind, body, http):
    """JSON, a form without a boundary and a broken form are as good as empty."""
    app = quick()
    headers = {"Authorization": f"Bearer {app.key}", "Content-Type": kind}
    async with LocalServer([app]) as server:
        url = f"{server.base_url}/files/upload"
        async with http.post(url, data=body, headers=headers) as response:
            assert (await response.json())["code"] == "no_file_uploaded"


async def test_form_inside_a_form_ends_it(upload):
    """A part that is a form itself is nothing that the server understands."""
    inner = "--i\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--i--"
    nested = part(inner, name="n", mime_type="multipart/mixed; boundary=i")
    app = quick()
    async with LocalServer([app]) as server:
        _, answer = await upload(server, app, nested, part())
    assert answer["code"] == "no_file_uploaded"


async def test_large_upload_goes_to_disk(http, monkeypatch):
    """What is uploaded is neither in memory nor in what the server noted."""
    monkeypatch.setattr(local._application, "_LARGEST_BODY", 1000)
    app = quick()
    pieces = 12 * 16

    async def body() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield bytes(64 * 1024)

    form = aiohttp.MultipartWriter("form-data")
    payload = form.append(body(), {"Content-Type": "text/plain"})
    payload.set_content_disposition("form-data", name="file", filename="big.txt")
    async with LocalServer([app]) as server:
        headers = {"Authorization": f"Bearer {app.key}"}
        url = f"{server.base_url}/files/upload"
        tracemalloc.start()
        async with http.post(url, data=form, headers=headers) as response:
            answer = await response.json()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        (file,) = server.files
        assert file.path.stat().st_size == answer["size"] == pieces * 64 * 1024
        assert server.requests[0].body == b""
    assert peak < 6 * 1024 * 1024
    assert not file.path.parent.exists()
    assert server.files == []


async def test_upload_that_breaks_off_leaves_nothing(upload):
    """Half a file is thrown away when its client leaves."""
    app = quick()
    async with LocalServer([app]) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = (
            "POST /v1/files/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n"
            f"Authorization: Bearer {app.key}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        )
        writer.write((head + part("x" * 999)).encode())
        folder = server._backend.files.folder
        await _until(lambda: any(folder.iterdir()))
        writer.close()
        await _until(lambda: not any(folder.iterdir()))
        assert server.files == []


async def test_upload_is_replayed(recordings, tmp_path, upload):
    """An app of recordings answers an upload from them, whatever the file."""
    for kind in ("http", "req"):
        name = f"upload_png.{kind}"
        shutil.copy(recordings / "dify-1.12.1" / name, tmp_path)
    app = App(Replay(tmp_path))
    async with LocalServer([app]) as server:
        status, answer = await upload(server, app, part())
        assert (status, answer["name"]) == (201, "dot.png")
        assert server.files == []


@pytest.mark.parametrize("mime_type", ["text/plain", "image/png"])
async def test_link_gives_the_file(mime_type, upload, http):
    """The link of an upload gives its bytes without a key, whole or in part."""
    app = quick()
    async with LocalServer([app]) as server:
        _, file = await upload(server, app, part("0123456789", mime_type=mime_type))
        assert file["source_url"].startswith(server.base_url.removesuffix("/v1"))
        async with http.get(file["source_url"]) as response:
            assert response.status == 200
            assert await response.text() == "0123456789"
            assert response.headers["Content-Length"] == "10"
            kind = response.headers["Content-Type"]
        async with http.head(file["source_url"]) as response:
            assert response.headers["Content-Length"] == "10"
        headers = {"Range": "bytes=2-4", "Authorization": "Bearer secret"}
        async with http.get(file["source_url"], headers=headers) as response:
            assert (response.status, await response.text()) == (206, "234")
        sent = [request.headers.get("authorization") for request in server.requests]
    assert kind == (
        "image/png" if mime_type == "image/png" else f"{mime_type}; charset=utf-8"
    )
    assert sent == [f"Bearer {app.key}", None, None, "Bearer secret"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (("sign=", "sign=A"), 404, "not_found"),
        (("nonce=", "nonce=0"), 404, "not_found"),
        (("timestamp=", "timestamp=9"), 404, "not_found"),
        (("nonce=", "other="), 400, "invalid_param"),
    ],
)
async def test_link_must_be_whole(change, status, code, upload, http):
    """A link that was changed gives nothing."""
    app = quick()
    async with LocalServer([app]) as server:
        _, file = await upload(server, app, part())
        async with http.get(file["source_url"].replace(*change)) as response:
            assert response.status == status
            assert (await response.json())["code"] == code


async def test_link_expires(upload, http):
    """A link is good for the time that the operator set."""
    app = quick()
    async with LocalServer([app], access_timeout=-1) as server:
        _, file = await upload(server, app, part())
        async with http.get(file["source_url"]) as response:
            assert response.status == 404


@pytest.mark.parametrize("files_url", ["", "https://files.example"])
async def test_links_begin_as_the_operator_set(files_url, upload, http):
    """Without ``FILES_URL`` links are relative, with it they begin so."""
    app = quick()
    async with LocalServer([app], files_url=files_url) as server:
        _, file = await upload(server, app, part())
        assert file["source_url"].startswith(f"{files_url}/files/{file['id']}/")
        own = server.base_url.removesuffix("/v1")
        url = own + file["source_url"].removeprefix(files_url)
        async with http.get(url) as response:
            assert await response.text() == "x"


@pytest.mark.parametrize("query", ["", "&as_attachment=true"])
async def test_pages_and_attachments_are_downloads(query, upload, http):
    """A page is never shown, and other files are not if that is asked for."""
    page = part(filename="a ü.html", mime_type="text/html")
    app = quick()
    async with LocalServer([app]) as server:
        _, file = await upload(server, app, part() if query else page)
        async with http.get(file["source_url"] + query) as response:
            headers = response.headers
    name = "a.txt" if query else "a%20%C3%BC.html"
    assert headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{name}"
    assert headers["Content-Type"] == "application/octet-stream"
    assert ("X-Content-Type-Options" in headers) == (not query)


async def test_preview_of_a_workflow_app_knows_no_file(upload, get, http):
    """A file of a workflow app has no preview, and an odd id has no route."""
    app = quick()
    async with LocalServer([app]) as server:
        _, file = await upload(server, app, part())
        answer = await get(server, app, f"/files/{file['id']}/preview")
        assert answer == {
            "code": "file_not_found",
            "message": "File not found in message context",
            "status": 404,
        }
        async with http.get(f"{server.base_url}/files/nope/preview") as response:
            assert response.status == 404
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_preview_as_chat_apps_have_it(upload, http):
    """An app that serves previews gives its own files, and those of nobody else."""
    app, other = quick(serves_previews=True), quick(serves_previews=True)
    async with LocalServer([app, other]) as server:
        _, file = await upload(server, app, part("data"))
        url = f"{server.base_url}/files/{file['id']}/preview"
        headers = {"Authorization": f"Bearer {app.key}"}
        async with http.get(url, headers=headers) as response:
            assert (response.status, await response.text()) == (200, "data")
            assert response.headers["Cache-Control"] == "public, max-age=3600"
        url += "?as_attachment=1"
        async with http.get(url, headers=headers) as response:
            assert "a.txt" in response.headers["Content-Disposition"]
        headers = {"Authorization": f"Bearer {other.key}"}
        async with http.get(url, headers=headers) as response:
            assert (await response.json())["code"] == "file_access_denied"


@pytest.mark.parametrize("version", VERSIONS)
async def test_end_user_is_the_one_of_files_and_runs(
    version, upload, stream, get, http
):
    """One user of one app has one id, wherever it is told."""
    app, other = quick(), quick()
    async with LocalServer([app, other], version=version, close_delay=0) as server:
        _, file = await upload(server, app, field("user", "u1"), part())
        _, foreign = await upload(server, other, field("user", "u1"), part())
        _, nobody = await upload(server, app, part())
        frames = await stream(server, app)
        assert frames[-1]["data"]["created_by"]["id"] == file["created_by"]
        assert len({one["created_by"] for one in (file, foreign, nobody)}) == 3
        url = f"{server.base_url}/end-users/{file['created_by']}"
        async with http.get(url) as response:  # without a key
            assert response.status == (404 if version == "1.12.1" else 401)
        if version == "1.12.1":
            return
        anonymous = await get(server, app, f"/end-users/{nobody['created_by']}")
        unknown = await get(server, app, f"/end-users/{foreign['created_by']}")
    assert anonymous["session_id"] == "DEFAULT-USER"
    assert anonymous["is_anonymous"] is True
    assert (unknown["code"], unknown["status"]) == ("end_user_not_found", 404)


async def test_site_and_meta_of_an_app(get):
    """Fields of the app are told; an app without a site refuses to tell."""
    app = quick(site={"title": "T"}, tool_icons={"t": "https://x"})
    async with LocalServer([app]) as server:
        assert (await get(server, app, "/site"))["title"] == "T"
        assert await get(server, app, "/meta") == {"tool_icons": {"t": "https://x"}}
        app.site = None
        refused = await get(server, app, "/site")
    assert (refused["code"], refused["status"]) == ("forbidden", 403)
    assert json.dumps(refused).count("permission") == 1


async def _until(holds: Callable[[], object]) -> None:
    """Let the event loop turn until something holds that nobody announces."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0)
