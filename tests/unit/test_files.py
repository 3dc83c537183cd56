"""Files as they are found, read, framed, shaped, named and saved; no socket."""

from __future__ import annotations

import io
import os
import re
import stat
import tempfile

from itertools import count
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

from dify_workflow_async import Timeouts, _files, errors
from dify_workflow_async._download import name_in, safe_name, target_of
from dify_workflow_async._download._saving import Saving
from dify_workflow_async._files._inspect import look
from dify_workflow_async._files._kinds import (
    OCTETS,
    audio_mime,
    mime_of_bytes,
    mime_of_name,
)
from dify_workflow_async._files._multipart import form_body
from dify_workflow_async._files._prepare import Prepared
from dify_workflow_async._files._sources import PIECE
from dify_workflow_async._sending import Body
from dify_workflow_async.files import RemoteFile, Upload
from dify_workflow_async.models import (
    FileUploadSettings,
    InputVariable,
    Parameters,
    SystemParameters,
    UploadedFile,
)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
RECORDED = Path(__file__).parents[1] / "recordings" / "dify-1.12.1"


async def pieces_of(source) -> list[bytes]:
    """Read a source to its end."""
    return [piece async for piece in source.chunks()]


async def some(*pieces):
    """Give pieces one by one."""
    for piece in pieces:
        yield piece


# -- what the user may give ------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Upload("a.txt"), "neither a path nor content"),
        (lambda: Upload(b"", type="picture"), "one of image, document"),
        (lambda: Upload(b"", mime_type="text"), "no MIME type"),
        (lambda: Upload(b"", mime_type="text/a\r\nX: y"), "no MIME type"),
        (lambda: RemoteFile("ftp://x/y"), "must begin with http"),
        (lambda: RemoteFile(b"http://x/y"), "must begin with http"),
        (lambda: RemoteFile("http://x/y", type="picture"), "one of image, document"),
    ],
    ids=count(),
)
def test_values_that_are_none(make, said):
    """What can never be sent is refused where it is made."""
    with pytest.raises(errors.InvalidInputs, match=said):
        make()


def test_an_upload_shows_no_content():
    """Bytes may be many, and secret."""
    assert repr(Upload(b"secret", name="a")).startswith("Upload(content=<6 bytes>,")
    assert "PosixPath('a.txt')" in repr(Upload(Path("a.txt")))


async def test_pieces_of_a_path(tmp_path):
    """A file is read in pieces, and as often as one likes."""
    file = tmp_path / "ä.txt"
    file.write_bytes(b"x" * (PIECE + 3))

    source = look(file, "file")

    assert (source.name, source.mime_type) == ("ä.txt", "text/plain")
    assert source.size == PIECE + 3
    assert source.repeatable
    assert [len(x) for x in await pieces_of(source)] == [PIECE, 3]
    assert [len(x) for x in await pieces_of(source)] == [PIECE, 3]


