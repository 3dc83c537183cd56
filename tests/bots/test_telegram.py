"""The Telegram bot, against a Telegram that is as strict as the real one."""

# ruff: noqa: N802 - methods have Telegram's own names

from __future__ import annotations

import asyncio
import json

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import attrs
import pytest

from aiohttp import web

from dify_workflow_async.local import ErrorEvent, Node


TOKEN = "42:secret"
END = Node(type="end", outputs={"answer": "{llm.text}"})
WORDS = [f"word{n} " for n in range(40)]
LLM = Node(type="llm", text=WORDS, chunk_delay=0.01)
TEXT = "".join(WORDS).strip()
FOREVER = Node(type="llm", text=["Once ", "upon"], chunk_delay=0.01)
WAIT = Node(type="code", id="wait", delay=3600)
PERSON = {"id": 7, "is_bot": False, "first_name": "Ada"}


@attrs.define
class Telegram:
    """The methods of the Bot API that the bot uses, with their limits."""

    edit_gap: float = 0.08
    """Seconds between two edits of a message; less is refused. Really it is a second."""

    sent: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    edits: int = 0
    deleted: int = 0
    refused: list[str] = attrs.field(factory=list)
    actions: list[str] = attrs.field(factory=list)
    answers: list[str] = attrs.field(factory=list)
    _updates: asyncio.Queue[dict[str, Any]] = attrs.field(factory=asyncio.Queue)
    _last_edit: float = 0.0
    _number: int = 0

    # -- what people do ----------------------------------------------------------------

    def write(self, text: str, chat: int = 1, person: dict | None = None) -> None:
        """Write a message to the bot."""
        message = self._message(chat, text) | {"from": person or PERSON}
        self._update(message=message)

    def press(self, message_id: int, chat: int = 1) -> None:
        """Press the button under a message."""
        message = self._message(chat, "x") | {"message_id": message_id}
        query = {"id": "q", "chat_instance": "c", "data": "stop", "from": PERSON}
        self._update(callback_query=query | {"message": message})

    def _update(self, **content: Any) -> None:
        self._number += 1
        self._updates.put_nowait({"update_id": self._number, **content})

    def _message(self, chat: int, text: str) -> dict[str, Any]:
        self._number += 1
        there = {"id": chat, "type": "private"}
        return {"message_id": self._number, "date": 1, "chat": there, "text": text}

    def texts(self, chat: int = 1) -> list[str]:
        """Give the texts of the bot's messages in a chat."""
        return [x["text"] for x in self.sent.values() if x["chat"] == chat]

    # -- the API -----------------------------------------------------------------------

    def app(self) -> web.Application:
        """Give the application that serves it."""
        app = web.Application()
        app.router.add_post(f"/bot{TOKEN}/{{method}}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.Response:
        data = dict(await request.post())
        method = request.match_info["method"]
        try:
            result = await getattr(self, f"_{method}")(data)
        except web.HTTPException as error:
            self.refused.append(f"{method}: {error.text}")
            told: dict[str, Any] = {"ok": False, "error_code": error.status}
            told["description"] = error.text
            if error.status == 429:
                told["parameters"] = {"retry_after": 1}
            return web.json_response(told, status=error.status)
        return web.json_response({"ok": True, "result": result})

    async def _getMe(self, data: dict) -> dict:
        return {"id": 42, "is_bot": True, "first_name": "Bot", "username": "bot"}

    async def _getUpdates(self, data: dict) -> list:
        try:
            async with asyncio.timeout(1):
                return [await self._updates.get()]
        except TimeoutError:
            return []

    async def _sendMessage(self, data: dict) -> dict:
        text = self._checked(data)
        message = self._message(int(data["chat_id"]), text)
        self.sent[message["message_id"]] = {
            "chat": int(data["chat_id"]),
            "text": text,
            "button": "reply_markup" in data,
        }
        return message

    async def _editMessageText(self, data: dict) -> dict:
        text = self._checked(data)
        now = asyncio.get_running_loop().time()
        if now - self._last_edit < self.edit_gap:
            raise web.HTTPTooManyRequests(text="Too Many Requests: retry after 1")
        message = self.sent[int(data["message_id"])]
        new = {"text": text, "button": "reply_markup" in data}
        if message == message | new:
            raise web.HTTPBadRequest(text="Bad Request: message is not modified")
        self._last_edit = now
        self.edits += 1
        message.update(new)
        there = self._message(message["chat"], text)
        return there | {"message_id": int(data["message_id"])}

    async def _deleteMessage(self, data: dict) -> bool:
        del self.sent[int(data["message_id"])]
        self.deleted += 1
        return True

    async def _sendChatAction(self, data: dict) -> bool:
        self.actions.append(data["action"])
        return True

    async def _answerCallbackQuery(self, data: dict) -> bool:
        self.answers.append(data["text"])
        return True

    def _checked(self, data: dict) -> str:
        """Give the text as Telegram keeps it, which trims it."""
        text = data["text"].strip()
        if not text:
            raise web.HTTPBadRequest(text="Bad Request: text must be non-empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            raise web.HTTPBadRequest(text="Bad Request: message is too long")
        if "reply_markup" in data:
            json.loads(data["reply_markup"])
        return text


@pytest.fixture
async def telegram(example, serving, make_client) -> AsyncIterator[Any]:
    """Give a function that runs the bot over a Dify, and gives its Telegram."""
    module = example("telegram_bot", "aiogram")
    from aiogram import Bot, Dispatcher
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer

    there = Telegram()
    async with serving(there.app()) as port:
        server = TelegramAPIServer.from_base(f"http://127.0.0.1:{port}")
        bot = Bot(TOKEN, session=AiohttpSession(api=server))
        polling: list[asyncio.Task[None]] = []
        clients = []

        def run(server) -> Telegram:
            dispatcher = Dispatcher()
            dispatcher.include_router(module.make_router())
            clients.append(make_client(server))
            work = dispatcher.start_polling(
                bot, client=clients[0], runs={}, handle_signals=False
            )
            polling.append(asyncio.create_task(work))
            return there

        yield run
        for task in polling:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for client in clients:
            await client.aclose()
        await bot.session.close()


async def test_an_answer(dify, telegram, until):
    """One message is edited as the text comes, within Telegram's limits."""
    server = await dify(LLM, END)
    there = telegram(server)
    there.write("rivers")
    await until(lambda: there.texts() == [TEXT])
    await until(lambda: not any(x["button"] for x in there.sent.values()))
    assert 1 <= there.edits <= 8
    assert not [x for x in there.refused if "Too Many" not in x]
    assert "typing" in there.actions
    assert server.runs[0].inputs == {"query": "rivers"}
    assert server.runs[0].user == "telegram-7"


async def test_an_answer_without_text(dify, telegram, until):
    """The outputs are the answer then."""
    there = telegram(await dify(Node(type="end", outputs={"answer": "42"})))
    there.write("x")
    await until(lambda: there.texts() == ["42"])


async def test_space_around_an_answer(dify, telegram, until):
    """Telegram has none: what only adds some is no edit, and what is none is not sent."""
    llm = Node(type="llm", text=["\n\n", "a", "\n"], chunk_delay=0.3)
    server = await dify(llm, END)
    there = telegram(server)
    there.write("x")
    await until(lambda: there.texts() == ["a"])
    await until(lambda: not any(x["button"] for x in there.sent.values()))
    assert not [x for x in there.refused if "Too Many" not in x]
    assert server.runs[0].status == "succeeded"


async def test_a_long_answer(dify, telegram, until):
    """It goes on in further messages, whatever letters it has."""
    text = "🏞" * 5000
    there = telegram(await dify(Node(type="llm", text=[text]), END))
    there.write("x")
    await until(lambda: "".join(there.texts()) == text)
    assert len(there.texts()) == 3
    await until(lambda: not any(x["button"] for x in there.sent.values()))


async def test_an_answer_that_shrinks(dify, telegram, until):
    """Messages that it needs no more are deleted, and the button stands where it ends."""
    server = await dify(Node(type="llm", text=["x" * 7000]), WAIT)
    there = telegram(server)
    there.write("x")
    await until(lambda: "".join(there.texts()).count("x") == 7000)
    server.runs[0].send({"event": "text_replace", "data": {"text": "short"}})
    await until(lambda: there.deleted == 3)
    await until(lambda: there.texts() == ["short"])
    await until(lambda: [x["button"] for x in there.sent.values()] == [True])
    assert server.runs[0].status == "running"


async def test_stopping(dify, telegram, until):
    """The button under the message stops the run, and the message says so."""
    server = await dify(FOREVER, WAIT)
    there = telegram(server)
    there.write("x")
    await until(lambda: there.texts() == ["Once upon"])
    (message_id,) = there.sent
    assert there.sent[message_id]["button"]
    there.press(message_id)
    await until(lambda: there.answers == ["Stopping …"])
    await until(lambda: there.texts() == ["Once upon\n\nThe run was stopped."])
    assert server.runs[0].status == "stopped"
    there.press(message_id)
    await until(lambda: there.answers == ["Stopping …", "It has ended."])


async def test_one_run_at_a_time(dify, telegram, until):
    """A second question in a chat is put off; another chat has a run of its own."""
    server = await dify(FOREVER, WAIT)
    there = telegram(server)
    there.write("first")
    await until(lambda: there.texts() == ["Once upon"])
    there.write("second")
    await until(lambda: len(there.texts()) == 2)
    assert "One at a time" in there.texts()[1]
    there.write("third", chat=2, person=PERSON | {"id": 8})
    await until(lambda: there.texts(chat=2) == ["Once upon"])
    assert [run.user for run in server.runs] == ["telegram-7", "telegram-8"]


async def test_an_error(dify, telegram, until):
    """It is a sentence after the text, and the next question is answered."""
    error = ErrorEvent(message="inside", code="provider_quota_exceeded")
    server = await dify(Node(type="llm", text="so far"), error)
    there = telegram(server)
    for count in (1, 2):
        there.write("x")
        await until(lambda n=count: len(server.runs) == n)
        await until(lambda n=count: len([x for x in there.texts() if "\n\n" in x]) == n)
    assert "try again" in there.texts()[0]
    assert "inside" not in "".join(there.texts())


async def test_telegram_has_one_wait(dify, telegram, until):
    """Edits that it refuses are made when it takes them: nothing is lost."""
    there = telegram(await dify(LLM, END))
    there.edit_gap = 0.5
    there.write("x")
    await until(lambda: there.texts() == [TEXT])
    assert any("Too Many" in x for x in there.refused)
