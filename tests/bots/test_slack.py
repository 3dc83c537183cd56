"""The Slack bot, against a Slack that checks what it is sent."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import json
import re
import time

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import attrs
import pytest

from aiohttp import web

from dify_workflow_async.local import ErrorEvent, Node


SECRET = "s3cr3t"
END = Node(type="end", outputs={"answer": "{llm.text}"})
WORDS = [f"word{n} " for n in range(40)]
LLM = Node(type="llm", text=WORDS, chunk_delay=0.01)
TEXT = "".join(WORDS).strip()
FOREVER = Node(type="llm", text=["Once ", "upon"], chunk_delay=0.01)
WAIT = Node(type="code", id="wait", delay=3600)


@attrs.define
class Slack:
    """The methods of the Web API that the bot uses, and events that it is sent."""

    bot: str = ""
    edit_gap: float = 0.0
    messages: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    edits: int = 0
    deleted: int = 0
    reactions: list[str] = attrs.field(factory=list)
    refused: list[str] = attrs.field(factory=list)
    _number: int = 0
    _last_edit: float = 0.0

    async def send(
        self, body: bytes, kind: str = "application/json", secret: str = SECRET
    ) -> tuple[int, str]:
        """Send the bot something, signed as Slack signs."""
        stamp = str(int(time.time()))
        signed = b"v0:%b:%b" % (stamp.encode(), body)
        digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": kind,
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={digest}",
        }
        async with aiohttp.ClientSession() as session:
            post = session.post(f"{self.bot}/slack/events", data=body, headers=headers)
            async with post as answer:
                return answer.status, await answer.text()

    async def write(self, text: str, channel: str = "C1", **more: Any) -> None:
        """Mention the bot in a channel."""
        self._number += 1
        event = {
            "type": "app_mention",
            "channel": channel,
            "user": "U7",
            "ts": str(self._number),
            "text": text,
        }
        told = {
            "type": "event_callback",
            "event_id": f"E{self._number}",
            "authorizations": [{"user_id": "U1", "is_bot": True}],
            "event": event | more,
        }
        body = json.dumps(told).encode()
        assert (await self.send(body))[0] == 200
        assert (await self.send(body))[0] == 200  # as Slack does when it is unsure

    async def press(self, channel: str = "C1") -> None:
        """Press the button."""
        payload = {"type": "block_actions", "channel": {"id": channel}}
        body = f"payload={quote(json.dumps(payload))}".encode()
        kind = "application/x-www-form-urlencoded"
        assert (await self.send(body, kind))[0] == 200

    def texts(self, channel: str = "C1") -> list[str]:
        """Give the texts of the bot's messages in a channel."""
        return [x["text"] for x in self.messages.values() if x["channel"] == channel]

    def app(self) -> web.Application:
        """Give the application that serves its API."""
        app = web.Application()
        app.router.add_post("/api/{method}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.Response:
        is_json = request.content_type == "application/json"
        body = await request.json() if is_json else dict(await request.post())
        data = dict(request.query) | body
        method = request.match_info["method"]
        now = asyncio.get_running_loop().time()
        if method == "chat.update" and now - self._last_edit < self.edit_gap:
            self.refused.append(method)
            told = {"ok": False, "error": "ratelimited"}
            return web.json_response(told, status=429, headers={"Retry-After": "1"})
        answer: dict[str, Any] = {"ok": True}
        if method.startswith("reactions."):
            self.reactions.append(f"{method} {data['name']}")
        elif method == "chat.delete":
            assert self.messages.pop(data["ts"])["channel"] == data["channel"]
            self.deleted += 1
        else:
            self._number += 1
            ts = data.get("ts") or str(self._number)
            blocks = data.get("blocks", [])
            blocks = json.loads(blocks) if isinstance(blocks, str) else blocks
            assert all(len(b["text"]["text"]) <= 3000 for b in blocks if "text" in b)
            has_button = any(block["type"] == "actions" for block in blocks)
            self.messages[ts] = {
                "channel": data["channel"],
                "text": data["text"],
                "button": has_button,
            }
            if method == "chat.update":
                self._last_edit = now
                self.edits += 1
            answer["ts"] = ts
        return web.json_response(answer)


@pytest.fixture
async def slack(example, serving, make_client) -> AsyncIterator[Any]:
    """Give a context manager that runs the bot over a Dify, and gives its Slack."""
    module = example("slack_bot", "slack_sdk")
    from contextlib import AsyncExitStack

    from slack_sdk.web.async_client import AsyncWebClient

    async with AsyncExitStack() as stack:

        async def run(server) -> Slack:
            there = Slack()
            port = await stack.enter_async_context(serving(there.app()))
            web_client = AsyncWebClient(
                "xoxb-1", base_url=f"http://127.0.0.1:{port}/api/"
            )
            app = module.make_app(lambda: make_client(server), web_client, SECRET)
            port = await stack.enter_async_context(serving(app))
            there.bot = f"http://127.0.0.1:{port}"
            return there

        yield run


async def test_an_answer(dify, slack, until):
    """One message is edited as the text comes; an event that comes again is one."""
    server = await dify(LLM, END)
    there = await slack(server)
    await there.write("<@U1> rivers")
    await until(lambda: there.texts() == [TEXT])
    await until(lambda: not any(x["button"] for x in there.messages.values()))
    await until(lambda: len(there.reactions) == 2)
    assert there.reactions == [
        "reactions.add hourglass_flowing_sand",
        "reactions.remove hourglass_flowing_sand",
    ]
    assert 1 <= there.edits <= 8
    assert [run.inputs for run in server.runs] == [{"query": "rivers"}]
    assert server.runs[0].user == "slack-U7"


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("<@U1> 1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("what is &amp;lt; <@U1>?", "what is &lt; ?"),
        ("<@U1> ask <@U2> or <@W3|ada>", "ask @U2 or @ada"),
        ("in <#C7|general>, <#C8> and <#C9|>", "in #general, #C8 and #C9"),
        ("<!here> <!channel|@channel> <!subteam^S1|@devs>", "@here @channel @devs"),
        ("<!subteam^S1> <!date^1392734382^{date}|Feb 18>", "@S1 Feb 18"),
        ("read <https://x.org/?a=1&amp;b=2>", "read https://x.org/?a=1&b=2"),
        ("<https://x.org/a|the &lt;page&gt;>", "the <page> (https://x.org/a)"),
        ("<http://x.org|x.org> <mailto:a@x.org|a@x.org>", "x.org a@x.org"),
        ("<https://x.org|https://x.org> <tel:+4930|+4930>", "https://x.org +4930"),
        ("<tel:+4930>", "tel:+4930"),
        ("", ""),
    ],
)
async def test_how_slack_writes(sent, written, dify, slack, until):
    """The workflow gets what the person wrote: no markup, no escapes, no call for us."""
    server = await dify(LLM, END)
    there = await slack(server)
    await there.write(sent)
    await until(lambda: server.runs)
    assert server.runs[0].inputs == {"query": written}