@pytest.mark.parametrize("content", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
async def test_pieces_of_bytes(content):
    """Bytes in any of their forms."""
    source = look(Upload(content, name="a.bin", mime_type="x/y"), "file")

    assert (source.mime_type, source.size, source.repeatable) == ("x/y", 3, True)
    assert await pieces_of(source) == [b"abc"]


async def test_pieces_of_an_iterable():
    """They go as they come, without the empty ones, and once only."""
    content = some(b"a", b"", bytearray(b"b"), memoryview(b"c"))
    source = look(Upload(content, name="a.csv"), "file")

    assert (source.mime_type, source.size, source.repeatable) == (
        "text/csv",
        None,
        False,
    )
    assert await pieces_of(source) == [b"a", b"b", b"c"]


async def test_an_iterable_without_an_end_of_its_own():
    """Any async iterable will do, closable or not."""

    class Twice:
        left = 2

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return b"x"

    source = look(Upload(Twice(), name="a"), "file")
    assert source.mime_type == OCTETS
    assert await pieces_of(source) == [b"x", b"x"]


async def test_an_iterable_of_texts():
    """Texts are told apart from bytes before they are sent."""
    source = look(Upload(some("a"), name="a.csv"), "file")
    with pytest.raises(errors.UsageError, match="gave str, not bytes"):
        await pieces_of(source)


async def test_pieces_of_an_open_file(tmp_path):
    """An open file is read from where it stands, again if it can go back there."""
    file = tmp_path / "a.unknown"
    file.write_bytes(b"skip" + PNG)
    with file.open("rb") as opened:
        opened.seek(4)
        source = look(opened, "file")

        assert opened.tell() == 4
        assert (source.name, source.mime_type) == ("a.unknown", "image/png")
        assert (source.size, source.repeatable) == (len(PNG), True)
        assert await pieces_of(source) == [PNG]
        assert await pieces_of(source) == [PNG]
        assert not opened.closed


async def test_pieces_of_a_pipe():
    """A file that cannot go back is read once, and its size is not known."""
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    with os.fdopen(reading, "rb") as opened:
        source = look(Upload(opened, name="a.unknown"), "file")

        assert (source.size, source.repeatable) == (None, False)
        assert source.mime_type == OCTETS
        assert await pieces_of(source) == [b"abc"]


async def test_a_file_whose_text_shows_late(tmp_path):
    """A wrapper of a text file is no text file to Python, but gives texts."""
    with tempfile.NamedTemporaryFile("w+", dir=tmp_path, suffix=".txt") as opened:
        opened.write("abc")
        opened.flush()
        opened.seek(0)
        source = look(opened, "file")
        with pytest.raises(errors.UsageError, match="gave str"):
            await pieces_of(source)


@pytest.mark.parametrize("size", [0, 2, 4])
async def test_a_file_that_changes_while_it_is_sent(size, tmp_path):
    """Neither half a file nor a wrong length is sent without a word."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"abc")
    source = look(file, "file")
    file.write_bytes(b"x" * size)

    with pytest.raises(errors.UsageError, match="changed while it was sent"):
        await pieces_of(source)


async def test_a_file_that_goes_before_it_is_sent(tmp_path):
    """It was there when it was looked at."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"abc")
    source = look(file, "file")
    file.unlink()

    with pytest.raises(errors.UsageError, match=r"'a.txt' cannot be read: No such"):
        await pieces_of(source)


async def test_an_open_file_that_fails(tmp_path):
    """The user's file, the user's error."""

    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "mine")

    source = look(Upload(Failing(b"abc"), name="a.txt"), "file")
    with pytest.raises(OSError, match="mine"):
        await pieces_of(source)


async def test_a_source_that_is_left_early(tmp_path):
    """Its file is closed, and a thread that comes late reads nothing of the user's."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"x" * 3 * PIECE)
    chunks = look(file, "file").chunks()
    assert len(await anext(chunks)) == PIECE
    await chunks.aclose()

    content = some(b"a", b"b")
    chunks = look(Upload(content, name="a"), "file").chunks()
    await anext(chunks)
    await chunks.aclose()
    assert [x async for x in content] == []


def test_a_late_thread_reads_nothing():
    """What was cancelled does not move the user's file."""
    from dify_workflow_async._files._sources import _Reader

    file = io.BytesIO(b"abc")
    reader = _Reader(lambda: file)
    reader.leave()
    assert reader.read(3) == b""
    reader.close()
    assert file.tell() == 0
    assert not file.closed


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: b"abc", r"needs a name: Upload\(..., name="),
        (lambda path: some(b"a"), r"needs a name: Upload\(..., name="),
        (lambda path: io.BytesIO(b"abc"), r"needs a name: Upload\(..., name="),
        (lambda path: Upload(b"abc"), r"needs a name: Upload\(..., name="),
        (lambda path: Upload(b"abc", name=""), r"needs a name"),
        (lambda path: Upload(b"abc", name="a/b"), "no slashes"),
        (lambda path: Upload(b"abc", name="a\\b"), "no slashes"),
        (lambda path: Upload(b"abc", name="a\r\nb"), "no line breaks"),
        (lambda path: Upload(b"abc", name="a\n"), "no line breaks"),
        (lambda path: path / "none.txt", "none.txt' cannot be read: No such file"),
        (lambda path: path, "is a directory"),
        (lambda path: Path("/dev/null"), "no regular file"),
        (lambda path: Path("a\0b"), "null"),
        (lambda path: io.StringIO("abc"), "open for text: open it with 'rb'"),
        (lambda path: "a.txt", "str is no file to upload"),
        (lambda path: 5, "int is no file to upload"),
        (lambda path: Upload(5, name="a"), "int is no file to upload"),
    ],
    ids=count(),
)
def test_what_cannot_be_uploaded(make, said, tmp_path):
    """The problem says where it is, and what would do."""
    with pytest.raises(errors.InvalidInputs, match=f"^inputs.x: .*{said}"):
        look(make(tmp_path), "inputs.x")


