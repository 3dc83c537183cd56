"""What each verb sends, and what the client makes of each answer.

No socket here: aioresponses stands in for aiohttp's requests.
"""

from __future__ import annotations

import json

from datetime import UTC, date, datetime
from enum import Enum
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from aioresponses import aioresponses
from yarl import URL

from dify_workflow_async import RetryPolicy, WorkflowClient, errors
from dify_workflow_async.local import Node


BASE = "https://dify.example/v1"
RUN = f"{BASE}/workflows/run"
RESULT = {
    "task_id": "t1",
    "workflow_run_id": "r1",
    "data": {
        "id": "r1",
        "workflow_id": "w1",
        "status": "succeeded",
        "outputs": {"answer": "42"},
        "error": None,
        "elapsed_time": 1.5,
        "total_tokens": 7,
        "total_steps": 3,
        "created_at": 1705407629,
        "finished_at": 1705407631,
    },
}


class Response(aiohttp.ClientResponse):
    """A response as aiohttp 3.14 makes it, which aioresponses 0.7.9 does not know."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(
            *args, **({"stream_writer": SimpleNamespace(output_size=0)} | kwargs)
        )


class Web:
    """Answers requests, and tells what they were."""

    def __init__(self, mocked: aioresponses) -> None:
        self._mocked = mocked

    def answer(self, method: str, url: str, payload: Any = None, **how: Any) -> None:
        """Answer the next such request."""
        if payload is not None:
            how["payload"] = payload
        self._mocked.add(url, method, response_class=Response, **how)

    @property
    def sent(self) -> list[SimpleNamespace]:
        """The requests so far: method, URL, headers, and body as JSON."""
        return [
            SimpleNamespace(
                method=method,
                url=url,
                headers=call.kwargs["headers"],
                options=call.kwargs,
                json=json.loads(call.kwargs["data"]) if call.kwargs["data"] else None,
            )
            for (method, url), calls in self._mocked.requests.items()
            for call in calls
        ]


@pytest.fixture
def web():
    """Give the web, of which nothing is real."""
    with aioresponses() as mocked:
        yield Web(mocked)


@pytest.fixture
async def client(key):
    """Give a client of a server that is not there."""
    policy = RetryPolicy(attempts=2, base=0.001)
    async with WorkflowClient(key, BASE, "u1", retry=policy) as client:
        yield client


# -- what is sent ----------------------------------------------------------------------


async def test_run_blocking(web, client, key):
    """A blocking run is one POST of inputs, mode and user, and returns its result."""
    web.answer("POST", RUN, RESULT)
    result = await client.run_blocking({"query": "x"})
    (sent,) = web.sent
    assert (sent.method, sent.url) == ("POST", URL(RUN))
    assert sent.json == {
        "inputs": {"query": "x"},
        "response_mode": "blocking",
        "user": "u1",
    }
    assert sent.headers == {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
    }
    assert sent.options["allow_redirects"] is False
    assert (result.status, result.outputs) == ("succeeded", {"answer": "42"})
    assert (result.workflow_run_id, result.task_id) == ("r1", "t1")
    assert (result.elapsed_time, result.total_tokens, result.total_steps) == (1.5, 7, 3)
    assert result.finished_at == datetime(2024, 1, 16, 12, 20, 31, tzinfo=UTC)
    assert result.raw["workflow_run_id"] == "r1"


async def test_run_asks_for_a_stream(web, client, key):
    """A run is one POST in streaming mode, that no proxy is to compress."""
    web.answer("POST", RUN, {"code": "x", "message": "no"}, status=400)
    with pytest.raises(errors.BadRequest):
        await client.run()
    (sent,) = web.sent
    assert sent.json == {"inputs": {}, "response_mode": "streaming", "user": "u1"}
    assert sent.headers == {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",
    }


@pytest.mark.parametrize("verb", ["run", "run_blocking"])
async def test_all_options(verb, web, client):
    """Each option has its place in the request."""
    url = f"{BASE}/workflows/a%2Fb/run"
    web.answer("POST", url, {"code": "x", "message": "no"}, status=400)
    file = {"type": "image", "transfer_method": "remote_url", "url": "http://x/y"}
    with pytest.raises(errors.BadRequest):
        await getattr(client, verb)(
            {"query": "x"},
            user="u2",
            files=(file,),
            workflow_id="a/b",
            trace_id="trace-1",
        )
    (sent,) = web.sent
    assert sent.url == URL(url, encoded=True)
    assert str(sent.url) == url
    assert sent.json["user"] == "u2"
    assert sent.json["files"] == [file]
    assert sent.json["trace_id"] == "trace-1"


class Colour(Enum):
    """An input that is an enum."""

    RED = "red"


async def test_inputs_as_json(web, client):
    """What JSON has no word for goes as text; texts go as they are."""
    web.answer("POST", RUN, RESULT)
    given = {
        "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "day": date(2026, 1, 2),
        "colour": Colour.RED,
        "text": "你好 \u2028 é",
        "list": (1, 2.5, None, True),
        "map": {"a": {"b": []}},
    }
    await client.run_blocking(given)
    assert web.sent[0].json["inputs"] == {
        "when": "2026-01-02T03:04:05+00:00",
        "day": "2026-01-02",
        "colour": "red",
        "text": "你好 \u2028 é",
        "list": [1, 2.5, None, True],
        "map": {"a": {"b": []}},
    }


async def test_get_run(web, client, key):
    """A run detail is one GET, with no body."""
    url = f"{BASE}/workflows/run/r%20%3F1"
    web.answer("GET", url, {"id": "r1", "status": "running", "outputs": None})
    run = await client.get_run("r ?1")
    (sent,) = web.sent
    assert (sent.method, str(sent.url), sent.json) == ("GET", url, None)
    assert sent.headers == {"Authorization": f"Bearer {key}"}
    assert (run.id, run.status, run.outputs) == ("r1", "running", {})
    assert not run.is_terminal


async def test_stop(web, client):
    """A stop is one POST with the user who started the run."""
    for task in ("t1", "t2"):
        url = f"{BASE}/workflows/tasks/{task}/stop"
        web.answer("POST", url, {"result": "success"})
    assert await client.stop("t1") is None
    await client.stop("t2", user="u2")
    assert [sent.json for sent in web.sent] == [{"user": "u1"}, {"user": "u2"}]


@pytest.mark.parametrize("bad", ["", ".", ".."])
async def test_ids_that_are_none(bad, web, client):
    """An id that would change the path is refused, and nothing is sent."""
    for call in (
        lambda: client.get_run(bad),
        lambda: client.stop(bad),
        lambda: client.run(workflow_id=bad),
        lambda: client.run_blocking(workflow_id=bad),
    ):
        with pytest.raises(errors.ConfigurationError):
            await call()
    assert web.sent == []


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://dify.example", "https://dify.example/v1"),
        ("https://dify.example/", "https://dify.example/v1"),
        ("https://dify.example/v1/", "https://dify.example/v1"),
        (" http://dify.example:8080/v1\n", "http://dify.example:8080/v1"),
        ("https://dify.example/apps/dify", "https://dify.example/apps/dify/v1"),
        ("http://[::1]:5001/v1", "http://[::1]:5001/v1"),
    ],
)
@pytest.mark.filterwarnings("ignore:http.* is not encrypted")
async def test_forms_of_the_base_url(given, base, web, key):
    """The base URL may be given with or without `/v1`, port, sub-path and slash."""
    web.answer("GET", f"{base}/workflows/run/r1", {"id": "r1"})
    async with WorkflowClient(key, given, "u1") as client:
        assert client.base_url == base
        assert (await client.get_run("r1")).id == "r1"


# -- what is answered ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "invalid_param", errors.InvalidParam),
        (400, "not_workflow_app", errors.NotWorkflowApp),
        (400, "app_unavailable", errors.AppUnavailable),
        (400, "provider_not_initialize", errors.ProviderNotInitialized),
        (400, "provider_quota_exceeded", errors.ProviderQuotaExceeded),
        (400, "model_currently_not_support", errors.ModelNotSupported),
        (400, "completion_request_error", errors.CompletionRequestFailed),
        (400, "workflow_request_error", errors.WorkflowRequestFailed),
        (400, "of_tomorrow", errors.BadRequest),
        (401, "unauthorized", errors.Unauthorized),
        (403, "forbidden", errors.Forbidden),
        (404, "not_found", errors.NotFound),
        (413, "file_too_large", errors.FileTooLarge),
        (415, "unsupported_file_type", errors.UnsupportedFileType),
        (429, "too_many_requests", errors.TooManyRequests),
        (429, "rate_limit_error", errors.QuotaExceeded),
        (500, "internal_server_error", errors.ServerError),
        (502, None, errors.GatewayError),
        (503, None, errors.GatewayError),
        (504, None, errors.GatewayError),
        (524, None, errors.GatewayError),
    ],
)
@pytest.mark.parametrize("verb", ["run", "run_blocking"])
async def test_refusals(verb, status, code, error, web, client):
    """Status and code choose the class, which has all that the answer told."""
    headers = {"X-Version": "1.14.2", "X-Trace-Id": "trace"}
    payload = {"code": code, "message": "because", "status": status}
    web.answer("POST", RUN, payload, status=status, headers=headers, repeat=True)
    with pytest.raises(error) as caught:
        await getattr(client, verb)()
    found = caught.value
    assert type(found) is error
    assert (found.status, found.code, found.message) == (status, code, "because")
    assert (found.server_version, found.trace_id) == ("1.14.2", "trace")
    assert found.request == f"POST {RUN}"
    assert found.safe_to_repeat == (error is errors.TooManyRequests)
    assert len(web.sent) == (2 if error is errors.TooManyRequests else 1)


@pytest.mark.parametrize("body", ["", "<html>", "[]", '"text"', "null"])
async def test_refusals_without_json(body, web, client):
    """The status alone chooses the class of an answer that is not Dify's."""
    web.answer("POST", RUN, status=413, body=body, content_type="text/html")
    with pytest.raises(errors.FileTooLarge, match="proxy"):
        await client.run()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"status": "failed", "error": "boom"}, errors.RunFailed),
        ({"status": "stopped"}, errors.RunStopped),
        ({"status": "paused", "paused_nodes": ["a"]}, errors.RunPaused),
        ({"status": "of-tomorrow"}, errors.RunFailed),
        ({"status": "partial-succeeded"}, None),
    ],
)
async def test_blocking_results(data, error, web, client):
    """A blocking run that did not succeed raises, unless it is not to be checked."""
    payload = {"workflow_run_id": "r1", "task_id": "t1", "data": data}
    web.answer("POST", RUN, payload, repeat=True)
    result = await client.run_blocking(check=False)
    assert result.status == data["status"]
    assert result.paused_nodes == tuple(data.get("paused_nodes", ()))
    if error is None:
        assert (await client.run_blocking()).is_success
        return
    with pytest.raises(error) as caught:
        await client.run_blocking()
    assert caught.value.result == result
    assert caught.value.run_id == "r1"


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"data": []}', "\xff"])
async def test_blocking_answers_that_are_none(body, web, client):
    """An answer without a result is no result, and not asked for again."""
    web.answer("POST", RUN, body=body.encode("latin-1"))
    with pytest.raises(errors.UnexpectedAnswer):
        await client.run_blocking()
    assert len(web.sent) == 1


