"""A Telegram bot that answers by a workflow.

Run it with DIFY_API_KEY, DIFY_BASE_URL and TELEGRAM_TOKEN set::

    pip install dify-workflow-async aiogram
    python examples/bots/telegram_bot.py
"""

from __future__ import annotations

import asyncio
import logging
import os

from collections.abc import Awaitable, Callable
from functools import partial

from aiogram import Bot, Dispatcher, F, Router
from aiogram.exceptions import TelegramRetryAfter
from aiogram.types import (
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
)
from aiogram.utils.chat_action import ChatActionSender
from common import answer_of, pages

from dify_workflow_async import DifyError, RunStream, WorkflowClient
from dify_workflow_async.relay import sentence_of


INPUT = os.environ.get("DIFY_INPUT", "query")  # the workflow's variable

EVERY = 3.0
"""Seconds between two edits: Telegram takes one a second in a chat, 20 a minute in a
group."""

PAGE = 2048
"""Letters of a message: Telegram takes 4096 of UTF-16, where some need two."""

STOP = InlineKeyboardMarkup(
    inline_keyboard=[[InlineKeyboardButton(text="Stop", callback_data="stop")]]
)

Runs = dict[int, RunStream]
"""The run of each chat: there is one at a time."""


def make_router() -> Router:
    """What the bot does with messages and buttons."""
    router = Router()
    router.message(F.text)(answer)
    router.callback_query(F.data == "stop")(stop)
    return router


async def answer(
    message: Message, bot: Bot, client: WorkflowClient, runs: Runs
) -> None:
    """Run the workflow with a message, and show its text as it comes."""
    chat, person = message.chat.id, message.from_user or message.chat
    if chat in runs:
        await message.reply("One at a time, please: wait for the answer, or stop it.")
        return
    run = client.stream({INPUT: message.text}, user=f"telegram-{person.id}")
    runs[chat] = run
    shown = Shown(message)
    try:
        async with ChatActionSender.typing(chat_id=chat, bot=bot), run:
            async for text in run.snapshots(every=EVERY):
                await shown.show(text)
            result = await run.result()
        result.raise_for_status()
        await shown.show(run.text or answer_of(result), is_last=True)
    except DifyError as error:
        logging.getLogger(__name__).warning("chat %s: %s", chat, error)
        text = f"{run.text}\n\n{sentence_of(error)}".strip()
        await shown.show(text, is_last=True)
    finally:
        del runs[chat]


async def stop(query: CallbackQuery, runs: Runs) -> None:
    """Stop the run of a chat; its text then ends with a sentence about that."""
    run = query.message and runs.get(query.message.chat.id)
    try:
        if run:
            await run.stop()
    except DifyError as error:
        await query.answer(sentence_of(error))
    else:
        await query.answer("Stopping …" if run else "It has ended.")


class Shown:
    """An answer, in one message that is edited, or in more if it is long."""

    def __init__(self, question: Message) -> None:
        self._question = question
        self._sent: list[tuple[Message, str, bool]] = []

    async def show(self, text: str, *, is_last: bool = False) -> None:
        """Show a text that may have grown; with a button under it until the last.

        If it has shrunk, messages that it needs no more are deleted.

        If Telegram has one wait, this waits; the run goes on meanwhile.
        """
        parts = pages(text, PAGE)
        for number, part in enumerate(parts):
            has_button = number == len(parts) - 1 and not is_last
            await _patiently(partial(self._put, number, part, has_button=has_button))
        while len(self._sent) > len(parts):
            await _patiently(self._sent[-1][0].delete)
            del self._sent[-1]

    async def _put(self, number: int, text: str, *, has_button: bool) -> None:
        markup = STOP if has_button else None
        if number == len(self._sent):
            sent = await self._question.answer(text, reply_markup=markup)
            self._sent.append((sent, text, has_button))
            return
        message, *before = self._sent[number]
        if before == [text, has_button]:
            return  # Telegram refuses an edit that changes nothing
        await message.edit_text(text, reply_markup=markup)
        self._sent[number] = message, text, has_button


async def _patiently(do: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await do()
        except TelegramRetryAfter as error:
            await asyncio.sleep(error.retry_after)
        else:
            return


async def main() -> None:
    """Serve until interrupted; runs under way are stopped then."""
    logging.basicConfig(level=logging.INFO)
    bot = Bot(os.environ["TELEGRAM_TOKEN"])
    dispatcher = Dispatcher()
    dispatcher.include_router(make_router())
    async with WorkflowClient(user="telegram") as client:
        runs: Runs = {}
        await dispatcher.start_polling(bot, client=client, runs=runs)


if __name__ == "__main__":
    asyncio.run(main())