def test_files_that_are_not_open_for_reading(tmp_path):
    """Closed files and such for writing are told before anything is sent."""
    file = tmp_path / "a.txt"
    with (
        file.open("wb") as opened,
        pytest.raises(errors.InvalidInputs, match="not open for reading"),
    ):
        look(opened, "inputs.x")
    with pytest.raises(errors.InvalidInputs, match="is closed"):
        look(opened, "inputs.x")


# -- what a file is --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain"),
        ("a.PDF", "application/pdf"),
        ("a.b.png", "image/png"),
        ("a.md", "text/markdown"),
        ("a.webp", "image/webp"),
        ("a.mp3", "audio/mpeg"),
        ("a.m4a", "audio/mp4"),
        ("a.csv", "text/csv"),
        (
            "a.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("a.tar.gz", None),
        ("a", None),
        ("", None),
        (".png", None),
    ],
)
def test_mime_type_by_name(name, kind):
    """The same on every machine."""
    assert mime_of_name(name) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (PNG, "image/png"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "image/jpeg"),
        (b"GIF89a" + bytes(20), "image/gif"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"\x00\x00\x00\x20ftypM4A " + bytes(20), "audio/mp4"),
        (b"PK\x03\x04\x14\x00", "application/zip"),
        (b"SQLite format 3\0", "application/x-sqlite3"),
        (b"BM, he said", OCTETS),
        (b"hello", OCTETS),
        (b"", OCTETS),
    ],
)
def test_mime_type_by_content(head, kind):
    """Where the name says nothing, the first bytes may; a chance hit does not count."""
    assert mime_of_bytes(head) == kind


@pytest.mark.parametrize(
    ("name", "kind", "sent"),
    [
        ("a.mp3", "audio/mpeg", "audio/mp3"),
        ("a", "audio/mpeg", "audio/mp3"),
        ("a.MPGA", "audio/mpeg", "audio/mpga"),
        ("a.m4a", "audio/mp4", "audio/m4a"),
        ("a.wav", "audio/x-wav", "audio/wav"),
        ("a", "Audio/X-Wav", "audio/wav"),
        ("a.amr", "audio/amr", "audio/amr"),
        ("a.ogg", "audio/ogg", None),
        ("a", OCTETS, None),
    ],
)
def test_mime_type_of_sounds(name, kind, sent):
    """The server refuses audio/mpeg, which mp3 files are (specification, 1.14)."""
    assert audio_mime(name, kind) == sent


# -- forms -----------------------------------------------------------------------------


