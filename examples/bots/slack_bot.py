"""A Slack bot that answers by a workflow, when it is mentioned or written to.

Run it with DIFY_API_KEY, DIFY_BASE_URL, SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET set,
and have Slack send events and interactions to its ``/slack/events``::

    pip install dify-workflow-async slack-sdk
    python examples/bots/slack_bot.py

It needs the scopes ``chat:write``, ``reactions:write``, ``app_mentions:read`` and
``im:history``.
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
import os
import re

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from common import answer_of, pages
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from dify_workflow_async import DifyError, RunStream, WorkflowClient
from dify_workflow_async.relay import sentence_of


LOGGER = logging.getLogger(__name__)

INPUT = os.environ.get("DIFY_INPUT", "query")  # the workflow's variable

EVERY = 2.0
"""Seconds between two edits: Slack takes some 50 a minute (``chat.update``)."""

PAGE = 3000
"""Letters of a section block."""

BUSY = "hourglass_flowing_sand"
"""The reaction that says that the bot is at work: Slack shows bots no typing."""

STOP: dict[str, Any] = {
    "type": "actions",
    "elements": [
        {
            "type": "button",
            "action_id": "stop",
            "style": "danger",
            "text": {"type": "plain_text", "text": "Stop"},
        }
    ],
}


class SlackBot:
    """Answers events; there is one run at a time in each channel."""

    def __init__(
        self, client: WorkflowClient, slack: AsyncWebClient, secret: str
    ) -> None:
        self._client = client
        self._slack = slack
        self._verifier = SignatureVerifier(secret)
        self._runs: dict[str, RunStream] = {}
        self._known: deque[str] = deque(maxlen=1000)
        self._tasks: set[asyncio.Task[None]] = set()

    async def receive(self, request: web.Request) -> web.Response:
        """Take what Slack sends: it wants an answer within 3 s, and sends it again."""
        body = await request.read()
        if not self._verifier.is_valid_request(body, dict(request.headers)):
            return web.Response(status=401)
        if request.content_type == "application/x-www-form-urlencoded":
            self._begin(self._stop(json.loads(parse_qs(body.decode())["payload"][0])))
            return web.Response()
        told = json.loads(body)
        if told["type"] == "url_verification":
            return web.json_response({"challenge": told["challenge"]})
        event = told.get("event", {})
        is_question = event.get("type") in {"app_mention", "message"}
        is_persons = "bot_id" not in event and "subtype" not in event
        if is_question and is_persons and told["event_id"] not in self._known:
            self._known.append(told["event_id"])
            us = {x["user_id"] for x in told.get("authorizations", [])}
            query = plain(event.get("text", ""), us)
            self._begin(self._answer(event, query))
        return web.Response()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            LOGGER.error("an answer broke", exc_info=error)

    async def _answer(self, event: dict[str, Any], query: str) -> None:
        """Run the workflow with what was asked, and show its text as it comes."""
        channel, mark = event["channel"], {"timestamp": event["ts"], "name": BUSY}
        if channel in self._runs:
            words = "One at a time, please: wait for the answer, or stop it."
            await self._slack.chat_postMessage(channel=channel, text=words)
            return
        run = self._client.stream({INPUT: query}, user=f"slack-{event['user']}")
        self._runs[channel] = run
        shown = Shown(self._slack, channel)
        try:
            await self._slack.reactions_add(channel=channel, **mark)
            async with run:
                async for text in run.snapshots(every=EVERY):
                    await shown.show(text)
                result = await run.result()
            result.raise_for_status()
            await shown.show(run.text or answer_of(result), is_last=True)
        except DifyError as error:
            LOGGER.warning("channel %s: %s", channel, error)
            text = f"{run.text}\n\n{sentence_of(error)}".strip()
            await shown.show(text, is_last=True)
        finally:
            del self._runs[channel]
            await self._slack.reactions_remove(channel=channel, **mark)

    async def _stop(self, payload: dict[str, Any]) -> None:
        """Stop the run of a channel; its text then ends with a sentence about that."""
        run = self._runs.get(payload["channel"]["id"])
        try:
            if run is not None:
                await run.stop()
        except DifyError as error:
            LOGGER.warning("not stopped: %s", error)

    async def aclose(self) -> None:
        """Leave the runs under way, which stops them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def plain(text: str, us: Collection[str] = ()) -> str:
    """What a person has written, without Slack's markup and escapes.

    Users and channels are named as Slack names them, or else by their ids, and links
    by what stood there and by where they lead. See "Formatting text for app surfaces"
    and "Retrieving messages" in Slack's documentation.

    Args:
        text: as an event has it: all ``<`` and ``>`` in it are markup.
        us: ids of users whose mentions are left out, since they only call the bot.
    """

    def shown(markup: re.Match[str]) -> str:
        target, _, label = markup[1].partition("|")
        match target[:1]:
            case "@":
                return "" if target[1:] in us else f"@{label or target[1:]}"
            case "#":
                return f"#{label or target[1:]}"
            case "!":  # such as !here, !subteam^S1|@team, or !date^1392734382^...|today
                kind, _, rest = target[1:].partition("^")
                return label or f"@{rest if kind == 'subteam' else kind}"
        address = re.sub("^(https?://|mailto:|tel:)", "", target)
        if label in {"", target, address}:  # Slack makes links of what looks like one
            return label or target
        return f"{label} ({target})"

    return html.unescape(re.sub("<([^<>]*)>", shown, text)).strip()