@pytest.mark.parametrize("version", ["1.12.1", "1.14.2"])
async def test_a_run_that_the_server_does_not_know(version, serve, connect):
    """Whether it answers 404 or nulls: the run is not found, and the error has its id."""
    server = await serve(Node(type="end"), version=version)
    run_id = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(errors.RunNotFound) as caught:
        await connect(server).get_run(run_id)
    assert caught.value.run_id == run_id
    assert run_id in caught.value.request


@pytest.mark.parametrize("version", ["1.12.1", "1.14.2"])
async def test_a_run_that_the_server_knows(version, serve, connect):
    """A run that ended can be read, in whichever form a server tells of it."""
    node = Node(type="end", outputs={"answer": "42"})
    client = connect(await serve(node, version=version))
    result = await client.run({"query": "x"})
    run = await client.get_run(result.workflow_run_id)
    assert (run.id, run.status) == (result.workflow_run_id, "succeeded")
    assert run.outputs == result.outputs == {"answer": "42"}
    assert run.inputs["query"] == "x"


async def test_reads_are_repeated(web, client):
    """A read that failed on the way, or on a server in trouble, is done again."""
    url = f"{BASE}/workflows/run/r1"
    web.answer("GET", url, {"code": "unknown"}, status=500)
    web.answer("GET", url, {"id": "r1"})
    assert (await client.get_run("r1")).id == "r1"
    web.answer(
        "GET", url, {"code": "unknown", "message": "no"}, status=500, repeat=True
    )
    with pytest.raises(errors.ServerError) as caught:
        await client.get_run("r1")
    assert caught.value.run_id == "r1"
    assert len(web.sent) == 4