def expected(name: bytes, kind: bytes = b"text/plain", user: bytes = b"u1") -> bytes:
    """Write a form by hand."""
    return b"\r\n".join(
        [
            b"--B",
            b'Content-Disposition: form-data; name="user"',
            b"",
            user,
            b"--B",
            b'Content-Disposition: form-data; name="file"; filename="%s"' % name,
            b"Content-Type: %s" % kind,
            b"",
            b"abc",
            b"--B--",
            b"",
        ]
    )


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.txt", b"a.txt"),
        ("日本語 ä.txt", "日本語 ä.txt".encode()),
        ('say "hi".txt', b"say %22hi%22.txt"),
        ("100%;=.txt", b"100%;=.txt"),
        ("\udcff.txt", b"?.txt"),
    ],
)
async def test_forms(name, written):
    """Names are raw UTF-8 but for what would end them, and the length is right."""
    source = look(Upload(b"abc", name=name), "file")
    body = form_body(source, user="u1", boundary="B")

    sent = b"".join([x async for x in body.chunks()])

    assert sent == expected(written)
    assert body.size == len(sent)
    assert body.content_type == "multipart/form-data; boundary=B"
    assert body.repeatable


async def test_forms_of_unknown_length():
    """The length is told only where it is known; boundaries are not guessed."""
    source = look(Upload(some(b"a", b"bc"), name="a", mime_type="x/y"), "file")
    body = form_body(source, user="ü")
    other = form_body(source, user="ü")

    sent = b"".join([x async for x in body.chunks()])

    boundary = body.content_type.rpartition("=")[2].encode()
    assert sent.replace(boundary, b"B") == expected(b"a", b"x/y", "ü".encode())
    assert (body.size, body.repeatable) == (None, False)
    assert body.content_type != other.content_type


@pytest.mark.parametrize("name", ["upload_txt", "upload_png", "upload_unicode_name"])
async def test_forms_that_a_real_server_took(name):
    """What is written is, byte for byte, what the server of the recordings took."""
    head, _, body = (RECORDED / f"{name}.req").read_bytes().partition(b"\r\n\r\n")
    boundary = head.rpartition(b"boundary=")[2].partition(b"\r\n")[0].decode()
    part = body.split(f"--{boundary}".encode())[2]
    said, _, content = part.partition(b"\r\n\r\n")
    file_name = said.partition(b'filename="')[2].partition(b'"')[0].decode()
    source = look(Upload(content.removesuffix(b"\r\n"), name=file_name), "file")

    form = form_body(source, user="u1", boundary=boundary)

    assert b"".join([x async for x in form.chunks()]) == body
    assert f"Content-Length: {form.size}".encode() in head


async def test_a_body_that_nobody_watches():
    """An answer may come before it is sent whole; what is sent is the same."""
    source = look(Upload(b"abc", name="a"), "file")
    body = Body(form_body(source, user="u1"), Timeouts())
    written = []

    async def write(piece: bytes) -> None:
        written.append(piece)

    await body.write_with_length(SimpleNamespace(write=write), body.size)

    assert body.sent
    assert sum(map(len, written)) == body.size
    with pytest.raises(NotImplementedError):
        body.decode()


# -- files among inputs ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "files", "holds"),
    [
        ({}, None, False),
        ({"a": "x", "b": 1, "c": None, "d": {"e": b"x"}, "f": [1, b"x"]}, [], False),
        ({"a": [], "b": (), "c": [{"transfer_method": "local_file"}]}, [{}], False),
        ({"a": object()}, None, False),
        ("no mapping", None, False),
        ({"a": Path("x")}, None, True),
        ({"a": ["", Path("x")]}, None, False),
        ({"a": [{}, Path("x")]}, None, True),
        ({"a": (RemoteFile("http://x/y"),)}, None, True),
        ({"a": UploadedFile(id="1")}, None, True),
        ({"a": b"x"}, None, True),
        ({"a": io.BytesIO()}, None, True),
        ({}, [Path("x")], True),
        ({}, Path("x"), True),
    ],
    ids=count(),
)
def test_whether_there_are_files(inputs, files, holds):
    """Runs without files, which most are, pay next to nothing for it."""
    assert _files.holds_files(inputs, files) is holds