class Shown:
    """An answer, in one message that is edited, or in more if it is long."""

    def __init__(self, slack: AsyncWebClient, channel: str) -> None:
        self._slack = slack
        self._channel = channel
        self._sent: list[tuple[str, str, bool]] = []

    async def show(self, text: str, *, is_last: bool = False) -> None:
        """Show a text that may have grown; with a button under it until the last.

        If it has shrunk, messages that it needs no more are deleted.

        If Slack has one wait, this waits; the run goes on meanwhile.
        """
        # A model may write <!channel>, which is to call nobody.
        parts = pages(html.escape(text, quote=False), PAGE)
        for number, part in enumerate(parts):
            has_button = number == len(parts) - 1 and not is_last
            await _patiently(partial(self._put, number, part, has_button=has_button))
        while len(self._sent) > len(parts):
            ts = self._sent[-1][0]
            delete = self._slack.chat_delete
            await _patiently(partial(delete, channel=self._channel, ts=ts))
            del self._sent[-1]

    async def _put(self, number: int, text: str, *, has_button: bool) -> None:
        section: dict[str, Any] = {
            "type": "section",
            "text": {"type": "mrkdwn", "text": text},
        }
        blocks = [section, STOP] if has_button else [section]
        message: dict[str, Any] = {
            "channel": self._channel,
            "text": text,
            "blocks": blocks,
        }
        if number == len(self._sent):
            answer = await self._slack.chat_postMessage(**message)
            self._sent.append((answer["ts"], text, has_button))
            return
        ts, *before = self._sent[number]
        if before != [text, has_button]:
            await self._slack.chat_update(ts=ts, **message)
            self._sent[number] = ts, text, has_button


async def _patiently(do: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await do()
        except SlackApiError as error:
            if error.response.status_code != 429:
                raise
            await asyncio.sleep(int(error.response.headers["Retry-After"]))
        else:
            return


BOT = web.AppKey("bot", SlackBot)


def make_app(
    make_client: Callable[[], WorkflowClient], slack: AsyncWebClient, secret: str
) -> web.Application:
    """The application; runs under way are stopped at its end."""

    async def living(app: web.Application) -> AsyncIterator[None]:
        async with make_client() as client:
            app[BOT] = SlackBot(client, slack, secret)
            yield
            await app[BOT].aclose()

    async def events(request: web.Request) -> web.Response:
        return await request.app[BOT].receive(request)

    app = web.Application()
    app.cleanup_ctx.append(living)
    app.router.add_post("/slack/events", events)
    return app


if __name__ == "__main__":
    web.run_app(
        make_app(
            lambda: WorkflowClient(user="slack"),
            AsyncWebClient(os.environ["SLACK_BOT_TOKEN"]),
            os.environ["SLACK_SIGNING_SECRET"],
        ),
        port=3000,
    )
