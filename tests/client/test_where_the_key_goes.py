"""The key goes to one server, in one header, and nothing smuggles itself in beside it."""

from __future__ import annotations

import warnings

from contextlib import suppress
from itertools import pairwise

import aiohttp
import pytest

from dify_workflow_async import WorkflowClient, errors, files


FINISHED = {"status": "succeeded", "outputs": {"answer": "42"}}
DETAIL = {"id": "r1", "status": "succeeded", "outputs": {}}


async def good(peer) -> None:
    """Run to a good end."""
    await peer.begin()
    await peer.event("workflow_started")
    await peer.event("workflow_finished", **FINISHED)
    await peer.end()


def answering(status: int, body, **headers: str):
    """Answer all requests so."""

    async def script(peer) -> None:
        await peer.answer(status, body, **headers)

    return script


def run(client):
    """Run."""
    return client.run()


def get(client):
    """Read a run."""
    return client.get_run("r1")


# -- where it goes ---------------------------------------------------------------------


async def test_it_is_in_one_header_only(wild, connect, key):
    """Not in the line of the request, another header or the body."""
    server = await wild(good, answering(200, DETAIL))
    client = connect(server)
    await client.run({"query": "hi"})
    await client.get_run("r1")
    assert len(server.requests) == 2
    for method, path, headers, body in server.requests:
        assert headers.pop("authorization") == f"Bearer {key}"
        assert key not in f"{method} {path} {headers} {body}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["port", "scheme", "host", "same"])
@pytest.mark.parametrize("call", [run, get], ids=["post", "get"])
async def test_it_follows_no_redirect(call, place, status, wild, connect, key):
    """No redirect is followed, wherever it leads; the error says where."""
    other = await wild(good)
    targets = {
        "port": other.base_url,
        "scheme": other.base_url.replace("http:", "https:"),
        "host": other.base_url.replace("127.0.0.1", "localhost"),
        "same": "/v1/elsewhere",
    }
    server = await wild(answering(status, b"", Location=targets[place]))
    with pytest.raises(errors.UnexpectedAnswer) as caught:
        await call(connect(server))
    assert targets[place] in str(caught.value)
    assert (other.connections, len(server.requests)) == (0, 1)


async def test_a_borrowed_session_follows_none_either(wild, connect, key):
    """Whatever the session of somebody else does with redirects and statuses."""
    other = await wild(good)
    server = await wild(answering(302, b"", Location=other.base_url))
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        client = connect(server, session=session)
        with pytest.raises(errors.UnexpectedAnswer, match="redirects"):
            await client.run()
    assert other.connections == 0


@pytest.mark.parametrize("hops", [["other"], ["other", "own"], ["own", "other"]])
async def test_no_download_takes_it_along(hops, wild, connect, key):
    """Signed URLs need no key: it goes nowhere with them, not to its own server."""
    other = await wild(answering(200, b"x"))
    own = await wild(answering(200, b"x"))
    servers = {"own": own, "other": other}
    for here, there in pairwise(hops):
        target = servers[there].base_url + "/f"
        servers[here].scripts[:] = [answering(302, b"", Location=target)]
    client = connect(own, headers={"X-Mine": "1"})
    assert await client.download(servers[hops[0]].base_url + "/f").read() == b"x"
    for name, server in servers.items():
        for _, _, headers, _ in server.requests:
            assert "authorization" not in headers
            assert ("x-mine" in headers) is (name == "own")


async def test_copies_have_their_own(wild, connect, key):
    """A copy with another key sends that one, and the first keeps its own."""
    server = await wild(answering(200, DETAIL))
    client = connect(server)
    copy_ = client.with_options(api_key=" app-other ")
    for each in (copy_, client, client.with_options(user="u2")):
        await each.get_run("r1")
    sent = [x[2]["authorization"].removeprefix("Bearer ") for x in server.requests]
    assert sent == ["app-other", key, key]


# -- in clear text ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "is_insecure"),
    [
        ("http://dify.invalid/v1", True),
        ("http://10.0.0.1:5001", True),
        ("http://[2001:db8::1]/v1", True),
        ("http://localhost.invalid", True),
        ("https://dify.invalid/v1", False),
        ("http://localhost:5001/v1", False),
        ("http://LOCALHOST./v1", False),
        ("http://dify.localhost", False),
        ("http://127.0.0.1:1", False),
        ("http://127.8.9.10", False),
        ("http://[::1]:5001", False),
        ("http://[::ffff:127.0.0.1]", False),
    ],
)
def test_http_to_another_machine_warns_once(url, is_insecure, monkeypatch):
    """The key that everybody on the way can read is worth a warning, but not two."""
    monkeypatch.setattr("dify_workflow_async._secret._warned", set())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        client = WorkflowClient("app-1", url)
        client.with_options(user="u2")
        WorkflowClient("app-2", url)
    assert len(seen) == is_insecure
    for warning in seen:
        assert warning.category is errors.InsecureConnectionWarning
        assert issubclass(warning.category, UserWarning)
        assert warning.filename == __file__
        assert "app-1" not in str(warning.message)


def test_each_server_warns_for_itself(monkeypatch):
    """And goes on refusing, where a warning is an error."""
    monkeypatch.setattr("dify_workflow_async._secret._warned", set())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for url in ("http://a.invalid", "http://a.invalid", "http://b.invalid"):
            with pytest.raises(errors.InsecureConnectionWarning, match=url):
                WorkflowClient("app-1", url)


# -- line breaks -----------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["a\r\nX-Evil: 1", "a\nb", "a\rb"])
async def test_line_breaks_are_refused(bad, wild, connect):
    """No header, file name or id carries one: nothing is sent."""
    server = await wild(good)
    client = connect(server)
    with suppress(errors.ConfigurationError):
        connect(server, headers={"X-A": bad})
        pytest.fail("taken as a header")
    for call in (
        lambda: client.get_run(bad),
        lambda: client.stop(bad),
        lambda: client.run(workflow_id=bad),
        lambda: client.run(user=bad),
        lambda: client.run(traceparent=bad),
        lambda: client.run(trace_id=bad),
        lambda: client.run({"f": files.Upload(b"x", name=bad)}),
    ):
        with pytest.raises((errors.ConfigurationError, errors.InvalidInputs)):
            await call()
    with pytest.raises(errors.InvalidInputs):
        files.Upload(b"x", name="a.txt", mime_type=f"text/{bad}")
    assert server.connections == 0


async def test_a_broken_stream_does_not_echo_it(wild, connect, key):
    """What a proxy gives back of the request is in no error of a stream, either."""

    async def script(peer) -> None:
        await peer.begin(**{"X-Echo": f"Bearer {key}"})
        await peer.event("workflow_started")
        await peer.end()

    client = connect(await wild(script))
    with pytest.raises(errors.RunInterrupted) as caught:
        await client.run()
    assert caught.value.headers is not None
    assert caught.value.headers["X-Echo"] == "Bearer ***"
    assert key not in repr(vars(caught.value))
