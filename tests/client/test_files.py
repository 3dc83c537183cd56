"""Files over real sockets: uploads, downloads, speech, and all that goes wrong."""

from __future__ import annotations

import asyncio
import io
import logging
import time
import traceback

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from dify_workflow_async import Limits, RetryPolicy, Timeouts, errors
from dify_workflow_async.files import Download, RemoteFile, Upload
from dify_workflow_async.local import Node, Scenario, Variable
from dify_workflow_async.models import File, UploadedFile


DONE = (
    b"HTTP/1.1 201 X\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"
    b'{"id": "7"}'
)
LARGE = 8 << 20
"""Bytes that no socket buffer takes at once."""

Script = Callable[["Raw"], Awaitable[None]]


# -- a server of sockets ---------------------------------------------------------------


@attrs.define(eq=False)
class Raw:
    """A server that does by script what a test likes; the last script is repeated."""

    scripts: list[Script]
    heads: list[str] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)
    reader: Any = None
    writer: Any = None
    base_url: str = ""
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set)

    @property
    def origin(self) -> str:
        """Without the path of the API."""
        return self.base_url.removesuffix("/v1")

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to a client, in a task that can be cancelled."""
        task = asyncio.create_task(self._talk(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    self.heads.append(head.decode())
                    self.reader, self.writer = reader, writer
                    nth = min(len(self.heads), len(self.scripts)) - 1
                    await self.scripts[nth](self)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def aclose(self) -> None:
        """Leave all clients."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def body(self) -> bytes:
        """Read the body, whatever its length is told by."""
        head = self.heads[-1].lower()
        body = b""
        if "transfer-encoding: chunked" in head:
            while size := int(await self.reader.readline(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        else:
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = await self.reader.readexactly(length)
        self.bodies.append(body)
        return body

    async def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer."""
        pairs = {"Content-Length": str(len(body)), **headers}
        lines = (f"{name.replace('_', '-')}: {pairs[name]}\r\n" for name in pairs)
        head = f"HTTP/1.1 {status} X\r\n{''.join(lines)}\r\n"
        await self.say(head.encode() + body)

    async def gone(self) -> None:
        """Wait until the client has left."""
        with suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., Awaitable[Raw]]]:
    """Give a function that starts a server of sockets."""
    async with AsyncExitStack() as stack:

        async def start(*scripts: Script) -> Raw:
            made = Raw(list(scripts))
            server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            stack.push_async_callback(made.aclose)
            port = server.sockets[0].getsockname()[1]
            made.base_url = f"http://127.0.0.1:{port}/v1"
            return made

        yield start


async def take(raw: Raw) -> None:
    """Take an upload, as Dify does."""
    await raw.body()
    await raw.say(DONE)


async def hang_up_halfway(raw: Raw) -> None:
    """Break the connection while the body comes."""
    await raw.reader.readexactly(100_000)
    raw.writer.transport.abort()
    raise ConnectionResetError


def answering(status: int, body: bytes = b"", **headers: str) -> Script:
    """Answer whatever is asked."""

    async def script(raw: Raw) -> None:
        await raw.answer(status, body, **headers)

    return script


@pytest.fixture
def large(tmp_path) -> Path:
    """Give a file that no socket buffer takes at once."""
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return path


async def pieces(*given: bytes, error: BaseException | None = None):
    """Give pieces, then perhaps raise an error."""
    for piece in given:
        yield piece
    if error is not None:
        raise error


# -- uploads ---------------------------------------------------------------------------


async def test_upload_and_download(serve, connect, tmp_path):
    """What was uploaded comes back, whichever way it is read."""
    server = await serve()
    client = connect(server)
    path = tmp_path / "日本語 ä.txt"
    path.write_bytes(b"hello " * 100_000)

    file = await client.upload(path)

    assert (file.name, file.size, file.mime_type) == (path.name, 600_000, "text/plain")
    assert await client.download(file).read() == path.read_bytes()
    assert await client.download(file.source_url).read() == path.read_bytes()
    saved = await client.download(file).save(tmp_path / "copy.txt")
    assert saved == tmp_path / "copy.txt"
    assert saved.read_bytes() == path.read_bytes()
    async with client.download(file) as download:
        assert (download.status, download.size) == (200, 600_000)
        assert download.content_type == "text/plain; charset=utf-8"
        assert download.name == path.name
        assert download.headers["content-length"] == "600000"
        assert b"".join([x async for x in download]) == path.read_bytes()
    assert "file-preview" in repr(download)
    assert "sign=" not in repr(download)


@pytest.mark.parametrize("how", ["bytes", "file", "iterable", "pieces of bytearray"])
async def test_what_can_be_uploaded(how, serve, connect):
    """Bytes, open files, and whatever gives bytes."""
    server = await serve()
    client = connect(server)
    content = {
        "bytes": b"a,b\n",
        "file": io.BytesIO(b"a,b\n"),
        "iterable": pieces(b"a,", b"b\n"),
        "pieces of bytearray": pieces(bytearray(b"a,b\n")),
    }[how]

    file = await client.upload(Upload(content, name="a.csv"), user="u2")

    assert (file.name, file.size, file.mime_type) == ("a.csv", 4, "text/csv")
    assert await client.download(file).read() == b"a,b\n"
    (request,) = [x for x in server.server.requests if x.method == "POST"]
    told = "content-length" in request.headers
    assert told == (how in {"bytes", "file"})
    assert ("transfer-encoding" in request.headers) != told


async def test_the_user_goes_along(raw, connect):
    """A file belongs to whom it was uploaded for."""
    server = await raw(take)
    await connect(server).upload(Upload(b"x", name="a"), user="ü2")
    assert 'name="user"\r\n\r\nü2\r\n'.encode() in server.bodies[0]
    assert "multipart/form-data; boundary=" in server.heads[0]


@pytest.mark.parametrize("name", ["a.txt", 'say "hi".txt', "日本語.txt"])
async def test_names(name, serve, connect):
    """Names arrive as they are; only quotes stay escaped, as browsers do it."""
    file = await connect(await serve()).upload(Upload(b"x", name=name))
    assert file.name == name.replace('"', "%22")


@pytest.mark.parametrize("content", [b"x", Path("/none.txt"), "text", 7])
async def test_what_cannot_be_uploaded(content, raw, connect):
    """Nothing is sent."""
    server = await raw(take)
    with pytest.raises(errors.InvalidInputs):
        await connect(server).upload(content)
    assert server.heads == []


async def test_no_user(raw, connect, tmp_path):
    """Nothing is sent."""
    with pytest.raises(errors.ConfigurationError):
        await connect(await raw(take), user="").upload(Upload(b"", name="a"))


@pytest.mark.parametrize(
    ("body", "error"),
    [(b"{}", "has no id"), (b"[]", "instead"), (b"<p>", "JSON")],
)
async def test_an_answer_that_is_none(body, error, raw, connect):
    """An upload without an id is of no use."""

    async def script(raw: Raw) -> None:
        await raw.body()
        await raw.answer(201, body, Content_Type="application/json")

    server = await raw(script)
    with pytest.raises(errors.UnexpectedAnswer, match=error) as caught:
        await connect(server).upload(Upload(b"x", name="a"))
    assert caught.value.request == f"POST {server.base_url}/files/upload"


async def test_too_large_by_the_server(serve, connect):
    """The server's limits are told as they are."""
    server = await serve(app={"limits": {"file_size_limit": 1}})
    with pytest.raises(errors.FileTooLarge) as caught:
        await connect(server).upload(Upload(bytes(2 << 20), name="a.bin"))
    assert caught.value.code == "file_too_large"


@pytest.mark.parametrize("closes", [True, False])
async def test_too_large_by_a_proxy(closes, raw, connect, large):
    """A refusal that comes while the body is sent is heard, and not repeated."""

    async def script(raw: Raw) -> None:
        await raw.reader.readexactly(1000)
        page = b"<html>413</html>"
        await raw.answer(413, page, Content_Type="text/html", Connection="close")
        if closes:
            raw.writer.write_eof()
        await raw.gone()

    server = await raw(script)
    client = connect(server)
    with pytest.raises(errors.FileTooLarge, match="takes no body of this size"):
        await client.upload(large)
    assert len(server.heads) == 1


async def test_a_connection_that_breaks_halfway(raw, connect, large):
    """An upload is repeated, from its beginning."""
    server = await raw(hang_up_halfway, hang_up_halfway, take)
    file = await connect(server).upload(large)
    assert file.id == "7"
    assert len(server.heads) == 3
    assert bytes(LARGE) in server.bodies[0]


async def test_an_open_file_is_rewound(raw, connect, large):
    """A file that can go back is sent again from where it stood."""
    server = await raw(hang_up_halfway, take)
    with large.open("rb") as file:
        file.seek(5)
        await connect(server).upload(file)
        assert not file.closed
    assert len(server.heads) == 2
    assert b"\r\n\r\n" + bytes(LARGE - 5) + b"\r\n--" in server.bodies[0]


class Forward(io.BytesIO):
    """A file that cannot go back."""

    def tell(self):
        """Not tell."""
        raise io.UnsupportedOperation


@pytest.mark.parametrize("what", ["iterable", "file"])
@pytest.mark.parametrize("how", ["breaks", "busy", "refused"])
async def test_what_is_read_once_is_sent_once(what, how, raw, connect):
    """What is gone cannot be sent again, and is not."""

    async def busy(raw: Raw) -> None:
        await raw.body()
        await raw.answer(429)

    async def refused(raw: Raw) -> None:
        await raw.body()
        await raw.answer(503)

    script = {"breaks": hang_up_halfway, "busy": busy, "refused": refused}[how]
    server = await raw(script)
    content = bytes(LARGE) if how == "breaks" else b"x"
    once = pieces(content) if what == "iterable" else Forward(content)
    with pytest.raises((errors.TransportError, errors.APIError)):
        await connect(server).upload(Upload(once, name="a"))
    assert len(server.heads) == 1


async def test_nobody_listens(connect):
    """Even then what is read once is not tried again."""
    server = SimpleNamespace(base_url="http://127.0.0.1:9/v1")
    client = connect(server, retry=RetryPolicy(attempts=2, base=0.001))
    for content in (b"x", pieces(b"x")):
        with pytest.raises(errors.ConnectionFailed):
            await client.upload(Upload(content, name="a"))


class MyError(Exception):
    """What a user's own code raises."""


@pytest.mark.parametrize(
    "error", [MyError("mine"), OSError(5, "mine"), TimeoutError("mine"), ValueError()]
)
async def test_the_users_own_errors(error, raw, connect, in_use):
    """They pass unchanged, the connection is given up, and no key is near."""

    async def script(raw: Raw) -> None:
        await raw.gone()

    server = await raw(script)
    client = connect(server)
    content = pieces(b"x" * 100_000, error=error)
    with pytest.raises(type(error)) as caught:
        await client.upload(Upload(content, name="a"))
    assert caught.value is error
    assert caught.value.__context__ is None
    frames = traceback.walk_tb(caught.value.__traceback__)
    files = [frame.f_code.co_filename for frame, _ in frames]
    assert files[-1] == __file__  # it tells where it was raised
    assert not any("client_reqrep" in file for file in files)
    assert len(server.heads) <= 1  # the connection may go before it is noticed
    assert in_use(client) == 0


async def test_an_iterable_of_texts(raw, connect):
    """A mistake that shows only while it is sent."""
    server = await raw(take)
    with pytest.raises(errors.UsageError, match="gave str, not bytes"):
        await connect(server).upload(Upload(pieces("text"), name="a"))
    assert server.bodies == []


@pytest.mark.parametrize("change", [-1, 1])
async def test_a_file_that_changes(change, raw, connect, large):
    """Half a file never arrives as a whole one."""

    async def script(raw: Raw) -> None:
        with large.open("r+b") as file:
            file.truncate(LARGE + change)
        await take(raw)

    server = await raw(script)
    with pytest.raises(errors.UsageError, match="changed while it was sent"):
        await connect(server).upload(large)
    assert len(server.heads) == 1
    assert server.bodies == []


async def test_a_slow_upload_that_makes_progress(raw, connect, large):
    """The limits are for silence: a long upload is not cut."""
    # What the system's buffers take has left, as far as anybody can tell.
    step, steps = 4 << 20, 16
    with large.open("r+b") as file:
        file.truncate(step * steps)

    async def script(raw: Raw) -> None:
        for _ in range(steps):
            await raw.reader.readexactly(step)
            await asyncio.sleep(0.1)
        rest = b""
        while not rest.endswith(b"--\r\n"):
            rest += await raw.reader.readexactly(1)
        await raw.say(DONE)

    server = await raw(script)
    timeouts = Timeouts(first_byte=1, idle=1)
    started = asyncio.get_running_loop().time()
    file = await connect(server, timeouts=timeouts).upload(large)
    assert file.id == "7"
    assert asyncio.get_running_loop().time() - started > 1.5


async def test_a_slow_maker_of_pieces(raw, connect):
    """How long the user's own code takes is its own affair."""

    async def slowly():
        yield b"a"
        await asyncio.sleep(0.2)
        yield b"b"

    server = await raw(take)
    timeouts = Timeouts(first_byte=0.1, idle=0.1)
    await connect(server, timeouts=timeouts).upload(Upload(slowly(), name="a"))
    assert b"\r\n\r\nab\r\n" in server.bodies[0]


@pytest.mark.parametrize(
    ("timeouts", "timeout", "error"),
    [
        (Timeouts(idle=0.1), None, errors.IdleTimeout),
        (Timeouts(), 0.1, errors.TotalTimeout),
    ],
    ids=["idle", "total"],
)
async def test_a_server_that_takes_nothing(
    timeouts, timeout, error, raw, connect, large
):
    """An upload that stands still is given up."""

    async def script(raw: Raw) -> None:
        await asyncio.sleep(10)

    server = await raw(script)
    client = connect(server, timeouts=timeouts, retry=RetryPolicy(attempts=1))
    with pytest.raises(error) as caught:
        await client.upload(large, timeout=timeout)
    assert caught.value.seconds == 0.1


async def test_a_maker_of_pieces_that_goes_on_too_long(raw, connect):
    """A limit for all of it holds, also while pieces come."""

    async def endless():
        time.sleep(0.1)  # noqa: ASYNC251 - so that the limit passes unseen
        while True:
            yield b"x"
            await asyncio.sleep(0)

    server = await raw(take)
    with pytest.raises(errors.TotalTimeout):
        await connect(server).upload(Upload(endless(), name="a"), timeout=0.05)


async def test_a_server_that_does_not_answer(raw, connect):
    """When all is sent, the answer has its own limit."""

    async def script(raw: Raw) -> None:
        await raw.body()
        await raw.gone()

    server = await raw(script)
    timeouts = Timeouts(first_byte=0.1)
    client = connect(server, timeouts=timeouts, retry=RetryPolicy(attempts=1))
    with pytest.raises(errors.FirstByteTimeout, match="no answer began"):
        await client.upload(Upload(b"x", name="a"))


@pytest.mark.parametrize("limited", [True, False])
async def test_an_upload_that_is_cancelled(limited, raw, connect, in_use, large):
    """The connection goes, the file is closed, and no task stays."""
    began = asyncio.Event()

    async def script(raw: Raw) -> None:
        began.set()
        await raw.gone()

    async def endless():
        while True:
            yield bytes(1000)
            await asyncio.sleep(0)

    server = await raw(script)
    client = connect(server, timeouts=Timeouts() if limited else Timeouts(idle=None))
    for content in (large, Upload(endless(), name="a")):
        began.clear()
        task = asyncio.create_task(client.upload(content))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert in_use(client) == 0


# -- files of a run --------------------------------------------------------------------


def echo(*variables: Variable) -> Scenario:
    """Make an app that gives back the files that it gets."""
    outputs = {x.variable: f"{{{x.variable}}}" for x in variables}
    end = Node(type="end", outputs={**outputs, "files": "{sys.files}"})
    return Scenario(inputs=list(variables), steps=[Node(type="start"), end])


DOC = Variable(variable="doc", type="file", allowed_file_types=["document"])
PICTURES = Variable(
    variable="pictures", type="file-list", max_length=5, allowed_file_types=["image"]
)


async def test_files_in_a_run(serve, connect, until, tmp_path):
    """Paths, open files and links arrive as the app wants them, and come back."""
    server = await serve(behaviour=echo(DOC, PICTURES))
    client = connect(server)
    doc = tmp_path / "notes.txt"
    doc.write_bytes(b"hello")
    pictures = [Upload(b"x", name=f"{n}.png") for n in range(4)]
    known = await client.upload(Upload(b"y", name="known.png"))

    result = await client.run({"doc": [doc], "pictures": (*pictures, known)})

    (start,) = server.starts
    assert start["inputs"]["doc"]["type"] == "document"
    assert start["inputs"]["doc"]["transfer_method"] == "local_file"
    assert [x["type"] for x in start["inputs"]["pictures"]] == ["image"] * 5
    assert start["inputs"]["pictures"][4]["upload_file_id"] == known.id
    assert len(server.server.files) == 6
    names = {x.filename for x in result.files}
    assert names == {"notes.txt", "known.png", *(f"{n}.png" for n in range(4))}
    (file,) = [x for x in result.files if x.filename == "notes.txt"]
    assert await client.download(file).read() == b"hello"
    saved = await client.download(file).save(tmp_path / "..")
    assert saved == tmp_path / ".." / "notes.txt"
    saved.unlink()
    asked = [x.path for x in server.server.requests]
    assert asked.count("/v1/parameters") == 1
    await client.run({"doc": doc})
    asked = [x.path for x in server.server.requests]
    assert asked.count("/v1/parameters") == 1


async def test_a_run_without_files(serve, connect):
    """It asks for nothing but the run."""
    server = await serve()
    await connect(server).run({"query": "hi", "n": [1, 2], "o": {"a": []}})
    assert [x.path for x in server.server.requests] == ["/v1/workflows/run"]


async def test_files_that_the_app_does_not_take(serve, connect):
    """All problems at once, before anything is uploaded."""
    server = await serve(behaviour=echo(DOC, PICTURES))
    inputs = {
        "doc": Upload(bytes(16 << 20), name="a.txt"),
        "pictures": [Upload(b"x", name="b.pdf"), RemoteFile("http://x.test/a.png")],
    }
    with pytest.raises(errors.InvalidInputs) as caught:
        await connect(server).run(inputs)
    assert len(caught.value.problems) >= 2
    assert server.server.files == []
    assert server.starts == []


async def test_one_upload_that_fails(raw, connect):
    """The others are given up, and the error tells which it was."""
    form = (
        b'{"user_input_form": [{"file-list": {"variable": "x", "type": "file-list"}}]}'
    )

    async def script(raw: Raw) -> None:
        if "/parameters" in raw.heads[-1]:
            await raw.answer(200, form)
            return
        reader, writer = raw.reader, raw.writer
        body = b""
        while not body.endswith(b"--\r\n"):
            body += await reader.read(1 << 16)
        if b"bad" in body:
            writer.write(b"HTTP/1.1 415 X\r\nContent-Length: 0\r\n\r\n")
            return
        with suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass

    server = await raw(script)
    names = ["a", "b", "bad", "c", "d", "e"]
    with pytest.raises(errors.UnsupportedFileType, match=r"^inputs.x\[2\]: ") as caught:
        await connect(server).run({"x": [Upload(b"", name=n) for n in names]})
    assert caught.value.status == 415
    assert str(caught.value.args[0]).startswith("inputs.x[2]: ")
    assert 4 <= len(server.heads) <= 6  # the parameters, and at most four at once


# -- downloads -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    [
        None,
        File(),
        UploadedFile(id="7"),
        "",
        "ftp://x/y",
        "http://user:secret@127.0.0.1/",
    ],
    ids=repr,
)
async def test_what_cannot_be_downloaded(file, connect):
    """What has no usable URL is refused at once."""
    client = connect(SimpleNamespace(base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(errors.ConfigurationError):
        client.download(file)


async def test_no_key_for_downloads(raw, connect, key):
    """Not to the own server, not to others; the user's headers to the own one only."""
    other = await raw(answering(200, b"theirs"))
    server = await raw(answering(200, b"ours"))
    client = connect(server, headers={"X-Mine": "m1"})

    assert await client.download("/files/a?sign=b").read() == b"ours"
    assert await client.download(f"{other.origin}/a").read() == b"theirs"
    file = File(filename="x", remote_url=f"{other.origin}/b")
    assert await client.download(file).read() == b"theirs"

    assert server.heads[0].startswith("GET /files/a?sign=b HTTP")
    assert "X-Mine: m1" in server.heads[0]
    for head in (*server.heads, *other.heads):
        assert key not in head
        assert "authorization" not in head.lower()
        assert "Accept-Encoding: identity" in head
    assert all("x-mine" not in head.lower() for head in other.heads)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects(status, raw, connect, key):
    """They are followed, also to other hosts, which learn nothing."""
    other = await raw(answering(200, b"there"))
    server = await raw(
        answering(status, Location="/next?sign=1"),
        answering(status, Location=f"{other.origin}/c?sign=2"),
    )
    client = connect(server, headers={"X-Mine": "m1"})
    async with client.download("/a") as download:
        assert await download.read() == b"there"
    assert [x.split(" ")[1] for x in server.heads] == ["/a", "/next?sign=1"]
    assert all("X-Mine" in x for x in server.heads)
    assert other.heads[0].startswith("GET /c?sign=2 HTTP")
    assert "x-mine" not in other.heads[0].lower()
    assert key not in "".join([*server.heads, *other.heads])
    assert repr(download) == f"<Download GET {other.origin}/c>"


async def test_too_many_redirects(raw, connect):
    """Ten are followed."""
    server = await raw(answering(302, Location="/again"))
    with pytest.raises(errors.UnexpectedAnswer, match="more than 10 redirects"):
        await connect(server).download("/a").read()
    assert len(server.heads) == 11


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://[", "gopher://x"])
async def test_redirects_to_elsewhere(location, raw, connect):
    """Only http and https are gone to."""
    server = await raw(answering(302, Location=location))
    with pytest.raises(errors.UnexpectedAnswer, match="no http"):
        await connect(server).download("/a").read()


@pytest.mark.parametrize("headers", [{}, {"Location": "/b"}])
async def test_redirects_that_are_none(headers, raw, connect):
    """Other statuses are errors, whatever they point to."""
    server = await raw(answering(304 if headers else 302, **headers))
    with pytest.raises(errors.UnexpectedAnswer):
        await connect(server).download("/a").read()
    assert len(server.heads) == 1


@pytest.mark.parametrize("status", [403, 404])
async def test_links_that_have_expired(status, raw, connect):
    """The most likely reason is told, and the signature is not."""
    server = await raw(answering(status, b"<Error>", Content_Type="application/xml"))
    with pytest.raises(errors.APIError, match=r"not given out; .* 300 s") as caught:
        await connect(server).download("/a?sign=secret").read()
    assert caught.value.status == status
    assert caught.value.request == f"GET {server.origin}/a"
    assert "secret" not in f"{caught.value}{caught.value!r}"


async def test_links_of_the_local_server_expire(serve, connect):
    """As those of a real one."""
    server = await serve(access_timeout=-1)
    client = connect(server)
    file = await client.upload(Upload(b"x", name="a"))
    with pytest.raises(errors.NotFound, match="signed URLs expire"):
        await client.download(file).read()


async def test_no_log_tells_a_signature(raw, connect, caplog):
    """Who reads logs shall not read files."""
    caplog.set_level(logging.DEBUG, logger="dify_workflow_async")
    server = await raw(answering(503), answering(200, b"x"))
    assert await connect(server).download("/a?sign=secret").read() == b"x"
    assert len(server.heads) == 2
    assert caplog.records
    assert "secret" not in caplog.text


async def test_a_download_larger_than_memory_allows(raw, connect, tmp_path):
    """It is read up to the limit, told or not, and saved whole."""
    chunked = (
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    )

    async def script(raw: Raw) -> None:
        await raw.say(chunked)

    server = await raw(answering(200, b"abcde"), script)
    client = connect(server, limits=Limits(max_body_bytes=4))
    for _ in range(2):
        with pytest.raises(errors.TooLarge, match=r"save\(\) it") as caught:
            await client.download("/a").read()
        assert caught.value.request == f"GET {server.origin}/a"
    assert (await client.download("/a").save(tmp_path / "x")).read_bytes() == b"abcde"


async def test_sizes_that_are_not_told(raw, connect):
    """A compressed body has another length."""
    import gzip

    body = gzip.compress(b"abc")
    server = await raw(
        answering(200, body, Content_Encoding="gzip"),
    )
    async with connect(server).download("/dir/a%20b.txt?c") as download:
        assert download.size is None
        assert download.content_type is None
        assert download.name == "a b.txt"
        assert await download.read() == b"abc"


async def test_saving_under_a_name_from_elsewhere(raw, connect, tmp_path):
    """It cannot lead out of the directory."""
    evil = 'attachment; filename="../../evil\\\\..\\\\x.sh"'
    server = await raw(answering(200, b"abc", Content_Disposition=evil))
    folder = tmp_path / "in"
    folder.mkdir()
    saved = await connect(server).download("/a").save(folder)
    assert saved == folder / "x.sh"
    assert [x.name for x in tmp_path.rglob("*")] == ["in", "x.sh"]


async def cut(raw: Raw) -> None:
    """Break the connection in the middle of an answer."""
    await raw.say(b"HTTP/1.1 200 X\r\nContent-Length: 5000000\r\n\r\n" + bytes(3 << 20))
    raw.writer.close()
    raise ConnectionResetError


async def test_a_download_that_breaks(raw, connect, tmp_path):
    """Half a file is an error, and is not left behind."""
    server = await raw(cut)
    client = connect(server)
    old = tmp_path / "old.bin"
    old.write_bytes(b"old")
    for use in (
        client.download("/a").read,
        lambda: client.download("/a").save(old),
        lambda: client.download("/a").save(tmp_path),
    ):
        with pytest.raises(errors.ConnectionLost) as caught:
            await use()
        assert caught.value.request == f"GET {server.origin}/a"
    assert [x.name for x in tmp_path.iterdir()] == ["old.bin"]
    assert old.read_bytes() == b"old"


async def test_saving_where_nothing_can_be_written(raw, connect, tmp_path):
    """The system's own error, before anything is asked for."""
    server = await raw(answering(200, b"x"))
    with pytest.raises(FileNotFoundError):
        await connect(server).download("/a").save(tmp_path / "none" / "x")
    assert server.heads == []


async def begin(raw: Raw) -> None:
    """Begin an answer that does not go on."""
    await raw.say(b"HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\nab")
    await raw.gone()


async def test_a_download_that_stands_still(raw, connect):
    """Silence has a limit, and so has all of it if one is given."""
    server = await raw(begin)
    client = connect(server, timeouts=Timeouts(idle=0.05, total=0.01))
    with pytest.raises(errors.IdleTimeout):
        await client.download("/a").read()
    with pytest.raises(errors.TotalTimeout):
        await connect(server).download("/a", timeout=0.05).read()


async def test_a_download_that_is_cancelled(raw, connect, in_use, tmp_path):
    """Nothing of it stays, neither file nor connection."""
    began = asyncio.Event()

    async def script(raw: Raw) -> None:
        began.set()
        await begin(raw)

    server = await raw(script)
    client = connect(server)
    task = asyncio.create_task(client.download("/a").save(tmp_path))
    await began.wait()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []
    assert in_use(client) == 0


async def test_a_client_that_is_closed_meanwhile(raw, connect):
    """Who reads on learns that, and who begins, too."""
    server = await raw(begin)
    client = connect(server)
    late = client.download("/a")
    async with client.download("/a") as download:
        assert await anext(download) == b"ab"
        waiting = asyncio.create_task(download.read())
        await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(errors.ClientClosed):
            await waiting
        with pytest.raises(errors.ClientClosed):
            await anext(download)
    with pytest.raises(errors.ClientClosed):
        await late.read()


async def test_a_client_that_is_closed_at_the_beginning(raw, connect):
    """A download that begins just then does not stay open."""
    server = await raw(begin)
    client = connect(server)
    ours = client._api

    async def opening():
        answer = await ours.send(
            __import__("dify_workflow_async._protocol", fromlist=["x"]).fetch_request(
                "/a"
            ),
            ours.timeouts,
        )
        ours.lifetime.closed = True
        return answer, "GET /a"

    with pytest.raises(errors.ClientClosed):
        await Download(ours, opening).read()


async def test_wrong_uses(raw, connect):
    """A download is entered, once, and read while it is open."""
    client = connect(await raw(answering(200, b"abc")))
    download = client.download("/a")
    assert repr(download) == "<Download not begun>"
    for use in (lambda: download.status, lambda: download.name):
        with pytest.raises(errors.UsageError, match="enter the download first"):
            use()
    with pytest.raises(errors.UsageError, match="enter the download first"):
        await anext(download)
    assert await download.read() == b"abc"
    with pytest.raises(errors.UsageError, match="used once"):
        await download.__aenter__()
    with pytest.raises(errors.UsageError, match="was left"):
        await download.read()


# -- previews and speech ---------------------------------------------------------------


async def test_previews(serve, connect, key):
    """They need the key, and an app that serves them."""
    server = await serve(app={"serves_previews": True})
    client = connect(server)
    file = await client.upload(Upload(b"abc", name="a.txt"))
    assert await client.preview(file.id).read() == b"abc"
    async with client.preview(file.id, as_attachment=True) as download:
        assert download.content_type == "application/octet-stream"
        assert download.name == "a.txt"
    last = server.server.requests[-1]
    assert last.query == {"as_attachment": "true"}
    assert last.headers["authorization"] == f"Bearer {key}"
    with pytest.raises(errors.NotFound):
        await client.preview("00000000-0000-4000-8000-000000000000").read()
    with pytest.raises(errors.ConfigurationError):
        client.preview("")


async def test_previews_are_not_redirected(raw, connect):
    """The key must not follow."""
    server = await raw(answering(302, Location="/elsewhere"))
    with pytest.raises(errors.UnexpectedAnswer, match="redirects"):
        await connect(server).preview("7").read()
    assert len(server.heads) == 1


ON = {"enabled": True}


async def test_text_to_audio(serve, connect, tmp_path):
    """Sound comes as it is made."""
    parameters = {"text_to_speech": ON}
    app = {"parameters": parameters, "speech": [b"ab", b"cd"]}
    server = await serve(app=app)
    client = connect(server)
    async with client.text_to_audio("hi", voice="v1") as download:
        assert download.content_type == "audio/mpeg"
        assert download.size is None
        assert b"".join([x async for x in download]) == b"abcd"
    assert server.server.requests[-1].json == {
        "text": "hi",
        "voice": "v1",
        "user": "u1",
    }
    saved = await client.text_to_audio("hi").save(tmp_path / "x.mp3")
    assert saved.read_bytes() == b"abcd"


async def test_text_to_audio_refused(serve, connect):
    """Nothing to say, a message that is none, a feature that is off."""
    client = connect(await serve())
    with pytest.raises(errors.InvalidInputs):
        client.text_to_audio("")
    with pytest.raises(errors.ConfigurationError):
        connect(await serve(), user="").text_to_audio("hi")
    with pytest.raises(errors.NotFound, match="no message of this id") as caught:
        await client.text_to_audio("", message_id="7", user="u2").read()
    assert caught.value.status == 200
    assert caught.value.request.endswith("/text-to-audio")
    with pytest.raises(errors.BadRequest, match="not enabled"):
        await client.text_to_audio("hi").read()


async def test_text_to_audio_that_is_no_sound(raw, connect):
    """JSON is no sound."""
    server = await raw(answering(200, b"{}", Content_Type="application/json"))
    with pytest.raises(errors.UnexpectedAnswer, match="JSON instead of sound"):
        await connect(server).text_to_audio("hi").read()


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.wav", "a.amr", "a.mpga"])
async def test_audio_to_text(name, serve, connect):
    """Each under the MIME type that the server takes."""
    app = {"parameters": {"speech_to_text": ON}, "transcript": "hello"}
    client = connect(await serve(app=app))
    assert await client.audio_to_text(Upload(b"abc", name=name)) == "hello"


async def test_audio_to_text_refused(serve, connect):
    """Other sounds are told before they are sent, and off is off."""
    server = await serve()
    client = connect(server)
    with pytest.raises(errors.InvalidInputs, match=r"a.ogg' is audio/ogg; the server"):
        await client.audio_to_text(Upload(b"abc", name="a.ogg"))
    assert list(server.server.requests) == []
    with pytest.raises(errors.BadRequest, match="not enabled"):
        await client.audio_to_text(Upload(b"abc", name="a.mp3"), user="u2")
