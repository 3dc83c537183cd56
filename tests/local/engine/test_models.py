"""Language models: the stub, and endpoints that speak OpenAI's API."""

from __future__ import annotations

import json

import pytest

from dify_workflow_async.local import (
    App,
    OpenAIModel,
    StubModel,
    StubReply,
)

from . import _dsl as dsl


pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKING = dsl.line(dsl.start(dsl.text_input("q")), dsl.llm(), dsl.end(text="llm.text"))


def chunks(events):
    """Tell the pieces of text."""
    return [event["data"]["text"] for event in events if event["event"] == "text_chunk"]


def node(events, node_id):
    """Give what is told of the end of a node."""
    (data,) = (
        event["data"]
        for event in events
        if event["event"] == "node_finished" and event["data"]["node_id"] == node_id
    )
    return data


@pytest.fixture
def serve(apps, server):
    """Give a function that adds an app with a model to the server."""

    def add(model, text=ASKING):
        return server.add(App.from_dsl(text, model=model))

    return add


async def test_stub_without_replies_echoes(serve, server, play):
    """It says the last message, word by word, and counts the words."""
    events = await play(server, serve(None), {"q": "one two  three"})
    assert [text for text in chunks(events) if text] == ["one", " two", "  three"]
    assert events[-1]["data"]["outputs"] == {"text": "one two  three"}
    data = node(events, "llm")
    assert data["outputs"]["usage"]["completion_tokens"] == 3
    assert data["process_data"]["prompts"] == [
        {"role": "system", "text": "Be brief.", "files": []},
        {"role": "user", "text": "one two  three", "files": []},
    ]
    assert data["inputs"]["model_provider"] == "langgenius/openai/openai"


async def test_stub_takes_the_first_reply_that_fits(serve, server, play):
    """Replies are told apart by node and by what the prompt contains."""
    model = StubModel(
        replies=[
            StubReply(text="not for this node", node="other"),
            StubReply(text="about cats", contains="cat"),
            StubReply(text=["about {prompt}", "!"]),
        ]
    )
    app = serve(model)
    cats = await play(server, app, {"q": "a cat"})
    assert cats[-1]["data"]["outputs"] == {"text": "about cats"}
    dogs = await play(server, app, {"q": "a dog"})
    assert dogs[-1]["data"]["outputs"] == {"text": "about a dog!"}


async def test_stub_costs(serve, server, play):
    """Tokens and prices are those of the reply and of the stub; the run adds them."""
    reply = StubReply(text="x", prompt_tokens=1000, completion_tokens=500)
    model = StubModel(
        replies=[reply], prompt_price="0.002", completion_price="0.01", currency="EUR"
    )
    events = await play(server, serve(model), {"q": "q"})
    assert node(events, "llm")["execution_metadata"] == {
        "total_tokens": 1500,
        "total_price": "0.0070000",
        "currency": "EUR",
    }
    assert events[-1]["data"]["total_tokens"] == 1500
    assert str(server.runs[-1].total_price) == "0.0070000"


async def test_stub_that_fails(serve, server, play):
    """An error of a reply is that of the node, and of the run."""
    app = serve(StubModel(replies=[StubReply(error="no credit")]))
    events = await play(server, app, {"q": "q"})
    assert events[-1]["data"]["status"] == "failed"
    assert events[-1]["data"]["error"] == "no credit"


async def test_stub_that_fails_at_first(serve, server, play):
    """It fails as often as it says in each run, so that a retry can succeed."""
    retry = {"retry_enabled": True, "max_retries": 3, "retry_interval": 10}
    text = dsl.line(
        dsl.start(dsl.text_input("q")),
        dsl.llm(retry_config=retry),
        dsl.end(text="llm.text"),
    )
    reply = StubReply(text="at last", error="busy", failures=2)
    app = serve(StubModel(replies=[reply]), text)
    for _ in range(2):  # another run fails anew
        events = await play(server, app, {"q": "q"})
        names = [event["event"] for event in events]
        assert names.count("node_retry") == 2
        assert events[-1]["data"]["status"] == "partial-succeeded"
        assert events[-1]["data"]["outputs"] == {"text": "at last"}


async def test_stub_that_is_slow_is_stopped(serve, server, call, start, until):
    """A stop does not wait for the next piece of text."""
    reply = StubReply(text=["a", "b"], chunk_delay=30)
    app = serve(StubModel(replies=[reply]))
    async with start(server, app, {"q": "q"}) as response:
        assert (await until(response, "text_chunk"))["data"]["text"] == "a"
        path = f"/workflows/tasks/{server.runs[-1].task_id}/stop"
        await call(server, app, "POST", path, json={"user": "u1"})
        assert (await until(response, "workflow_finished"))["data"]["status"] == (
            "stopped"
        )


CLASSES = dsl.app(
    dsl.start(dsl.text_input("q")),
    dsl.node(
        "kind",
        "question-classifier",
        query_variable_selector=["start", "q"],
        model={"provider": "p", "name": "n", "mode": "chat", "completion_params": {}},
        classes=[{"id": "1", "name": "refund"}, {"id": "2", "name": "other"}],
        instruction="",
        vision={"enabled": False},
    ),
    dsl.template("a", "money back"),
    dsl.template("b", "hello"),
    dsl.end("end_a", text="a.output"),
    dsl.end("end_b", text="b.output"),
    edges=["start>kind", "kind:1>a", "kind:2>b", "a>end_a", "b>end_b"],
)