FORM = Parameters(
    user_input_form=(
        InputVariable(
            variable="one", type="file", allowed_file_types=("document", "image")
        ),
        InputVariable(
            variable="many",
            type="file-list",
            max_length=2,
            allowed_file_types=("image",),
        ),
        InputVariable(
            variable="any",
            type="file",
            allowed_file_types=("custom",),
            allowed_file_extensions=(".zip",),
        ),
        InputVariable(variable="text", type="text-input", required=True),
    ),
    file_upload=FileUploadSettings(
        enabled=True, number_limits=1, allowed_file_types=("image",)
    ),
    system_parameters=SystemParameters(file_size_limit=1, image_file_size_limit=1),
)


class App:
    """An app that takes uploads, as `Api` does."""

    def __init__(self) -> None:
        self.timeouts = Timeouts()
        self.uploads: list[bytes] = []

    async def parameters(self) -> Parameters:
        """Tell the form."""
        return FORM

    async def upload(self, body, timeouts):
        """Keep what was sent."""
        assert timeouts.total is None
        sent = b"".join([x async for x in body.chunks()])
        self.uploads.append(sent)
        name = sent.partition(b'filename="')[2].partition(b'"')[0].decode()
        return UploadedFile(id=f"id-{name}")


def local(name: str, kind: str) -> dict[str, str]:
    """Write an uploaded file as the server takes it."""
    return {"type": kind, "transfer_method": "local_file", "upload_file_id": name}


def remote(url: str, kind: str) -> dict[str, str]:
    """Write a link as the server takes it."""
    return {"type": kind, "transfer_method": "remote_url", "url": url}


PDF = Upload(b"%PDF-1", name="a.pdf")
PICTURE = Upload(PNG, name="a.png")


@pytest.mark.parametrize(
    ("inputs", "wire"),
    [
        ({"one": PDF}, {"one": local("id-a.pdf", "document")}),
        ({"one": [PDF]}, {"one": local("id-a.pdf", "document")}),
        ({"one": Upload(PNG, name="a")}, {"one": local("id-a", "image")}),
        ({"many": PICTURE}, {"many": [local("id-a.png", "image")]}),
        (
            {"many": (PICTURE, {**remote("http://x/y", "image")})},
            {"many": [local("id-a.png", "image"), remote("http://x/y", "image")]},
        ),
        (
            {"one": UploadedFile(id="7", name="a.txt", mime_type="text/plain")},
            {"one": local("7", "document")},
        ),
        (
            {"one": RemoteFile("https://x/a%20b.png?c=d")},
            {"one": remote("https://x/a%20b.png?c=d", "image")},
        ),
        (
            {"one": RemoteFile("https://x/y", name="b.pdf")},
            {"one": remote("https://x/y", "document")},
        ),
        (
            {"one": RemoteFile("https://x/y", type="image")},
            {"one": remote("https://x/y", "image")},
        ),
        (
            {"many": RemoteFile("https://x/y")},
            {"many": [remote("https://x/y", "image")]},
        ),
        ({"one": RemoteFile("https://x/y")}, {"one": remote("https://x/y", "custom")}),
        ({"any": Upload(b"", name="a.zip")}, {"any": local("id-a.zip", "custom")}),
        (
            {"one": Upload(b"", name="a.txt", type="document"), "text": "t"},
            {"one": local("id-a.txt", "document"), "text": "t"},
        ),
    ],
    ids=count(),
)
async def test_shapes(inputs, wire):
    """One object for a file, an array for a list of them, and the right type."""
    sent, files = await _files.prepare(App(), inputs, None, user="u1")

    assert sent == wire
    assert files is None


@pytest.mark.parametrize("files", [[PICTURE], (PICTURE,), PICTURE])
async def test_shapes_of_files_beside_inputs(files):
    """They are a list, whatever was given."""
    app = App()
    assert await _files.prepare(app, {}, files, user="u1") == (
        {},
        [local("id-a.png", "image")],
    )
    assert b'name="user"\r\n\r\nu1\r\n' in app.uploads[0]