async def test_a_long_answer(dify, slack, until):
    """It goes on in further messages."""
    text = "x" * 7000
    there = await slack(await dify(Node(type="llm", text=[text]), END))
    await there.write("x")
    await until(lambda: "".join(there.texts()) == text)
    assert len(there.texts()) == 3


async def test_what_slack_would_take_for_a_command(dify, slack, until):
    """It is escaped, so that nobody is called; no page ends within an escaped letter."""
    text = f"see <!channel> {'R&D' * 700} a > b"
    there = await slack(await dify(Node(type="llm", text=[text]), END))
    await there.write("x")
    await until(lambda: html.unescape("".join(there.texts())) == text)
    assert len(there.texts()) == 2
    for page in there.texts():
        assert re.fullmatch("([^&<>]|&amp;|&lt;|&gt;)+", page)


async def test_an_answer_that_shrinks(dify, slack, until):
    """Messages that it needs no more are deleted, and the button stands where it ends."""
    server = await dify(Node(type="llm", text=["x" * 7000]), WAIT)
    there = await slack(server)
    await there.write("x")
    await until(lambda: "".join(there.texts()).count("x") == 7000)
    server.runs[0].send({"event": "text_replace", "data": {"text": "short"}})
    await until(lambda: there.deleted == 2)
    await until(lambda: there.texts() == ["short"])
    await until(lambda: [x["button"] for x in there.messages.values()] == [True])
    assert server.runs[0].status == "running"


async def test_stopping(dify, slack, until):
    """The button stops the run, and the message says so; pressed again, it does nothing."""
    server = await dify(FOREVER, WAIT)
    there = await slack(server)
    await there.write("x")
    await until(lambda: there.texts() == ["Once upon"])
    await there.press()
    await until(lambda: there.texts() == ["Once upon\n\nThe run was stopped."])
    assert server.runs[0].status == "stopped"
    await there.press()


async def test_one_run_at_a_time(dify, slack, until):
    """A second question in a channel is put off; another channel has its own."""
    server = await dify(FOREVER, WAIT)
    there = await slack(server)
    await there.write("first")
    await until(lambda: there.texts() == ["Once upon"])
    await there.write("second")
    await until(lambda: len(there.texts()) == 2)
    assert "One at a time" in there.texts()[1]
    await there.write("third", channel="C2")
    await until(lambda: there.texts("C2") == ["Once upon"])


async def test_an_error(dify, slack, until):
    """It is a sentence after the text."""
    error = ErrorEvent(message="inside", code="provider_quota_exceeded")
    there = await slack(await dify(Node(type="llm", text="so far"), error))
    await there.write("x")
    await until(lambda: there.texts() and "try again" in there.texts()[0])
    assert "inside" not in there.texts()[0]


async def test_slack_has_one_wait(dify, slack, until):
    """Edits that it refuses are made when it takes them: nothing is lost."""
    there = await slack(await dify(LLM, END))
    there.edit_gap = 0.5
    await there.write("x")
    await until(lambda: there.texts() == [TEXT])
    assert there.refused


async def test_who_is_not_slack(dify, slack):
    """A request that Slack did not sign is refused."""
    server = await dify(LLM, END)
    there = await slack(server)
    status, _ = await there.send(b'{"type": "event_callback"}', secret="other")
    assert status == 401
    assert not server.runs


async def test_slack_asks_whether_it_is_us(dify, slack):
    """The challenge is answered, and the bot's own messages are not."""
    server = await dify(LLM, END)
    there = await slack(server)
    body = json.dumps({"type": "url_verification", "challenge": "c"}).encode()
    assert await there.send(body) == (200, '{"challenge": "c"}')
    await there.write("x", type="message", bot_id="B1")
    assert not server.runs