@pytest.mark.parametrize("body", ["{", "[1]"])
async def test_details_that_are_none(body, web, client):
    """A run detail that makes no sense is not taken for one, and tells its request."""
    url = f"{BASE}/workflows/run/r1"
    web.answer("GET", url, body=body)
    with pytest.raises(errors.UnexpectedAnswer) as caught:
        await client.get_run("r1")
    assert len(web.sent) == 1
    assert caught.value.run_id == "r1"
    assert caught.value.request == f"GET {url}"


@pytest.mark.parametrize("user", [5, b"u1", ["u1"]], ids=repr)
async def test_a_user_that_is_no_text(user, serve, connect):
    """An end user that is no text is refused before anything is sent."""
    server = await serve(Node(type="end"))
    with pytest.raises(errors.ConfigurationError):
        await connect(server).run(user=user)
    assert server.starts == []


@pytest.mark.parametrize("inputs", [[1], "x", 5], ids=repr)
async def test_inputs_that_are_no_mapping(inputs, serve, connect):
    """Inputs that have no names are refused before anything is sent."""
    server = await serve(Node(type="end"))
    with pytest.raises(errors.InvalidInputs, match="a mapping"):
        await connect(server).run(inputs)
    assert server.starts == []


@pytest.mark.parametrize(
    "name", ["Host", "accept", "Content-Type", "Transfer-Encoding"]
)
def test_headers_that_are_the_clients(name, key):
    """A header that the client sets itself is refused as a setting."""
    with pytest.raises(errors.ConfigurationError, match=name):
        WorkflowClient(key, "http://127.0.0.1:1", "u1", headers={name: "x"})