async def test_nothing_to_prepare():
    """What holds no file is given back as it is, without a request."""
    inputs, files = {"a": object()}, [{"b": 1}]
    sent = await _files.prepare(SimpleNamespace(), inputs, files, user="u1")
    assert sent[0] is inputs
    assert sent[1] is files


@pytest.mark.parametrize(
    ("inputs", "problems"),
    [
        ({"one": Path("/none"), "text": Path("/no")}, ["inputs.one", "inputs.text"]),
        ({"many": [PICTURE] * 3}, ["inputs.many: 3 files, and 2 are allowed"]),
        ({"one": [PDF, PDF]}, ["inputs.one"]),
        ({"many": [PICTURE, PDF]}, [r"inputs.many\[1\]: .pdf"]),
        ({"one": Upload(bytes(2 << 20), name="a.pdf")}, ["inputs.one: 2.0 MB"]),
        ({"none": PDF}, ["inputs.none: the app has no such input"]),
        ({"text": PDF}, ["inputs.text: a text is needed"]),
        ({"one": UploadedFile()}, ["inputs.one: the uploaded file has no id"]),
        ({"one": b"x", "many": [b"y"]}, ["inputs.one: .*name", r"inputs.many\[0\]"]),
    ],
    ids=count(),
)
async def test_problems(inputs, problems):
    """All that is wrong with the files is told at once, and nothing is uploaded."""
    app = App()
    with pytest.raises(errors.InvalidInputs) as caught:
        await _files.prepare(app, inputs, None, user="u1")

    found = caught.value.problems
    assert len(found) == len(problems), found
    for problem, pattern in zip(found, problems, strict=True):
        assert re.match(pattern, problem), problem
    assert app.uploads == []


async def test_problems_of_other_inputs():
    """What is no file is looked at only when that is asked for."""
    with pytest.raises(errors.InvalidInputs) as caught:
        await _files.prepare(App(), {"one": PDF}, None, user="u1", validate=True)
    assert caught.value.problems == ("inputs.text: required, and not given",)
    assert await _files.find_problems(App(), {"one": PDF}, None) == [
        "inputs.text: required, and not given"
    ]
    assert await _files.find_problems(App(), {"one": PDF, "text": "t"}, None) == []
    assert "inputs.one: bytes" not in await _files.find_problems(
        App(), {"one": b""}, None
    )
    assert await _files.find_problems(App(), [], None) == [
        "inputs: a mapping is needed, not list"
    ]


async def test_an_open_file_given_twice(tmp_path):
    """Two uploads would move it under each other."""
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    with file.open("rb") as opened:
        inputs = {"many": [opened, Upload(opened, name="b.png")]}
        with pytest.raises(errors.InvalidInputs, match=r"inputs.many\[0\] has it"):
            await _files.prepare(App(), inputs, None, user="u1")
    both = {"many": [file, file]}
    sent, _ = await _files.prepare(App(), both, None, user="u1")
    assert len(sent["many"]) == 2


async def test_the_type_where_file_upload_is_off():
    """Without rules the type is what the file is."""
    app = App()
    plain = attrs.evolve(FORM, file_upload=None)
    prepared = await Prepared.of({}, [PDF])
    assert prepared.check(plain, files_only=True) == []
    await prepared.upload(app, "u1")
    assert prepared.wire() == ({}, [local("id-a.pdf", "document")])


