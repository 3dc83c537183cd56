"""Recordings are played byte by byte, in whatever pieces the test asks for."""

import asyncio
import time

from pathlib import Path

import aiohttp
import pytest

from dify_workflow_async.local import App, LocalServer, RecordingError, Replay


RECORDINGS = Path(__file__).parent.parent / "recordings"
PATHS = sorted(RECORDINGS.glob("*/*.http"))
SHORT = [path for path in PATHS if path.stat().st_size < 1500]
SHORT += [path for path in PATHS if path.stem == "run_hello_streaming"]

CUT = "dify-1.12.1/disconnect_slow_streaming.http"
HELD = "dify-1.14.2/err_missing_required_streaming.http"


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def recorded(path: Path) -> tuple[int, dict[str, str], bytes]:
    """Read status, headers and body of a recording in another way than the package."""
    head, _, body = path.read_bytes().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.pop("Transfer-Encoding", None) == "chunked":
        rest, body = body, b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
    return int(first.split()[1]), headers, body


async def read(response: aiohttp.ClientResponse, length: int) -> bytes:
    """Read a body of a known length, however it ends."""
    body = b""
    while len(body) < length:
        body += await response.content.readany()
    return body


@pytest.mark.parametrize("path", PATHS, ids=named)
async def test_recording_replays_byte_identically(path, post_run):
    """Status, headers and body of an answer are those of the recording."""
    status, headers, body = recorded(path)
    app = App(Replay(path))
    async with LocalServer([app]) as server, post_run(server, app) as response:
        assert response.status == status
        assert await read(response, len(body)) == body
    sent = dict(response.headers)
    for volatile in ("Date", "Transfer-Encoding"):
        sent.pop(volatile, None)
        headers.pop(volatile, None)
    assert sent == headers


@pytest.mark.parametrize("path", SHORT, ids=named)
async def test_recording_replays_cut_at_every_byte(path, post_run):
    """A body that is sent byte by byte is still the same body."""
    _, _, body = recorded(path)
    app = App(Replay(path, cuts=1))
    async with LocalServer([app]) as server, post_run(server, app) as response:
        assert await read(response, len(body)) == body


