"""No key is in a recording, whatever its form, and wherever the network cuts it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from aiohttp import web
from yarl import URL

from dify_workflow_async.local import App, LocalServer, Recorder, Replay
from dify_workflow_async.local._eraser import Eraser


DIFYS = "app-Z9x8c7v6b5n4m3a2s1d0"
OTHERS = "team:s3cr3t/key+1"
BODY = '{"data": "%s", "application": "app-store"}'


class Upstream:
    """A server that sends pieces, each when the one before has been read."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.read = asyncio.Event()
        self.breaks = False
        self.targets: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Send the pieces."""
        self.targets.append(request.raw_path)
        response = web.StreamResponse(headers={"X-Echo": request.query.get("k", "")})
        response.enable_compression()  # if that is asked for
        await response.prepare(request)
        for piece in self.pieces:
            self.read.clear()
            await response.write(piece)
            await self.read.wait()
        if self.breaks:
            request.transport.close()
        return response


@pytest.fixture
async def upstream():
    """Make what is recorded."""
    return Upstream()


@pytest.fixture
async def recorder(upstream, tmp_path):
    """Record it over real sockets."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", upstream.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with Recorder(url, tmp_path / "r") as it:
        yield it
    await runner.cleanup()


@pytest.fixture
def ask(recorder, upstream, http):
    """Give a function that asks with a key, and gives what was passed through."""

    async def send(key: str, pieces: list[bytes], target: str = "/info") -> bytes:
        upstream.pieces = pieces
        headers = {"Authorization": f"Bearer {key}"}
        got = b""
        url = URL(f"{recorder.base_url}{target}", encoded=True)
        body = {"inputs": {"k": key}}
        async with http.post(url, json=body, headers=headers) as response:
            for n, _ in enumerate(pieces):
                while len(got) < len(b"".join(pieces[: n + 1])):
                    got += await response.content.readany()
                upstream.read.set()
            await response.content.read()
        return got

    return send


def written(folder) -> bytes:
    """Read all that was written down, with the names of the files."""
    files = sorted((folder / "r").iterdir())
    return b"".join(path.name.encode() + path.read_bytes() for path in files)


@pytest.mark.parametrize("key", [DIFYS, OTHERS])
@pytest.mark.parametrize("at", [1, 3, 4, 12, 16])
async def test_key_that_the_network_cuts(ask, tmp_path, key, at):
    """A key in two pieces passes at once, and is whole in no replay."""
    body = BODY % key
    cut = body.index(key) + at
    assert await ask(key, [body[:cut].encode(), body[cut:].encode()]) == body.encode()
    (recording,) = Replay(tmp_path / "r")._recordings
    assert recording.body.decode() == BODY % "app-EXAMPLE"
    assert key.encode() not in written(tmp_path)


async def test_key_that_comes_byte_by_byte(ask, tmp_path):
    """However small the pieces are, the key is not put together again."""
    body = (BODY % OTHERS).encode()
    assert await ask(OTHERS, [body[n : n + 1] for n in range(len(body))]) == body
    (recording,) = Replay(tmp_path / "r")._recordings
    assert recording.body.decode() == BODY % "app-EXAMPLE"


@pytest.mark.parametrize(
    ("key", "written_as"),
    [
        (DIFYS, DIFYS),
        (OTHERS, OTHERS),
        (OTHERS, "team%3As3cr3t%2Fkey%2B1"),
        (OTHERS, "team:s3cr3t%2fkey%2b1"),
    ],
)
async def test_key_in_an_address(ask, upstream, tmp_path, key, written_as):
    """In a query or a path the key goes on, and is not written down."""
    await ask(key, [], f"/info?k={written_as}")
    assert written_as in upstream.targets[0]
    if key == DIFYS:
        await ask(key, [], f"/workflows/{key}/run")
    kept = written(tmp_path)
    assert b"POST /v1/info?k=app-EXAMPLE HTTP/1.1" in kept
    assert (key.encode() in kept, written_as.encode() in kept) == (False, False)


async def test_answer_that_breaks_off_in_a_key(ask, upstream, tmp_path):
    """Half a key is not written down either."""
    upstream.breaks = True
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(DIFYS, [b"is app-Z9x8c7"])
    kept = written(tmp_path)
    assert b"3\r\nis \r\n" in kept
    assert b"Z9x8" not in kept


async def test_recording_with_a_key_replays(ask, tmp_path, http):
    """What was asked with a key is found by who asks with its replacement."""
    await ask(OTHERS, [(BODY % OTHERS).encode()])
    app = App(Replay(tmp_path / "r"))
    headers = {"Authorization": f"Bearer {app.key}"}
    body = {"inputs": {"k": "app-EXAMPLE"}}
    async with (
        LocalServer([app]) as server,
        http.post(f"{server.base_url}/info", json=body, headers=headers) as response,
    ):
        assert await response.text() == BODY % "app-EXAMPLE"


def test_text_that_is_no_key_is_held_back_no_longer_than_that_is_open():
    """What may become a key comes out as soon as it does not."""
    eraser = Eraser(f"Bearer {OTHERS}")
    told = [eraser.feed(piece) for piece in (b"a te", b"am:s", b"ters", b" app-", b"x")]
    assert told == [b"a ", b"", b"team:sters", b" ", b""]
    assert eraser.rest() == b"app-x"


def test_what_is_held_back_is_bounded():
    """A word without end is not kept in memory."""
    eraser = Eraser()
    told = eraser.feed(b"app-" + b"x" * 600)
    assert told == b"app-EXAMPLE"
    assert eraser.rest() == b""


def test_key_as_json_may_write_it():
    """A slash may be escaped, in one piece or in two."""
    eraser = Eraser(f"Bearer {OTHERS}")
    assert eraser.whole(b"team:s3cr3t\\/key+1") == b"app-EXAMPLE"
    assert eraser.feed(b"a team:s3cr3t\\") == b"a "
    assert eraser.feed(b"/key+1.") == b"app-EXAMPLE."


def test_word_as_a_key_spoils_nothing():
    """A key that is shorter than any of Dify's is left where it is among texts."""
    eraser = Eraser("Bearer data")
    assert eraser.whole(b'{"data": 1}') == b'{"data": 1}'