# -- names and places ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "url", "name"),
    [
        ("attachment; filename*=UTF-8''a%20%C3%A4.txt", "", "a ä.txt"),
        ("attachment; filename=\"x\"; filename*=utf-8''b.txt", "", "b.txt"),
        ("attachment; filename*=klingon''b%20.txt", "", "b .txt"),
        ('attachment; filename="a\\"b;c.txt"', "", 'a"b;c.txt'),
        ("inline; filename=a.txt; x=y", "", "a.txt"),
        ("attachment", "http://x/y/a%20b.txt?c=d", "a b.txt"),
        ("", "http://x/", None),
        ("", "", None),
    ],
)
def test_names_in_answers(value, url, name):
    """The header before the URL, its encoded form before the plain one (RFC 6266)."""
    assert name_in({"Content-Disposition": value}, url) == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("日本語 ä.txt", "日本語 ä.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\a.exe", "a.exe"),
        ("/", "download"),
        ("..", "download"),
        (".bashrc", "bashrc"),
        ("a\0b\n\u202egpj.exe", "abgpj.exe"),
        ("a:b|c?.txt ", "a_b_c_.txt"),
        ("CON.txt", "_CON.txt"),
        ("console.txt", "console.txt"),
        ("com1", "_com1"),
        ("\udcff.txt", "txt"),
        ("", "download"),
        (None, "download"),
        ("ä" * 300 + ".txt", "ä" * 98 + ".txt"),
        ("a." + "b" * 300, "a." + "b" * 198),
        ("a" * 300, "a" * 200),
    ],
)
def test_safe_names(name, safe):
    """No name leads out of a directory, hides, or is more than a name."""
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("/files/a?b=c%2Fd", "https://dify.test", "/files/a?b=c%2Fd"),
        ("files/a", "https://dify.test", "/files/a"),
        ("//other.test/a", "https://other.test", "/a"),
        ("HTTP://Other.test:80/a b?c=ä#d", "http://other.test", "/a%20b?c=%C3%A4"),
        ("https://other.test:8443", "https://other.test:8443", "/"),
        ("http://[::1]:5/a", "http://[::1]:5", "/a"),
        (" https://dify.test:443/a ", "https://dify.test", "/a"),
    ],
)
def test_places(url, origin, path):
    """Signed URLs stay as they are; relative ones are the base URL's server's."""
    target = target_of(url, "https://dify.test/v1")
    assert (target.origin, target.path) == (origin, path)
    assert target.url == origin + path


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x/y", "file:///etc/passwd", "http://", "http://[", "http://x:y/"),
        *("http://user:secret@x/y", "http://ä.test/", "http://x/\udcff"),
    ],
)
def test_places_that_are_none(url):
    """Only http and https, no passwords; the URL is not told, it may be signed."""
    with pytest.raises(errors.ConfigurationError) as caught:
        target_of(url, "https://dify.test/v1")
    assert "secret" not in str(caught.value)


# -- saving ----------------------------------------------------------------------------


def test_saving(tmp_path):
    """The file is whole when it is there, and as any new file."""
    saving = Saving(tmp_path / "a.txt")
    saving.open()
    saving.write(b"abc")
    assert [x.suffix for x in tmp_path.iterdir()] == [".part"]

    assert saving.finish("other.txt") == tmp_path / "a.txt"
    saving.abandon()

    assert (tmp_path / "a.txt").read_bytes() == b"abc"
    assert [x.name for x in tmp_path.iterdir()] == ["a.txt"]
    (tmp_path / "new").touch()
    mode = stat.S_IMODE((tmp_path / "a.txt").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "new").stat().st_mode)


def test_saving_in_a_directory(tmp_path):
    """Under a name that is safe."""
    saving = Saving(tmp_path)
    saving.open()
    assert saving.finish("../x.txt") == tmp_path / "x.txt"


def test_saving_that_is_abandoned(tmp_path):
    """Nothing of it stays, whenever a late thread comes, and what was there does."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"old")
    saving = Saving(file)
    saving.open()
    saving.write(b"new")
    saving.abandon()
    saving.write(b"late")
    with pytest.raises(errors.UsageError, match="left before its end"):
        saving.finish(None)
    saving.open()

    assert [x.name for x in tmp_path.iterdir()] == ["a.txt"]
    assert file.read_bytes() == b"old"