@pytest.mark.parametrize("cuts", [[3, 0, 5], lambda body: [7] * (len(body) // 7)])
async def test_cuts_reach_the_client_as_separate_chunks(cuts, recordings, post_run):
    """Each piece is one HTTP chunk; what the sizes leave over is the last one."""
    path = recordings / "dify-1.14.2" / "run_hello_streaming.http"
    _, _, body = recorded(path)
    sizes = [size for size in (cuts(body) if callable(cuts) else cuts) if size]
    app = App(Replay(path, cuts=cuts))
    pieces, piece = [], b""
    async with LocalServer([app]) as server, post_run(server, app) as response:
        async for data, ends in response.content.iter_chunks():
            piece += data
            if ends:
                pieces.append(piece)
                piece = b""
    assert [len(one) for one in pieces[: len(sizes)]] == sizes
    assert b"".join(pieces) == body


async def test_cuts_reach_the_client_as_separate_reads(recordings, post_run):
    """A reader that keeps up gets most pieces by themselves."""
    path = recordings / "dify-1.12.1" / "run_hello_streaming.http"
    app = App(Replay(path, cuts=10))
    async with LocalServer([app]) as server, post_run(server, app) as response:
        pieces = [piece async for piece in response.content.iter_any()]
    assert len(pieces) > len(b"".join(pieces)) / 10 * 0.9


async def test_recorded_chunks_stay_chunks(recordings, post_run):
    """Without cuts a recorded chunk is one chunk again."""
    path = recordings / "dify-1.14.2" / "run_llm_streaming.http"
    app = App(Replay(path))
    pieces, piece = [], b""
    async with LocalServer([app]) as server, post_run(server, app) as response:
        async for data, ends in response.content.iter_chunks():
            piece += data
            if ends:
                pieces.append(piece)
                piece = b""
    assert [one.count(b"\n\n") for one in pieces] == [1] * len(pieces)


async def test_cut_recording_drops_the_connection(recordings, post_run):
    """A recording that stops in mid-body ends without the final chunk."""
    app = App(Replay(recordings / CUT))
    async with LocalServer([app]) as server, post_run(server, app) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_cut_recording_tells_a_run_under_way(recordings, post_run, get):
    """The run of a recording can be read, here as one that is not over."""
    app = App(Replay(recordings / CUT))
    async with LocalServer([app]) as server:
        async with post_run(server, app) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        (run,) = server.runs
        detail = await get(server, app, f"/workflows/run/{run.id}")
    assert detail["status"] == "running"
    assert run.id == "56ebd627-dd2c-4598-993a-5e517109d4f4"


async def test_held_recording_stays_open_until_the_server_closes(recordings, post_run):
    """A recording that was not watched to its end goes on in silence."""
    _, _, body = recorded(recordings / HELD)
    app = App(Replay(recordings / HELD))
    async with LocalServer([app]) as server, post_run(server, app) as response:
        assert await read(response, len(body)) == body
        rest = asyncio.ensure_future(response.content.readany())
        await asyncio.sleep(0)
        assert not rest.done()
        await server.aclose()
        with pytest.raises(aiohttp.ClientPayloadError):
            await rest


async def test_finished_run_of_a_recording_can_be_read(recordings, post_run, get):
    """The run detail of a replayed run is that of the recording."""
    app = App(Replay(recordings / "dify-1.14.2" / "run_hello_streaming.http"))
    async with LocalServer([app]) as server:
        async with post_run(server, app) as response:
            await response.read()
        (run,) = server.runs
        detail = await get(server, app, f"/workflows/run/{run.id}")
    assert detail["status"] == "succeeded"
    assert detail["outputs"] == {"text": "Hello, world!"}


async def test_directory_answers_by_request(recordings, http):
    """Of a directory the recording answers that was asked the same."""
    app = App(Replay(recordings / "dify-1.12.1"))
    headers = {"Authorization": f"Bearer {app.key}"}
    run = {"inputs": {"query": "world"}, "response_mode": "streaming", "user": "u1"}
    async with LocalServer([app]) as server:
        url = server.base_url
        async with http.get(f"{url}/info", headers=headers) as response:
            assert (await response.json())["author_name"] == "admin"
        async with http.post(
            f"{url}/workflows/run", json=run, headers=headers
        ) as response:
            assert b"Hello, world!" in await response.read()
        async with http.post(
            f"{url}/workflows/run", json=run | {"user": "u2"}, headers=headers
        ) as response:
            assert (await response.json())["message"] == "Workflow not published"


async def test_speed_keeps_the_recorded_pauses(recordings, post_run):
    """With a speed the chunks come as they arrived, only faster."""
    path = recordings / "dify-1.14.2" / "run_hello_streaming.http"
    app = App(Replay(path, speed=5.0))
    async with LocalServer([app]) as server:
        started = time.perf_counter()
        async with post_run(server, app) as response:
            await response.read()
    assert time.perf_counter() - started >= (0.532 - 0.0793) / 5


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"HTTP/1.1 200 OK\r\n", b"NOPE/1.1 200 OK\r\n\r\n"],
)
def test_other_files_are_refused(tmp_path, content):
    """What is no recorded response raises an error that names the file."""
    path = tmp_path / "x.http"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"x\.http: not a recorded HTTP"):
        Replay(path)


def test_bad_chunk_is_refused(tmp_path):
    """A body whose chunks are broken is refused, with the place."""
    path = tmp_path / "x.http"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    path.write_bytes(head + b"zz\r\nab\r\n")
    with pytest.raises(RecordingError, match="bad chunk size at byte 47"):
        Replay(path)


async def test_recording_alone_has_no_request_and_no_times(tmp_path, post_run):
    """A response without the files beside it plays at any speed, and cut short."""
    path = tmp_path / "x.http"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    path.write_bytes(head + b"3;x=y\r\nabc\r\n4\r\nab")
    app = App(Replay(path, speed=1.0))
    async with LocalServer([app]) as server, post_run(server, app) as response:
        assert await read(response, 5) == b"abcab"


def test_empty_directory_is_refused(tmp_path):
    """A directory without recordings is a mistake."""
    with pytest.raises(RecordingError, match="no recordings"):
        Replay(tmp_path)