async def test_classifier(serve, server, play):
    """A question classifier takes the branch that the model names."""
    replies = [
        StubReply(
            contains="give me",
            text='```json\n{"category_id": "1", "category_name": "refund"}\n```',
        ),
        StubReply(text='{"category_id": "2", "category_name": "other"}'),
    ]
    app = serve(StubModel(replies=replies), CLASSES)
    refund = await play(server, app, {"q": "give me my money"})
    assert refund[-1]["data"]["outputs"] == {"text": "money back"}
    other = await play(server, app, {"q": "good day"})
    assert other[-1]["data"]["outputs"] == {"text": "hello"}


EXTRACTING = dsl.line(
    dsl.start(dsl.text_input("q")),
    dsl.node(
        "get",
        "parameter-extractor",
        query=["start", "q"],
        model={"provider": "p", "name": "n", "mode": "chat", "completion_params": {}},
        parameters=[
            {"name": "city", "type": "string", "description": "a", "required": True}
        ],
        reasoning_mode="prompt",
        instruction="",
        vision={"enabled": False},
    ),
    dsl.end(city="get.city"),
)


async def test_extractor(serve, server, play):
    """A parameter extractor reads what it asked the model for."""
    app = serve(StubModel(replies=[StubReply(text='{"city": "Rome"}')]), EXTRACTING)
    events = await play(server, app, {"q": "to Rome"})
    assert events[-1]["data"]["outputs"] == {"city": "Rome"}


STRUCTURED = dsl.line(
    dsl.start(dsl.text_input("q")),
    dsl.llm(
        structured_output_enabled=True,
        structured_output={
            "schema": {
                "type": "object",
                "properties": {"n": {"type": "number"}},
                "required": ["n"],
            }
        },
    ),
    dsl.end(n="llm.structured_output.n"),
)


async def test_structured_output(serve, server, play):
    """An answer that must be JSON is read; one that is none fails the node."""
    good = serve(StubModel(replies=[StubReply(text=['{"n"', ": 4}"])]), STRUCTURED)
    events = await play(server, good, {"q": "q"})
    assert events[-1]["data"]["outputs"] == {"n": 4}
    bad = serve(StubModel(replies=[StubReply(text="four")]), STRUCTURED)
    events = await play(server, bad, {"q": "q"})
    assert "structured output" in events[-1]["data"]["error"]


def completion(text=None, **more):
    """Write an event of a streamed completion."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"choices": [choice | more]}


async def test_endpoint(serve, server, play, outside):
    """An endpoint is asked in OpenAI's words, and its pieces are passed on.

    A line separator of Unicode in an answer is text, and no end of a line.
    """
    outside.answers.append(
        [
            completion("Good "),
            completion("day\\u2028 é".encode().decode("unicode_escape")),
            completion("", finish_reason="stop"),
            {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 4}},
        ]
    )
    app = serve(OpenAIModel(url=f"{outside.url}/v1/", key="sk-1"))
    events = await play(server, app, {"q": "hi"})
    assert events[-1]["data"]["outputs"]["text"].startswith("Good day\u2028")
    assert events[-1]["data"]["total_tokens"] == 15
    assert node(events, "llm")["outputs"]["finish_reason"] == "stop"
    assert outside.keys[-1] == "Bearer sk-1"
    assert outside.asked[-1] == {
        "temperature": 0.1,
        "model": "gpt-x",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_endpoint_with_another_model(serve, server, play, outside, monkeypatch):
    """The name may be another than the node's; the key is that of the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    outside.answers.append([completion("x")])
    model = OpenAIModel(url=f"{outside.url}/v1", name="small")
    await play(server, serve(model), {"q": "hi"})
    assert (outside.asked[-1]["model"], outside.keys[-1]) == ("small", "Bearer sk-env")
    assert "sk-env" not in repr(model)


async def test_endpoint_that_refuses(serve, server, play, outside):
    """The node fails with the status and the words of the endpoint."""
    outside.answers.clear()
    app = serve(OpenAIModel(url=f"{outside.url}/v1", key=None))
    events = await play(server, app, {"q": "hi"})
    assert events[-1]["data"]["error"] == "the endpoint answered 404: no such model"
    assert outside.keys[-1] is None


async def test_endpoint_that_is_none(serve, server, play, outside):
    """What cannot be reached, or answers something else, fails the node."""
    nowhere = serve(OpenAIModel(url="http://127.0.0.1:9"))
    events = await play(server, nowhere, {"q": "hi"})
    assert "ConnectError" in events[-1]["data"]["error"]
    outside.answers.append([{"choices": "none"}])
    app = serve(OpenAIModel(url=f"{outside.url}/v1"))
    events = await play(server, app, {"q": "hi"})
    assert "no chat completion" in events[-1]["data"]["error"]


async def test_structured_output_of_an_endpoint(serve, server, play, outside):
    """The schema is sent, and the answer is read."""
    outside.answers.append([completion(json.dumps({"n": 1}))])
    app = serve(OpenAIModel(url=f"{outside.url}/v1"), STRUCTURED)
    events = await play(server, app, {"q": "hi"})
    assert events[-1]["data"]["outputs"] == {"n": 1}
    assert outside.asked[-1]["response_format"]["type"] == "json_schema"
